package simulation

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/modelarts/sdkhmac"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

func TestOutcomes(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 12 * time.Second})
		w.sim.AddJob(project, modelartstest.Job{ID: "11", Status: v1.StatusCompleted})
		w.sim.AddJob(project, modelartstest.Job{ID: "12", Status: v1.StatusKilling, StopTime: 20 * time.Second})
		w.sim.AddJob(project, modelartstest.Job{ID: "13"})
		w.sim.Inject(modelartstest.Fault{JobID: "13", Operation: jobs.OperationStop,
			Reply: modelartstest.ReplyError(400, "ModelArts.0104", "Illegal id")})
		r := w.start(nil)
		defer r.stop()
		w.ask("b", "10", "11", "12", "13", "404")
		stops := w.awaitEnd(time.Minute, "b")

		wantOutcome(t, stops["10"], ledger.Stopped, said(v1.StatusKilled))
		wantOutcome(t, stops["11"], ledger.AlreadyStopped, said(v1.StatusCompleted))
		wantOutcome(t, stops["12"], ledger.AlreadyStopped, "stopping before the stop call")
		wantOutcome(t, stops["13"], ledger.Rejected, "Illegal id")
		wantOutcome(t, stops["404"], ledger.NotFound, "check the project, the region and the id")
		for outcome, n := range map[ledger.State]int{ledger.Stopped: 1, ledger.AlreadyStopped: 2, ledger.Rejected: 1, ledger.NotFound: 1, ledger.Gone: 0, ledger.Expired: 0} {
			if got := r.counted(t, outcome); got != n {
				t.Errorf("%d counted as %s, want %d", got, outcome, n)
			}
		}
		if n := w.calls("10", jobs.OperationStop); n != 1 {
			t.Errorf("%d stop calls for an ordinary job, want 1", n)
		}
		if n := w.calls("11", jobs.OperationDetail); n != guards(1) {
			t.Errorf("%d detail calls for a job that had ended, want %d", n, guards(1))
		}
		if s := stops["10"]; s.Polls+guards(1) != w.calls("10", jobs.OperationDetail) || s.RequestID == "" || s.Status != said(v1.StatusKilled) {
			t.Errorf("polls %d, request id %q, status %s", s.Polls, s.RequestID, s.Status)
		}
	})
}

// Only the detail endpoint's word counts, however the stop call was answered.
func TestAcceptedIsNotStopped(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 10 * time.Minute})
		r := w.start(nil)
		defer r.stop()
		w.ask("b", "10")
		s := w.awaitEnd(time.Hour, "b")["10"]
		job, _ := w.sim.Job(project, "10")
		wantOutcome(t, s, ledger.Stopped, "")
		if lag := s.Ended.Sub(job.EndedAt); lag < 0 || lag > 65*time.Second {
			t.Errorf("confirmed %v after the end, want 0 to a poll gap", lag)
		}
	})
}

func TestAStopThatIsNeverConfirmedExpires(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 24 * time.Hour})
		r := w.start(nil)
		defer r.stop()
		asked := time.Now()
		w.ask("b", "10")
		s := w.awaitEnd(2*time.Hour, "b")["10"]
		wantOutcome(t, s, ledger.Expired, "before the detail endpoint confirmed")
		if took := s.Ended.Sub(asked); took < 20*time.Minute || took > 20*time.Minute+6*time.Second {
			t.Errorf("expired after %v, want its deadline of 20 minutes", took)
		}
	})
}

// A job that runs on although its stop was accepted gets the stop call again,
// a bounded number of times.
func TestResend(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		lie := w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Reply: modelartstest.ReplyEmpty(202)})
		r := w.start(nil)
		defer r.stop()
		w.ask("b", "10")
		w.await(15*time.Minute, "all repeats", func() bool { return lie.Hits() == 4 })
		time.Sleep(3 * time.Minute)
		if n := lie.Hits(); n != 4 {
			t.Errorf("%d stop calls, want the first and 3 repeats", n)
		}
		lie.Clear()
		s := w.awaitEnd(time.Hour, "b")["10"]
		wantOutcome(t, s, ledger.Expired, "still "+said(v1.StatusRunning))
	})
}

func TestLoneFailuresUseAttempts(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		for i := range 60 { // others whose calls succeed in between
			w.sim.AddJob(project, modelartstest.Job{ID: fmt.Sprint(1000 + i), StopTime: 19 * time.Minute})
			w.ask("others", fmt.Sprint(1000+i))
		}
		w.sim.AddJob(project, modelartstest.Job{ID: "10"})
		w.sim.AddJob(project, modelartstest.Job{ID: "11", StopTime: time.Second})
		w.sim.Inject(modelartstest.Fault{JobID: "10", Reply: modelartstest.ReplyHTML(500)})
		w.sim.Inject(modelartstest.Fault{JobID: "11", Times: 2, Operation: jobs.OperationStop, Reply: modelartstest.ReplyReset()})
		r := w.start(nil)
		defer r.stop()
		w.ask("b", "10", "11")
		stops := w.awaitEnd(time.Hour, "b")
		wantOutcome(t, stops["10"], ledger.Rejected, "after 10 attempts")
		wantOutcome(t, stops["11"], ledger.Stopped, "")
		if n := stops["11"].Attempts; n != 2 {
			t.Errorf("%d attempts used, want 2", n)
		}
	})
}

