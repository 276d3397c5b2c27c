package simulation

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

// Each test here brings about one state that asynq 0.26 itself never gets out
// of, or gets out of without telling anybody, and shows that a stop does.

// rarely makes a worker look for tasks rarely: these stories are minutes of
// waiting for asynq's recovery.
func rarely(c *worker.Config) {
	c.CheckInterval, c.DelayedCheckInterval = 10*time.Second, 10*time.Second
}

// repairsLate makes a worker leave tasks to asynq's own recovery first, which
// takes a lease of 30 s, a grace of 30 s and up to 60 s between two looks.
func repairsLate(c *worker.Config) {
	rarely(c)
	c.Repair.Overdue = 130 * time.Second
}

// inspector is asynq's own view of the queues.
func (w *world) inspector() *asynq.Inspector { return asynq.NewInspectorFromRedisClient(w.rdb) }

// wantEmptyQueues checks that no task is left in any queue, in any state, and no
// record of one in Redis.
func (w *world) wantEmptyQueues() {
	w.t.Helper()
	for queue := range tasks.Queues() {
		info, err := w.inspector().GetQueueInfo(queue)
		if err != nil {
			continue // a queue into which nothing was ever put
		}
		if info.Size != 0 || info.Archived != 0 {
			w.t.Errorf("left in queue %s: %+v", queue, info)
		}
	}
	for _, pattern := range []string{"asynq:{*}:t:*", "asynq:{*}:lease", "asynq:{*}:active", "asynq:{*}:archived"} {
		if left := w.rdb.Keys(context.Background(), pattern).Val(); len(left) > 0 {
			w.t.Errorf("left in Redis: %q", left)
		}
	}
}

// wantCountedOnce checks that one outcome was counted, and by one worker.
func wantCountedOnce(t *testing.T, outcome ledger.State, workers ...*running) {
	t.Helper()
	for _, o := range ledger.Outcomes() {
		n, want := 0, 0
		for _, r := range workers {
			n += r.counted(t, o)
		}
		if o == outcome {
			want = 1
		}
		if n != want {
			t.Errorf("%s counted %d times, want %d", o, n, want)
		}
	}
}

// wantRepairs checks the one kind of repair that was made, "" for none.
func wantRepairs(t *testing.T, r *running, kind string) {
	t.Helper()
	for _, k := range tasks.RepairKinds() {
		want := 0.0
		if k == kind {
			want = 1
		}
		if n := gathered(t, r, "vizstop_repairs_total", k); n != want {
			t.Errorf("%v repairs of kind %s, want %v", n, k, want)
		}
	}
}

// orphan makes a task what hibiken/asynq#1144 describes: in the active list,
// with no lease. listed false leaves it out of the list, as a script of asynq
// does that fails between its two removals.
func (w *world) orphan(queue, id string, listed bool) {
	w.t.Helper()
	ctx, key := context.Background(), "asynq:{"+queue+"}:"
	taken := w.rdb.LRem(ctx, key+"pending", 0, id).Val() + w.rdb.ZRem(ctx, key+"scheduled", id).Val()
	if taken != 1 {
		w.t.Fatalf("task %s is in %d lists of waiting tasks, want 1", id, taken)
	}
	w.rdb.HSet(ctx, key+"t:"+id, "state", "active")
	if listed {
		w.rdb.LPush(ctx, key+"active", id)
	}
	info, err := w.inspector().GetTaskInfo(queue, id)
	if err != nil || info.State != asynq.TaskStateActive {
		w.t.Fatalf("task %s: %+v, %v", id, info, err)
	}
}

// asynq's recoverer only looks at tasks with a lease that has run out. One that
// is active without any lease stays so for ever.
func TestOrphanedActiveTask(t *testing.T) {
	for _, kind := range []string{"stop", "poll"} {
		for _, listed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, listed %v", kind, listed), func(t *testing.T) {
				inBubble(t, modelartstest.Config{}, func(w *world) {
					w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Minute})
					id := w.ask("b", "10")[0].StopID
					if kind == "stop" {
						w.orphan(tasks.QueueStop, "stop:"+id+":1", listed)
					}
					r := w.start(repairsLate)
					defer r.stop()
					if kind == "poll" {
						w.await(time.Minute, "acceptance", func() bool { return w.calls("10", modelarts.OperationStop) == 1 })
						w.orphan(tasks.QueuePoll, "poll:"+id+":2", listed)
					}
					orphaned := time.Now()
					time.Sleep(2 * time.Minute) // all that asynq's own recovery needs
					if s, err := w.ledger.Get(context.Background(), project, id); err != nil || s.State.Ended() {
						t.Fatalf("asynq has recovered the task by itself: %+v, %v", s, err)
					}
					s := w.awaitEnd(10*time.Minute, "b")["10"]
					wantOutcome(t, s, ledger.Stopped, "12 (killed)")
					if took := s.Ended.Sub(orphaned); took > 5*time.Minute {
						t.Errorf("ended %v after its task was orphaned", took)
					}
					if n := w.calls("10", modelarts.OperationStop); n != 1 {
						t.Errorf("%d stop calls, want 1", n)
					}
					wantCountedOnce(t, ledger.Stopped, r)
					wantRepairs(t, r, "orphaned")
					w.wantEmptyQueues()
				})
			})
		}
	}
}

