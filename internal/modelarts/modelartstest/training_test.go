package modelartstest

import (
	"testing"
	"time"
	v1 "vizstop/internal/modelarts/v1"
)

// at follows a path of object keys; nil where it breaks off.
func (g got) at(path ...string) any {
	var v any = g.body
	for _, name := range path {
		o, _ := v.(map[string]any)
		v = o[name]
	}
	return v
}

func (r *rig) phase(id string) string {
	r.t.Helper()
	g := r.call("GET", trainingPath(id), "")
	g.expect(r.t, 200, "")
	phase, _ := g.at("status", "phase").(string)
	return phase
}

func TestTrainingFields(t *testing.T) {
	r := start(t, Config{Only: V2})
	created := r.clock.now()
	j := r.AddJob("p1", Job{Name: "n", Description: "d", AutoStop: 90 * time.Minute})
	r.clock.advance(61 * time.Second)
	g := r.call("GET", trainingPath(j.ID), "")
	for _, tt := range []struct {
		want any
		path []string
	}{
		{KindVisualization, []string{"kind"}},
		{j.ID, []string{"metadata", "id"}},
		{"n", []string{"metadata", "name"}},
		{"d", []string{"metadata", "description"}},
		{"0", []string{"metadata", "workspace_id"}},
		{float64(created.UnixMilli()), []string{"metadata", "create_time"}},
		{"Running", []string{"status", "phase"}},
		{61000.0, []string{"status", "duration"}},
		{float64(created.UnixMilli()), []string{"status", "start_time"}},
		{2.0, []string{"spec", "auto_stop", "duration"}},
		{"HOURS", []string{"spec", "auto_stop", "time_unit"}},
		{1.0, []string{"spec", "resource", "flavor_detail", "billing", "unit_num"}},
	} {
		if got := g.at(tt.path...); got != tt.want {
			t.Errorf("%v = %v, want %v", tt.path, got, tt.want)
		}
	}
	runs, _ := g.at("status", "running_records").([]any)
	if len(runs) != 1 || runs[0].(map[string]any)["start_at"] != float64(created.Unix()) {
		t.Errorf("running_records = %v", runs)
	}
	if g.at("endpoints", "tensorboard", "url") == nil || g.body["is_success"] != nil {
		t.Errorf("detail = %s", g.raw)
	}
	training := r.AddJob("p1", Job{Kind: KindJob, Status: PhaseCreating})
	if g := r.call("GET", trainingPath(training.ID), ""); g.at("endpoints") != nil || g.at("status", "start_time") != nil {
		t.Errorf("a training that has not begun = %s", g.raw)
	}
}

func TestTerminate(t *testing.T) {
	r := start(t, Config{Only: V2, Phases: Phases{Stop: Fixed(20 * time.Second)}})
	begin := r.clock.now()
	j := r.AddJob("p1", Job{})
	g := r.terminate(j.ID)
	g.expect(t, 202, "")
	if g.at("status", "phase") != "Terminating" || g.at("metadata", "id") != j.ID || g.at("kind") != KindVisualization {
		t.Errorf("the answer is not the whole job: %s", g.raw)
	}
	r.terminate(j.ID).expect(t, 409, "ModelArts.2796")
	r.clock.advance(20 * time.Second)
	if got := r.phase(j.ID); got != "Terminated" {
		t.Errorf("phase = %s", got)
	}
	if after, _ := r.Job("p1", j.ID); !after.EndedAt.Equal(begin.Add(20*time.Second)) || after.ShownEnded.IsZero() {
		t.Errorf("job = %+v", after)
	}
	r.terminate(j.ID).expect(t, 409, "ModelArts.2796")
}

func TestWhichPhasesMayBeTerminated(t *testing.T) {
	r := start(t, Config{Only: V2})
	j := r.AddJob("p1", Job{})
	for _, status := range []v1.Status{PhaseCreating, PhasePending, PhaseRunning} {
		r.SetStatus("p1", j.ID, status)
		r.terminate(j.ID).expect(t, 202, "")
	}
	for _, status := range []v1.Status{
		PhaseTerminating, PhaseTerminated, PhaseCompleted, PhaseFailed, PhaseAbnormal, 77,
	} {
		r.SetStatus("p1", j.ID, status)
		r.terminate(j.ID).expect(t, 409, "ModelArts.2796")
	}
}

// A stop that takes no time shows its end at once.
func TestTerminateAtOnce(t *testing.T) {
	r := start(t, Config{Only: V2, Phases: Phases{Stop: Fixed(0)}})
	j := r.AddJob("p1", Job{})
	if g := r.terminate(j.ID); g.status != 202 || g.at("status", "phase") != "Terminated" {
		t.Errorf("answer = %d %s", g.status, g.raw)
	}
	if after, _ := r.Job("p1", j.ID); after.ShownEnded.IsZero() {
		t.Error("the answer's word for the end does not count")
	}
}

func TestActionsThatAreRefused(t *testing.T) {
	r := start(t, Config{Only: V2})
	j := r.AddJob("p1", Job{})
	for body, code := range map[string]string{"": "0101", "[]": "0101", "{}": "2812", `{"action_type":"restart"}`: "2812"} {
		r.call("POST", trainingPath(j.ID)+"/actions", body).expect(t, 400, "ModelArts."+code)
	}
	r.terminate("absent").expect(t, 400, "ModelArts.2775")
	r.call("GET", trainingPath("absent"), "").expect(t, 400, "ModelArts.2775")
	r.wantStatus(j.ID, PhaseRunning)
}

func TestV2IsThrottled(t *testing.T) {
	r := start(t, Config{RateLimit: RateLimit{PerSecond: 1, RetryAfter: true}})
	r.call("POST", searchPath, "{}").expect(t, 200, "")
	g := r.call("POST", searchPath, "{}")
	g.expect(t, 429, "ModelArts.2799")
	if g.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After = %q", g.header.Get("Retry-After"))
	}
}
