package simulation

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/worker"
)

// callsSince is how many calls of any operation the API has got since then, of those that it has answered: a call is
// noted when its latency is over.
func (w *world) callsSince(then time.Time) int {
	n := 0
	for _, c := range w.sim.AllCalls() {
		if c.At.After(then) {
			n++
		}
	}
	return n
}

// After all calls have hung for a while, those that waited for them don't go out together.
func TestTheRateAfterAStall(t *testing.T) {
	const rate = 10
	var mu sync.Mutex
	var till time.Time
	latency := func(string) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		return max(20*time.Millisecond, time.Until(till))
	}
	inBubble(t, modelartstest.Config{Latency: latency}, func(w *world) {
		r := w.start(func(c *worker.Config) { c.Concurrency, c.Release.Rate = 32, rate })
		defer r.stop()
		w.askIn(project, "b", 600, 15*time.Minute)
		time.Sleep(20 * time.Second)
		mu.Lock()
		till = time.Now().Add(15 * time.Second)
		mu.Unlock()
		time.Sleep(15 * time.Second)
		time.Sleep(time.Second)
		if got := w.callsSince(till); got == 0 || got > 2*rate+rate/2 {
			t.Errorf("%d calls in the second after the stall, at a rate of %d a second", got, rate)
		}
	})
}

// A look that is made twice, as the first answer does not come, is paid for twice.
func TestSlowLooksKeepToTheRate(t *testing.T) {
	const rate, d = 10, 90 * time.Second
	rng := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	latency := func(operation string) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		if operation == modelartstest.OpDetail && rng.Float64() < 0.4 {
			return 20 * time.Second
		}
		return 50 * time.Millisecond
	}
	inBubble(t, modelartstest.Config{Latency: latency}, func(w *world) {
		r := w.start(func(c *worker.Config) { c.Concurrency, c.Release.Rate, c.Schedule.ListFrom = 64, rate, -1 })
		defer r.stop()
		w.askIn(project, "b", 150, 15*time.Minute)
		time.Sleep(30 * time.Second)
		began := time.Now()
		time.Sleep(d)
		if got := float64(w.callsSince(began)) / d.Seconds(); got < rate/2 || got > 1.02*rate {
			t.Errorf("%.1f calls a second, at a rate of %d", got, rate)
		}
	})
}
