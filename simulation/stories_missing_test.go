package simulation

import (
	"fmt"
	"testing"
	"time"

	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/worker"
)

// After a worker has died, no task that is with another one, or in the queue, is said to be missing.
func TestNothingIsMissingAfterADeath(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.Inject(modelartstest.Fault{Delay: time.Second})
		few := func(c *worker.Config) { c.Concurrency, c.Schedule.ListFrom = 4, -1 }
		crash := &pause{}
		dead := w.start(pausable(crash, nil, nil))
		defer func() { crash.end(); dead.stop() }()
		alive := []*running{w.start(few), w.start(few)}
		defer alive[0].stop()
		defer alive[1].stop()
		time.Sleep(5 * time.Second)
		crash.begin() // it has nothing to do
		time.Sleep(time.Second)
		for p := range 8 {
			w.askIn(fmt.Sprintf("%032d", p), "b", 60, time.Hour)
		}
		time.Sleep(90 * time.Second)
		for _, r := range alive {
			if n := gathered(t, r, "vizstop_recoveries_total", "missing"); n > 0 {
				t.Errorf("%v steps were said to be missing", n)
			}
		}
	})
}
