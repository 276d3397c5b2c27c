package v2_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	v2 "vizstop/internal/modelarts/v2"
)

// Which training jobs may be stopped, by how a cloud tells their kind, and whether the
// account allows annotated ones. No other ever gets a stop call.
func TestGuard(t *testing.T) {
	annotated := map[string]string{modelartstest.AnnotationTensorBoard: "true"}
	trainings := map[string]modelartstest.Job{
		"visualization": {},
		"training":      {Kind: modelartstest.KindJob},
		"tensorboard":   {Kind: modelartstest.KindJob, Annotations: annotated},
		"mindstudio":    {Kind: modelartstest.KindJob, Annotations: map[string]string{modelartstest.AnnotationMindStudio: "true"}},
		"not enabled":   {Kind: modelartstest.KindJob, Annotations: map[string]string{modelartstest.AnnotationTensorBoard: "True"}},
		"kindless":      {Kind: modelartstest.KindNone},
		"kindless too":  {Kind: modelartstest.KindNone, Annotations: annotated},
		"another kind":  {Kind: "hetero_job"},
		"a longer word": {Kind: "visualization_job_2"},
		"other letters": {Kind: "Visualization_Job"},
	}
	const none, hint = "the API does not tell its kind", "tensorboard_training: true"
	for _, tt := range []struct {
		kinds   string
		allowed bool
		refused map[string]string // what their refusals say; all others may be stopped
	}{
		{modelartstest.KindsShown, false, map[string]string{"training": "of kind job", "tensorboard": hint, "mindstudio": hint, "not enabled": "of kind job",
			"kindless": none, "kindless too": hint, "another kind": "of kind hetero_job", "a longer word": "", "other letters": ""}},
		{modelartstest.KindsShown, true, map[string]string{"training": "of kind job", "not enabled": "of kind job",
			"kindless": none, "another kind": "of kind hetero_job", "a longer word": "", "other letters": ""}},
		{modelartstest.KindsAbsent, false, map[string]string{"visualization": none, "training": none, "tensorboard": hint, "mindstudio": hint,
			"not enabled": none, "kindless": none, "kindless too": hint, "another kind": none, "a longer word": none, "other letters": none}},
		{modelartstest.KindsAbsent, true, map[string]string{"visualization": none, "training": none,
			"not enabled": none, "kindless": none, "another kind": none, "a longer word": none, "other letters": none}},
		{modelartstest.KindsAnnotated, false, map[string]string{"visualization": hint, "training": none, "tensorboard": hint, "mindstudio": hint,
			"not enabled": none, "kindless": none, "kindless too": hint, "another kind": none, "a longer word": none, "other letters": none}},
		{modelartstest.KindsAnnotated, true, map[string]string{"training": none,
			"not enabled": none, "kindless": none, "another kind": none, "a longer word": none, "other letters": none}},
	} {
		t.Run(fmt.Sprintf("kinds %s, annotated allowed %v", tt.kinds, tt.allowed), func(t *testing.T) {
			cfg := modelartstest.Config{Only: modelartstest.V2, V2: modelartstest.V2Options{Kinds: tt.kinds}}
			sim, api := simulate(t, cfg, v2.Options{TensorboardTraining: tt.allowed})
			for name, job := range trainings {
				job = sim.AddJob(project, job)
				accepted, err := api.Stop(t.Context(), project, job.ID)
				now, _ := sim.Job(project, job.ID)
				says, refused := tt.refused[name]
				if !refused {
					if err != nil || accepted.RequestID == "" || now.Status != v1.StatusKilling {
						t.Errorf("%s: %+v, %v", name, accepted, err)
					}
					continue
				}
				apiErr := asError(t, err)
				if apiErr.Kind != jobs.KindInvalid || apiErr.MaybeSent || apiErr.RequestID == "" || apiErr.Operation != jobs.OperationStop ||
					!strings.Contains(err.Error(), "not a visualization job") || !strings.Contains(err.Error(), says) {
					t.Errorf("%s: %+v", name, apiErr)
				}
				if now.Status != v1.StatusRunning || callsOf(sim, job.ID, modelartstest.OpStop) != 0 {
					t.Errorf("%s: a stop call went out", name)
				}
			}
			for _, stray := range sim.StrayStops() {
				if !tt.allowed || !stray.Annotated {
					t.Errorf("stop call for %+v", stray)
				}
			}
		})
	}
}

