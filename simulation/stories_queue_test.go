package simulation

import (
	"context"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

// Each test here puts something into the queue that asynq alone would keep, or try
// again, for ever.

// put enqueues a task of any type, with a payload that would be good for a stop of
// job 10.
func (w *world) put(id, typ string, opts ...asynq.Option) {
	w.t.Helper()
	body := []byte(`{"project_id":"` + project + `","job_id":"10"}`)
	opts = append(opts, asynq.Queue(tasks.Queue), asynq.TaskID(id))
	if _, err := w.queue.Enqueue(asynq.NewTask(typ, body), opts...); err != nil {
		w.t.Fatal(err)
	}
}

// ofToday is the batch of the foreign tasks that are adopted today.
func ofToday() string { return "queue-" + time.Now().UTC().Format("20060102") }

// awaitAdopted waits until that many foreign tasks are recorded and have ended, and
// returns their stops by job.
func (w *world) awaitAdopted(n int) map[string]*ledger.Stop {
	w.t.Helper()
	w.await(5*time.Minute, "the adoption", func() bool {
		b, err := w.ledger.Batch(context.Background(), project, ofToday())
		return err == nil && b.Total == n
	})
	return w.awaitEnd(5*time.Minute, ofToday())
}

// Whatever the moment at which a foreign task becomes due, its stop call goes out about a second later, as the
// documents say.
func TestAForeignTaskThatIsDueLater(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		r := w.start(func(c *worker.Config) { c.CheckInterval, c.DelayedCheckInterval = 200*time.Millisecond, time.Second })
		defer r.stop()
		time.Sleep(11 * time.Second)
		due := time.Now().Add(2 * time.Second)
		w.enqueueForeign("later", "10", asynq.ProcessAt(due))
		time.Sleep(4 * time.Second)
		if n := w.calls("10", jobs.OperationStop); n != 1 {
			w.t.Errorf("%d stop calls two seconds after the task was due, want 1", n)
		}
		w.awaitEnd(time.Minute, ofToday())
	})
}

// asynq tries a task whose own deadline has passed again and again, and never calls
// the handler. Each is recorded once, ends as expired, and leaves the queue.
func TestAForeignTaskWhoseDeadlineHasPassed(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		for _, job := range []string{"10", "11", "12"} {
			w.sim.AddJob(project, modelartstest.Job{ID: job, StopTime: time.Second})
		}
		passed := asynq.Deadline(time.Now().Add(-time.Minute))
		w.enqueueForeign("retried", "10", passed)
		w.enqueueForeign("not retried", "11", passed, asynq.MaxRetry(0))
		w.enqueueForeign("too early", "12", asynq.ProcessIn(time.Minute), asynq.Deadline(time.Now().Add(30*time.Second)))
		r := w.start(nil)
		defer r.stop()
		for _, s := range w.awaitAdopted(3) {
			wantOutcome(t, s, ledger.Expired, "")
			if n := len(w.sim.Calls(project, s.JobID)); n != 0 {
				t.Errorf("job %s: %d calls", s.JobID, n)
			}
		}
		w.wantEmptyQueue()
		if n := r.counted(t, ledger.Expired); n != 3 {
			t.Errorf("%d expired stops were counted, want 3", n)
		}
	})
}

// asynq takes the largest deadline for one that has passed. The task is adopted all the same, and has the fleet's.
func TestAForeignTaskWithTheLatestDeadline(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		w.enqueueForeign("latest", "10", asynq.Deadline(time.Unix(math.MaxInt64, 0)))
		r := w.start(nil)
		defer r.stop()
		for _, s := range w.awaitAdopted(1) {
			wantOutcome(t, s, ledger.Stopped, "")
		}
		w.wantEmptyQueue()
	})
}

// A program of another language writes a deadline before 1970 for none at all. Its task expires, and the batch that
// asks for the same job can be canceled all the same.
func TestAForeignTaskWithADeadlineBefore1970(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		w.pause()
		w.askDue(w.ledger, "10", time.Hour, time.Hour)
		w.enqueueForeign("minus one", "10", asynq.Deadline(time.Unix(-1, 0)))
		r := w.start(nil)
		defer r.stop()
		w.wantEmptyQueue()
		if got := w.withdrawAll("10"); got[ledger.Withdrew] != 1 {
			t.Errorf("canceling says %v", got)
		}
		w.awaitEnd(2*time.Hour, "10")
		if n := w.calls("10", jobs.OperationStop); n != 0 {
			t.Errorf("%d stop calls for a job that nobody wants stopped", n)
		}
	})
}

