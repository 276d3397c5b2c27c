package fleet

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// suspend makes the member's machine lose that much time, on all its clocks: a hypervisor suspends it, or they are
// slow.
func suspend(m *Member, by time.Duration) {
	m.clock.local = m.clock.local.Add(by)
}

// pass makes that much time pass for Redis and these members, while nobody beats.
func pass(t *testing.T, rdb *redis.Client, by time.Duration, members ...*Member) {
	t.Helper()
	setClock(t, rdb, by)
	for _, m := range members {
		suspend(m, -by)
	}
}

// A worker that slept for an hour, with all its clocks, sets nobody back that was awake: by its own clocks its latest
// beat was a second ago.
func TestASleeperSetsNobodyBack(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, two, sleeper := New(limited, 4), New(limited, 4), New(limited, 4)
		beat(t, sleeper, one, two)
		suspend(sleeper, time.Hour)
		beat(t, one, two, sleeper, one)
		for _, m := range []*Member{one, two, sleeper} {
			near(t, m, time.Now())
		}
	})
}

// Nor does a console that slept while no worker was there: it can't know.
func TestASleepingConsoleSetsNobodyBack(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		worker, console := New(limited, 1), New(limited, 0)
		beat(t, worker)
		for _, slept := range []time.Duration{0, time.Hour} {
			pass(t, rdb, 2*time.Hour, worker, console)
			suspend(console, slept)
			if err := console.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		near(t, console, time.Now().Add(4*time.Hour))
		beat(t, worker)
		near(t, worker, time.Now().Add(4*time.Hour))
	})
}

// Nor does one that was cut off from Redis for 12 minutes, while its clocks were slowed down by 1 %.
func TestOneThatWasCutOffSetsNobodyBack(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, cut := New(limited, 4), New(limited, 4)
		beat(t, cut, one)
		cut.clock.set(time.Now().Add(-12*time.Minute), cut.clock.Now().Add(-12*time.Minute-20*time.Second))
		beat(t, one, cut, one)
		near(t, one, time.Now())
		near(t, cut, time.Now())
	})
}

// While Redis was away for an hour, one machine slept. Who was awake says what time it is, whoever beats first.
func TestASleeperAfterAGap(t *testing.T) {
	for _, first := range []string{"new", "awake"} {
		eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
			awake, sleeper, other := New(limited, 1), New(limited, 1), New(limited, 1)
			beat(t, awake, sleeper)
			pass(t, rdb, time.Hour, awake)
			if first == "new" {
				beat(t, other)
			}
			beat(t, awake, sleeper, awake)
			for _, m := range []*Member{awake, sleeper} {
				near(t, m, time.Now().Add(time.Hour))
			}
		})
	}
}

// After a failover the first sign of life may be of one that does not know better than Redis: a new worker, or one that
// was about to correct the time and died. Another one does it then, within a minute.
func TestTheFirstDoesNotKnow(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, late := New(limited, 1), New(limited, 1)
		beat(t, one)
		setClock(t, rdb, time.Hour)
		beat(t, late, late)
		near(t, late, time.Now().Add(time.Hour))
		beat(t, one, late)
		for _, m := range []*Member{one, late} {
			near(t, m, time.Now())
			if c := m.Census(); len(c.Alive) != 2 || !c.Fell.IsZero() {
				t.Errorf("census %+v, want both alive", c)
			}
		}
	})
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, late := New(limited, 1), New(limited, 1)
		beat(t, one)
		setClock(t, rdb, time.Hour)
		beat(t, late)
		ended, long, _ := strings.Cut(rdb.HGet(t.Context(), clockKey, "gaps").Val(), ":")
		ms, _ := strconv.ParseInt(ended, 10, 64)
		rdb.HSet(t.Context(), clockKey, "gaps", fmt.Sprintf("%d:%s", ms-(2*time.Minute).Milliseconds(), long)) // as if two minutes ago
		beat(t, one)
		near(t, one, time.Now().Add(time.Hour))
	})
}

// One that knows better does so, too, when several come first that do not, and beats pause again, or Redis' clock goes
// back and forth.
func TestSeveralDoNotKnow(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, a, b := New(limited, 1), New(limited, 1), New(limited, 1)
		beat(t, one)
		setClock(t, rdb, time.Hour)
		beat(t, a, b, a, b)
		pass(t, rdb, 3*time.Second, one, a, b)
		beat(t, a, b, one)
		near(t, one, time.Now().Add(3*time.Second))
		beat(t, a, b)
		near(t, a, time.Now().Add(3*time.Second))
		near(t, b, time.Now().Add(3*time.Second))
	})
	for _, jumps := range [][]time.Duration{{time.Hour, -time.Hour}, {-time.Hour, time.Hour}} {
		eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
			one, a, b := New(limited, 1), New(limited, 1), New(limited, 1)
			beat(t, one)
			for _, by := range jumps {
				setClock(t, rdb, by)
				beat(t, a, b, a, b)
			}
			beat(t, one, a, b)
			for _, m := range []*Member{one, a, b} {
				near(t, m, time.Now())
			}
		})
	}
}

