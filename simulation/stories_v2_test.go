package simulation

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	v2 "vizstop/internal/modelarts/v2"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

// secondOnly is an API of the second generation alone.
var secondOnly = modelartstest.Config{Only: modelartstest.V2}

func TestV2Outcomes(t *testing.T) {
	inBubble(t, secondOnly, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 12 * time.Second})
		w.sim.AddJob(project, modelartstest.Job{ID: "11", Status: v1.StatusCompleted})
		w.sim.AddJob(project, modelartstest.Job{ID: "12", Status: v1.StatusKilling, StopTime: 20 * time.Second})
		w.sim.AddJob(project, modelartstest.Job{ID: "13"})
		w.sim.AddJob(project, modelartstest.Job{ID: "14", StopTime: 24 * time.Hour})
		w.sim.AddJob(project, modelartstest.Job{ID: "15", Kind: modelartstest.KindJob})
		w.sim.Inject(modelartstest.Fault{JobID: "13", Operation: jobs.OperationStop, Reply: modelartstest.ReplyV2Error("ModelArts.2812")})
		r := w.start(nil)
		defer r.stop()
		asked := time.Now()
		w.ask("b", "10", "11", "12", "13", "14", "15", "404")
		stops := w.awaitEnd(30*time.Minute, "b")

		wantOutcome(t, stops["10"], ledger.Stopped, "Terminated")
		wantOutcome(t, stops["11"], ledger.AlreadyStopped, "Completed before the stop call")
		wantOutcome(t, stops["12"], ledger.AlreadyStopped, "stopping before the stop call")
		wantOutcome(t, stops["13"], ledger.Rejected, "ModelArts.2812")
		wantOutcome(t, stops["14"], ledger.Expired, "before the detail endpoint confirmed")
		wantOutcome(t, stops["15"], ledger.Rejected, "not a visualization job: it is a training job of kind job")
		wantOutcome(t, stops["404"], ledger.NotFound, "check the project, the region and the id")
		for outcome, n := range map[ledger.State]int{ledger.Stopped: 1, ledger.AlreadyStopped: 2, ledger.Rejected: 2, ledger.NotFound: 1, ledger.Gone: 0, ledger.Expired: 1} {
			if got := r.counted(t, outcome); got != n {
				t.Errorf("%d counted as %s, want %d", got, outcome, n)
			}
		}
		for id, n := range map[string]int{"10": 1, "11": 0, "12": 0, "13": 1, "14": 1, "15": 0, "404": 0} {
			if got := w.calls(id, jobs.OperationStop); got != n {
				t.Errorf("job %s: %d stop calls, want %d", id, got, n)
			}
		}
		// One look before the stop call, beside those of the ledger.
		if s := stops["10"]; s.Polls+1 != w.calls("10", jobs.OperationDetail) || s.RequestID == "" || s.Status != "Terminated" {
			t.Errorf("polls %d of %d, request id %q, status %s", s.Polls, w.calls("10", jobs.OperationDetail), s.RequestID, s.Status)
		}
		if took := stops["14"].Ended.Sub(asked); took < 20*time.Minute || took > 20*time.Minute+6*time.Second {
			t.Errorf("expired after %v, want its deadline of 20 minutes", took)
		}
	})
}

// The look before the first stop call takes long. The call goes out all the same, unless the fleet has not heard of the
// worker for so long that another one may have made it by then: it is claimed anew.
func TestV2ASlowLookBeforeTheCall(t *testing.T) {
	for name, cutOff := range map[string]bool{"worker is heard": false, "worker is cut off": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, secondOnly, func(w *world) {
				w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 12 * time.Second})
				w.sim.Inject(modelartstest.Fault{JobID: "10", Operation: jobs.OperationDetail, Delay: 8 * time.Second, Times: 1})
				r := w.start(nil)
				defer r.stop()
				w.ask("b", "10")
				if cutOff {
					time.Sleep(time.Second)
					w.redis.SetError("LOADING Redis is loading the dataset in memory")
					time.Sleep(8 * time.Second)
					w.redis.SetError("")
				}
				s := w.awaitEnd(30*time.Minute, "b")["10"]
				wantOutcome(t, s, ledger.Stopped, "Terminated")
				calls := w.callsOf("10", jobs.OperationStop)
				if len(calls) != 1 || s.Calls != 1 || calls[0].Sub(s.Called) > 3*time.Second == cutOff {
					t.Errorf("stop calls at %v, %d by the ledger, the first claimed at %v", calls, s.Calls, s.Called)
				}
			})
		})
	}
}

