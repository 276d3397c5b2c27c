package release

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func (w *world) turns(r *Releaser, over ...Settled) ([]Turn, time.Duration) {
	w.t.Helper()
	due, err := r.Turns(w.t.Context(), over, Room{})
	w.ok(err)
	return due.Turns, due.Next
}

func (w *world) ask() {
	w.t.Helper()
	w.ok(Ask(w.t.Context(), w.limited, project))
}

// A project that is due gets one round, by one worker; if that one dies, another
// makes it half a second later.
func TestATurnIsGivenOnce(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		other := w.worker("worker-2", Config{})
		if turns, next := w.turns(other); len(turns) != 0 || next >= 0 {
			t.Errorf("turns %v, next in %v, want nothing", turns, next)
		}
		w.ask()
		turns, _ := w.turns(w.Releaser)
		if len(turns) != 1 || turns[0].ProjectID != project {
			t.Fatalf("turns %v", turns)
		}
		if again, next := w.turns(other); len(again) != 0 || next <= 0 || next > turnLife+time.Millisecond {
			t.Errorf("given twice: %v, next in %v", again, next)
		}
		w.advance(turnLife + time.Millisecond)
		again, _ := w.turns(other)
		if len(again) != 1 {
			t.Fatal("the turn of a dead worker is given to nobody")
		}
		w.turns(w.Releaser, Settled{Turn: turns[0], Next: time.Hour}) // it was only slow
		w.turns(other, Settled{Turn: again[0], Next: 2 * time.Second})
		if _, next := w.turns(other); next != 2*time.Second {
			t.Errorf("next in %v, want what the second has settled", next)
		}
	})
}

// What a round settles never pushes back what somebody asked for meanwhile.
func TestSettleNeverPushesBackAPull(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		for name, row := range map[string]struct {
			meanwhile func()
			settle    time.Duration
			want      time.Duration
		}{
			"nothing":           {func() {}, time.Minute, time.Minute},
			"asked":             {w.ask, time.Minute, 0},
			"asked, no more":    {w.ask, -1, 0},
			"pulled":            {func() { w.turns(w.Releaser, Pull(project, 100*time.Millisecond)) }, time.Minute, 100 * time.Millisecond},
			"pulled later on":   {func() { w.turns(w.Releaser, Pull(project, time.Hour)) }, time.Minute, time.Minute},
			"expected":          {func() { w.ok(w.Expect(w.t.Context(), project)) }, 10 * time.Second, announcedWork},
			"expected, sooner":  {func() { w.ok(w.Expect(w.t.Context(), project)) }, time.Second, time.Second},
			"expected, no more": {func() { w.ok(w.Expect(w.t.Context(), project)) }, -1, announcedWork},
		} {
			w.rdb.Del(t.Context(), w.Rounds.keys()...)
			w.ask()
			turns, _ := w.turns(w.Releaser)
			row.meanwhile()
			turn, next := w.turns(w.Releaser, Settled{Turn: turns[0], Next: row.settle})
			if row.want == 0 {
				if len(turn) != 1 {
					t.Errorf("%s: %d turns, want one at once", name, len(turn))
				}
			} else if len(turn) != 0 || next != row.want {
				t.Errorf("%s: next in %v, want %v", name, next, row.want)
			}
		}
	})
}

// A project with nothing left to do is visited no more, until somebody asks.
func TestSettledForGood(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.ok(w.Expect(t.Context(), project))
		if turns, next := w.turns(w.Releaser); len(turns) != 0 || next != announcedWork {
			t.Errorf("turns %v, next in %v, want one after %v", turns, next, announcedWork)
		}
		w.ask()
		w.ok(w.Expect(t.Context(), project)) // does not push it back
		turns, _ := w.turns(w.Releaser)
		w.turns(w.Releaser, Settled{Turn: turns[0], Next: -1}) // whoever announced work may have died: there is one more
		w.advance(announcedWork)
		turns, _ = w.turns(w.Releaser)
		if _, next := w.turns(w.Releaser, Settled{Turn: turns[0], Next: -1}); next >= 0 {
			t.Errorf("next in %v, want never", next)
		}
		if left := w.rdb.Exists(t.Context(), w.Rounds.keys()...).Val(); left != 0 {
			t.Errorf("%d keys are left", left)
		}
		if projects, err := w.Projects(t.Context()); err != nil || len(projects) != 0 {
			t.Errorf("projects %v, %v, want none", projects, err)
		}
		gone := Settled{Turn: Turn{ProjectID: project, given: turns[0].given}, Next: -1}
		if _, next := w.turns(w.Releaser, gone, Pull(project, time.Second)); next != time.Second {
			t.Errorf("pulled anew: next in %v, want 1 s", next)
		}
	})
}

// Whoever announces work may die right after a pause has ended. A round that was under way has seen the pause: it does
// not settle for how long nothing is to be done.
func TestAnnouncedDuringARound(t *testing.T) {
	for name, announce := range map[string]func(w *world) error{
		"project": func(w *world) error { return w.expectIn(w.t.Context(), project) },
		"fleet":   func(w *world) error { return w.expectIn(w.t.Context(), "") },
		"work":    func(w *world) error { return w.Expect(w.t.Context(), project) },
	} {
		eachRedis(t, Config{}, func(t *testing.T, w *world) {
			for _, settled := range []time.Duration{time.Hour, -1} {
				turns, _ := w.turns(w.Releaser, Pull(project, 0))
				w.advance(time.Millisecond)
				w.ok(announce(w))
				w.ok(announce(w))
				if len(turns) != 1 {
					t.Fatalf("%s: turns %v", name, turns)
				}
				again, next := w.turns(w.Releaser, Settled{Turn: turns[0], Next: settled})
				if len(again) != 0 || next != announcedWork {
					t.Errorf("%s: settled by %v, the next round is due in %v, want %v", name, settled, next, announcedWork)
				}
				w.advance(announcedWork)
				for again := range 2 { // a worker dies in the first
					if turns, _ = w.turns(w.Releaser); len(turns) == 0 || turns[len(turns)-1].ProjectID != project {
						t.Fatalf("%s: turns %v of round %d", name, turns, again)
					}
					w.advance(turnLife + time.Millisecond)
				}
				w.turns(w.Releaser, Settled{Turn: turns[len(turns)-1], Next: -1})
			}
		})
	}
}