func callsOf(sim *modelartstest.Simulator, jobID, operation string) int {
	n := 0
	for _, c := range sim.Calls(project, jobID) {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

// One look a job, whether or not its stop calls are accepted; a job of the same id in
// another project has its own. One that is refused is looked at each time.
func TestGuardRemembers(t *testing.T) {
	sim, api := simulate(t, modelartstest.Config{Only: modelartstest.V2}, v2.Options{})
	ours := sim.AddJob(project, modelartstest.Job{})
	training := sim.AddJob(project, modelartstest.Job{Kind: modelartstest.KindJob})
	sim.AddJob("other", modelartstest.Job{ID: ours.ID, Kind: modelartstest.KindJob})
	sim.Inject(modelartstest.Fault{Operation: modelartstest.OpStop, Times: 2, Reply: modelartstest.ReplyHTML(502)})
	for range 3 {
		api.Stop(t.Context(), project, ours.ID)
		api.Stop(t.Context(), project, training.ID)
	}
	if looks, stops := callsOf(sim, ours.ID, modelartstest.OpDetail), callsOf(sim, ours.ID, modelartstest.OpStop); looks != 1 || stops != 3 {
		t.Errorf("%d looks, %d stop calls; want 1 and 3", looks, stops)
	}
	if looks := callsOf(sim, training.ID, modelartstest.OpDetail); looks != 3 {
		t.Errorf("%d looks at a job that is refused, want 3", looks)
	}
	if _, err := api.Stop(t.Context(), "other", ours.ID); jobs.KindOf(err) != jobs.KindInvalid {
		t.Errorf("the same id in another project: %v", err)
	}
	if strays := sim.StrayStops(); len(strays) > 0 {
		t.Errorf("stop calls for %+v", strays)
	}
}

// What the look shows to be of no use is not called.
func TestGuardRefusesWhatAStopCallWouldBe(t *testing.T) {
	sim, api := simulate(t, modelartstest.Config{Only: modelartstest.V2}, v2.Options{})
	for _, tt := range []struct {
		status v1.Status
		phase  string
	}{{v1.StatusKilling, "Terminating"}, {v1.StatusKilled, "Terminated"}, {v1.StatusCompleted, "Completed"}, {v1.StatusFailed, "Failed"}} {
		id := sim.AddJob(project, modelartstest.Job{}).ID
		sim.SetStatus(project, id, tt.status)
		_, err := api.Stop(t.Context(), project, id)
		apiErr := asError(t, err)
		if apiErr.Kind != jobs.KindNotAllowed || apiErr.JobStatus.Code != tt.phase || apiErr.MaybeSent || apiErr.RequestID == "" {
			t.Errorf("%s: %+v", tt.phase, apiErr)
		}
		if n := callsOf(sim, id, modelartstest.OpStop); n != 0 {
			t.Errorf("%s: %d stop calls", tt.phase, n)
		}
		// It is known now: the next time the API itself says no.
		_, err = api.Stop(t.Context(), project, id)
		if apiErr := asError(t, err); apiErr.Kind != jobs.KindNotAllowed || apiErr.Code != "ModelArts.2796" {
			t.Errorf("%s: %+v", tt.phase, apiErr)
		}
	}
}

// A look that fails is no stop call: nothing was sent that may have had an effect.
func TestGuardsLookFails(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx    context.Context
		status int
		body   string
		kind   jobs.Kind
	}{
		"outage":        {t.Context(), 503, "", jobs.KindUnavailable},
		"HTML":          {t.Context(), 200, "<html></html>", jobs.KindUnavailable},
		"another job":   {t.Context(), 200, strings.ReplaceAll(visualization("Running"), jobID, "another"), jobs.KindUnavailable},
		"no such job":   {t.Context(), 400, errorBody(`"ModelArts.2775"`, "x"), jobs.KindNotFound},
		"no permission": {t.Context(), 400, errorBody(`"ModelArts.2838"`, "x"), jobs.KindPermission},
		"no such API":   {t.Context(), 404, "", jobs.KindNoAPI},
		"gone":          {t.Context(), -1, "", jobs.KindDisconnected},
		"canceled":      {canceled, 200, visualization("Running"), jobs.KindCanceled},
	} {
		a := &answers{answer: func(string, *http.Request) (int, string) { return tt.status, tt.body }}
		api := a.api(t, v2.Options{})
		if tt.status < 0 {
			sim, broken := simulate(t, modelartstest.Config{Only: modelartstest.V2}, v2.Options{})
			sim.Inject(modelartstest.Fault{Reply: modelartstest.ReplyReset()})
			api = broken
		}
		_, err := api.Stop(tt.ctx, project, jobID)
		if apiErr := asError(t, err); apiErr.Kind != tt.kind || apiErr.MaybeSent {
			t.Errorf("%s: kind %v, %+v", name, apiErr.Kind, apiErr)
		}
		if a.calls["stop"] > 0 {
			t.Errorf("%s: a stop call went out", name)
		}
	}
}

// The look before the first stop call of a job is owed, and waits for nothing.
func TestGuardOwes(t *testing.T) {
	var p purse
	a := &answers{answer: func(string, *http.Request) (int, string) { return 200, visualization("Running") }}
	owed := 0
	api := a.api(t, v2.Options{Spend: p.spend, Owe: func(_ context.Context, projectID string) {
		if owed++; projectID != project || a.calls["stop"] > 0 {
			t.Errorf("owed in project %s after %v", projectID, a.calls)
		}
	}})
	for range 2 {
		if _, err := api.Stop(t.Context(), project, jobID); err != nil {
			t.Error(err)
		}
	}
	if n := p.taken(); n != 0 || owed != 1 || a.calls["stop"] != 2 || a.calls["detail"] != 1 {
		t.Errorf("%d calls owed, %d waited for, after %v", owed, n, a.calls)
	}
}

// Many goroutines share a guard.
func TestGuardAtOnce(t *testing.T) {
	sim, api := simulate(t, modelartstest.Config{Only: modelartstest.V2}, v2.Options{})
	var all sync.WaitGroup
	for n := range 40 {
		kind := []string{modelartstest.KindVisualization, modelartstest.KindJob}[n%2]
		id := sim.AddJob(project, modelartstest.Job{Kind: kind}).ID
		for range 3 {
			all.Go(func() { api.Stop(t.Context(), project, id) })
		}
	}
	all.Wait()
	if strays := sim.StrayStops(); len(strays) > 0 {
		t.Errorf("stop calls for %+v", strays)
	}
	if n := sim.Counts()[modelartstest.OpStop]; n == 0 {
		t.Error("no stop call at all")
	}
}