// A worker that begins anew every 30 s is heard all the time: one that slept for five minutes does not take that for a
// jump of Redis' clock.
func TestGapsDoNotAddUp(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		sleeper := New(limited, 1)
		beat(t, sleeper)
		for range 10 {
			pass(t, rdb, 30*time.Second)
			beat(t, New(limited, 1))
		}
		beat(t, sleeper)
		near(t, sleeper, time.Now().Add(5*time.Minute))
	})
}

// A second jump is corrected as the first one was, also after a worker left in between, by a wrong time.
func TestCorrectedTwice(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, late := New(limited, 1), New(limited, 1)
		beat(t, one)
		for range 2 {
			setClock(t, rdb, time.Hour)
			if err := late.Leave(t.Context()); err != nil {
				t.Fatal(err)
			}
			late = New(limited, 1)
			beat(t, one, one)
			near(t, one, time.Now())
		}
	})
}

// After a correction a worker whose connections are gone is taken for dead as soon as before the jump.
func TestDesertedAfterACorrection(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, two := New(limited, 1), New(limited, 1)
		listen(t, one)
		kill := listen(t, two)
		beat(t, one, two)
		setClock(t, rdb, time.Hour)
		beat(t, two, one, two)
		for _, m := range []*Member{one, two} {
			since, err := rdb.HGet(t.Context(), heardKey, m.me.String()).Int64()
			if err != nil {
				t.Fatal(err)
			}
			if off := time.Until(time.UnixMilli(since)); off > 2*time.Second {
				t.Errorf("heard to listen since %v from now", off)
			}
		}
		kill()
		fallSilent(t, rdb, two, Deserted+time.Second)
		judges(t, rdb, one)
		beat(t, one)
		if c := one.Census(); c.Lives(two.ID()) {
			t.Errorf("census %+v, want the other one dead", c)
		}
	})
}

// A lone worker that slept, with all its clocks, can't be told from one whose Redis' clock was set forward: it sets the
// time back. docs/operations.md says what puts that right: to take the shift out when nobody is left who would correct
// the time again.
func TestALoneSleeperSetsTheTimeBack(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		sleeper, console, next := New(limited, 1), New(limited, 0), New(limited, 1)
		sync := func() {
			t.Helper()
			if err := console.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		behind := func(m *Member, by time.Duration) {
			t.Helper()
			near(t, m, time.Now().Add(-by))
		}
		beat(t, sleeper)
		fallSilent(t, rdb, sleeper, time.Hour) // an hour passes, but not for the sleeper
		sleeper.clock.set(time.Now(), time.Now().Add(-time.Hour))
		beat(t, sleeper, sleeper)
		sync()
		behind(console, time.Hour)
		rdb.HDel(t.Context(), clockKey, "shift", "left")
		beat(t, sleeper)
		sync()
		behind(sleeper, time.Hour)
		if err := sleeper.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		rdb.HDel(t.Context(), clockKey, "shift")
		sync()
		behind(console, time.Hour)

		console = New(limited, 0)
		rdb.HDel(t.Context(), clockKey, "shift", "left")
		beat(t, next)
		sync()
		beat(t, next)
		behind(next, 0)
		behind(console, 0)
	})
}

// A jump soon after a gap is corrected by one that has heard the time since that gap.
func TestAJumpSoonAfterAGap(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, next, late := New(limited, 1), New(limited, 1), New(limited, 1)
		beat(t, one)
		if err := one.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(t, rdb, 10*time.Second)
		beat(t, next, next)
		setClock(t, rdb, 40*time.Second)
		beat(t, late, next)
		near(t, next, time.Now().Add(10*time.Second))
	})
}

// If Redis' clock is put right while no worker is there, the fleet's time stays ahead until somebody takes out what it
// goes by.
func TestTheClockIsPutRight(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		setClock(t, rdb, 24*time.Hour)
		one, next := New(limited, 1), New(limited, 1)
		beat(t, one)
		if err := one.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		setClock(t, rdb, -24*time.Hour)
		beat(t, next) // and is killed
		near(t, next, time.Now().Add(24*time.Hour))
		rdb.Del(t.Context(), clockKey, workersKey, heardKey)
		next = New(limited, 1)
		beat(t, next)
		near(t, next, time.Now())
	})
}

// A command corrects the time where no worker has been seen since it was right.
func TestACommandCorrects(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		worker, command := New(limited, 1), New(limited, 0)
		beat(t, worker)
		for _, by := range []time.Duration{0, time.Hour} {
			setClock(t, rdb, by)
			if err := command.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		near(t, command, time.Now())
		beat(t, worker)
		near(t, worker, time.Now())
	})
}

