package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redisconn"
	"vizstop/internal/redistest"
	"vizstop/internal/tasks"
)

// load is what a fleet has to do, and with what.
type load struct {
	redisURL    string
	jobs        int
	spread      time.Duration            // over which the stops are due
	stopTime    time.Duration            // that each job takes to stop
	latency     time.Duration            // of each API call
	count       int                      // of workers
	concurrency int                      // of each worker
	args        []string                 // more of them
	forgetful   bool                     // Redis may lose what it has answered for
	api         modelartstest.Generation // of the small play, unless the environment forces one; "": v1
}

// fleet is workers and a simulator, each a process of its own, on some Redis.
type fleet struct {
	load
	t       *testing.T
	rdb     redis.UniversalClient
	books   *ledger.Ledger
	sim     *simulatorProcess
	workers []*workerProcess // at work
	all     []*workerProcess // the dead too
	asked   int
	moments []time.Time // when a fault was over
	away    []window    // when Redis was away
	generation
}

// chaosBatch is the only batch of a fleet.
const chaosBatch = "chaos"

func newFleet(t *testing.T, l load) *fleet {
	t.Helper()
	options, err := redisconn.Parse(redistest.ForAdmin(l.redisURL))
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{load: l, t: t, rdb: options.Client(), generation: generation(either(size(cmp.Or(l.api, modelartstest.V1), modelartstest.V1)))}
	t.Cleanup(func() { _ = f.rdb.Close() })
	f.books = ledger.New(f.rdb, time.Now)
	f.sim = startSimulator(t, "--jobs", strconv.Itoa(l.jobs), "--stop-time", l.stopTime.String(), "--stop-spread", "0",
		"--latency", l.latency.String(), "--api", string(f.generation))
	for range l.count {
		f.workers = append(f.workers, f.startWorker())
	}
	return f
}

func (f *fleet) env() []string {
	return []string{"VIZSTOP_REDIS=" + f.redisURL, "MODELARTS_ENDPOINT=" + f.sim.api, "HW_PROJECT_ID=" + project,
		"HW_ACCESS_KEY=" + accessKey, "HW_SECRET_KEY=" + secretKey, f.variable()}
}

func (f *fleet) startWorker() *workerProcess {
	f.t.Helper()
	w := startWorker(f.t, f.env(), append([]string{"--concurrency", strconv.Itoa(f.concurrency)}, f.args...)...)
	f.all = append(f.all, w)
	return w
}

// enqueue asks for jobs from to to, in the only batch.
func (f *fleet) enqueue(from, to int) *process {
	f.t.Helper()
	var list strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintln(&list, f.id(1000+i))
	}
	return launch(f.t, f.env(), list.String(), "enqueue", "--from", "-", "--yes", "--max", strconv.Itoa(f.jobs), "--batch", chaosBatch,
		"--spread", f.spread.String(), "--json")
}

// ask asks for all jobs.
func (f *fleet) ask() {
	f.t.Helper()
	f.enqueue(0, f.jobs).wantExit(0)
	f.asked = f.jobs
}

// awaitWork waits until a share of the calls has been made that a batch takes
// at least: a stop and a confirmation for each job.
func (f *fleet) awaitWork(share float64) {
	f.t.Helper()
	want := int(share * float64(2*f.jobs))
	await(f.t, fmt.Sprintf("%d calls", want), func() bool { return f.sim.calls() >= want })
}

// mark notes that a fault is over now.
func (f *fleet) mark() { f.moments = append(f.moments, time.Now()) }

// endLimit bounds a batch: no fault may delay a stop by nearly as long.
const endLimit = 15 * time.Minute

// awaitEnd waits until every stop has an outcome. Redis may be away. A stop that
// gets none is an error, and shall be in the table, so the test goes on.
func (f *fleet) awaitEnd() {
	f.t.Helper()
	began := time.Now()
	ended := func() bool {
		b, err := f.books.Batch(context.Background(), project, chaosBatch)
		if time.Since(began) > endLimit {
			f.t.Errorf("after %v the batch has not ended: %+v, %v", endLimit, b, err)
			return true
		}
		return err == nil && b.Total == f.asked && b.InFlight() == 0
	}
	awaitWithin(f.t, endLimit+patience, "the end of the batch", ended)
	for _, w := range f.workers {
		select {
		case <-w.done:
			f.t.Errorf("a worker has ended by itself: %v", w.cmd.ProcessState)
		default:
		}
	}
}

// awaitNoTasks waits until the queue holds no task of any kind. What a dead worker
// held lies there for a minute or two, until asynq itself gives it to somebody:
// only a full run waits for that.
func (f *fleet) awaitNoTasks() {
	f.t.Helper()
	lists, sets := []string{"pending"}, []string{"scheduled", "retry", "archived"}
	if *chaosFull {
		lists, sets = append(lists, "active"), append(sets, "lease")
	}
	awaitWithin(f.t, endLimit, "an empty queue", func() bool {
		ctx := context.Background()
		for _, list := range lists {
			if n, err := f.rdb.LLen(ctx, "asynq:{"+tasks.Queue+"}:"+list).Result(); n > 0 || err != nil {
				return false
			}
		}
		for _, set := range sets {
			if n, err := f.rdb.ZCard(ctx, "asynq:{"+tasks.Queue+"}:"+set).Result(); n > 0 || err != nil {
				return false
			}
		}
		return true
	})
}

// query runs enqueue with --json and reads what it says.
func (f *fleet) query(into any, args ...string) {
	f.t.Helper()
	p := launch(f.t, f.env(), "", "enqueue", append(args, "--json")...)
	p.wantExit(0)
	if err := json.Unmarshal([]byte(p.stdout.String()), into); err != nil {
		f.t.Fatal(err)
	}
}