// A Redis that evicts may take the record of a waiting task and leave its id in
// the list. asynq then holds an id that it can neither deliver nor recover.
func TestTaskWithoutItsMessage(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Minute})
		id := w.ask("b", "10")[0].StopID
		w.rdb.Del(context.Background(), "asynq:{"+tasks.QueueStop+"}:t:stop:"+id+":1")
		r := w.start(rarely)
		defer r.stop()
		wantOutcome(t, w.awaitEnd(5*time.Minute, "b")["10"], ledger.Stopped, "")
		wantCountedOnce(t, ledger.Stopped, r)
		wantRepairs(t, r, "missing")
		w.wantEmptyQueues()
	})
}

// evalOf reports whether cmd is a script with one key that ends in suffix, which
// only the claim of a stop is.
func evalOf(cmd redis.Cmder, suffix string) bool {
	args := cmd.Args()
	return len(args) > 3 && strings.HasPrefix(fmt.Sprint(args[0]), "eval") && fmt.Sprint(args[2]) == "1" &&
		strings.HasSuffix(fmt.Sprint(args[3]), suffix)
}

// withoutRetries puts a stop's first task into the queue again as one whose retries
// are used up.
func (w *world) withoutRetries(id string) {
	w.t.Helper()
	task := "stop:" + id + ":1"
	if err := w.inspector().DeleteTask(tasks.QueueStop, task); err != nil {
		w.t.Fatal(err)
	}
	w.enqueueBare(task, "10", asynq.MaxRetry(0))
}

func (w *world) enqueueBare(id, job string, opts ...asynq.Option) {
	w.t.Helper()
	body := []byte(`{"project_id":"` + project + `","job_id":"` + job + `"}`)
	opts = append(opts, asynq.Queue(tasks.QueueStop), asynq.TaskID(id))
	if _, err := w.queue.Enqueue(asynq.NewTask(tasks.TypeStop, body), opts...); err != nil {
		w.t.Fatal(err)
	}
}

// archived is what asynq says of a task in its archive, nil when it is not there.
func (w *world) archived(queue, id string) *asynq.TaskInfo {
	info, err := w.inspector().GetTaskInfo(queue, id)
	if err != nil || info.State != asynq.TaskStateArchived {
		return nil
	}
	return info
}

// A worker crashes after its stop call took effect, and the task has no retry
// left: asynq's recoverer archives it, and calls no error handler. The call that
// was lost is kept in mind: it may be what ended the job.
func TestRecovererArchivesATaskOfACrashedWorker(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 10 * time.Second})
		id := w.ask("b", "10")[0].StopID
		w.withoutRetries(id)
		crash := &pause{}
		dead := w.start(pausable(crash, nil, pauseInCall(crash, modelarts.OperationStop)))
		defer func() { crash.end(); dead.stop() }()
		w.await(time.Minute, "the crash", crash.paused)
		r := w.start(repairsLate)
		defer r.stop()
		w.await(125*time.Second, "the archive", func() bool { return w.archived(tasks.QueueStop, "stop:"+id+":1") != nil })
		if info := w.archived(tasks.QueueStop, "stop:"+id+":1"); info.LastErr != asynq.ErrLeaseExpired.Error() {
			t.Fatalf("archived for another reason: %+v", info)
		}
		s := w.awaitEnd(3*time.Minute, "b")["10"]
		wantOutcome(t, s, ledger.Stopped, "12 (killed)")
		if n := w.calls("10", modelarts.OperationDetail); n == 0 {
			t.Error("stopped without a word of the detail endpoint")
		}
		crash.end() // even if the dead rises, and to read its metrics
		time.Sleep(time.Minute)
		wantCountedOnce(t, ledger.Stopped, r, dead)
		wantRepairs(t, r, "archived")
		w.wantEmptyQueues()
	})
}