// Whatever a cloud does with filters and offsets, many stopping jobs are found out by
// their list, or each by itself.
func TestV2ListChecks(t *testing.T) {
	const stops = 80
	for _, tt := range []struct {
		filters, offset string
		others          int // ordinary training jobs, ended long ago
	}{
		{modelartstest.FiltersHonored, modelartstest.OffsetPage, 40},
		{modelartstest.FiltersIgnored, modelartstest.OffsetStart, 40},
		{modelartstest.FiltersBadKey, modelartstest.OffsetPage, 40},
		{modelartstest.FiltersIgnored, modelartstest.OffsetPage, 200},
	} {
		t.Run(fmt.Sprintf("filters %s, offset of a %s, %d others", tt.filters, tt.offset, tt.others), func(t *testing.T) {
			cfg := secondOnly
			cfg.V2 = modelartstest.V2Options{Filters: tt.filters, Offset: tt.offset}
			inBubble(t, cfg, func(w *world) {
				long := time.Now().Add(-time.Hour)
				for i := range tt.others {
					w.sim.AddJob(project, modelartstest.Job{Kind: modelartstest.KindJob, Status: v1.StatusCompleted, CreateTime: long.Add(time.Duration(i) * time.Second)})
				}
				ids := w.addJobs(stops, func(i int) time.Duration { return time.Duration(5+i%60) * time.Second })
				r := w.start(quick)
				defer r.stop()
				w.ask("b", ids...)
				ended := w.awaitEnd(10*time.Minute, "b")
				for _, s := range ended {
					wantOutcome(t, s, ledger.Stopped, "Terminated")
				}
				list, detail := w.count(jobs.OperationList), w.count(jobs.OperationDetail)
				if n := w.count(jobs.OperationStop); n != stops {
					t.Errorf("%d stop calls, want %d", n, stops)
				}
				if tt.others >= 200 { // too long a list to be filtered by reading it
					if list > 3 {
						t.Errorf("%d lists, want 3 at most", list)
					}
					return
				}
				if perStop := float64(list+detail) / stops; perStop > 3.5 || list == 0 {
					t.Errorf("%.2f looks and lists per stop (%d list, %d detail), want 3.5 at most", perStop, list, detail)
				}
				if half := w.lags(ended)[stops/2]; half > 5*time.Second {
					t.Errorf("confirmed %v (half) after the end, want 5 s at most", half)
				}
			})
		})
	}
}

// The API of the second generation says with 400 that there is no such job.
func TestV2NoSuchJob(t *testing.T) {
	inBubble(t, secondOnly, func(w *world) {
		for _, id := range []string{"once", "accepted"} {
			w.sim.AddJob(project, modelartstest.Job{ID: id, StopTime: time.Hour})
		}
		w.sim.Inject(modelartstest.Fault{JobID: "once", Times: 1, Reply: modelartstest.ReplyV2Error("ModelArts.2775")})
		// The project of the token is another one for a while: that says nothing about a job.
		wrong := w.sim.Inject(modelartstest.Fault{ProjectID: "p0", Times: 3, Reply: modelartstest.ReplyV2Error("ModelArts.2786")})
		w.sim.AddJob("p0", modelartstest.Job{ID: "10", StopTime: time.Second})
		r := w.start(nil)
		defer r.stop()
		asks := []ledger.Ask{{JobID: "once"}, {JobID: "accepted"}, {JobID: "a-name"}, {JobID: "listed", Listed: true}}
		for i := range asks {
			asks[i].Deadline = time.Now().Add(10 * time.Minute)
		}
		began := time.Now()
		for project, asks := range map[string][]ledger.Ask{project: asks, "p0": {{JobID: "10", Deadline: time.Now().Add(10 * time.Minute)}}} {
			if _, err := w.producer.Ask(context.Background(), project, "b", asks); err != nil {
				t.Fatal(err)
			}
		}
		w.await(time.Minute, "an accepted stop", func() bool {
			b, err := w.ledger.Batch(context.Background(), project, "b")
			return err == nil && b.Counts[ledger.Stopping] == 2
		})
		w.sim.RemoveJob(project, "accepted")
		w.sim.SetStatus(project, "once", v1.StatusKilled)
		stops := w.awaitEnd(15*time.Minute, "b")
		wantOutcome(t, stops["once"], ledger.Stopped, "Terminated")
		wantOutcome(t, stops["accepted"], ledger.Gone, "ModelArts.2775")
		wantOutcome(t, stops["a-name"], ledger.NotFound, "check the project, the region and the id")
		wantOutcome(t, stops["listed"], ledger.Gone, "ModelArts.2775")
		for _, id := range []string{"a-name", "listed"} {
			if s := stops[id]; s.Ended.Sub(began) < 10*time.Second || w.calls(id, jobs.OperationStop) != 0 || w.calls(id, jobs.OperationDetail) != 2 {
				t.Errorf("job %s ended after %v, %d looks; want at least 10s, 2", id, s.Ended.Sub(began), w.calls(id, jobs.OperationDetail))
			}
		}
		w.await(15*time.Minute, "the end of the other project's stop", func() bool { return w.idle(1) })
		s, err := w.ledger.Get(context.Background(), "p0", ledger.StopID("b", "p0", "10"))
		if err != nil || wrong.Hits() != 3 {
			t.Fatal(err, wrong.Hits())
		}
		wantOutcome(t, s, ledger.Stopped, "Terminated")
	})
}

