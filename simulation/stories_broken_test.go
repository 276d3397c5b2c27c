package simulation

import (
	"context"
	"strings"
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
)

// Somebody has written something else under the name of a stop. That one is lost, and said to be; all others of the
// project end as ever, by their stop calls and by their deadlines.
func TestAKeyThatHoldsNoStop(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "1", StopTime: time.Second})
		w.sim.AddJob(project, modelartstest.Job{ID: "2", StopTime: time.Second})
		w.sim.AddJob(project, modelartstest.Job{ID: "3", StopTime: time.Second})
		w.ask("due", "1", "2", "3")
		lost := ledger.Keys(project).Stop(ledger.StopID("due", project, "2"))
		if err := w.rdb.Set(context.Background(), lost, "somebody wrote this", 0).Err(); err != nil {
			t.Fatal(err)
		}
		r := w.start(rarely)
		defer r.stop()
		byJob := map[string]*ledger.Stop{}
		w.await(5*time.Minute, "the end of the others", func() bool {
			stops, _, err := w.ledger.BatchStops(context.Background(), project, "due", 0, 10)
			if ledger.Unreadable(err) == nil {
				t.Fatal(err)
			}
			for _, s := range stops {
				byJob[s.JobID] = s
			}
			return byJob["1"].State.Ended() && byJob["3"].State.Ended()
		})
		wantOutcome(t, byJob["1"], ledger.Stopped, "")
		wantOutcome(t, byJob["3"], ledger.Stopped, "")
		w.await(time.Minute, "the lost stop in the log", func() bool {
			return strings.Contains(w.log.String(), "a stop is lost") && strings.Contains(w.log.String(), lost)
		})
		told := strings.Count(w.log.String(), "a stop is lost")
		time.Sleep(30 * time.Minute)
		if n := strings.Count(w.log.String(), "a stop is lost"); n > told+1 { // its deadline
			t.Errorf("the lost stop was told of %d times", n)
		}
		if n := w.calls("2", "stop"); n > 0 {
			t.Errorf("%d stop calls for the stop that is lost", n)
		}
	})
}
