package simulation

import (
	"context"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

// askShadow asks what stop calls for jobs would meet, within 20 minutes.
func (w *world) askShadow(batch string, jobs ...string) {
	w.t.Helper()
	w.askShadowWithin(20*time.Minute, batch, jobs...)
}

func (w *world) askShadowWithin(d time.Duration, batch string, jobs ...string) {
	w.t.Helper()
	var asks []ledger.Ask
	for _, j := range jobs {
		asks = append(asks, ledger.Ask{JobID: j, Deadline: time.Now().Add(d), Shadow: true})
	}
	if _, err := w.producer.Ask(context.Background(), project, batch, asks); err != nil {
		w.t.Fatal(err)
	}
}

// awaitShadow is awaitEnd for a shadow batch.
func (w *world) awaitShadow(limit time.Duration, batch string) map[string]*ledger.Stop {
	w.t.Helper()
	all := *w
	all.ledger = w.ledger.Shadow()
	return all.awaitEnd(limit, batch)
}

// A shadow stop ends with what a stop call would have met, of either generation of
// the API, and no stop call goes out.
func TestShadowOutcomes(t *testing.T) {
	for name, cfg := range map[string]modelartstest.Config{"v1": {}, "v2": secondOnly} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, cfg, func(w *world) {
				w.sim.AddJob(project, modelartstest.Job{ID: "10"})
				w.sim.AddJob(project, modelartstest.Job{ID: "11", Status: v1.StatusCompleted})
				w.sim.AddJob(project, modelartstest.Job{ID: "12", Status: v1.StatusKilling, StopTime: time.Hour})
				w.sim.AddJob(project, modelartstest.Job{ID: "13"})
				w.sim.Inject(modelartstest.Fault{JobID: "13", Operation: jobs.OperationDetail, Reply: modelartstest.ReplyHTML(503), Times: 3})
				if w.v2 {
					w.sim.AddJob(project, modelartstest.Job{ID: "15", Kind: modelartstest.KindJob})
				}
				r := w.start(rarely)
				defer r.stop()
				w.askShadow("b", "10", "11", "12", "13", "15", "404")
				stops := w.awaitShadow(2*time.Minute, "b")
				wantOutcome(t, stops["10"], ledger.WouldStop, "unning")
				wantOutcome(t, stops["11"], ledger.WouldAlready, "job status")
				wantOutcome(t, stops["12"], ledger.WouldAlready, "job status")
				wantOutcome(t, stops["13"], ledger.WouldStop, "unning")
				wantOutcome(t, stops["404"], ledger.WouldNotFound, "check the project, the region and the id")
				if w.v2 {
					wantOutcome(t, stops["15"], ledger.Rejected, "not a visualization job")
				}
				for id, s := range stops {
					if n := w.calls(id, jobs.OperationStop); n > 0 || !s.Shadow || !s.Called.IsZero() || !s.Marked.IsZero() {
						t.Errorf("job %s: %d stop calls, %+v", id, n, s)
					}
				}
				if s := stops["404"]; s.Polls != 2 || s.Ended.Sub(s.Absent) < 10*time.Second {
					t.Errorf("not found after %d answers within %v", s.Polls, s.Ended.Sub(s.Absent))
				}
				if got := gathered(t, r, "vizstop_shadow_outcomes_total", string(ledger.WouldStop)); got != 2 {
					t.Errorf("%v counted as would_stop, want 2", got)
				}
				for _, o := range ledger.Outcomes() {
					if n := r.counted(t, o); n > 0 {
						t.Errorf("%d counted as %s among the real ones", n, o)
					}
				}
			})
		})
	}
}

// Real and shadow stops of the same jobs go on side by side: neither joins the other,
// and what a real stop does to a job is not a shadow stop's.
func TestShadowBesideReal(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(30, func(int) time.Duration { return 10 * time.Second })
		w.askShadow("s", ids...)
		w.askShadow("s2", ids[:5]...) // joins
		w.ask("r", ids[:20]...)
		r := w.start(rarely)
		defer r.stop()
		for _, s := range w.awaitEnd(5*time.Minute, "r") {
			wantOutcome(t, s, ledger.Stopped, "")
		}
		shadows := w.awaitShadow(5*time.Minute, "s")
		for i, id := range ids {
			n := w.calls(id, jobs.OperationStop)
			switch s := shadows[id]; {
			case i < 20 && (n != 1 || s.State != ledger.WouldStop && s.State != ledger.WouldAlready):
				t.Errorf("job %s: %d stop calls, shadow %s", id, n, s.State)
			case i >= 20 && n != 0:
				t.Errorf("job %s: %d stop calls, want none", id, n)
			case i >= 20:
				wantOutcome(t, s, ledger.WouldStop, "")
			}
		}
		if b, err := w.ledger.Shadow().Batch(context.Background(), project, "s2"); err != nil || b.Joined != 5 || b.InFlight() > 0 {
			t.Errorf("the second shadow batch is %+v, %v", b, err)
		}
	})
}

