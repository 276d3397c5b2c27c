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

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

// Each test here brings about a crash, a freeze or a state that asynq itself never
// gets out of, and shows that a stop goes on.

// inspector is asynq's own view of the queue.
func (w *world) inspector() *asynq.Inspector { return asynq.NewInspectorFromRedisClient(w.rdb) }

// wantEmptyQueue checks that no task is left in the queue, in any state, and no
// record of one in Redis.
func (w *world) wantEmptyQueue() {
	w.t.Helper()
	// A task whose worker has died is asynq's until its lease has run out: nobody waits for that.
	w.await(3*time.Minute, "an empty queue", func() bool {
		info, err := w.inspector().GetQueueInfo(tasks.Queue)
		return err != nil || info.Size == 0 && info.Archived == 0
	})
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

// callsOf lists when the calls of one operation for one job arrived.
func (w *world) callsOf(job, operation string) []time.Time {
	var at []time.Time
	for _, c := range w.sim.Calls(project, job) {
		if c.Operation == operation {
			at = append(at, c.At)
		}
	}
	return at
}

// firstAfter is the first of some times that is later than t; zero if none is.
func firstAfter(times []time.Time, t time.Time) time.Time {
	for _, at := range times {
		if at.After(t) {
			return at
		}
	}
	return time.Time{}
}

// A worker crashes in its stop call, which has worked. Another finds out by a look,
// within seconds, and makes no second call.
func TestACrashInACallThatWorked(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Minute})
		w.ask("b", "10")
		crash := &pause{}
		dead := w.start(pausable(crash, nil, pauseInCall(crash, jobs.OperationStop)))
		defer func() { crash.end(); dead.stop() }()
		w.await(time.Minute, "the crash", crash.paused)
		crashed := time.Now()
		r := w.start(nil)
		defer r.stop()
		s := w.awaitEnd(3*time.Minute, "b")["10"]
		wantOutcome(t, s, ledger.Stopped, said(v1.StatusKilled))
		if look := firstAfter(w.callsOf("10", jobs.OperationDetail), crashed); look.Sub(crashed) > 10*time.Second {
			t.Errorf("looked %v after the crash, want at most 10 s", look.Sub(crashed))
		}
		if n := w.calls("10", jobs.OperationStop); n != 1 {
			t.Errorf("%d stop calls, want 1", n)
		}
		if n := gathered(t, r, "vizstop_recoveries_total", "dead"); n != 1 {
			t.Errorf("%v recoveries, want 1", n)
		}
		crash.end() // even if the dead rises, and to read its metrics
		time.Sleep(time.Minute)
		wantCountedOnce(t, ledger.Stopped, r, dead)
		w.wantEmptyQueue()
	})
}

// A worker crashes in its stop call, which has not worked. The job gets the call again
// 10 s after the claim of the lost one, and not before.
func TestACrashInACallThatGotLost(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 5 * time.Second})
		w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Times: 1, Reply: modelartstest.ReplyEmpty(202)})
		w.ask("b", "10")
		crash := &pause{}
		dead := w.start(pausable(crash, nil, pauseInCall(crash, jobs.OperationStop)))
		defer func() { crash.end(); dead.stop() }()
		w.await(time.Minute, "the crash", crash.paused)
		crashed := time.Now()
		r := w.start(nil)
		defer r.stop()
		wantOutcome(t, w.awaitEnd(3*time.Minute, "b")["10"], ledger.Stopped, said(v1.StatusKilled))
		calls := w.callsOf("10", jobs.OperationStop)
		if len(calls) != 2 {
			t.Fatalf("stop calls at %v, want 2", calls)
		}
		if wait := calls[1].Sub(calls[0]); wait < 9*time.Second || wait > 12*time.Second {
			t.Errorf("the call was repeated after %v, want after 10 s", wait)
		}
		if look := firstAfter(w.callsOf("10", jobs.OperationDetail), crashed); look.Sub(crashed) > 10*time.Second {
			t.Errorf("looked %v after the crash, want at most 10 s", look.Sub(crashed))
		}
		looks := 0 // between the calls
		for _, at := range w.callsOf("10", jobs.OperationDetail) {
			if at.Before(calls[1]) {
				looks++
			}
		}
		if looks -= guards(1); looks != 2 {
			t.Errorf("%d looks before the call was repeated, want one after the crash and one just before the call", looks)
		}
		crash.end()
		time.Sleep(time.Minute)
		wantCountedOnce(t, ledger.Stopped, r, dead)
		w.wantEmptyQueue()
	})
}