// 2799 parks the whole project for as long as the API asks.
func TestV2Throttled(t *testing.T) {
	inBubble(t, secondOnly, func(w *world) {
		ids := w.addJobs(20, func(int) time.Duration { return time.Second })
		w.sim.Inject(modelartstest.Fault{Times: 1, Reply: modelartstest.ReplyV2Error("ModelArts.2799").With("Retry-After", "30")})
		r := w.start(func(c *worker.Config) { c.Concurrency = 1 })
		defer r.stop()
		w.ask("b", ids...)
		time.Sleep(29 * time.Second)
		if n := len(w.sim.AllCalls()); n != 1 {
			t.Errorf("%d calls while parked, want only the refused one", n)
		}
		for _, s := range w.awaitEnd(time.Minute, "b") {
			wantOutcome(t, s, ledger.Stopped, "")
			if s.Attempts != 0 {
				t.Errorf("throttling used %d attempts", s.Attempts)
			}
		}
	})
}

// No way leads to a stop call for an ordinary training job: not by a producer, not by
// another one's task, not by asking again, not after a worker that died in the middle,
// and not by the list check that shows it.
func TestV2KindGuard(t *testing.T) {
	annotated := map[string]string{modelartstest.AnnotationTensorBoard: "true"}
	for _, allowed := range []bool{false, true} {
		t.Run(fmt.Sprintf("tensorboard training allowed %v", allowed), func(t *testing.T) {
			inBubble(t, secondOnly, func(w *world) {
				ids := w.addJobs(20, func(int) time.Duration { return 30 * time.Second })
				for _, id := range []string{"train", "foreign", "lost", "outage"} {
					w.sim.AddJob(project, modelartstest.Job{ID: id, Kind: modelartstest.KindJob})
				}
				w.sim.AddJob(project, modelartstest.Job{ID: "ending", Kind: modelartstest.KindJob, Status: v1.StatusKilling, StopTime: time.Minute})
				w.sim.AddJob(project, modelartstest.Job{ID: "board", Kind: modelartstest.KindJob, Annotations: annotated, StopTime: time.Second})
				w.sim.Inject(modelartstest.Fault{JobID: "outage", Times: 3, Reply: modelartstest.ReplyReset()})
				r := w.start(func(c *worker.Config) {
					quick(c)
					client, err := modelarts.New("http://127.0.0.1", modelarts.WithHTTPClient(w.http))
					if err != nil {
						t.Fatal(err)
					}
					c.Jobs = v2.New(client, v2.Options{TensorboardTraining: allowed})
				})
				defer r.stop()
				// What a worker leaves behind that died while it made the stop call.
				if _, err := w.producer.Ask(context.Background(), project, "l", []ledger.Ask{{JobID: "lost", Deadline: time.Now().Add(time.Hour)}}); err != nil {
					t.Fatal(err)
				}
				w.ask("b", append(ids, "train", "ending", "board", "outage")...)
				payload := `{"project_id":"` + project + `","job_id":"foreign"}`
				if _, err := w.queue.Enqueue(asynq.NewTask(tasks.TypeStop, []byte(payload)), asynq.Queue(tasks.Queue), asynq.TaskID("theirs")); err != nil {
					t.Fatal(err)
				}
				stops := w.awaitEnd(20*time.Minute, "b")
				w.ask("again", "train")
				again := w.awaitEnd(20*time.Minute, "again")["train"]
				theirs := w.awaitEnd(time.Minute, "queue-"+time.Now().UTC().Format("20060102"))["foreign"]
				for name, s := range map[string]*ledger.Stop{"train": stops["train"], "ending": stops["ending"], "outage": stops["outage"], "again": again,
					"foreign": theirs, "lost": w.awaitEnd(time.Minute, "l")["lost"]} {
					if s == nil || s.State != ledger.Rejected || !strings.Contains(s.Reason, "not a visualization job") {
						t.Errorf("%s: %+v", name, s)
					}
				}
				for _, id := range ids {
					wantOutcome(t, stops[id], ledger.Stopped, "Terminated")
				}
				if board := stops["board"]; allowed {
					wantOutcome(t, board, ledger.Stopped, "Terminated")
				} else {
					wantOutcome(t, board, ledger.Rejected, "tensorboard_training: true")
				}
				for _, stray := range w.sim.StrayStops() {
					if !allowed || stray.JobID != "board" {
						t.Errorf("stop call for a training job: %+v", stray)
					}
				}
				if w.count(jobs.OperationList) == 0 {
					t.Error("there was no list check")
				}
			})
		})
	}
}