// A task of a type that is not ours is dropped, with one line and counted, even if it
// begins like one of ours, or its deadline has passed.
func TestATaskOfAnotherType(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		ids := []string{"mail", "all", "late", "poll"}
		w.put(ids[0], "email:send")
		w.put(ids[1], tasks.TypeStop+"-all")
		w.put(ids[2], "email:send", asynq.Deadline(time.Now().Add(-time.Minute)))
		w.put(ids[3], tasks.TypePoll)
		r := w.start(nil)
		defer r.stop()
		w.wantEmptyQueue()
		if n := gathered(t, r, "vizstop_tasks_dropped_total", "type"); n != float64(len(ids)) {
			t.Errorf("%v tasks were counted as dropped, want %d", n, len(ids))
		}
		for _, id := range ids {
			if n := strings.Count(w.log.String(), `task=`+id+` `); n != 1 {
				t.Errorf("%d lines about task %s, want 1", n, id)
			}
		}
		if calls := w.sim.Calls(project, "10"); len(calls) > 0 {
			t.Errorf("%d calls for a job that no task of ours names", len(calls))
		}
	})
}

// spoil makes the message of a task one that nobody can read.
func (w *world) spoil(id string) {
	w.t.Helper()
	if err := w.rdb.HSet(context.Background(), "asynq:{visualization}:t:"+id, "msg", "\xff\xff\xff").Err(); err != nil {
		w.t.Fatal(err)
	}
}

// A worker took tasks and died. The message of one can't be read, the record of
// another is gone, and asynq's recoverer would stop at the first for ever. Both are
// removed; the task beside them is adopted.
func TestAMessageThatNobodyCanRead(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ctx := context.Background()
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		taken := []string{"spoilt", "lost", "good"}
		for _, id := range taken {
			w.enqueueForeign(id, "10")
			w.rdb.LMove(ctx, "asynq:{visualization}:pending", "asynq:{visualization}:active", "right", "left")
			w.rdb.HSet(ctx, "asynq:{visualization}:t:"+id, "state", "active")
			w.rdb.ZAdd(ctx, "asynq:{visualization}:lease", redis.Z{Score: float64(time.Now().Add(-time.Hour).Unix()), Member: id})
		}
		w.spoil("spoilt")
		w.rdb.Del(ctx, "asynq:{visualization}:t:lost")
		w.enqueueForeign("next", "10") // becomes the worker's own
		w.spoil("next")
		w.enqueueForeign("put away", "10", asynq.ProcessIn(time.Hour))
		if err := w.inspector().ArchiveTask(tasks.Queue, "put away"); err != nil { // by a person
			t.Fatal(err)
		}
		w.spoil("put away")
		w.enqueueForeign("kept", "10", asynq.ProcessIn(time.Hour))
		if err := w.inspector().ArchiveTask(tasks.Queue, "kept"); err != nil {
			t.Fatal(err)
		}
		r := w.start(nil)
		defer r.stop()
		wantOutcome(t, w.awaitAdopted(1)["10"], ledger.Stopped, "")
		w.await(3*time.Minute, "the end of what can't be read", func() bool {
			return gathered(t, r, "vizstop_tasks_dropped_total", "unreadable") == 4
		})
		if info, err := w.inspector().GetQueueInfo(tasks.Queue); err != nil || info.Active != 0 || info.Retry != 0 || info.Archived != 1 {
			t.Errorf("the queue is %+v, %v; want only what a person has archived", info, err)
		}
		if n := w.calls("10", jobs.OperationStop); n != 1 {
			t.Errorf("%d stop calls, want 1", n)
		}
		wantCountedOnce(t, ledger.Stopped, r)
	})
}

// The queue was paused with a tool for asynq. No call goes out; every view says why,
// and stops expire in time.
func TestTheQueueIsPausedInAsynq(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		if err := w.inspector().PauseQueue(tasks.Queue); err != nil {
			t.Fatal(err)
		}
		r := w.start(nil)
		defer r.stop()
		deadline := time.Now().Add(5 * time.Minute)
		if _, err := w.producer.Ask(context.Background(), project, "b", []ledger.Ask{{JobID: "10", Deadline: deadline}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		faults, _ := r.Ready(context.Background())
		if len(faults) != 1 || !strings.Contains(faults[0], "the queue visualization is paused in asynq") {
			t.Errorf("not ready because of %q", faults)
		}
		if gauge(t, r, "vizstop_held", "queue_paused", "fleet") != 1 {
			t.Error("vizstop_held does not show the pause")
		}
		s := w.awaitEnd(10*time.Minute, "b")["10"]
		wantOutcome(t, s, ledger.Expired, "")
		if late := s.Ended.Sub(deadline); late < 0 || late > 10*time.Second {
			t.Errorf("expired %v after its deadline", late)
		}
		if calls := w.sim.Calls(project, "10"); len(calls) > 0 {
			t.Errorf("%d calls while the queue is paused", len(calls))
		}
	})
}