// A worker crashes in its stop call, which takes effect late. Somebody takes the stop back
// meanwhile, before or after another call that failed: nobody is told that it was canceled while
// the first call may be under way.
func TestACancelWaitsForALostCall(t *testing.T) {
	for name, again := range map[string]bool{"before another call": false, "after another call has failed": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 5 * time.Second})
				w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Times: 1, Delay: 25 * time.Second})
				w.ask("b", "10")
				crash := &pause{}
				dead := w.start(pausable(crash, nil, nil))
				defer func() { crash.end(); dead.stop() }()
				time.Sleep(2 * time.Second) // the call is under way: the API tells of it when it has worked
				crash.begin()
				sick := w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Reply: modelartstest.ReplyHTML(500)})
				r := w.start(nil)
				defer r.stop()
				if again {
					w.await(15*time.Second, "another call", func() bool { return sick.Hits() > 0 })
				}
				if answers := w.withdrawAll("b"); answers[ledger.TooLate] != 1 {
					t.Fatalf("canceling said %v, want too late", answers)
				}
				wantOutcome(t, w.awaitEnd(3*time.Minute, "b")["10"], ledger.Stopped, said(v1.StatusKilled))
				if !again && sick.Hits() > 0 {
					t.Errorf("%d stop calls after the cancel", sick.Hits())
				}
				crash.end()
				time.Sleep(time.Minute)
				wantCountedOnce(t, ledger.Stopped, r, dead)
				w.wantEmptyQueue()
			})
		})
	}
}

// Of three workers whose only slots are taken for long, one crashes. The tasks that waited with
// it are released again as soon as it is known to be dead, and those that wait with others are not.
func TestTasksThatWaitWithADeadWorker(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(24, func(int) time.Duration { return time.Second })
		slow := w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Delay: 25 * time.Second})
		crash := &pause{}
		crashing := pausable(crash, nil, nil)
		one := func(cfg *worker.Config) { rarely(cfg); cfg.Concurrency = 1 }
		dead := w.start(func(cfg *worker.Config) { crashing(cfg); cfg.Concurrency = 1 })
		defer func() { crash.end(); dead.stop() }()
		w.ask("a", ids[:4]...)
		var has int // a call is made for one of them, the others wait
		w.await(time.Minute, "tasks that wait with it", func() bool {
			info, err := w.inspector().GetQueueInfo(tasks.Queue)
			if err == nil && info.Pending == 0 {
				has = info.Active
			}
			return has > 1
		})
		alive := []*running{w.start(one), w.start(one)}
		defer alive[0].stop()
		defer alive[1].stop()
		w.ask("b", ids[4:]...)
		time.Sleep(7 * time.Second) // they know of each other
		found := func(what string) (n int) {
			for _, r := range alive {
				n += int(gathered(t, r, "vizstop_recoveries_total", what))
			}
			return n
		}
		crash.begin()
		w.await(8*time.Second, "the tasks that waited", func() bool { return found("missing") >= has-1 && found("dead") == 1 })
		time.Sleep(10 * time.Second) // those with others wait on
		slow.Clear()
		for _, batch := range []string{"a", "b"} {
			for _, s := range w.awaitEnd(10*time.Minute, batch) {
				wantOutcome(t, s, ledger.Stopped, said(v1.StatusKilled))
			}
		}
		for _, r := range alive {
			if n := gathered(t, r, "vizstop_duplicates_total"); n > 0 {
				t.Errorf("%v tasks that a living worker had were released again", n)
			}
		}
	})
}

