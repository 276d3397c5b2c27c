package v2

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/loose"
)

// trainingJSON is a training job on the wire. secondary_phase is left out: the vendor
// advises against depending on it.
//
// Source: ModelArts API reference, "Querying the Details About a Training Job";
// auto_stop: ModelArts SDK for Python.
type trainingJSON struct {
	Kind     loose.String `json:"kind"`
	Metadata struct {
		ID          loose.String               `json:"id"`
		Name        loose.String               `json:"name"`
		Description loose.String               `json:"description"`
		CreateTime  loose.Int                  `json:"create_time"` // ms
		Annotations map[string]json.RawMessage `json:"annotations"`
	} `json:"metadata"`
	Status struct {
		Phase    loose.String `json:"phase"`
		Duration loose.Int    `json:"duration"` // ms
	} `json:"status"`
	Spec struct {
		AutoStop struct {
			Unit     loose.String `json:"time_unit"`
			Duration loose.Int    `json:"duration"`
		} `json:"auto_stop"`
	} `json:"spec"`
	Endpoints struct {
		TensorBoard struct {
			URL loose.String `json:"url"`
		} `json:"tensorboard"`
	} `json:"endpoints"`
}

// training is a training job as this package knows it.
type training struct {
	jobs.Job
	kind      string // "" if the answer does not say
	annotated bool   // its annotations switch on a visualization
}

// visualizationKind is the kind of a visualization job.
//
// Source: ModelArts API reference (Chinese edition of 2026-01), "Creating a Training
// Job"; ModelArts SDK for Python, JobResponse.kind.
const visualizationKind = "visualization_job"

// annotations each make a visualization of an ordinary training job, if "true".
//
// Source: ModelArts API reference, "Creating a Training Job".
var annotations = []string{"tensorboard/enable", "mindstudio-insight/enable"}

var errNoTraining = errors.New("the answer holds no training job")

// readTraining is the job of a detail answer, or of that to an action. It must say at
// least which job or what phase.
func readTraining(a *modelarts.Answer) (*training, error) {
	if !a.IsObject() {
		return nil, modelarts.ErrNotJSON
	}
	var j trainingJSON
	if json.Unmarshal(a.Body, &j) != nil || j.Metadata.ID == "" && j.Status.Phase == "" {
		return nil, errNoTraining
	}
	t := j.training(a.RequestID())
	return &t, nil
}

func (j *trainingJSON) training(requestID string) training {
	t := training{
		Job: jobs.Job{
			ID: j.Metadata.ID.Line(), Name: j.Metadata.Name.Line(), Description: j.Metadata.Description.Line(),
			Status: statusOf(j.Status.Phase.Line()), Duration: times(j.Status.Duration, time.Millisecond),
			ServiceURL: j.Endpoints.TensorBoard.URL.Line(), RequestID: requestID,
		},
		kind: j.Kind.Line(),
	}
	if strings.EqualFold(string(j.Spec.AutoStop.Unit), "HOURS") {
		t.AutoStop = times(j.Spec.AutoStop.Duration, time.Hour)
	}
	const year10000 = 253402300800000
	if ms := j.Metadata.CreateTime.N; ms > 0 && ms < year10000 {
		t.CreateTime = time.UnixMilli(ms)
	}
	for _, name := range annotations {
		value := strings.Trim(string(j.Metadata.Annotations[name]), `"`)
		t.annotated = t.annotated || strings.EqualFold(value, "true")
	}
	return t
}

// times is n units, 0 if n is negative or too large to hold.
func times(n loose.Int, unit time.Duration) time.Duration {
	if n.N < 0 || n.N > math.MaxInt64/int64(unit) {
		return 0
	}
	return time.Duration(n.N) * unit
}
