package fleet

import (
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/limits"
	"vizstop/internal/redistest"
)

// eachRedis runs test on a real redis-server, as the limited user, and on the
// embedded one. rdb may do everything.
func eachRedis(t *testing.T, test func(t *testing.T, limited, rdb *redis.Client)) {
	t.Run("redis-server", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t)
		test(t, s.Limited(t), s.Client(t))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		t.Cleanup(func() { rdb.Close() })
		test(t, rdb, rdb)
	})
}

// moment plays what must take less than a second, as longer silence is silence, too. If it took longer and something
// was wrong it is played again, with an empty Redis: this machine may be busy.
func moment(t *testing.T, rdb *redis.Client, play func(wrong func(format string, args ...any))) {
	t.Helper()
	var faults []string
	for try := 0; try == 0 || len(faults) > 0 && try < 20; try++ {
		if err := rdb.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		faults = nil
		began := time.Now()
		play(func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) })
		if time.Since(began) < time.Second {
			break
		}
	}
	for _, f := range faults {
		t.Error(f)
	}
}

func beat(t *testing.T, members ...*Member) {
	t.Helper()
	for _, m := range members {
		if err := m.Beat(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// listen has a member listen, as a worker does as long as it lives, and returns what ends that
// as the death of its process does.
func listen(t *testing.T, m *Member) (kill func()) {
	t.Helper()
	sub := m.rdb.Subscribe(t.Context(), m.Channel())
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sub.Close() })
	return func() {
		sub.Close()
		for m.rdb.PubSubNumSub(t.Context(), m.Channel()).Val()[m.Channel()] > 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// near fails the test unless the member tells that time, give or take a test's
// slowness.
func near(t *testing.T, m *Member, want time.Time) {
	t.Helper()
	if off := m.Now().Sub(want); off.Abs() > 2*time.Second {
		t.Errorf("the fleet's time is off by %v", off)
	}
}

// setClock makes Redis' clock, as the scripts see it, run ahead by that much.
func setClock(t *testing.T, rdb *redis.Client, by time.Duration) {
	t.Helper()
	if err := rdb.HIncrBy(t.Context(), clockKey, "shift", by.Milliseconds()).Err(); err != nil {
		t.Fatal(err)
	}
}

// fallSilent makes the member's latest beat older.
func fallSilent(t *testing.T, rdb *redis.Client, m *Member, by time.Duration) {
	t.Helper()
	if err := rdb.ZIncrBy(t.Context(), workersKey, -float64(by.Milliseconds()), m.me.String()).Err(); err != nil {
		t.Fatal(err)
	}
}

// judges has a worker be one that judges others at its next beat, however slow the machine is and although the fleet's
// time may be off a little: it has been heard to listen for more than long enough, and has just beaten.
func judges(t *testing.T, rdb *redis.Client, m *Member) {
	t.Helper()
	now := m.Now()
	pipe := rdb.TxPipeline()
	pipe.HSet(t.Context(), heardKey, m.me.String(), now.Add(-2*gap).UnixMilli())
	pipe.ZAddXX(t.Context(), workersKey, redis.Z{Score: float64(now.UnixMilli()), Member: m.me.String()})
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Workers hear of each other, and of nobody who only asks or has left.
func TestBeats(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, two, asker := New(limited, 4), New(limited, 32), New(limited, 0)
		if c := one.Census(); len(c.Alive) != 0 || c.Reliable {
			t.Errorf("before the first beat: %+v", c)
		}
		beat(t, one, two)
		if err := asker.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		beat(t, one)
		for _, m := range []*Member{one, two, asker} {
			c := m.Census()
			if len(c.Alive) != 2 || c.Slots != 36 || !c.Lives(one.ID()) || !c.Lives(two.ID()) || c.Lives(asker.ID()) || !c.Fell.IsZero() {
				t.Errorf("census %+v, want both workers with 36 slots", c)
			}
			near(t, m, time.Now())
		}
		if err := two.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		beat(t, one)
		if c := one.Census(); len(c.Alive) != 1 || c.Lives(two.ID()) || !c.Fell.IsZero() {
			t.Errorf("census %+v, want the other one gone", c)
		}
	})
}

// When a worker was last seen is known after all have died or left, also to those
// who only ask.
func TestLastSeen(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, asker := New(limited, 1), New(limited, 0)
		seen := func() time.Time {
			t.Helper()
			if err := asker.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			return asker.Census().Seen
		}
		if at := seen(); !at.IsZero() {
			t.Errorf("before the first worker one was seen at %v", at)
		}
		beat(t, one)
		began := seen()
		fallSilent(t, rdb, one, time.Hour)
		if at := seen(); began.IsZero() || !at.Equal(began.Add(-time.Hour)) {
			t.Errorf("a worker that died was last seen at %v, want an hour before %v", at, began)
		}
		beat(t, one)
		if err := one.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		if at := seen(); at.Before(began) {
			t.Errorf("a worker that left was last seen at %v, want %v or later", at, began)
		}
	})
}

