package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
	"vizstop/internal/tasks"
)

// A worker that gets SIGTERM under load finishes what is at work, exits with 0
// and leaves the rest to others. Nothing is lost or done twice.
func TestSIGTERMUnderLoad(t *testing.T) {
	t.Parallel()
	const n = 300
	w := newWorld(t, modelartstest.Config{
		Latency: func(string) time.Duration { return 200 * time.Millisecond }, // all calls: 15 s
	})
	ids := w.addJobs(n, 500*time.Millisecond)
	first := startWorker(t, w.env(), "--concurrency", "4")
	enqueue := launch(t, w.env(), strings.Join(ids, "\n"), "enqueue", "--from", "-", "--yes", "--wait")
	await(t, "some stop calls", func() bool { return w.sim.Counts()[jobs.OperationStop] > n/10 })
	first.signal(syscall.SIGTERM)
	first.wantExit(0)
	if !strings.Contains(first.stderr.String(), `"msg":"worker stopped"`) {
		t.Error("the first worker does not say that it has stopped")
	}
	called := w.sim.Counts()[jobs.OperationStop]
	if called >= n {
		t.Fatal("the first worker had made every stop call: nothing was left to hand back")
	}

	w.wantCarried()

	startWorker(t, w.env())
	enqueue.wantExit(0)
	for _, job := range ids {
		if k := w.calls(jobs.OperationStop, job); k != 1 {
			t.Errorf("job %s: %d stop calls, want 1", job, k)
		}
	}
	w.awaitEmptyQueue()
}

// wantCarried fails the test unless the queue would deliver a task for each step that was released and that nobody has
// claimed: the next worker has nothing to recover. No worker may run.
func (w *world) wantCarried() {
	w.t.Helper()
	ctx, queue := w.t.Context(), tasks.NewInspector(w.rdb)
	released := w.rdb.ZRange(ctx, ledger.Keys(project).Released(), 0, -1).Val()
	if len(released) == 0 {
		w.t.Fatal("no step is released")
	}
	for _, member := range released {
		step := ledger.ParseMember(member)
		s, err := w.books.Get(ctx, project, step.StopID)
		if err != nil {
			w.t.Fatal(err)
		}
		if s.Claimed == s.Hop {
			continue
		}
		switch state, _, err := queue.Find(ctx, tasks.Queue, tasks.TaskID(s.Kind, step)); {
		case err != nil:
			w.t.Fatal(err)
		case state == "", state == asynq.TaskStateActive.String(), state == asynq.TaskStateArchived.String():
			w.t.Errorf("job %s: the task of hop %d is in state %q, want one that is delivered", s.JobID, s.Hop, state)
		}
	}
}

// stuckWorker is a worker whose first stop call gets no answer until the test
// ends.
func (w *world) stuckWorker(args ...string) *workerProcess {
	w.t.Helper()
	stuck, release := make(chan struct{}), make(chan struct{})
	w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Times: 1, Hook: func(modelartstest.Call) {
		close(stuck)
		<-release
	}})
	w.t.Cleanup(func() { close(release) })
	p := startWorker(w.t, w.env(), args...)
	w.ask(w.addJobs(1, time.Second)...)
	select {
	case <-stuck:
	case <-time.After(patience):
		w.t.Fatal("the worker makes no stop call")
	}
	return p
}

// A call that does not end within --shutdown-timeout is given up, and its stop
// waits for its next step; the next worker does not have to wait for any lease.
func TestShutdownTimeout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, modelartstest.Config{Only: either(modelartstest.V2)})
	first := w.stuckWorker("--shutdown-timeout", "1s")
	first.signal(syscall.SIGTERM)
	first.wantExit(0)
	queue := "asynq:{" + tasks.Queue + "}:"
	s, leases := w.onlyStop(), w.rdb.ZCard(t.Context(), queue+"lease").Val()
	if s.Hop != 2 || s.State != ledger.Pending || !s.Unsure || leases != 0 {
		t.Errorf("the stop is %s at hop %d, unsure %t, and %d tasks have a lease; want it to wait at hop 2 and none", s.State, s.Hop, s.Unsure, leases)
	}

	second := startWorker(t, w.env())
	await(t, "the outcome", func() bool { s = w.onlyStop(); return s.State.Ended() })
	if s.State != ledger.Stopped || s.Polls == 0 {
		t.Errorf("ended as %s after %d polls: %s", s.State, s.Polls, s.Reason)
	}
	wantOutcomes(t, map[ledger.State]int{ledger.Stopped: 1}, second)
	w.awaitEmptyQueue()
}

// SIGHUP has a worker that is at no terminal read its files again, and go on. With nohup it hears of none.
func TestSIGHUP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, modelartstest.Config{})
	var p *workerProcess
	notIgnoring(syscall.SIGHUP, func() { p = startWorker(t, w.env()) })
	p.signal(syscall.SIGHUP)
	await(t, "a word of it", func() bool { return strings.Contains(p.stderr.String(), "asked to read secrets and accounts again") })
	w.awaitEnd(w.ask(w.addJobs(1, time.Second)...))
	p.signal(syscall.SIGTERM)
	p.wantExit(0)

	args := append([]string{"nohup", filepath.Join(bin, "worker")}, quick(nil)...)
	stays := &workerProcess{process: start(t, exec.Command("env", args...), w.envWith(redistest.For("worker", w.redis.URL)), "")}
	stays.awaitStart(&stays.stderr)
	stays.signal(syscall.SIGHUP)
	batch := w.ask(w.addJobs(1, time.Second)...)
	w.awaitEnd(batch)
	stays.signal(syscall.SIGTERM)
	stays.wantExit(0)
}

// A log that nobody reads any more, because the program behind the pipe has ended, does not end the worker.
func TestBrokenLogPipe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, modelartstest.Config{})
	log := filepath.Join(t.TempDir(), "log")
	const script = `mkfifo "$0" && { sed -n '/worker started/{p;q;}' <"$0" & } && exec "$@" 2>"$0"`
	args := append([]string{"-c", script, log, filepath.Join(bin, "worker")}, quick([]string{"--log-level", "debug"})...)
	p := &workerProcess{process: start(t, exec.Command("sh", args...), append(w.envWith(redistest.For("worker", w.redis.URL)), "PATH="+os.Getenv("PATH")), "")}
	p.awaitStart(&p.stdout)
	w.awaitEnd(w.ask(w.addJobs(20, time.Second)...)) // each is a line of log
	p.signal(syscall.SIGTERM)
	p.wantExit(0)
}

// A second signal ends the worker at once, whatever it waits for.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, modelartstest.Config{})
			var p *workerProcess
			notIgnoring(sig, func() { p = w.stuckWorker("--shutdown-timeout", "1h") })
			p.signal(sig)
			await(t, "the worker to say that it ends", func() bool {
				status, _ := p.get("/readyz")
				return status == 503
			})
			// A signal that comes together with the first is still taken for it.
			await(t, "the end", func() bool { return p.cmd.Process.Signal(sig) == os.ErrProcessDone })
			if s := p.wait(); !s.Signaled() || s.Signal() != sig {
				t.Errorf("ended with %v, want %v", p.cmd.ProcessState, sig)
			}
		})
	}
}
