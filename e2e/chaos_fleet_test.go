package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/redisconn"
	"vizstop/internal/redistest"
	"vizstop/internal/tasks"
)

// load is what a fleet has to do, and with what.
type load struct {
	redisURL    string
	jobs        int
	stopTime    time.Duration // that each job takes to stop
	latency     time.Duration // of each API call
	count       int           // of workers
	concurrency int           // of each worker
	args        []string      // more of them
	forgetful   bool          // Redis may lose what it has answered for
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
	hurried time.Time
	orphans int // tasks whose lease was hurried
}

// chaosBatch is the only batch of a fleet.
const chaosBatch = "chaos"

func newFleet(t *testing.T, l load) *fleet {
	t.Helper()
	options, err := redisconn.Parse(redistest.ForAdmin(l.redisURL))
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{load: l, t: t, rdb: options.Client()}
	t.Cleanup(func() { _ = f.rdb.Close() })
	f.books = ledger.New(f.rdb, ledger.Config{})
	f.sim = startSimulator(t, "--jobs", strconv.Itoa(l.jobs), "--stop-time", l.stopTime.String(), "--stop-spread", "0",
		"--latency", l.latency.String())
	for range l.count {
		f.workers = append(f.workers, f.startWorker())
	}
	return f
}

func (f *fleet) env() []string {
	return []string{"VIZSTOP_REDIS=" + f.redisURL, "MODELARTS_ENDPOINT=" + f.sim.api, "HW_PROJECT_ID=" + project,
		"HW_ACCESS_KEY=" + accessKey, "HW_SECRET_KEY=" + secretKey}
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
		fmt.Fprintln(&list, 1000+i)
	}
	return launch(f.t, f.env(), list.String(), "enqueue", "--from", "-", "--yes", "--max", strconv.Itoa(f.jobs), "--batch", chaosBatch, "--json")
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
		if !*chaosFull {
			f.hurry()
		}
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

// hurry gives away what a dead worker held, or a living one could not hand
// back, without the minute or two that asynq takes for it: it makes old leases
// older and starts one more worker, since asynq looks for them when a worker
// starts. A lease of 30 s is renewed every 5 s as long as its task is at work.
func (f *fleet) hurry() {
	f.t.Helper()
	if time.Since(f.hurried) < time.Second {
		return
	}
	f.hurried = time.Now()
	ctx := context.Background()
	found := 0
	for queue := range tasks.Queues() {
		key := "asynq:{" + queue + "}:lease"
		old := strconv.FormatInt(time.Now().Add(22*time.Second).Unix(), 10) // not renewed for 8 s
		held, _ := f.rdb.ZRangeByScore(ctx, key, &redis.ZRangeBy{Min: "0", Max: old}).Result()
		for _, id := range held {
			f.rdb.ZAddXX(ctx, key, redis.Z{Score: float64(time.Now().Add(-time.Minute).Unix()), Member: id})
			found++
		}
	}
	f.orphans += found
	if found > 0 {
		f.workers = append(f.workers, f.startWorker())
	}
}

// awaitNoTasks waits until the queues hold no task of any kind.
func (f *fleet) awaitNoTasks() {
	f.t.Helper()
	awaitWithin(f.t, endLimit, "empty queues", func() bool {
		if !*chaosFull {
			f.hurry()
		}
		for queue := range tasks.Queues() {
			for _, list := range []string{"pending", "active"} {
				if n, err := f.rdb.LLen(context.Background(), "asynq:{"+queue+"}:"+list).Result(); n > 0 || err != nil {
					return false
				}
			}
			for _, set := range []string{"scheduled", "retry", "archived", "lease"} {
				if n, err := f.rdb.ZCard(context.Background(), "asynq:{"+queue+"}:"+set).Result(); n > 0 || err != nil {
					return false
				}
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