// Who says nothing for five seconds is dead, and forgotten after two minutes.
func TestSilence(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		moment(t, rdb, func(wrong func(format string, args ...any)) {
			one, two := New(limited, 1), New(limited, 1)
			listen(t, two)
			beat(t, one, two)
			fallSilent(t, rdb, two, Silence-3*time.Second)
			beat(t, one)
			if c := one.Census(); !c.Lives(two.ID()) {
				wrong("census %+v, want the other one alive", c)
			}
			fallSilent(t, rdb, two, 4*time.Second)
			beat(t, one)
			fell := one.Census().Fell
			c := one.Census()
			if c.Lives(two.ID()) || c.Slots != 1 || time.Since(fell) < Silence || time.Since(fell) > Silence+3*time.Second {
				wrong("census %+v, want the other one dead for some seconds", c)
			}
			fallSilent(t, rdb, two, 2*time.Minute)
			beat(t, one)
			if n := rdb.ZCard(t.Context(), workersKey).Val(); n != 1 || !one.Census().Fell.IsZero() {
				wrong("%d workers are kept, census %+v; want the dead one forgotten", n, one.Census())
			}
		})
	})
}

// Who listens on no connection any more is dead after less silence, but not before two beats are
// missing: a connection may break. One that beats again lives. Who only asks judges nobody.
func TestDeserted(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		moment(t, rdb, func(wrong func(format string, args ...any)) {
			one, two, asker := New(limited, 1), New(limited, 1), New(limited, 0)
			listen(t, one)
			kill := listen(t, two)
			beat(t, one, two)
			heard := func(m *Member, ago time.Duration) {
				t.Helper()
				since := time.Now().Add(-ago).UnixMilli()
				if err := rdb.HSet(t.Context(), heardKey, m.me.String(), since).Err(); err != nil {
					t.Fatal(err)
				}
			}
			judges(t, rdb, one)
			lives := func(want bool, when string) {
				t.Helper()
				beat(t, one)
				if err := asker.Sync(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, m := range []*Member{one, asker} {
					if c := m.Census(); c.Lives(two.ID()) != want || c.Fell.IsZero() != want || !c.Lives(one.ID()) {
						wrong("%s: census %+v, want the other one alive: %t", when, c, want)
					}
				}
			}
			fallSilent(t, rdb, two, Deserted+time.Second)
			lives(true, "silent, but listening")
			beat(t, two)
			kill()
			fallSilent(t, rdb, two, Deserted-2*time.Second)
			lives(true, "not silent for long")
			fallSilent(t, rdb, two, 2*time.Second)
			if err := asker.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !asker.Census().Lives(two.ID()) {
				wrong("somebody who only asks has taken a worker for dead")
			}
			heard(one, 0)
			lives(true, "judged by one that has listened only for a moment")
			judges(t, rdb, one)
			rdb.HDel(t.Context(), heardKey, two.me.String())
			lives(true, "it was never heard to listen")
			heard(two, 0)
			fallSilent(t, rdb, one, 2*time.Second)
			lives(true, "judged by one that has missed a beat itself")
			judges(t, rdb, one)
			lives(false, "silent, and not listening")
			beat(t, two)
			beat(t, one)
			if c := one.Census(); !c.Lives(two.ID()) {
				wrong("census %+v, want the other one alive as it has beaten again", c)
			}
		})
	})
}

// Nobody is judged by a fleet that beats again after a gap before everybody has had
// the time to, nor by an old census: while Redis was away, everybody was silent. A
// worker that joins a fleet that beats can judge at once.
func TestReliability(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		moment(t, rdb, func(wrong func(format string, args ...any)) {
			m := New(limited, 1)
			reliable := func(want bool, when string) {
				t.Helper()
				if got := m.Census().Reliable; got != want {
					wrong("%s: reliable %t, want %t", when, got, want)
				}
			}
			later := func(d time.Duration) { // m beats after that long
				fallSilent(t, rdb, m, d)
				resumed, err := rdb.HGet(t.Context(), clockKey, "resumed").Int64()
				if err != nil || rdb.HSet(t.Context(), clockKey, "resumed", resumed-d.Milliseconds()).Err() != nil {
					t.Fatal(err)
				}
				beat(t, m)
			}
			later5 := func() { // or more, if this process stood still in between
				for n := 0; n < 5 || n < 20 && !m.Census().Reliable; n++ {
					later(BeatInterval)
				}
			}
			beat(t, m)
			reliable(false, "after the first beat of all")
			later5()
			reliable(true, "after five seconds of beats")
			m.last = m.last.Add(-3 * BeatInterval)
			reliable(false, "while no beat gets through")
			later(3 * BeatInterval)
			reliable(false, "after a gap")
			later5()
			reliable(true, "five seconds after the gap")
			later(BeatInterval + BeatInterval/4) // far from a gap, as this process may stand still
			reliable(true, "after one beat that was late")
			m = New(limited, 1)
			beat(t, m)
			reliable(true, "of a worker that joins")
		})
	})
}

