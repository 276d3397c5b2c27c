package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/modelartstest"
)

// A producer in a loop puts in far more foreign tasks than the window limit allows, and
// the first worker is killed in the middle. The API gets as many stop calls as the limit
// allows, and what a person confirms meanwhile is stopped. RUNAWAY=10000 plays it with
// that many tasks and the default limit.
func TestAProducerInALoop(t *testing.T) {
	t.Parallel()
	tasks, limit := 400, 50
	if n, err := strconv.Atoi(os.Getenv("RUNAWAY")); err == nil {
		tasks, limit = n, 1000
	}
	w := newWorld(t, modelartstest.Config{})
	ids := w.addJobs(tasks+1, time.Second)
	queue := asynq.NewClient(asynq.RedisClientOpt{Addr: w.redis.Addr})
	defer queue.Close()
	first := startWorker(t, w.env(), "--window-limit", strconv.Itoa(limit))
	began := time.Now()
	for i, id := range ids[:tasks] {
		payload := fmt.Sprintf(`{"project_id":%q,"job_id":%q}`, project, id)
		if _, err := queue.Enqueue(asynq.NewTask("visualization:stop", []byte(payload)), asynq.Queue("visualization"), asynq.TaskID("loop-"+id)); err != nil {
			t.Fatal(err)
		}
		if i == tasks/2 {
			await(t, "the first calls", func() bool { return w.sim.Counts()[jobs.OperationStop] > limit/10 })
			first.kill()
		}
	}
	second := startWorker(t, w.env(), "--window-limit", strconv.Itoa(limit))
	batch := "queue-" + began.UTC().Format("20060102")
	await(t, "the adoption of all", func() bool {
		b, err := w.books.Batch(t.Context(), project, batch)
		return err == nil && b.Total >= tasks
	})
	meant := ids[tasks]
	launch(t, w.env(), "", "enqueue", meant, "--yes", "--max", "1", "--wait", "--quiet").wantExit(0)
	await(t, "readiness that tells of the limit", func() bool {
		_, page := second.get("/readyz")
		return strings.Contains(page, "by --window-limit")
	})
	if n := w.calls(jobs.OperationStop, meant); n != 1 {
		t.Errorf("%d stop calls for the job that a person confirmed, want 1", n)
	}
	calls := w.sim.Counts()[jobs.OperationStop] - 1
	if calls > limit {
		t.Errorf("%d stop calls reached the API, want %d at most", calls, limit)
	}
	t.Logf("%d foreign tasks, %d stop calls after %v", tasks, calls, time.Since(began).Round(time.Second))
}