// A stop call that took effect although its answer was lost is confirmed by
// the detail endpoint, and counts as stopped.
func TestEffectWithoutAnswer(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 10 * time.Millisecond})
		w.sim.Inject(modelartstest.Fault{JobID: "10", Times: 1, Operation: jobs.OperationStop,
			AfterEffect: true, Reply: modelartstest.ReplyReset()})
		r := w.start(nil)
		defer r.stop()
		w.ask("b", "10")
		s := w.awaitEnd(time.Minute, "b")["10"]
		wantOutcome(t, s, ledger.Stopped, said(v1.StatusKilled))
		if s.Polls == 0 {
			t.Error("stopped without a word of the detail endpoint")
		}
	})
}

// An outage of the API ends no stop, uses up no attempt, and is not hammered.
func TestOutageOfTheAPI(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		var ids []string
		for i := range 60 {
			ids = append(ids, fmt.Sprint(1000+i))
			w.sim.AddJob(project, modelartstest.Job{ID: ids[i], StopTime: 5 * time.Second})
		}
		down := w.sim.Inject(modelartstest.Fault{Reply: modelartstest.ReplyHTML(503)})
		r := w.start(nil)
		defer r.stop()
		w.ask("b", ids...)
		time.Sleep(10 * time.Minute)
		if n := down.Hits(); n > 420 {
			t.Errorf("%d calls in 10 minutes of outage, want single probes, one every 1.5 s", n)
		}
		if faults, _ := r.Ready(context.Background()); len(faults) == 0 || !strings.Contains(faults[0], "outage") {
			t.Errorf("ready: %q, want the outage named", faults)
		}
		down.Clear()
		for job, s := range w.awaitEnd(15*time.Minute, "b") {
			wantOutcome(t, s, ledger.Stopped, "")
			if s.Attempts > 1 {
				t.Errorf("job %s used %d attempts", job, s.Attempts)
			}
		}
	})
}

// With bad credentials one probe at a time goes out, the key is not locked,
// and work goes on by itself when the cause is gone.
func TestCredentialsHalt(t *testing.T) {
	key := sdkhmac.Key{AccessKey: "AK1", SecretKey: "SK1"}
	cfg := modelartstest.Config{Auth: modelartstest.Auth{AccessKeys: map[string]string{"AK1": "another"}}}
	inBubble(t, cfg, func(w *world) {
		var ids []string
		for i := range 50 {
			ids = append(ids, fmt.Sprint(1000+i))
			w.sim.AddJob(project, modelartstest.Job{ID: ids[i], StopTime: 5 * time.Second})
		}
		one := func(c *worker.Config) { c.Concurrency = 1 }
		r := w.start(one, modelarts.WithCredentials(modelarts.NewAKSK(key, "")))
		defer r.stop()
		w.ask("b", ids...)
		time.Sleep(8 * time.Minute)
		if n := len(w.sim.AllCalls()); n == 0 || n > 6 {
			t.Errorf("%d calls with bad credentials in 8 minutes, want single probes further and further apart", n)
		}
		faults, _ := r.Ready(context.Background())
		if len(faults) == 0 || !strings.Contains(faults[0], "credentials") {
			t.Errorf("ready: %q, want the credentials named", faults)
		}
		w.sim.SetAccessKey("AK1", "SK1")
		for _, s := range w.awaitEnd(15*time.Minute, "b") {
			wantOutcome(t, s, ledger.Stopped, "")
		}
		if faults, _ := r.Ready(context.Background()); len(faults) > 0 {
			t.Errorf("ready: %q after the cure", faults)
		}
	})
}

