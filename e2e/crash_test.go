package e2e

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/tasks"
)

// A worker is killed at each step between the effect of its stop call and the
// acknowledgement of the task. The next worker confirms the job within seconds,
// with one poll chain and without another stop call. What asynq still held of the
// dead worker comes later, and does nothing.
func TestKilledBetweenAcceptanceAndAcknowledgement(t *testing.T) {
	t.Parallel()
	own, queue := "vizstop:{"+project+"}:", "asynq:{"+tasks.Queue+"}:"
	for name, c := range map[string]struct {
		at       func(keys []string) bool // tells the script before which the worker dies
		recorded bool                     // whether the ledger knows of the acceptance by then
	}{
		"before the answer": {nil, false},
		"before the ledger knows": {func(keys []string) bool { // move.lua
			return len(keys) > 9 && keys[0] == own+"waiting:small" && keys[8] == own+"control"
		}, false},
		"before the poll is enqueued": {func(keys []string) bool { // asynq's enqueue
			return strings.HasPrefix(keys[0], queue+"t:poll:")
		}, true},
		"before the acknowledgement": {func(keys []string) bool { // asynq's done
			return len(keys) > 3 && keys[0] == queue+"active" && strings.HasPrefix(keys[3], queue+"processed:")
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, modelartstest.Config{Only: either(modelartstest.V2)})
			w.addJobs(1, 3*time.Second)
			w.killFirstWorker(c.at)
			if calls := w.calls(jobs.OperationStop, w.id(1000)); calls != 1 {
				t.Fatalf("the first worker made %d stop calls", calls)
			}
			w.recoverAndCheck(c.recorded)
		})
	}
}

// killFirstWorker lets a worker make the stop call of a new stop of job 1000,
// and kills it right before the script that at tells or, without at, before it
// gets the answer.
func (w *world) killFirstWorker(at func(keys []string) bool) {
	w.t.Helper()
	started, dead := make(chan *workerProcess, 1), make(chan struct{})
	kill := sync.OnceFunc(func() {
		(<-started).kill()
		close(dead)
	})
	if at == nil {
		w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Times: 1,
			Hook: func(modelartstest.Call) { kill() }})
	}
	p := newProxy(w.t, w.redis, func(command []string) {
		if keys, ok := script(command); ok && at != nil && at(keys) {
			kill()
		}
	})
	started <- startWorker(w.t, w.envWith(p.url))
	w.ask(w.id(1000))
	select {
	case <-dead:
	case <-time.After(patience):
		w.t.Fatal("the first worker was not killed")
	}
}

// recoverAndCheck starts another worker and looks at what it makes of the stop.
func (w *world) recoverAndCheck(recorded bool) {
	t := w.t
	t.Helper()
	s := w.onlyStop()
	if (s.State == ledger.Stopping) != recorded {
		t.Fatalf("after the first worker the stop is %s", s.State)
	}
	second := startWorker(t, w.env())
	await(t, "the outcome", func() bool { s = w.onlyStop(); return s.State.Ended() })
	if s.State != ledger.Stopped {
		t.Errorf("ended as %s: %s", s.State, s.Reason)
	}
	w.ageLeases()
	third := startWorker(t, w.env())
	w.awaitEmptyQueue()
	stops, polls := w.calls(jobs.OperationStop, w.id(1000)), w.calls(jobs.OperationDetail, w.id(1000))
	if stops != 1 {
		t.Errorf("%d stop calls", stops)
	}
	// A second chain would make more detail calls than are noted.
	if polls -= w.guards(w.id(1000), 1); polls == 0 || polls != s.Polls {
		t.Errorf("%d detail calls, %d noted", polls, s.Polls)
	}
	wantOutcomes(t, map[ledger.State]int{ledger.Stopped: 1}, second, third)
}

// onlyStop reads the only stop there is.
func (w *world) onlyStop() *ledger.Stop {
	w.t.Helper()
	ctx := context.Background()
	batches, err := w.rdb.ZRange(ctx, "vizstop:batches", 0, -1).Result()
	if err != nil || len(batches) != 1 {
		w.t.Fatalf("batches %q, %v; want one", batches, err)
	}
	stops, _, err := w.books.BatchStops(ctx, project, batches[0], 0, 2)
	if err != nil || len(stops) != 1 {
		w.t.Fatalf("%d stops, %v; want one", len(stops), err)
	}
	return stops[0]
}

// ageLeases makes the leases of a dead worker's tasks as old as they would be
// by themselves a minute later. asynq gives a task to another worker 30 s
// after its lease of 30 s has run out, and looks when a worker starts. Stops do not
// wait for that; an empty queue does.
func (w *world) ageLeases() {
	w.t.Helper()
	ctx := context.Background()
	key := "asynq:{" + tasks.Queue + "}:lease"
	held, err := w.rdb.ZRange(ctx, key, 0, -1).Result()
	for _, id := range held {
		if err == nil {
			err = w.rdb.ZAddXX(ctx, key, redis.Z{Score: float64(time.Now().Add(-time.Minute).Unix()), Member: id}).Err()
		}
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
