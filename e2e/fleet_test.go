package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
)

// Two workers share the stop calls of a batch. Each job gets one, and each
// outcome is counted once over both; one worker may see them all, as it may make
// all list checks.
func TestTwoWorkersShareABatch(t *testing.T) {
	t.Parallel()
	const n = 800
	w := newWorld(t, modelartstest.Config{Only: either(modelartstest.V2),
		Latency: func(string) time.Duration { return 100 * time.Millisecond }})
	ids := w.addJobs(n, time.Second)
	one := startWorker(t, w.env(), "--concurrency", "8") // alone: 20 s
	two := startWorker(t, w.env(), "--concurrency", "8")
	enqueue := launch(t, w.env(), strings.Join(ids, "\n"), "enqueue", "--from", "-", "--yes", "--max", "2000", "--wait", "--json")
	enqueue.wantExit(0)

	var answer struct{ Batch string }
	if err := json.Unmarshal([]byte(enqueue.stdout.String()), &answer); err != nil {
		t.Fatal(err)
	}
	if b := w.batch(answer.Batch); b.Total != n || b.Counts[ledger.Stopped] != n {
		t.Errorf("the batch has %d stops: %v, want %d stopped", b.Total, b.Counts, n)
	}
	wantOutcomes(t, map[ledger.State]int{ledger.Stopped: n}, one, two)
	for _, each := range []*workerProcess{one, two} {
		if each.metric(`vizstop_modelarts_requests_total{account="default",operation="stop",result="ok"}`) == 0 {
			t.Error("one worker made all stop calls")
		}
	}
	for _, job := range ids {
		if k := w.calls(jobs.OperationStop, job); k != 1 {
			t.Errorf("job %s: %d stop calls, want 1", job, k)
		}
	}
	w.awaitEmptyQueue()
}