// A round that begins between the announcement and the work finds nothing, and is not the one that was announced.
func TestAnnouncedBeforeARound(t *testing.T) {
	for name, soon := range map[string]time.Duration{"due before": 100 * time.Millisecond, "pulled after": -1} {
		eachRedis(t, Config{}, func(t *testing.T, w *world) {
			for _, settled := range []time.Duration{time.Hour, -1} {
				w.rdb.Del(t.Context(), w.Rounds.keys()...)
				if soon >= 0 {
					w.turns(w.Releaser, Pull(project, soon))
				}
				w.ok(w.Expect(t.Context(), project))
				var over []Settled
				if soon < 0 {
					over = append(over, Pull(project, 0))
				}
				w.advance(max(0, soon))
				turns, _ := w.turns(w.Releaser, over...)
				if len(turns) != 1 {
					t.Fatal(turns)
				}
				// It saw nothing: the work is recorded after it.
				_, next := w.turns(w.Releaser, Settled{Turn: turns[0], Next: settled})
				if next < 0 || next > announcedWork {
					t.Errorf("%s: settled by %v, next round in %v", name, settled, next)
				}
			}
		})
	}
}

// A project that is without work stays so when a pause ends. Of a worker that has died, a giving runs out all the same.
func TestAnnouncedForWorkOnly(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.ok(w.expectIn(t.Context(), project))
		if _, next := w.turns(w.Releaser); next >= 0 {
			t.Errorf("the next round is due in %v, want none", next)
		}
		w.turns(w.Releaser, Pull(project, 0))
		w.ok(w.expectIn(t.Context(), project))
		w.advance(announcedWork)
		if turns, _ := w.turns(w.Releaser); len(turns) != 1 {
			t.Errorf("turns %v, want that of the dead worker", turns)
		}
	})
}

// A worker takes on some projects at once, and AskAll reaches all.
func TestManyProjects(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		const n = 2500
		var pulls []Settled
		for i := range n {
			pulls = append(pulls, Pull("p"+strconv.Itoa(i), time.Hour))
		}
		for some := range slices.Chunk(pulls, 500) {
			w.turns(w.Releaser, some...)
		}
		if projects, err := w.Projects(t.Context()); err != nil || len(projects) != projectsPage {
			t.Errorf("%d projects, %v, want a page", len(projects), err)
		}
		w.ok(w.AskAll(t.Context()))
		seen := make(map[string]bool)
		for range n {
			turns, _ := w.turns(w.Releaser)
			if len(turns) > turnsAtOnce {
				t.Fatalf("%d turns at once", len(turns))
			}
			for _, turn := range turns {
				seen[turn.ProjectID] = true
			}
			if len(turns) == 0 {
				break
			}
		}
		if len(seen) != n {
			t.Errorf("%d projects got a turn, want %d", len(seen), n)
		}
	})
}

// between does something after the first page of a scan.
type between struct {
	n  int
	do func()
}

func (b *between) DialHook(next redis.DialHook) redis.DialHook { return next }
func (b *between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (b *between) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() == "zscan" {
			if b.n++; b.n == 1 {
				b.do()
			}
		}
		return err
	}
}

// AskAll misses no project while others change places.
func TestManyProjectsMove(t *testing.T) {
	w := onRedis(t, Config{})
	var zs []redis.Z
	for i := range 1500 {
		zs = append(zs, redis.Z{Score: float64(w.now().Add(time.Hour).UnixMilli() + int64(i)), Member: fmt.Sprintf("p%04d", i)})
	}
	w.rdb.ZAdd(t.Context(), roundsKey, zs...)
	w.limited.AddHook(&between{do: func() { // a round of the first one ends
		w.rdb.ZAdd(context.Background(), roundsKey, redis.Z{Score: float64(w.now().Add(2 * time.Hour).UnixMilli()), Member: "p0000"})
	}})
	w.ok(w.AskAll(t.Context()))
	var missed []string
	for _, z := range w.rdb.ZRangeWithScores(t.Context(), roundsKey, 0, -1).Val() {
		if z.Score > 0 {
			missed = append(missed, z.Member.(string))
		}
	}
	if len(missed) > 0 {
		slices.Sort(missed)
		t.Errorf("not asked for: %v", missed)
	}
}

// Producers learn the rate that the workers keep to.
func TestAnnouncedRate(t *testing.T) {
	eachRedis(t, Config{Rate: 12.5}, func(t *testing.T, w *world) {
		if rate, known, err := AnnouncedRate(t.Context(), w.limited); rate != 0 || known || err != nil {
			t.Errorf("rate %v, %v, %v, want none", rate, known, err)
		}
		w.ok(w.Announce(t.Context()))
		if rate, known, err := AnnouncedRate(t.Context(), w.limited); rate != 12.5 || !known || err != nil {
			t.Errorf("rate %v, %v, %v, want 12.5", rate, known, err)
		}
	})
}