// A pause does not keep a shadow stop waiting: it says that a stop call would.
func TestShadowUnderAPause(t *testing.T) {
	for name, paused := range map[string]string{"of all": "", "of the project": project} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				w.sim.AddJob(project, modelartstest.Job{ID: "10"})
				w.sim.AddJob(project, modelartstest.Job{ID: "11", Status: v1.StatusCompleted})
				r := w.start(rarely)
				defer r.stop()
				if _, err := release.New(w.rdb, "", time.Now, release.Config{}).Pause(context.Background(), paused, "somebody", "why"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
				w.askShadow("b", "10", "11")
				stops := w.awaitShadow(time.Minute, "b")
				wantOutcome(t, stops["10"], ledger.WouldHold, "paused")
				wantOutcome(t, stops["11"], ledger.WouldAlready, "")
			})
		})
	}
}

// An outage holds shadow stops as it holds looks; they probe it, and expire in it.
func TestShadowInAnOutage(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(20, func(int) time.Duration { return time.Second })
		outage := w.sim.Inject(modelartstest.Fault{Reply: modelartstest.ReplyHTML(503)})
		r := w.start(rarely)
		defer r.stop()
		w.askShadow("b", ids...)
		time.Sleep(time.Minute)
		if n := w.count(jobs.OperationDetail); n > 90 {
			t.Errorf("%d calls for 20 jobs in a minute of an outage", n)
		}
		outage.Clear()
		for _, s := range w.awaitShadow(2*time.Minute, "b") {
			wantOutcome(t, s, ledger.WouldStop, "")
		}
		w.sim.Inject(modelartstest.Fault{Reply: modelartstest.ReplyHTML(503)})
		w.askShadowWithin(2*time.Minute, "late", ids...)
		for _, s := range w.awaitShadow(3*time.Minute, "late") {
			wantOutcome(t, s, ledger.Expired, "the deadline passed before anybody could tell")
		}
	})
}

// What a dead worker had taken, before or after its claim, is looked at by another
// one.
func TestShadowOfADeadWorker(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.askShadow("b", w.addJobs(20, func(int) time.Duration { return time.Second })...)
		time.Sleep(time.Second)
		dead := release.New(w.rdb, "dead", time.Now, release.Config{}).Shadow()
		r, err := dead.Round(context.Background(), project, 20, time.Minute)
		if err != nil || len(r.Taken) != 20 {
			t.Fatalf("%+v, %v", r, err)
		}
		if claims, err := dead.Claim(context.Background(), project, r.Taken[:10]); err != nil || len(claims) != 10 {
			t.Fatalf("%d claims, %v", len(claims), err)
		}
		other := w.start(rarely)
		defer other.stop()
		for _, s := range w.awaitShadow(2*time.Minute, "b") {
			wantOutcome(t, s, ledger.WouldStop, "")
		}
	})
}

// A foreign task has a type of its own for a shadow stop. One that says so in a payload
// that an older worker would pass over stops nothing.
func TestForeignShadow(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(3, func(int) time.Duration { return time.Second })
		r := w.start(nil)
		defer r.stop()
		enqueue := func(typ, payload string) {
			if _, err := w.queue.Enqueue(asynq.NewTask(typ, []byte(payload)), asynq.Queue(tasks.Queue)); err != nil {
				t.Fatal(err)
			}
		}
		enqueue(tasks.TypeShadow, `{"project_id":"`+project+`","job_id":"`+ids[0]+`"}`)
		enqueue(tasks.TypeShadow, `{"project_id":"`+project+`","job_id":"`+ids[1]+`","shadow":true}`)
		enqueue(tasks.TypeShadow, `{"project_id":"`+project+`"}`)
		enqueue(tasks.TypeStop, `{"project_id":"`+project+`","job_id":"`+ids[2]+`","shadow":true}`)
		enqueue(tasks.TypeStop, `{"project_id":"`+project+`","job_id":"`+ids[2]+`","shadow":"yes"}`)
		day := "queue-" + time.Now().UTC().Format("20060102")
		w.await(time.Minute, "five stops", func() bool {
			real, err := w.ledger.Batch(context.Background(), project, day)
			shadow, err2 := w.ledger.Shadow().Batch(context.Background(), project, day+"-shadow")
			return err == nil && err2 == nil && real.Counts[ledger.Rejected] == 2 && shadow.Counts[ledger.WouldStop] == 2 &&
				shadow.Counts[ledger.Rejected] == 1 && real.Total == 2 && shadow.Total == 3
		})
		for _, id := range ids {
			if n := w.calls(id, jobs.OperationStop); n > 0 {
				t.Errorf("job %s: %d stop calls", id, n)
			}
		}
	})
}
