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

// The programs with the second generation of the API: ids from a rule and by hand, jobs
// that are watched by their list, an ordinary training job, and an undo that there is
// not.
func TestSecondGeneration(t *testing.T) {
	t.Parallel()
	const n = 60
	cfg := modelartstest.Config{Only: modelartstest.V2}
	w := newWorld(t, cfg)
	for range n {
		w.sim.AddJob(project, modelartstest.Job{StopTime: 3 * time.Second})
		w.sim.AddJob(project, modelartstest.Job{Kind: modelartstest.KindJob})
	}
	training := w.sim.AddJob(project, modelartstest.Job{Kind: modelartstest.KindJob}).ID
	env := append(w.env(), "VIZSTOP_API=v2")
	worker := startWorker(t, env)

	enqueue := launch(t, env, "", "enqueue", "--all", "--yes", "--wait", "--json")
	enqueue.wantExit(0)
	var answer struct{ Batch string }
	if err := json.Unmarshal([]byte(enqueue.stdout.String()), &answer); err != nil {
		t.Fatal(err)
	}
	stops := w.awaitEnd(answer.Batch)
	for id, s := range stops {
		if s.State != ledger.Stopped || s.Status != "Terminated" || w.calls(jobs.OperationStop, id) != 1 || w.calls(jobs.OperationDetail, id) < 2 {
			t.Errorf("job %s: %s, %s, %d stop calls", id, s.State, s.Reason, w.calls(jobs.OperationStop, id))
		}
	}
	if len(stops) != n {
		t.Errorf("the rule chose %d jobs, want %d", len(stops), n)
	}

	launch(t, env, "", "enqueue", "--wait", "--batch", "by-hand", training).wantExit(2)
	if s := w.awaitEnd("by-hand")[training]; s == nil || !strings.Contains(s.Reason, "not a visualization job") {
		t.Errorf("a training job by hand: %+v", s)
	}
	wantOutcomes(t, map[ledger.State]int{ledger.Stopped: n, ledger.Rejected: 1}, worker)
	if strays := w.sim.StrayStops(); len(strays) > 0 {
		t.Errorf("stop calls for training jobs: %+v", strays)
	}

	undo := launch(t, env, "", "enqueue", "undo", answer.Batch, "--yes")
	undo.wantExit(1)
	if text := undo.stderr.String(); !strings.Contains(text, "undo is not possible in project "+project) {
		t.Errorf("undo says %q", text)
	}
	w.awaitEmptyQueue()
}
