package simulation

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/tasks"
)

// withdrawAll withdraws a batch, and counts the answers.
func (w *world) withdrawAll(batch string) map[ledger.Withdrawal]int {
	w.t.Helper()
	stops, _, err := w.ledger.BatchStops(context.Background(), project, batch, 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	answers := map[ledger.Withdrawal]int{}
	for _, s := range stops {
		answer, err := w.ledger.Withdraw(context.Background(), project, s.ID, batch, "by the story")
		if err != nil {
			w.t.Fatal(err)
		}
		answers[answer]++
	}
	return answers
}

// After a cancel no further stop call goes out, also for stops whose call has got
// no clear answer: those are looked at, and are canceled if their job runs on.
func TestCancelIsFinal(t *testing.T) {
	for name, sick := range map[string]string{"stop calls fail": jobs.OperationStop, "all calls fail": ""} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				ids, first := []string{"1", "2", "3", "4", "5", "6", "7"}, jobs.OperationStop
				if sick == "" && guards(1) > 0 { // the look before the stop call fails: none goes out
					first = jobs.OperationDetail
				}
				for _, id := range ids {
					w.sim.AddJob(project, modelartstest.Job{ID: id, StopTime: time.Second})
				}
				outage := w.sim.Inject(modelartstest.Fault{Operation: sick, Reply: modelartstest.ReplyHTML(503)})
				r := w.start(nil)
				defer r.stop()
				w.ask("b", ids...)
				w.await(5*time.Minute, "a stop call for several jobs", func() bool {
					called := 0
					for _, id := range ids {
						called += min(1, w.calls(id, first))
					}
					return called >= 3
				})
				answers := w.withdrawAll("b")
				if answers[ledger.TooLate] == 0 && first == jobs.OperationStop {
					w.t.Errorf("%v, want some whose call has gone out", answers)
				}
				time.Sleep(30 * time.Second) // a call that was under way has ended
				before := map[string]int{}
				for _, id := range ids {
					before[id] = w.calls(id, jobs.OperationStop)
				}
				outage.Clear()
				for id, s := range w.awaitEnd(15*time.Minute, "b") {
					wantOutcome(w.t, s, ledger.Canceled, "by the story")
					if n := w.calls(id, jobs.OperationStop); n != before[id] {
						w.t.Errorf("job %s: %d stop calls after the cancel", id, n-before[id])
					}
				}
				for _, job := range w.sim.Jobs(project) {
					if job.Status != v1.StatusRunning {
						w.t.Errorf("job %s is %v", job.ID, job.Status)
					}
				}
			})
		})
	}
}

// A foreign task does not wait for a stop that somebody has asked for in ten days,
// and its outcome is that of both.
func TestAForeignTaskPullsAStopForward(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		r := w.start(rarely)
		defer r.stop()
		later := time.Now().Add(240 * time.Hour)
		ask := ledger.Ask{JobID: "10", Due: later, Deadline: later.Add(time.Hour)}
		if _, err := w.producer.Ask(context.Background(), project, "later", []ledger.Ask{ask}); err != nil {
			w.t.Fatal(err)
		}
		payload := fmt.Sprintf(`{"project_id":%q,"job_id":"10"}`, project)
		if _, err := w.queue.Enqueue(asynq.NewTask(tasks.TypeStop, []byte(payload), asynq.Queue(tasks.Queue))); err != nil {
			w.t.Fatal(err)
		}
		wantOutcome(w.t, w.awaitEnd(time.Minute, "later")["10"], ledger.Stopped, "")
		batch := "queue-" + time.Now().UTC().Format("20060102")
		wantOutcome(w.t, w.awaitEnd(time.Minute, batch)["10"], ledger.Stopped, "")
		if n := r.counted(w.t, ledger.Stopped); n != 1 {
			w.t.Errorf("the outcome was counted %d times", n)
		}
	})
}

// A pause outlasts the time in which a batch wanted a job stopped. Another batch wants that later: the job runs on till
// then.
func TestAPassedWishWaitsForTheNextOne(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		r := w.start(nil)
		defer r.stop()
		if _, err := w.gate().Pause(context.Background(), project, "me", ""); err != nil {
			w.t.Fatal(err)
		}
		now := time.Now()
		for batch, due := range map[string]time.Duration{"soon": 0, "later": 10 * time.Minute} {
			ask := ledger.Ask{JobID: "10", Due: now.Add(due), Deadline: now.Add(due + 30*time.Second), Confirmed: true}
			if _, err := w.producer.Ask(context.Background(), project, batch, []ledger.Ask{ask}); err != nil {
				w.t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		if _, err := w.gate().Resume(context.Background(), project); err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(8 * time.Minute)
		if n := w.calls("10", jobs.OperationStop); n != 0 {
			w.t.Errorf("%d stop calls went out while nobody wanted one", n)
		}
		wantOutcome(w.t, w.awaitEnd(5*time.Minute, "later")["10"], ledger.Stopped, "")
	})
}

// A worker dies between the mark of a call and its answer, and the job ends by
// itself. A call may have been accepted, and that is what the reason says. Nobody can
// tell whether the job has ended by itself: the API does not say which status a
// stopped job has.
func TestTheReasonTellsOfALostCall(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10"})
		w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Times: 1, Reply: modelartstest.ReplyEmpty(202)})
		w.ask("b", "10")
		crash := &pause{}
		dead := w.start(pausable(crash, nil, pauseInCall(crash, jobs.OperationStop)))
		defer func() { crash.end(); dead.stop() }()
		w.await(time.Minute, "the crash", crash.paused)
		w.sim.SetStatus(project, "10", v1.StatusCompleted)
		r := w.start(nil)
		defer r.stop()
		s := w.awaitEnd(5*time.Minute, "b")["10"]
		wantOutcome(w.t, s, ledger.Stopped, "after a stop call whose answer was lost")
		if !s.Accepted.IsZero() {
			w.t.Errorf("accepted at %v, though no call was", s.Accepted)
		}
	})
}
