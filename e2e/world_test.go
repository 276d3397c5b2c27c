package e2e

import (
	"cmp"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
	"vizstop/internal/tasks"
)

// The project of the tests' jobs, and a made-up key that opens it.
const (
	project   = "0123456789abcdef0123456789abcdef"
	accessKey = "E2EACCESSKEY"
	secretKey = "e2e-secret-key"
)

// world is what the programs of one test work with.
type world struct {
	t     *testing.T
	redis *redistest.Server
	rdb   *redis.Client
	books *ledger.Ledger
	sim   *modelartstest.Server
	generation
}

// newWorld has an API of the generation that cfg.Only says or, without one, of that
// which tests usually have.
func newWorld(t *testing.T, cfg modelartstest.Config, redisArgs ...string) *world {
	t.Helper()
	g := generation(cmp.Or(cfg.Only, either(modelartstest.V1)))
	cfg.Only = modelartstest.Generation(g)
	cfg.Auth.AccessKeys = map[string]string{accessKey: secretKey}
	sim, err := modelartstest.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	w := &world{t: t, redis: redistest.Start(t, redisArgs...), sim: sim, generation: g}
	w.rdb = w.redis.Client(t)
	w.books = ledger.New(w.rdb, time.Now)
	return w
}

// env is the environment of the programs.
func (w *world) env() []string { return w.envWith(w.redis.URL) }

// envWith is the same with another way to Redis.
func (w *world) envWith(redisURL string) []string {
	return []string{"VIZSTOP_REDIS=" + redisURL, "MODELARTS_ENDPOINT=" + w.sim.URL, "HW_PROJECT_ID=" + project,
		"HW_ACCESS_KEY=" + accessKey, "HW_SECRET_KEY=" + secretKey, w.variable()}
}

// addJobs adds n running jobs, numbered from 1000 on, that take that long to stop, and returns their ids.
func (w *world) addJobs(n int, stopTime time.Duration) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = w.id(1000 + i)
		w.sim.AddJob(project, modelartstest.Job{ID: ids[i], StopTime: stopTime})
	}
	return ids
}

// ask asks for jobs in one batch, without waiting for their end.
func (w *world) ask(jobs ...string) (batch string) {
	w.t.Helper()
	p := launch(w.t, w.env(), "", "enqueue", append([]string{"--json"}, jobs...)...)
	p.wantExit(0)
	var answer struct{ Batch string }
	if err := json.Unmarshal([]byte(p.stdout.String()), &answer); err != nil {
		w.t.Fatal(err)
	}
	return answer.Batch
}

// batch reads the counts of a batch.
func (w *world) batch(id string) *ledger.Batch {
	w.t.Helper()
	b, err := w.books.Batch(context.Background(), project, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// awaitEnd waits until every stop of the batch has an outcome and returns them
// by job.
func (w *world) awaitEnd(batch string) map[string]*ledger.Stop {
	w.t.Helper()
	await(w.t, "the end of the batch", func() bool { return w.batch(batch).InFlight() == 0 })
	stops, _, err := w.books.BatchStops(context.Background(), project, batch, 0, 10000)
	if err != nil {
		w.t.Fatal(err)
	}
	byJob := map[string]*ledger.Stop{}
	for _, s := range stops {
		byJob[s.JobID] = s
	}
	return byJob
}

// calls counts the calls of one operation for one job.
func (w *world) calls(operation, job string) int {
	n := 0
	for _, c := range w.sim.Calls(project, job) {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

// guards is how many looks at a job came before a stop call, to see what kind of job
// it is. They are no looks of its stop. Each worker looks once.
func (w *world) guards(job string, workers int) int {
	if w.generation == v1 {
		return 0
	}
	return min(workers, w.calls(jobs.OperationStop, job))
}

// awaitEmptyQueue waits until the queue holds no task of any kind.
func (w *world) awaitEmptyQueue() {
	w.t.Helper()
	await(w.t, "an empty queue", func() bool {
		left, err := w.rdb.Keys(context.Background(), "asynq:{"+tasks.Queue+"}:t:*").Result()
		if err != nil {
			w.t.Fatal(err)
		}
		return len(left) == 0
	})
}

// metric is the value of one series of a worker.
func (w *workerProcess) metric(series string) float64 {
	w.t.Helper()
	_, body := w.get("/metrics")
	return metricOf(w.t, body, series)
}

func metricOf(t *testing.T, page, series string) float64 {
	t.Helper()
	for line := range strings.Lines(page) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatalf("series %s: %v", series, err)
			}
			return v
		}
	}
	t.Fatalf("no series %s in:\n%s", series, page)
	return 0
}

// outcomes are what workers have counted, all together.
func outcomes(t *testing.T, workers ...*workerProcess) map[ledger.State]int {
	t.Helper()
	sum := map[ledger.State]int{}
	for _, w := range workers {
		_, page := w.get("/metrics")
		for _, o := range ledger.Outcomes() {
			sum[o] += int(metricOf(t, page, `vizstop_stop_outcomes_total{outcome="`+string(o)+`"}`))
		}
	}
	return sum
}

// wantOutcomes compares what workers have counted with want; outcomes that it
// doesn't name must not have been counted.
func wantOutcomes(t *testing.T, want map[ledger.State]int, workers ...*workerProcess) {
	t.Helper()
	all := func(of map[ledger.State]int) (n int) {
		for _, k := range of {
			n += k
		}
		return n
	}
	got := outcomes(t, workers...)
	for began := time.Now(); all(got) < all(want) && time.Since(began) < time.Minute; time.Sleep(10 * time.Millisecond) {
		got = outcomes(t, workers...) // a moment after the ledger has them
	}
	for _, o := range ledger.Outcomes() {
		if got[o] != want[o] {
			t.Errorf("%d counted as %s, want %d", got[o], o, want[o])
		}
	}
}