// Another producer allows no retry, and the worker crashes before it has
// adopted the task. asynq archives the task; nothing but the archive knows of it.
func TestBareTaskThatCrashesUseUp(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		for _, job := range []string{"10", "11", "12"} {
			w.sim.AddJob(project, modelartstest.Job{ID: job, StopTime: 10 * time.Second})
		}
		w.enqueueBare("theirs", "10", asynq.MaxRetry(0))
		w.enqueueBare("put away", "11", asynq.ProcessIn(time.Hour))
		if err := w.inspector().ArchiveTask(tasks.QueueStop, "put away"); err != nil { // by a person
			t.Fatal(err)
		}
		crash := &pause{}
		beforeItIsRecorded := func(cmd redis.Cmder, after bool) {
			if !after && len(cmd.Args()) > 1 && strings.Contains(fmt.Sprint(cmd.Args()[1]), ":task:") {
				crash.begin()
			}
		}
		dead := w.start(pausable(crash, beforeItIsRecorded, nil))
		defer func() { crash.end(); dead.stop() }()
		w.await(time.Minute, "the crash", crash.paused)
		r := w.start(rarely)
		defer r.stop()
		batch := "queue-" + time.Now().UTC().Format("20060102")
		w.await(3*time.Minute, "the adoption", func() bool {
			b, err := w.ledger.Batch(context.Background(), project, batch)
			return err == nil && b.Total == 1
		})
		wantOutcome(t, w.awaitEnd(time.Minute, batch)["10"], ledger.Stopped, "")
		if n := w.calls("10", modelarts.OperationStop); n != 1 {
			t.Errorf("%d stop calls, want 1", n)
		}
		crash.end() // even if the dead rises, and to read its metrics
		time.Sleep(time.Minute)
		wantCountedOnce(t, ledger.Stopped, r, dead)
		wantRepairs(t, r, "bare")
		if w.archived(tasks.QueueStop, "theirs") != nil {
			t.Error("the adopted task is still in the archive")
		}
		if n := w.calls("11", modelarts.OperationStop); n != 0 || w.archived(tasks.QueueStop, "put away") == nil {
			t.Errorf("%d stop calls for a task that a person has archived", n)
		}
	})
}

// A task whose id is in the archive can't be enqueued again; asynq says only
// that the id is taken.
func TestTaskIDTakenByTheArchive(t *testing.T) {
	for _, kind := range []string{"stop", "poll"} {
		t.Run(kind, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Minute})
				id := ledger.StopID("b", project, "10")
				queue, task := tasks.QueueStop, "stop:"+id+":1"
				if kind == "poll" {
					queue, task = tasks.QueuePoll, "poll:"+id+":2"
				}
				blocker := asynq.NewTask("visualization:"+kind, []byte(`{"project_id":"`+project+`","job_id":"10"}`))
				if _, err := w.queue.Enqueue(blocker, asynq.Queue(queue), asynq.TaskID(task)); err != nil {
					t.Fatal(err)
				}
				if err := w.inspector().ArchiveTask(queue, task); err != nil {
					t.Fatal(err)
				}
				w.ask("b", "10")
				r := w.start(rarely)
				defer r.stop()
				wantOutcome(t, w.awaitEnd(5*time.Minute, "b")["10"], ledger.Stopped, "")
				if n := w.calls("10", modelarts.OperationStop); n != 1 {
					t.Errorf("%d stop calls, want 1", n)
				}
				wantCountedOnce(t, ledger.Stopped, r)
				wantRepairs(t, r, "archived")
				w.wantEmptyQueues()
			})
		})
	}
}

// A worker is paused in the middle of its stop call, its lease runs out, another
// takes over, and the first wakes up and goes on with the API's answer in hand.
func TestPausedInTheCall(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 5 * time.Minute})
		id := w.ask("b", "10")[0].StopID
		paused := &pause{}
		first := w.start(pausable(paused, nil, pauseInCall(paused, modelarts.OperationStop)))
		defer func() { paused.end(); first.stop() }()
		w.await(time.Minute, "the pause", paused.paused)
		second := w.start(rarely)
		defer second.stop()
		w.await(3*time.Minute, "another worker", func() bool { return w.calls("10", modelarts.OperationDetail) > 1 })
		calls := w.calls("10", modelarts.OperationStop)
		before, err := w.ledger.Get(context.Background(), project, id)
		if err != nil {
			t.Fatal(err)
		}
		paused.end()
		time.Sleep(time.Second)
		if s, err := w.ledger.Get(context.Background(), project, id); err != nil || s.Hop < before.Hop || !s.Accepted.Equal(before.Accepted) {
			t.Errorf("the worker that woke up took the stop from %+v to %+v, %v", before, s, err)
		}
		s := w.awaitEnd(15*time.Minute, "b")["10"]
		time.Sleep(2 * time.Minute) // for a second chain to show itself
		wantOutcome(t, s, ledger.Stopped, "12 (killed)")
		if n := w.calls("10", modelarts.OperationStop); n != calls || n != 2 {
			t.Errorf("%d stop calls, %d of them after acceptance was known; want one by each worker before", n, n-calls)
		}
		if n := w.calls("10", modelarts.OperationDetail); n != s.Polls {
			t.Errorf("%d detail calls, the stop's chain made %d: there is a second chain", n, s.Polls)
		}
		wantCountedOnce(t, ledger.Stopped, first, second)
		if gathered(t, first, "vizstop_duplicates_total") == 0 {
			t.Error("the worker that woke up was not told that it was overtaken")
		}
		w.wantEmptyQueues()
	})
}

