package throttle

import (
	"container/heap"
	"math/rand/v2"
	"testing"
	"time"
)

// A batch whose first tasks come at the pace of the API, but at whole seconds, as
// asynq brings them: with the polls that follow, it never asks the API for more
// than it gives, and wastes little of that.
func TestABatchKeepsToTheRateAndUsesIt(t *testing.T) {
	const jobs, rate = 1000, 100
	for _, seed := range []uint64{1, 8} {
		c := newCrowd(t, Config{Rate: rate}, rate, rate, 0)
		c.latency = 20 * time.Millisecond
		random := rand.New(rand.NewPCG(seed, 0))
		start, at, busy := c.now, time.Time{}, time.Duration(0)
		for i := range jobs {
			due := start.Add(time.Duration(float64(i) / (0.8 * rate) * float64(time.Second)))
			if second := due.Truncate(time.Second); second != at {
				at, busy = second, 0
				if random.IntN(4) == 0 { // the queue is busy with something else
					busy = time.Duration(random.Float64() * float64(400*time.Millisecond))
				}
			}
			late := busy + time.Duration(random.ExpFloat64()*float64(20*time.Millisecond))
			c.due = append(c.due, event{at: due.Truncate(time.Second).Add(late), how: asNew, class: Stop})
		}
		heap.Init(&c.due)
		c.then = func(e event) {
			if e.class == Stop {
				heap.Push(&c.due, event{at: c.now.Add(500 * time.Millisecond), how: asNew, class: Poll})
			}
		}
		c.play(2 * time.Minute)
		took := c.now.Sub(start)
		t.Logf("seed %d: %v, %d calls, a burst of %.0f, %.2f questions a call", seed, took, c.called, c.api.burst, float64(c.asked)/float64(c.called))
		if c.api.burst > rate/5-2 { // what an API allows, less some for the way there
			t.Errorf("seed %d: a burst of %.0f", seed, c.api.burst)
		}
		if most := 22 * time.Second; took > most { // 20 s is the least
			t.Errorf("seed %d: %v, want %v at most", seed, took, most)
		}
	}
}