// What a beat notes of a gap is gone when somebody has said what time it is.
func TestAGapIsForgotten(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		noted := func() int {
			t.Helper()
			all := 0
			for gap := range strings.FieldsSeq(rdb.HGet(t.Context(), clockKey, "gaps").Val()) {
				_, long, _ := strings.Cut(gap, ":")
				n, _ := strconv.Atoi(long)
				all += n
			}
			return all
		}
		one := New(limited, 1)
		beat(t, one)
		if n := noted(); n != 0 {
			t.Errorf("%d ms are noted before the first worker", n)
		}
		pass(t, rdb, time.Hour, one)
		beat(t, New(limited, 1))
		if n := noted(); n < 3_600_000 {
			t.Errorf("%d ms are noted, want an hour", n)
		}
		beat(t, one)
		if n := noted(); n != 0 {
			t.Errorf("%d ms are still noted", n)
		}
	})
}

// The first to beat after a jump did not hear the answer, and then nobody reached Redis for longer than a minute.
func TestTheFirstAnswerIsLost(t *testing.T) {
	for before := range 3 { // beats of one that does not know
		eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
			one, lost, next := New(limited, 1), New(limited, 1), New(limited, 1)
			beat(t, one)
			setClock(t, rdb, time.Hour)
			lost.me = one.me
			beat(t, lost)
			pass(t, rdb, 70*time.Second, one)
			for range before {
				beat(t, next)
			}
			beat(t, one)
			near(t, one, time.Now().Add(70*time.Second))
		})
	}
}

// A new worker that is the first to beat after a jump does not trust the time until others have had theirs to beat.
func TestANewWorkerIsInDoubt(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		one, next := New(limited, 1), New(limited, 1)
		beat(t, one)
		setClock(t, rdb, time.Hour)
		beat(t, next)
		if !next.Doubtful() {
			t.Error("the time is not in doubt")
		}
		beat(t, one, next)
		near(t, next, time.Now())
		rdb.HIncrBy(t.Context(), clockKey, "resumed", -Silence.Milliseconds())
		beat(t, next)
		if next.Doubtful() || one.Doubtful() {
			t.Error("the time is in doubt, though all have beaten")
		}
	})
	for name, before := range map[string]func(one, first *Member, rdb *redis.Client){
		"the answer to the one that knows is lost": func(one, first *Member, _ *redis.Client) {
			first.me = one.me
			beat(t, first)
		},
		"the first new one beats on after a pause": func(one, first *Member, rdb *redis.Client) {
			beat(t, first)
			pass(t, rdb, 3*time.Second, one, first)
			beat(t, first)
		},
	} {
		eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
			one, first, next := New(limited, 1), New(limited, 1), New(limited, 1)
			beat(t, one)
			setClock(t, rdb, time.Hour)
			before(one, first, rdb)
			beat(t, next)
			if !next.Doubtful() {
				t.Errorf("the time is not in doubt, though %s", name)
			}
		})
	}
	for name, leave := range map[string]bool{"all have left": true, "nobody was away": false} {
		eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
			one, next, another := New(limited, 1), New(limited, 1), New(limited, 1)
			beat(t, one)
			if leave {
				if err := one.Leave(t.Context()); err != nil {
					t.Fatal(err)
				}
				pass(t, rdb, time.Hour)
			}
			beat(t, next, another)
			if next.Doubtful() || another.Doubtful() {
				t.Errorf("the time is in doubt, though %s", name)
			}
		})
	}
}

// interruption has something done before the second script of a client.
type interruption struct {
	runs int
	do   func()
}

func (h *interruption) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *interruption) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (h *interruption) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if h.runs++; h.runs == 2 {
			h.do()
		}
		return next(ctx, cmd)
	}
}

// Between the beat of a sleeper, which takes what it hears for a jump, and its correction one that was awake finds the
// time right.
func TestASleeperIsOvertaken(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		own := redis.NewClient(limited.Options())
		t.Cleanup(func() { _ = own.Close() })
		awake, sleeper := New(limited, 1), New(own, 1)
		beat(t, awake, sleeper)
		pass(t, rdb, time.Hour, awake)
		own.AddHook(&interruption{do: func() { beat(t, awake) }})
		beat(t, sleeper)
		beat(t, awake, sleeper)
		for _, m := range []*Member{awake, sleeper} {
			near(t, m, time.Now().Add(time.Hour))
		}
	})
}

// A worker that was not heard for long may have been taken for dead, also when it is heard again.
func TestPulse(t *testing.T) {
	eachRedis(t, func(t *testing.T, limited, rdb *redis.Client) {
		m := New(limited, 1)
		beat(t, m)
		lapsed := m.Pulse()
		beat(t, m)
		if lapsed() {
			t.Error("a worker that beats has lapsed")
		}
		m.last = m.last.Add(-gap)
		if !lapsed() {
			t.Error("one that has not beaten for long has not lapsed")
		}
		beat(t, m)
		if !lapsed() || m.Pulse()() {
			t.Error("it has lapsed before this beat, not since")
		}
	})
}