// Each row of the error table that tells of more than one job, met for a while by every
// call: no stop ends by it, and nothing is lost.
func TestV2ErrorsOfTheSystem(t *testing.T) {
	for code, want := range map[string]string{
		"ModelArts.2786": "permission", "ModelArts.2836": "does not offer the v2 training-jobs API", "ModelArts.2837": "credentials",
		"ModelArts.2838": "permission", "ModelArts.2784": "credentials", "ModelArts.2785": "permission", "ModelArts.0010": "outage",
	} {
		t.Run(code, func(t *testing.T) {
			inBubble(t, secondOnly, func(w *world) {
				ids := w.addJobs(20, func(int) time.Duration { return 5 * time.Second })
				fault := w.sim.Inject(modelartstest.Fault{Reply: modelartstest.ReplyV2Error(code)})
				r := w.start(nil)
				defer r.stop()
				w.ask("b", ids...)
				time.Sleep(3 * time.Minute)
				faults, _ := r.Ready(context.Background())
				if said := strings.Join(faults, "\n"); !strings.Contains(said, want) {
					t.Errorf("ready: %q, want %q", said, want)
				}
				if n := fault.Hits(); n > 140 {
					t.Errorf("%d calls in 3 minutes, want single probes", n)
				}
				fault.Clear()
				for job, s := range w.awaitEnd(25*time.Minute, "b") {
					wantOutcome(t, s, ledger.Stopped, "Terminated")
					if s.Attempts > 1 {
						t.Errorf("job %s used %d attempts", job, s.Attempts)
					}
				}
			})
		})
	}
}

// The rows that tell of one job, met by its stop call.
func TestV2ErrorsOfAJob(t *testing.T) {
	inBubble(t, secondOnly, func(w *world) {
		codes := map[string]string{"2796": "once", "2878": "once", "2775": "once", "0101": "rejected", "2787": "rejected", "2788": "rejected", "2812": "rejected"}
		var ids []string
		for code := range codes {
			id := "job-" + code
			ids = append(ids, id)
			w.sim.AddJob(project, modelartstest.Job{ID: id, StopTime: 5 * time.Second})
			w.sim.Inject(modelartstest.Fault{JobID: id, Operation: jobs.OperationStop, Times: 1, Reply: modelartstest.ReplyV2Error("ModelArts." + code)})
		}
		r := w.start(nil)
		defer r.stop()
		w.ask("b", ids...)
		stops := w.awaitEnd(10*time.Minute, "b")
		for code, what := range codes {
			if what == "once" {
				wantOutcome(t, stops["job-"+code], ledger.Stopped, "Terminated")
			} else {
				wantOutcome(t, stops["job-"+code], ledger.Rejected, "ModelArts."+code)
			}
		}
	})
}

// A job that the answer to the stop call shows ended is looked at at once, and only
// the look's word counts.
func TestV2AnswerThatShowsTheEnd(t *testing.T) {
	inBubble(t, secondOnly, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Nanosecond})
		w.sim.AddJob(project, modelartstest.Job{ID: "11", StopTime: 4 * time.Minute})
		w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Reply: modelartstest.ReplyPhase("Terminated")})
		r := w.start(quick)
		defer r.stop()
		asked := time.Now()
		w.ask("b", "10", "11")
		stops := w.awaitEnd(10*time.Minute, "b")
		for _, s := range stops {
			wantOutcome(t, s, ledger.Stopped, "Terminated")
		}
		if s := stops["10"]; s.Ended.Sub(asked) >= 2500*time.Millisecond || s.Polls != 1 {
			t.Errorf("ended after %v and %d looks, want less than the shortest first wait, 2.5 s, and 1", s.Ended.Sub(asked), s.Polls)
		}
		job, _ := w.sim.Job(project, "11")
		if s := stops["11"]; s.Ended.Before(job.EndedAt) || s.Polls < 2 {
			t.Errorf("said to be stopped at %v after %d looks, it ended at %v", s.Ended, s.Polls, job.EndedAt)
		}
	})
}
