package simulation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/limits"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/release"
	"vizstop/internal/worker"
)

// stopCallTimes are when stop calls for jobs of the project have arrived, in their order.
func (w *world) stopCallTimes(jobIDs []string) (times []time.Time) {
	for _, id := range jobIDs {
		for _, c := range w.sim.Calls(project, id) {
			if c.Operation == jobs.OperationStop {
				times = append(times, c.At)
			}
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	return times
}

// most is the largest number of times within an hour.
func most(times []time.Time) (n int) {
	for i, j := 0, 0; j < len(times); j++ {
		for times[j].Sub(times[i]) > time.Hour {
			i++
		}
		n = max(n, j-i+1)
	}
	return n
}

// Producers ask for sixty stops by mistake where ten an hour are allowed, through every
// entrance that asks nobody: foreign tasks, many small asks, a batch that does not state
// its size. Workers are killed on the way. No more calls than the limit go out within
// any hour, and as many do; what somebody has confirmed does not wait.
func TestAProducerThatRunsAway(t *testing.T) {
	const limit = 10
	inBubble(t, modelartstest.Config{Phases: modelartstest.Phases{Stop: modelartstest.Spread(time.Second, time.Minute)}}, func(w *world) {
		w.rdb.Ping(context.Background())
		watchScripts(w.redis)
		var ids []string
		for i := range 6 * limit {
			ids = append(ids, fmt.Sprint(1000+i))
			w.sim.AddJob(project, modelartstest.Job{ID: ids[i]})
		}
		w.sim.AddJob(project, modelartstest.Job{ID: "10"})
		line := &line{world: w}
		hire := func() *faultyWorker {
			f := &faultyWorker{line: line, cleanedUp: make(chan struct{})}
			f.running = *w.start(func(c *worker.Config) {
				rarely(c)
				c.Limits = limits.Limits{Window: limit}
				c.Schedule.Deadline = 4 * time.Hour
				c.Redis, c.Jobs = f.connect(), &recordingJobs{Jobs: c.Jobs, recorder: &callRecorder{}, by: f}
			})
			return f
		}
		first := hire()
		for i, id := range ids[:20] {
			w.enqueueForeign("task-"+id, id)
			w.asked("small-"+id, false, ids[20+i])
		}
		w.asked("batch", false, ids[40:]...)
		first.failAfter(150, 0)
		second := hire()
		defer second.stop()
		time.Sleep(2 * time.Minute)
		third := hire()
		third.failAfter(50, 0)
		w.asked("meant", true, "10")
		wantOutcome(t, w.awaitEnd(3*time.Minute, "meant")["10"], ledger.Stopped, "")
		if n := len(w.stopCallTimes(ids)); n != limit {
			t.Errorf("%d calls went out, want the limit of %d", n, limit)
		}
		if _, notes := second.Ready(context.Background()); len(notes) != 1 || !strings.Contains(notes[0], "by --window-limit") {
			t.Errorf("readiness tells %q, want the hold by the limit", notes)
		}
		if gauge(t, &second.running, "vizstop_held", string(release.WindowLimit), "project", release.DefaultAccount) != 1 {
			t.Error("vizstop_held does not show the limit")
		}
		time.Sleep(62 * time.Minute)
		times := w.stopCallTimes(ids)
		if n := most(times); n > limit {
			t.Errorf("%d calls went out within an hour, want %d at most", n, limit)
		}
		if len(times) < 2*limit {
			t.Errorf("%d calls went out in an hour and a bit, want the limit twice", len(times))
		}
		for _, f := range []*faultyWorker{first, third} {
			if f.died().IsZero() {
				f.stop()
			} else {
				<-f.cleanedUp
			}
		}
	})
}

// asked asks for jobs in one batch, for four hours.
func (w *world) asked(batch string, confirmed bool, jobIDs ...string) {
	w.t.Helper()
	var asks []ledger.Ask
	for _, j := range jobIDs {
		asks = append(asks, ledger.Ask{JobID: j, Deadline: time.Now().Add(4 * time.Hour), Confirmed: confirmed})
	}
	if _, err := w.producer.Ask(context.Background(), project, batch, asks); err != nil {
		w.t.Fatal(err)
	}
}

// The stops of a held batch expire in time, without a call.
func TestAHeldBatchExpires(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10"})
		over := limits.Defaults().Over(limits.Size{Stops: 2000})
		if err := w.ledger.StateSize(context.Background(), project, "b", 2000, over); over == "" || err != nil {
			t.Fatalf("held because %q, %v", over, err)
		}
		w.ask("b", "10")
		r := w.start(nil)
		defer r.stop()
		asked := time.Now()
		s := w.awaitEnd(time.Hour, "b")["10"]
		wantOutcome(t, s, ledger.Expired, "")
		if late := s.Ended.Sub(asked) - 20*time.Minute; late.Abs() > 10*time.Second {
			t.Errorf("expired %v after its deadline", late)
		}
		if n := len(w.sim.Calls(project, "10")); n > 0 {
			t.Errorf("%d calls for a job of a held batch", n)
		}
	})
}
