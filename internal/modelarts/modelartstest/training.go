package modelartstest

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"time"
)

func v2Success(body object) answer { return answer{status: http.StatusOK, body: body} }

// training answers GET /v2/{project_id}/training-jobs/{training_job_id}.
func (s *Simulator) training(x *exchange, now time.Time) answer {
	r := s.asked(x, now)
	if r == nil {
		return *documented("ModelArts.2775")
	}
	s.showEnd(r, now)
	return v2Success(s.describeV2(r, now))
}

// act answers POST /v2/{project_id}/training-jobs/{training_job_id}/actions. The one action that there is is terminate.
//
// Source: ModelArts API reference, "Terminating a Training Job".
func (s *Simulator) act(x *exchange, now time.Time) answer {
	var action struct {
		Type string `json:"action_type"`
	}
	if err := json.Unmarshal(x.body, &action); err != nil {
		return *documented("ModelArts.0101")
	}
	if action.Type != "terminate" {
		return *documented("ModelArts.2812")
	}
	r := s.asked(x, now)
	if r == nil {
		return *documented("ModelArts.2775")
	}
	if !s.cfg.stoppable(r.Status) {
		return *documented("ModelArts.2796")
	}
	s.beginStop(r, now)
	s.projects[x.projectID].settle(r, now) // a stop may take no time
	s.showEnd(r, now)
	a := v2Success(s.describeV2(r, now))
	a.status = http.StatusAccepted
	return a
}

// describeV2 is what every answer of v2 says about a job.
//
// Source: ModelArts API reference, "Querying the Details About a Training Job"; auto_stop is the SDK's.
func (s *Simulator) describeV2(r *record, now time.Time) object {
	o := object{
		"metadata": object{
			"id": r.ID, "name": r.Name, "description": r.Description, "workspace_id": r.WorkspaceID,
			"user_name": userName, "create_time": r.CreateTime.UnixMilli(), "annotations": s.shownAnnotations(r),
		},
		"status": r.statusV2(now),
		"spec":   r.specV2(),
	}
	if r.Kind != KindNone && s.cfg.V2.Kinds == KindsShown {
		o["kind"] = r.Kind
	}
	if r.Kind == KindVisualization || r.Annotated() {
		o["endpoints"] = object{"tensorboard": object{"url": r.serviceURL()}}
	}
	return o
}

func (s *Simulator) shownAnnotations(r *record) map[string]string {
	shown := map[string]string{"job_template": "Template DL"}
	maps.Copy(shown, r.Annotations)
	if s.cfg.V2.Kinds == KindsAnnotated && r.Kind == KindVisualization {
		shown[AnnotationTensorBoard] = "true"
	}
	return shown
}

func (r *record) statusV2(now time.Time) object {
	phase := r.Phase()
	o := object{"phase": phase, "secondary_phase": phase, "duration": r.duration(now).Milliseconds()}
	if r.runFrom.IsZero() {
		return o
	}
	o["start_time"] = r.runFrom.UnixMilli()
	run := object{"start_at": r.runFrom.Unix()}
	if !r.EndedAt.IsZero() {
		run["end_at"] = r.EndedAt.Unix()
	}
	o["running_records"] = []object{run}
	return o
}

func (r *record) specV2() object {
	spec := object{"resource": object{
		"flavor_id": "modelarts.vm.cpu.2u", "node_count": 1,
		"flavor_detail": object{"billing": object{"code": "modelarts.vm.cpu.2u", "unit_num": 1}},
	}}
	if r.AutoStop > 0 {
		spec["auto_stop"] = object{"time_unit": "HOURS", "duration": int(math.Ceil(r.AutoStop.Hours()))}
	}
	return spec
}
