package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
)

// Tasks that any asynq client puts into the queue are carried out; malformed
// ones end as rejected with the reason, and block nothing.
func TestMalformedTasks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, modelartstest.Config{Only: either(modelartstest.V2)})
	p := startWorker(t, w.env(), "--concurrency", "1") // whatever blocks, blocks all
	w.addJobs(1, time.Second)
	queue := asynq.NewClient(asynq.RedisClientOpt{Addr: w.redis.Addr})
	defer queue.Close()
	for _, payload := range []string{
		`{"project_id":"` + project + `","job_id":"../x"}`,
		`{"project_id":"` + project + `"}`,
		`{"project_id":"a/b","job_id":"` + w.id(1000) + `"}`,
		`not json`,
		``,
		`{"project_id":"` + project + `","job_id":"` + w.id(1000) + `"}`,
	} {
		if _, err := queue.Enqueue(asynq.NewTask("visualization:stop", []byte(payload)), asynq.Queue("visualization")); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "an outcome of each", func() bool {
		n := 0
		for _, k := range outcomes(t, p) {
			n += k
		}
		return n == 6
	})
	wantOutcomes(t, map[ledger.State]int{ledger.Rejected: 5, ledger.Stopped: 1}, p)
	if calls := w.sim.Counts(); calls[jobs.OperationStop] != 1 {
		t.Errorf("calls %v, want one stop call", calls)
	}
	w.awaitEmptyQueue()
	reasons := w.rejections()
	for _, want := range []string{`job id "../x" is not valid`, `job id "" is not valid`} {
		if !slices.ContainsFunc(reasons, func(r string) bool { return strings.Contains(r, want) }) {
			t.Errorf("no stop was rejected because of %s, but of %q", want, reasons)
		}
	}
	for _, want := range []string{`project id \"a/b\" is not valid`, `payload: is not a JSON object`} { // they have no project
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("the log has no %s", want)
		}
	}
}

// A Redis that is set up as docs/operations.md advises takes no task that could use
// up a worker's memory, and everything else.
func TestHugeTasksAreKeptOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, modelartstest.Config{Only: either(modelartstest.V2)}, "--proto-max-bulk-len", "1mb")
	p := startWorker(t, w.env())
	queue := asynq.NewClient(asynq.RedisClientOpt{Addr: w.redis.Addr})
	defer queue.Close()
	put := func(size int) error {
		_, err := queue.Enqueue(asynq.NewTask("visualization:stop", make([]byte, size)), asynq.Queue("visualization"))
		return err
	}
	if err := put(2 << 20); err == nil {
		t.Error("Redis took a task of 2 MB")
	}
	if err := put(100 << 10); err != nil {
		t.Error(err)
	}
	labels := []string{"--reason", strings.Repeat("r", 200)}
	for i := range 8 {
		labels = append(labels, "--label", fmt.Sprintf("l%d=%s", i, strings.Repeat("x", 200)))
	}
	w.addJobs(1000, 10*time.Millisecond)
	launch(t, w.env(), "", "enqueue", append(labels, "--batch", "b", "--yes", "--max", "1000", "--all", "--wait")...).wantExit(0)
	await(t, "an outcome of each", func() bool { return outcomes(t, p)[ledger.Stopped] == 1000 })
	wantOutcomes(t, map[ledger.State]int{ledger.Rejected: 1, ledger.Stopped: 1000}, p)
}

// rejections are the reasons of the project's rejected stops that foreign tasks
// asked for. Each such batch can be seen by enqueue status.
func (w *world) rejections() (reasons []string) {
	w.t.Helper()
	batches, err := w.rdb.ZRange(context.Background(), "vizstop:batches", 0, -1).Result()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, b := range batches { // one a day
		stops, _, err := w.books.BatchStops(context.Background(), project, b, 0, 10)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, s := range stops {
			if s.State == ledger.Rejected {
				reasons = append(reasons, s.Reason)
			}
		}
		status := launch(w.t, w.env(), "", "enqueue", "status", b)
		status.wantExit(0)
		if !strings.Contains(status.stdout.String(), "rejected") {
			w.t.Errorf("enqueue status %s says:\n%s", b, &status.stdout)
		}
	}
	return reasons
}
