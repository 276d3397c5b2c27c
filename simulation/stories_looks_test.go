package simulation

import (
	"context"
	"strconv"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/worker"
)

// askFor asks in a batch for a job, confirmed, for so long.
func (w *world) askFor(batch, job string, life time.Duration) {
	w.t.Helper()
	asks := []ledger.Ask{{JobID: job, Deadline: time.Now().Add(life), Confirmed: true}}
	if _, err := w.producer.Ask(context.Background(), project, batch, asks); err != nil {
		w.t.Fatal(err)
	}
}

// loseAnswer has the next stop call for a job work, and its answer get lost.
func (w *world) loseAnswer(job string) {
	w.sim.Inject(modelartstest.Fault{ProjectID: project, JobID: job, Operation: jobs.OperationStop,
		Reply: modelartstest.ReplyReset(), AfterEffect: true, Times: 1})
}

// awaitCall waits until a stop call for a job has gone out, and its answer has come or
// got lost.
func (w *world) awaitCall(job string) {
	for w.calls(job, jobs.OperationStop) == 0 {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(40 * time.Millisecond)
}

// A stop is withdrawn after a call that may have worked, and the looks at its job fail
// for a while, though others get their answers. It waits longer after each, uses up
// nothing, and ends by what the detail endpoint says at last, or at its deadline.
func TestLooksAfterACancelThatFail(t *testing.T) {
	for name, tt := range map[string]struct {
		sick    time.Duration
		outcome ledger.State
	}{
		"for a while": {15 * time.Second, ledger.Stopped}, "for good": {time.Hour, ledger.Expired},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, modelartstest.Config{Latency: func(string) time.Duration { return 20 * time.Millisecond }}, func(w *world) {
				w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 5 * time.Second})
				w.loseAnswer("10")
				w.sim.Inject(modelartstest.Fault{ProjectID: project, JobID: "10", Operation: jobs.OperationDetail,
					Reply: modelartstest.ReplyEmpty(500), Until: time.Now().Add(tt.sick)})
				var others []string
				for i := range 300 {
					others = append(others, strconv.Itoa(1000+i))
					w.sim.AddJob(project, modelartstest.Job{ID: others[i], StopTime: time.Second})
				}
				r := w.start(func(c *worker.Config) { c.Release.Rate = 20 })
				defer r.stop()
				w.ask("others", others...)
				w.askFor("b", "10", 2*time.Minute)
				w.awaitCall("10")
				if answers := w.withdrawAll("b"); answers[ledger.TooLate] != 1 {
					t.Fatalf("canceling said %v, want too late", answers)
				}
				wantOutcome(t, w.awaitEnd(5*time.Minute, "b")["10"], tt.outcome, "")
				if n := w.calls("10", jobs.OperationDetail); n > 20 {
					t.Errorf("%d looks, want a few", n)
				}
			})
		})
	}
}