// A worker crashes with looks or a list check in hand. Limits are with the 20 s that
// a job takes.
func TestACrashWhileItLooks(t *testing.T) {
	for _, operation := range []string{jobs.OperationDetail, jobs.OperationList} {
		t.Run(operation, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				ids := w.addJobs(20, func(int) time.Duration { return 20 * time.Second })
				if operation == jobs.OperationDetail { // too few for a list check
					ids = ids[:2]
				}
				w.ask("b", ids...)
				crash := &pause{}
				dead := w.start(pausable(crash, nil, pauseInCall(crash, operation)))
				defer func() { crash.end(); dead.stop() }()
				w.await(time.Minute, "the crash", crash.paused)
				crashed := time.Now()
				r := w.start(nil)
				defer r.stop()
				for _, s := range w.awaitEnd(5*time.Minute, "b") {
					wantOutcome(t, s, ledger.Stopped, "")
					if took := s.Ended.Sub(crashed); took > 40*time.Second {
						t.Errorf("job %s ended %v after the crash", s.JobID, took)
					}
					if n := w.calls(s.JobID, jobs.OperationStop); n != 1 {
						t.Errorf("job %s: %d stop calls, want 1", s.JobID, n)
					}
				}
			})
		})
	}
}

// A worker is frozen in the middle of its stop call, another takes over, and the
// first wakes up and goes on with the API's answer in hand.
func TestFrozenInTheCall(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 2 * time.Minute})
		id := w.ask("b", "10")[0].StopID
		frozen := &pause{}
		first := w.start(pausable(frozen, nil, pauseInCall(frozen, jobs.OperationStop)))
		defer func() { frozen.end(); first.stop() }()
		w.await(time.Minute, "the freeze", frozen.paused)
		second := w.start(rarely)
		defer second.stop()
		w.await(time.Minute, "another worker", func() bool { return w.calls("10", jobs.OperationDetail) > 1+guards(1) })
		before, err := w.ledger.Get(context.Background(), project, id)
		if err != nil {
			t.Fatal(err)
		}
		frozen.end()
		time.Sleep(time.Second)
		if s, err := w.ledger.Get(context.Background(), project, id); err != nil || s.Hop < before.Hop || !s.Accepted.Equal(before.Accepted) {
			t.Errorf("the worker that woke up took the stop from %+v to %+v, %v", before, s, err)
		}
		s := w.awaitEnd(15*time.Minute, "b")["10"]
		time.Sleep(2 * time.Minute) // for a second chain of looks to show itself
		wantOutcome(t, s, ledger.Stopped, said(v1.StatusKilled))
		if n := w.calls("10", jobs.OperationStop); n != 1 {
			t.Errorf("%d stop calls, want 1", n)
		}
		if n := w.calls("10", jobs.OperationDetail); n != s.Polls+guards(1) {
			t.Errorf("%d detail calls, the stop's chain made %d: there is a second chain", n, s.Polls+guards(1))
		}
		wantCountedOnce(t, ledger.Stopped, first, second)
		if gathered(t, first, "vizstop_duplicates_total") == 0 {
			t.Error("the worker that woke up was not told that it was overtaken")
		}
		w.wantEmptyQueue()
	})
}

// A worker is frozen between its claim and its stop call. When it wakes up, the job
// has been stopped by another and started again by its owner: the call must not go
// out any more.
func TestFrozenBeforeTheCall(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 10 * time.Second})
		w.ask("b", "10")
		frozen := &pause{}
		afterTheClaim := func(cmd redis.Cmder, after bool) {
			if after && isClaim(cmd) && w.calls("10", jobs.OperationStop) == 0 {
				frozen.begin()
			}
		}
		first := w.start(pausable(frozen, afterTheClaim, nil))
		defer func() { frozen.end(); first.stop() }()
		w.await(time.Minute, "the freeze", frozen.paused)
		second := w.start(rarely)
		defer second.stop()
		wantOutcome(t, w.awaitEnd(4*time.Minute, "b")["10"], ledger.Stopped, "")
		w.sim.SetStatus(project, "10", v1.StatusRunning)
		frozen.end()
		time.Sleep(2 * time.Minute)
		if n := w.calls("10", jobs.OperationStop); n != 1 {
			t.Errorf("%d stop calls: the job was stopped again after its owner had restarted it", n)
		}
		if job, _ := w.sim.Job(project, "10"); job.Status != v1.StatusRunning {
			t.Errorf("the restarted job is %v", job.Status)
		}
		wantCountedOnce(t, ledger.Stopped, first, second)
		w.wantEmptyQueue()
	})
}