// A worker is paused between its claim and its stop call. When it wakes up, the
// job has been stopped by another and started again by its owner: the call must
// not go out any more.
func TestPausedBeforeTheCall(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 10 * time.Second})
		id := w.ask("b", "10")[0].StopID
		paused := &pause{}
		afterTheClaim := func(cmd redis.Cmder, after bool) {
			if after && evalOf(cmd, ":stop:"+id) && w.calls("10", modelarts.OperationStop) == 0 {
				paused.begin()
			}
		}
		first := w.start(pausable(paused, afterTheClaim, nil))
		defer func() { paused.end(); first.stop() }()
		w.await(time.Minute, "the pause", paused.paused)
		second := w.start(rarely)
		defer second.stop()
		wantOutcome(t, w.awaitEnd(4*time.Minute, "b")["10"], ledger.Stopped, "")
		w.sim.SetStatus(project, "10", modelarts.StatusRunning)
		paused.end()
		time.Sleep(2 * time.Minute)
		if n := w.calls("10", modelarts.OperationStop); n != 1 {
			t.Errorf("%d stop calls: the job was stopped again after its owner had restarted it", n)
		}
		if job, _ := w.sim.Job(project, "10"); job.Status != modelarts.StatusRunning {
			t.Errorf("the restarted job is %v", job.Status)
		}
		wantCountedOnce(t, ledger.Stopped, first, second)
		w.wantEmptyQueues()
	})
}

// A worker dies with tasks in hand, in the middle of a call of each kind. Another
// takes over sooner than asynq's recoverer would: when the lease has ended, and a
// screen when it has said nothing for some seconds. Limits are with the 20 s that
// a job takes.
func TestACrashIsRecoveredFrom(t *testing.T) {
	for operation, limit := range map[string]time.Duration{
		modelarts.OperationStop: 110 * time.Second, modelarts.OperationDetail: 110 * time.Second, modelarts.OperationList: 40 * time.Second,
	} {
		t.Run(operation, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				jobs := w.addJobs(20, func(int) time.Duration { return 20 * time.Second })
				if operation == modelarts.OperationDetail { // too few to be screened
					jobs = jobs[:2]
				}
				w.ask("b", jobs...)
				crash := &pause{}
				dead := w.start(pausable(crash, nil, pauseInCall(crash, operation)))
				defer func() { crash.end(); dead.stop() }()
				w.await(time.Minute, "the crash", crash.paused)
				crashed := time.Now()
				r := w.start(nil)
				defer r.stop()
				for _, s := range w.awaitEnd(5*time.Minute, "b") {
					wantOutcome(t, s, ledger.Stopped, "")
					if took := s.Ended.Sub(crashed); took > limit {
						t.Errorf("job %s ended %v after the crash", s.JobID, took)
					}
				}
			})
		})
	}
}

// Redis takes no data for some seconds while tasks are at work. asynq puts a task
// that failed back once only: the worker waits with that until it can.
func TestABlipOfRedisCostsSeconds(t *testing.T) {
	for _, operation := range []string{modelarts.OperationStop, modelarts.OperationDetail, modelarts.OperationList} {
		t.Run(operation, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				jobs := w.addJobs(20, func(int) time.Duration { return 20 * time.Second })
				if operation == modelarts.OperationDetail {
					jobs = jobs[:2]
				}
				w.ask("b", jobs...)
				var once sync.Once
				var blip time.Time
				r := w.start(func(cfg *worker.Config) {
					quick(cfg)
					cfg.Jobs = &callSpy{Jobs: cfg.Jobs, before: func() {}, after: func(called string) {
						if called == operation {
							once.Do(func() {
								blip = time.Now()
								w.redis.SetError("OOM command not allowed when used memory > 'maxmemory'.")
								time.AfterFunc(8*time.Second, func() { w.redis.SetError("") })
							})
						}
					}}
				})
				defer r.stop()
				time.Sleep(40 * time.Second)
				for _, s := range w.awaitEnd(5*time.Minute, "b") {
					wantOutcome(t, s, ledger.Stopped, "")
					if took := s.Ended.Sub(blip); took > 50*time.Second {
						t.Errorf("job %s ended %v after the blip", s.JobID, took)
					}
				}
				if n := gathered(t, r, "vizstop_repairs_total"); n != 0 {
					t.Errorf("%v repairs, want none", n)
				}
			})
		})
	}
}