// Redis' clock set back (a failover) does not set the fleet's time back.
func TestRedisSetBack(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, two := New(limited, 1), New(limited, 1)
		beat(t, one, two)
		setClock(t, rdb, -time.Hour)
		beat(t, two)
		late := New(limited, 1)
		beat(t, one, late, two)
		for _, m := range []*Member{one, two, late} {
			near(t, m, time.Now())
			if c := m.Census(); !c.Lives(one.ID()) || !c.Lives(two.ID()) || !c.Fell.IsZero() {
				t.Errorf("census %+v, want all alive", c)
			}
		}
	})
}

// Nor when it is set back after all workers have left, as in an update.
func TestRedisSetBackAfterAllHaveLeft(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, next, command := New(limited, 1), New(limited, 1), New(limited, 0)
		beat(t, one)
		if err := one.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		setClock(t, rdb, -time.Hour)
		if err := command.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		beat(t, next)
		for _, m := range []*Member{command, next} {
			near(t, m, time.Now())
		}
	})
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) { // back, and forward again while nobody is there
		one, late := New(limited, 1), New(limited, 1)
		beat(t, one)
		if err := one.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, by := range []time.Duration{-time.Hour, time.Hour} {
			setClock(t, rdb, by)
			beat(t, late)
			near(t, late, time.Now())
		}
	})
}

// If Redis' clock goes back to what it was, hardly any shift is left: a whole number of milliseconds all the same, or
// no later jump would be corrected.
func TestTheShiftIsWhole(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		command, ctx := New(limited, 0), t.Context()
		for range 20 {
			now, err := rdb.Time(ctx).Result()
			if err != nil {
				t.Fatal(err)
			}
			rdb.HSet(ctx, clockKey, "shift", -time.Hour.Milliseconds(), "left", now.UnixMilli())
			if err := command.Sync(ctx); err != nil {
				t.Fatal(err)
			}
			if err := rdb.HIncrBy(ctx, clockKey, "shift", 0).Err(); err != nil {
				t.Fatalf("the shift is %q: %v", rdb.HGet(ctx, clockKey, "shift").Val(), err)
			}
		}
	})
}

// Redis' clock set forward does not set the fleet's time forward, also not for
// those who start or ask later.
func TestRedisSetForward(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, two := New(limited, 1), New(limited, 1)
		beat(t, one, two)
		setClock(t, rdb, time.Hour)
		beat(t, two)
		near(t, two, time.Now())
		late := New(limited, 1)
		beat(t, one, late, two, one)
		if err := late.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, m := range []*Member{one, two, late} {
			near(t, m, time.Now())
			if c := m.Census(); len(c.Alive) != 3 || !c.Fell.IsZero() {
				t.Errorf("census %+v, want all three alive", c)
			}
		}
	})
}

// A failover takes as long as Sentinel's or the cluster's timeouts say, and the new master's clock may be ahead.
func TestSetForwardWhileRedisIsAway(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		m := New(limited, 1)
		beat(t, m)
		m.last = m.last.Add(-10 * time.Minute)
		setClock(t, rdb, time.Hour)
		beat(t, m)
		near(t, m, time.Now())
	})
}

// A command on a machine that has slept, with all its clocks, does not set back the time of workers that did not.
func TestSleepersCorrectNobody(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		worker, command := New(limited, 1), New(limited, 1)
		beat(t, worker)
		if err := command.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		command.clock.set(time.Now(), command.clock.Now().Add(-time.Hour))
		if err := command.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		beat(t, worker)
		for _, m := range []*Member{worker, command} {
			near(t, m, time.Now())
		}
	})
}

// Two workers that see at once that Redis' clock was set forward correct it once.
func TestCorrectedOnce(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, two := New(limited, 1), New(limited, 1)
		beat(t, one, two)
		setClock(t, rdb, time.Hour)
		done := make(chan error, 2)
		for _, m := range []*Member{one, two} {
			go func() { done <- m.Beat(t.Context()) }()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		beat(t, one, two)
		near(t, one, time.Now())
		near(t, two, time.Now())
	})
}

// An announced worker reads back as it was; nonsense has a slot, so that it is
// never divided by none.
func TestWorkerText(t *testing.T) {
	for text, want := range map[string]Worker{
		"abc/32/5/6/7": {"abc", 32, limits.Limits{Window: 5, Batch: 6, Share: 7}}, "abc/32": {"abc", 32, limits.None()}, "abc": {"abc", 1, limits.None()},
		"abc/x": {"abc", 1, limits.None()}, "": {"", 1, limits.None()},
	} {
		if got := parseWorker(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
	if w := (Worker{"abc", 32, limits.Limits{Window: 1, Batch: -1, Share: 12.5}}); parseWorker(w.String()) != w {
		t.Errorf("%s does not read back", w)
	}
}
