package simulation

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/worker"
)

// An API that takes seconds for every answer is asked for hardly any twice: what is slow there is as usual.
func TestASlowAPI(t *testing.T) {
	const n = 100
	for _, seconds := range []float64{1.2, 2, 3, 5, 12} {
		delay := time.Duration(seconds * float64(time.Second))
		t.Run(delay.String(), func(t *testing.T) {
			bubble(t, modelartstest.Config{Latency: func(string) time.Duration { return delay }}, func(w *world) {
				r := w.start(func(c *worker.Config) { c.Concurrency = 16 })
				defer r.stop()
				w.askIn(project, "b", n, 20*time.Second)
				w.endsIn(project, "b", 20*time.Minute)
				stops, looks := w.count(jobs.OperationStop), w.count(jobs.OperationDetail)
				if stops != n || looks > n*5/4+guards(n) {
					t.Errorf("%d stop calls and %d looks for %d jobs", stops, looks, n)
				}
			})
		})
	}
}

// An API that becomes slow goes on to be asked for its list.
func TestAnAPIThatBecomesSlow(t *testing.T) {
	const n = 100
	var slow atomic.Bool
	latency := func(string) time.Duration {
		if slow.Load() {
			// A v2 service that does not filter takes several calls for a page.
			return 2500 * time.Millisecond / time.Duration(1+guards(1))
		}
		return 80 * time.Millisecond
	}
	bubble(t, modelartstest.Config{Latency: latency}, func(w *world) {
		r := w.start(func(c *worker.Config) { c.Concurrency = 16 })
		defer r.stop()
		w.askIn(project, "quick", n, 5*time.Second)
		w.endsIn(project, "quick", time.Minute)
		before := w.count(jobs.OperationDetail)
		slow.Store(true)
		w.askIn(project, "slow", n, 90*time.Second)
		w.endsIn(project, "slow", 20*time.Minute)
		if looks := w.count(jobs.OperationDetail) - before; looks > 3*n/2+guards(n) {
			t.Errorf("%d looks for %d jobs", looks, n)
		}
	})
}

// A project that is alone and whose calls hang is held soon, also by a worker with few slots.
func TestAHangIsHeldSoon(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		r := w.start(func(c *worker.Config) { c.Concurrency = 8 })
		defer r.stop()
		w.askIn(project, "before", 1, time.Second) // the credential is accepted
		w.endsIn(project, "before", time.Minute)
		time.Sleep(2 * time.Minute)
		w.sim.Inject(modelartstest.Fault{ProjectID: otherProject, Delay: time.Hour})
		w.askIn(otherProject, "hanging", 50, time.Second)
		w.await(45*time.Second, "a hold", func() bool { return len(w.holds()) > 0 })
	})
}

// Slots that answers keep busy for long are no reason to look each moment whether some work could go out: the more
// projects wait for them, the more would look.
func TestAFleetWithoutRoomLeavesRedisAlone(t *testing.T) {
	bubble(t, modelartstest.Config{Latency: func(string) time.Duration { return time.Second }}, func(w *world) {
		w.rdb.Ping(context.Background())
		counted := watchScripts(w.redis)
		few := func(c *worker.Config) { c.Concurrency, c.Schedule.ListFrom = 4, -1 }
		for range 2 {
			defer w.start(few).stop()
		}
		for p := range 8 {
			w.askIn(fmt.Sprintf("%032d", p), "b", 60, time.Hour)
		}
		time.Sleep(2 * scriptsWindow)
		began, calls := counted.all(), len(w.sim.AllCalls())
		time.Sleep(3 * scriptsWindow)
		n, made := counted.all()-began, len(w.sim.AllCalls())-calls
		if most := 12 * made; n > most || made < 200 {
			t.Errorf("%d scripts for %d calls in %v, want %d at most, and 240 calls", n, made, 3*scriptsWindow, most)
		}
	})
}