// 429 parks the whole project for as long as the API asks.
func TestThrottledByTheAPI(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		var ids []string
		for i := range 20 {
			ids = append(ids, fmt.Sprint(1000+i))
			w.sim.AddJob(project, modelartstest.Job{ID: ids[i], StopTime: time.Second})
		}
		w.sim.Inject(modelartstest.Fault{Times: 1, Reply: modelartstest.ReplyError(http.StatusTooManyRequests, "APIGW.0308", "").With("Retry-After", "30")})
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

// The fleet keeps to its rate, and nobody has to come back again and again.
func TestRateOfTheFleet(t *testing.T) {
	const rate = 20
	cfg := modelartstest.Config{RateLimit: modelartstest.RateLimit{PerSecond: rate + 2, Burst: rate}}
	inBubble(t, cfg, func(w *world) {
		var ids []string
		for i := range 300 {
			ids = append(ids, fmt.Sprint(1000+i))
			w.sim.AddJob(project, modelartstest.Job{ID: ids[i], StopTime: time.Second})
		}
		limit := func(c *worker.Config) { quick(c); c.Release = release.Config{Rate: rate} }
		for range 2 {
			r := w.start(limit)
			defer r.stop()
		}
		began := time.Now()
		w.ask("b", ids...)
		stops := w.awaitEnd(5*time.Minute, "b")
		took, calls := time.Since(began), 0
		for _, n := range w.sim.Counts() {
			calls += n
		}
		if floor := time.Duration(calls) * time.Second / rate; took > floor*5/4+10*time.Second {
			t.Errorf("%d calls took %v, the floor is %v", calls, took, floor)
		}
		hops := 0
		for _, s := range stops {
			wantOutcome(t, s, ledger.Stopped, "")
			hops += s.Hop
			if refused := s.Attempts; refused > 0 {
				t.Errorf("job %s used attempts", s.JobID)
			}
		}
		if hops > 6*len(stops) {
			t.Errorf("%d tasks for %d stops: they come back again and again", hops, len(stops))
		}
	})
}

func TestForeignTasks(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		for _, id := range []string{"10", "11"} {
			w.sim.AddJob(project, modelartstest.Job{ID: id, StopTime: time.Second})
		}
		r := w.start(nil)
		defer r.stop()
		w.ask("b", "11")
		for i, payload := range []string{
			`{"project_id":"` + project + `","job_id":10,"extra":true}`,
			`{"project_id":"` + project + `","job_id":"11"}`, // joins
			`{"project_id":"` + project + `","job_id":"../x"}`,
			`not json`,
		} {
			task := asynq.NewTask(tasks.TypeStop, []byte(payload), asynq.Queue(tasks.Queue), asynq.MaxRetry(0),
				asynq.TaskID(fmt.Sprint("theirs-", i)))
			if _, err := w.queue.Enqueue(task); err != nil {
				t.Fatal(err)
			}
		}
		batch := "queue-" + time.Now().UTC().Format("20060102")
		w.await(time.Minute, "both records", func() bool {
			b, err := w.ledger.Batch(context.Background(), project, batch)
			return err == nil && b.Total == 3 && b.InFlight() == 0
		})
		stops, _, err := w.ledger.BatchStops(context.Background(), project, batch, 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range stops {
			if s.JobID != "" {
				wantOutcome(t, s, ledger.Stopped, "")
			} else {
				wantOutcome(t, s, ledger.Rejected, `"../x"`)
			}
		}
		w.await(time.Minute, "the task without a project", func() bool {
			b, err := w.ledger.Batch(context.Background(), tasks.NoProject, batch)
			return err == nil && b.Counts[ledger.Rejected] == 1
		})
		wantOutcome(t, w.awaitEnd(time.Minute, "b")["11"], ledger.Stopped, "")
		if n := w.calls("11", jobs.OperationStop); n != 1 {
			t.Errorf("%d stop calls for a job that two asked for, want 1", n)
		}
		w.wantEmptyQueue()
	})
}

// A malformed task whose worker died between its record and its end is rejected
// all the same, once.
func TestAMalformedTaskComesAgain(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		for i, p := range []string{project, tasks.NoProject} {
			id := fmt.Sprint("theirs-", i)
			if _, err := w.ledger.OpenForeign(context.Background(), p, id, ledger.Ask{Deadline: time.Now().Add(time.Hour), Fault: `job "../x"`}); err != nil {
				t.Fatal(err)
			}
			body := fmt.Sprintf(`{"project_id":%q,"job_id":"../x"}`, p)
			if _, err := w.queue.Enqueue(asynq.NewTask(tasks.TypeStop, []byte(body)), asynq.Queue(tasks.Queue), asynq.TaskID(id)); err != nil {
				t.Fatal(err)
			}
		}
		r := w.start(nil)
		defer r.stop()
		batch := "queue-" + time.Now().UTC().Format("20060102")
		for _, p := range []string{project, tasks.NoProject} {
			w.await(5*time.Minute, "the end of the stop without a job", func() bool {
				b, err := w.ledger.Batch(context.Background(), p, batch)
				return err == nil && b.InFlight() == 0
			})
			stops, _, err := w.ledger.BatchStops(context.Background(), p, batch, 0, 10)
			if err != nil || len(stops) != 1 {
				t.Fatalf("%d stops, %v, want 1", len(stops), err)
			}
			wantOutcome(t, stops[0], ledger.Rejected, "../x")
		}
		w.await(time.Minute, "both to be counted", func() bool { return r.counted(t, ledger.Rejected) == 2 })
	})
}