func (w *world) enqueueForeign(id, job string, opts ...asynq.Option) {
	w.t.Helper()
	body := []byte(`{"project_id":"` + project + `","job_id":"` + job + `"}`)
	opts = append(opts, asynq.Queue(tasks.Queue), asynq.TaskID(id))
	if _, err := w.queue.Enqueue(asynq.NewTask(tasks.TypeStop, body), opts...); err != nil {
		w.t.Fatal(err)
	}
}

// archived reports whether asynq has a task in its archive.
func (w *world) archived(id string) bool {
	info, err := w.inspector().GetTaskInfo(tasks.Queue, id)
	return err == nil && info.State == asynq.TaskStateArchived
}

// Another producer allows no retry, and the worker crashes before it has adopted
// the task. asynq archives the task; nothing but the archive knows of it. What a
// person has archived is left there.
func TestAForeignTaskThatACrashUsesUp(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		for _, job := range []string{"10", "11"} {
			w.sim.AddJob(project, modelartstest.Job{ID: job, StopTime: 10 * time.Second})
		}
		w.enqueueForeign("theirs", "10", asynq.MaxRetry(0))
		w.enqueueForeign("put away", "11", asynq.ProcessIn(time.Hour))
		if err := w.inspector().ArchiveTask(tasks.Queue, "put away"); err != nil { // by a person
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
		crash.end() // even if the dead rises, and to read its metrics
		time.Sleep(time.Minute)
		if n := w.calls("10", jobs.OperationStop); n != 1 {
			t.Errorf("%d stop calls, want 1", n)
		}
		wantCountedOnce(t, ledger.Stopped, r, dead)
		if w.archived("theirs") {
			t.Error("the adopted task is still in the archive")
		}
		if n := w.calls("11", jobs.OperationStop); n != 0 || !w.archived("put away") {
			t.Errorf("%d stop calls for a task that a person has archived", n)
		}
	})
}

// A task whose id is in the archive can't be enqueued again; asynq says only that
// the id is taken. The step goes on under another id.
func TestATaskIDTakenByTheArchive(t *testing.T) {
	for _, task := range []string{"stop:%s:1", "poll:%s:2"} {
		t.Run(task, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 30 * time.Second})
				id := fmt.Sprintf(task, ledger.StopID("b", project, "10"))
				w.enqueueForeign(id, "10")
				if err := w.inspector().ArchiveTask(tasks.Queue, id); err != nil {
					t.Fatal(err)
				}
				w.ask("b", "10")
				r := w.start(rarely)
				defer r.stop()
				wantOutcome(t, w.awaitEnd(2*time.Minute, "b")["10"], ledger.Stopped, "")
				if n := w.calls("10", jobs.OperationStop); n != 1 {
					t.Errorf("%d stop calls, want 1", n)
				}
				if n := gathered(t, r, "vizstop_recoveries_total", "missing"); n != 1 {
					t.Errorf("%v recoveries, want 1", n)
				}
				wantCountedOnce(t, ledger.Stopped, r)
			})
		})
	}
}

// Redis takes no data for some seconds while steps are at work.
func TestABlipOfRedisCostsSeconds(t *testing.T) {
	for _, operation := range []string{jobs.OperationStop, jobs.OperationDetail, jobs.OperationList} {
		t.Run(operation, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				ids := w.addJobs(20, func(int) time.Duration { return 20 * time.Second })
				if operation == jobs.OperationDetail {
					ids = ids[:2]
				}
				w.ask("b", ids...)
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
					if took := s.Ended.Sub(blip); took > 40*time.Second {
						t.Errorf("job %s ended %v after the blip, want 20 s for the job, 8 s for the blip and a few", s.JobID, took)
					}
					if n := w.calls(s.JobID, jobs.OperationStop); n != 1 {
						t.Errorf("job %s: %d stop calls, want 1", s.JobID, n)
					}
				}
				w.wantEmptyQueue()
			})
		})
	}
}
