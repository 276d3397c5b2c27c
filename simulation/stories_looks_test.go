package simulation

import (
	"context"
	"strconv"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/release"
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

// gate is what people pause and resume calls by.
func (w *world) gate() *release.Releaser { return release.New(w.rdb, "", time.Now, release.Config{}) }

// pause pauses the stop calls of the project.
func (w *world) pause() {
	w.t.Helper()
	if _, err := w.gate().Pause(context.Background(), project, "somebody", "why"); err != nil {
		w.t.Fatal(err)
	}
}

// resume ends that.
func (w *world) resume() {
	w.t.Helper()
	if _, err := w.gate().Resume(context.Background(), project); err != nil {
		w.t.Fatal(err)
	}
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

// A call that may have worked is to be repeated, and a pause begins before: the job is
// looked at all the same, now and then, and its stop ends as the detail endpoint says.
func TestAPauseHidesNoLostCall(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 150 * time.Second})
		w.loseAnswer("10")
		r := w.start(rarely)
		defer r.stop()
		w.askFor("b", "10", time.Hour)
		w.awaitCall("10")
		w.pause()
		s := w.awaitEnd(10*time.Minute, "b")["10"]
		wantOutcome(t, s, ledger.Stopped, "whose answer was lost")
		if job, _ := w.sim.Job(project, "10"); s.Ended.Sub(job.EndedAt) > time.Minute {
			t.Errorf("the stop ended %v after its job, want a minute at most", s.Ended.Sub(job.EndedAt))
		}
		if n := w.calls("10", jobs.OperationStop); n != 1 {
			t.Errorf("%d stop calls, want the one before the pause", n)
		}
	})
}

// The same, and the call did not work: however long the pause is, the looks use up no
// attempt, there is one a minute, and the call goes out when the pause ends. If it does
// not end, the stop expires.
func TestACallThatWaitsInAPause(t *testing.T) {
	for name, length := range map[string]time.Duration{"ends": 30 * time.Minute, "does not end": 2 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
				w.sim.Inject(modelartstest.Fault{JobID: "10", Operation: jobs.OperationStop, Reply: modelartstest.ReplyReset(), Times: 1})
				r := w.start(rarely)
				defer r.stop()
				w.askFor("b", "10", time.Hour)
				w.awaitCall("10")
				w.pause()
				time.Sleep(min(length, time.Hour+time.Second))
				minutes := int(min(length, time.Hour) / time.Minute)
				if n := w.calls("10", jobs.OperationDetail); n < minutes-2 || n > minutes+2 {
					t.Errorf("%d looks in %d minutes, want about one in each", n, minutes)
				}
				if length > time.Hour {
					wantOutcome(t, w.awaitEnd(time.Minute, "b")["10"], ledger.Expired, "job status is still")
					return
				}
				resumed := time.Now()
				w.resume()
				s := w.awaitEnd(time.Minute, "b")["10"]
				wantOutcome(t, s, ledger.Stopped, "")
				if s.Ended.Sub(resumed) > 10*time.Second || w.calls("10", jobs.OperationStop) != 2 {
					t.Errorf("%d stop calls, and the end %v after the pause; want 2 and a few seconds",
						w.calls("10", jobs.OperationStop), s.Ended.Sub(resumed))
				}
			})
		})
	}
}

// An accepted stop is to be sent again, as its job is active, and a pause holds that
// back: the job is looked at, and its stop ends soon after it.
func TestAPauseHidesNoAcceptedStop(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Hour})
		r := w.start(rarely)
		defer r.stop()
		w.askFor("b", "10", time.Hour)
		w.awaitCall("10")
		w.pause()
		time.Sleep(10 * time.Second) // seen stopping by now
		w.sim.SetStatus(project, "10", v1.StatusRunning)
		time.Sleep(10 * time.Minute)
		stops, _, err := w.ledger.BatchStops(context.Background(), project, "b", 0, 1)
		if err != nil || stops[0].Resends != 1 {
			t.Errorf("%+v, %v: want one call that waits, whatever the looks", stops, err)
		}
		w.sim.SetStatus(project, "10", v1.StatusKilled)
		killed := time.Now()
		s := w.awaitEnd(5*time.Minute, "b")["10"]
		wantOutcome(t, s, ledger.Stopped, "")
		if s.Ended.Sub(killed) > time.Minute {
			t.Errorf("the stop ended %v after its job, want a minute at most", s.Ended.Sub(killed))
		}
	})
}

// A stop whose call may have worked is withdrawn in a pause: that does not hold back the
// look that tells how it ended.
func TestACancelInAPause(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 30 * time.Second})
		w.loseAnswer("10")
		r := w.start(rarely)
		defer r.stop()
		w.askFor("b", "10", time.Hour)
		w.awaitCall("10")
		w.pause()
		if answers := w.withdrawAll("b"); answers[ledger.TooLate] != 1 {
			t.Fatalf("canceling said %v, want too late", answers)
		}
		wantOutcome(t, w.awaitEnd(2*time.Minute, "b")["10"], ledger.Stopped, "")
	})
}

// A cancel comes while a stop call is under way, in a pause, and the call is refused for its rate: no other one may go
// out, and the look that tells so waits for nothing.
func TestACancelDuringACall(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		w.sim.Inject(modelartstest.Fault{JobID: "10", Operation: jobs.OperationStop,
			Reply: modelartstest.ReplyError(429, "APIG.0308", "x"), Delay: 2 * time.Second, Times: 1})
		r := w.start(rarely)
		defer r.stop()
		w.askFor("b", "10", time.Hour)
		time.Sleep(time.Second)
		w.pause()
		w.withdrawAll("b")
		wantOutcome(t, w.awaitEnd(2*time.Minute, "b")["10"], ledger.Canceled, "")
	})
}