// A task that is delivered again does nothing that was done before.
func TestRedelivery(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 20 * time.Second})
		r := w.start(nil)
		defer r.stop()
		id := w.ask("b", "10")[0].StopID
		w.await(time.Minute, "acceptance", func() bool { return w.calls("10", jobs.OperationStop) == 1 })
		time.Sleep(8 * time.Second)
		body := []byte(`{"project_id":"` + project + `","job_id":"10"}`)
		for range 3 {
			again := asynq.NewTask(tasks.TypeStop, body, asynq.Queue(tasks.Queue), asynq.TaskID("stop:"+id+":1"))
			if _, err := w.queue.Enqueue(again); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
		}
		wantOutcome(t, w.awaitEnd(time.Minute, "b")["10"], ledger.Stopped, "")
		if n := w.calls("10", jobs.OperationStop); n != 1 {
			t.Errorf("%d stop calls, want 1", n)
		}
		if n := r.counted(t, ledger.Stopped); n != 1 {
			t.Errorf("counted %d times", n)
		}
	})
}

// A stop whose producer died before it could ask for a round, and one whose task
// got lost before a worker took it, go on within seconds.
func TestLostOnTheWay(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		for _, id := range []string{"10", "11"} {
			w.sim.AddJob(project, modelartstest.Job{ID: id, StopTime: time.Second})
		}
		ctx, producer := context.Background(), release.New(w.rdb, "", time.Now, release.Config{})
		if err := producer.Expect(ctx, project); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ledger.Open(ctx, project, "b", []ledger.Ask{{JobID: "10", Deadline: time.Now().Add(time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		// Released, and whoever did so died before it had a task: no other worker was
		// there.
		w.ask("b", "11")
		time.Sleep(time.Second)
		if _, err := producer.Round(ctx, project, release.Need{Room: 10, Most: 10, Silence: 5 * time.Second}); err != nil {
			t.Fatal(err)
		}
		r := w.start(nil)
		defer r.stop()
		for _, s := range w.awaitEnd(20*time.Second, "b") {
			wantOutcome(t, s, ledger.Stopped, "")
			if n := w.calls(s.JobID, jobs.OperationStop); n != 1 {
				t.Errorf("%d stop calls for job %s, want 1", n, s.JobID)
			}
		}
		if n := gathered(t, r, "vizstop_recoveries_total", "missing"); n != 2 {
			t.Errorf("%v recoveries, want 2", n)
		}
	})
}

// A Redis that evicts keys may drop the lists of the queue and keep its tasks,
// which then say for ever that they wait.
func TestAQueueWithoutItsLists(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		id := w.ask("b", "10")[0].StopID
		ctx, other := context.Background(), release.New(w.rdb, "", time.Now, release.Config{})
		round, err := other.Round(ctx, project, release.Need{Room: 10, Most: 10, Silence: 5 * time.Second})
		if err == nil {
			err = tasks.NewCarrier(w.queue).Carry(ctx, project, ledger.KindStop, round.Stops)
		}
		if err != nil || len(round.Stops) != 1 || round.Stops[0].StopID != id {
			t.Fatalf("released %v, %v, want the stop %s", round.Stops, err, id)
		}
		if !w.redis.Del("asynq:{" + tasks.Queue + "}:pending") {
			t.Fatal("there is no list of pending tasks")
		}
		r := w.start(nil)
		defer r.stop()
		wantOutcome(t, w.awaitEnd(20*time.Second, "b")["10"], ledger.Stopped, "")
		if n := gathered(t, r, "vizstop_recoveries_total", "missing"); n != 1 {
			t.Errorf("%v recoveries, want 1", n)
		}
	})
}

// Stops that wait for their turn in a long queue are not taken for lost.
func TestABacklogIsNotRepaired(t *testing.T) {
	latency := 20 * time.Second / time.Duration(1+guards(1)) // a look and its stop call share the call's timeout
	inBubble(t, modelartstest.Config{Latency: func(string) time.Duration { return latency }}, func(w *world) {
		var ids []string
		for i := range 10 {
			ids = append(ids, fmt.Sprint(1000+i))
			w.sim.AddJob(project, modelartstest.Job{ID: ids[i], StopTime: time.Second})
		}
		r := w.start(func(c *worker.Config) { c.Concurrency = 2 })
		defer r.stop()
		w.ask("b", ids...)
		for job, s := range w.awaitEnd(time.Hour, "b") {
			wantOutcome(t, s, ledger.Stopped, "")
			if n := w.calls(job, jobs.OperationStop); n != 1 {
				t.Errorf("job %s: %d stop calls, want 1", job, n)
			}
		}
		if n := gathered(t, r, "vizstop_recoveries_total"); n != 0 {
			t.Errorf("%v repairs of stops that only had to wait", n)
		}
	})
}
