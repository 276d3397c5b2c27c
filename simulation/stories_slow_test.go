package simulation

import (
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/worker"
)

// An API that takes seconds for every answer is asked for hardly any twice: what is slow there is as usual.
func TestASlowAPI(t *testing.T) {
	const n = 100
	for _, delay := range []time.Duration{1200 * time.Millisecond, 2 * time.Second, 3 * time.Second, 5 * time.Second, 12 * time.Second} {
		t.Run(delay.String(), func(t *testing.T) {
			bubble(t, modelartstest.Config{Latency: func(string) time.Duration { return delay }}, func(w *world) {
				r := w.start(func(c *worker.Config) { c.Concurrency = 16 })
				defer r.stop()
				w.askIn(project, "b", n, 20*time.Second)
				w.endsIn(project, "b", 20*time.Minute)
				if stops, looks := w.count(jobs.OperationStop), w.count(jobs.OperationDetail); stops != n || looks > n*5/4+guards(n) {
					t.Errorf("%d stop calls and %d looks for %d jobs", stops, looks, n)
				}
			})
		})
	}
}