// What is in the place of a task that is scheduled or tried again is no task, and asynq's forwarder would stop at it for
// ever. It is removed, and the tasks beside it are delivered. So is a lease of a task that nobody can read.
func TestARecordThatStopsTheForwarder(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ctx := context.Background()
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		past := float64(time.Now().Add(-100 * time.Second).Unix())
		for id, set := range map[string]string{"x": "scheduled", "y": "retry"} {
			w.rdb.Set(ctx, "asynq:{visualization}:t:"+id, "hello", 0)
			w.rdb.ZAdd(ctx, "asynq:{visualization}:"+set, redis.Z{Score: past, Member: id})
		}
		w.spoil("z")
		w.rdb.ZAdd(ctx, "asynq:{visualization}:lease", redis.Z{Score: past, Member: "z"})
		r := w.start(nil)
		defer r.stop()
		w.enqueueForeign("good", "10", asynq.ProcessIn(3*time.Second))
		wantOutcome(t, w.awaitAdopted(1)["10"], ledger.Stopped, "")
		w.await(time.Minute, "the end of what can't be read", func() bool {
			return gathered(t, r, "vizstop_tasks_dropped_total", "unreadable") == 3
		})
		for _, id := range []string{"x", "y", "z"} {
			if n := strings.Count(w.log.String(), `task=`+id+` `); n != 1 {
				t.Errorf("%d lines about task %s, want 1", n, id)
			}
		}
		w.wantEmptyQueue()
		if left, err := w.rdb.ZRange(ctx, "asynq:{visualization}:lease", 0, -1).Result(); err != nil || len(left) > 0 {
			t.Errorf("leases of %q are left, %v", left, err)
		}
	})
}

// Tasks are in the queue when it is paused in asynq. Their stops expire in time, too, and what is delivered after the
// pause does nothing. Stops whose call was accepted wait a little longer: when the pause ends meanwhile, they get their
// last look.
func TestTheQueueIsPausedInAsynqWithTasksInIt(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ctx, deadline := context.Background(), time.Now().Add(time.Minute)
		ask := func(batch string, first, n int) {
			var asks []ledger.Ask
			for i := range n {
				id := strconv.Itoa(first + i)
				w.sim.AddJob(project, modelartstest.Job{ID: id, StopTime: 30 * time.Second})
				asks = append(asks, ledger.Ask{JobID: id, Deadline: deadline})
			}
			if _, err := w.producer.Ask(ctx, project, batch, asks); err != nil {
				t.Fatal(err)
			}
		}
		r := w.start(func(c *worker.Config) { c.Concurrency = 5 })
		defer r.stop()
		ask("accepted", 100, 3)
		time.Sleep(2500 * time.Millisecond)
		if err := w.inspector().PauseQueue(tasks.Queue); err != nil {
			t.Fatal(err)
		}
		ask("late", 1000, 200) // the worker learns of the pause a moment later
		time.Sleep(10 * time.Second)
		if n, err := w.rdb.LLen(ctx, "asynq:{visualization}:pending").Result(); err != nil || n < 10 {
			t.Fatalf("%d tasks wait in the paused queue, %v; want more", n, err)
		}
		for id, s := range w.awaitEnd(5*time.Minute, "late") {
			wantOutcome(t, s, ledger.Expired, "before the stop call was accepted")
			if late := s.Ended.Sub(deadline); late < 0 || late > 10*time.Second {
				t.Errorf("job %s: expired %v after its deadline", id, late)
			}
		}
		if err := w.inspector().UnpauseQueue(tasks.Queue); err != nil {
			t.Fatal(err)
		}
		for _, s := range w.awaitEnd(time.Minute, "accepted") {
			wantOutcome(t, s, ledger.Stopped, "")
		}
		w.wantEmptyQueue()
		if n := r.counted(t, ledger.Expired); n != 200 {
			t.Errorf("%d expired stops were counted, want 200", n)
		}
	})
}

// Tasks with a group wait for an aggregator, and no worker is one. They are counted,
// and readiness says so.
func TestTasksWithAGroup(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.enqueueForeign("a", "10", asynq.Group("g"))
		w.enqueueForeign("b", "11", asynq.Group("h"))
		r := w.start(nil)
		defer r.stop()
		time.Sleep(time.Minute)
		if n := gauge(t, r, "vizstop_queue_tasks", "aggregating"); n != 2 {
			t.Errorf("%v tasks are counted as aggregating, want 2", n)
		}
		faults, notes := r.Ready(context.Background())
		if len(faults) > 0 || len(notes) != 1 || !strings.HasPrefix(notes[0], "2 tasks in the queue have an asynq Group") {
			t.Errorf("faults %q, notes %q", faults, notes)
		}
	})
}
