package v2

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
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

// errNoTraining is the error of JSON that is no training job, or does not say which.
var errNoTraining = errors.New("the answer holds no training job")

// readTraining is the training job of a detail answer, or of that to an action, which
// must be about that job.
func readTraining(a *modelarts.Answer, jobID string) (*training, error) {
	if !a.IsObject() {
		return nil, modelarts.ErrNotJSON
	}
	t, err := parseTraining(a, a.Body)
	switch {
	case err != nil:
		return nil, err
	case t.ID != jobID:
		return nil, fmt.Errorf("the answer is about job %q", t.ID)
	}
	return t, nil
}

// readTrainings are those of the answer to a search.
func readTrainings(a *modelarts.Answer) (*trainings, error) {
	var list struct {
		Items *[]json.RawMessage `json:"items"`
		Total loose.Int          `json:"total"`
	}
	if !a.IsObject() {
		return nil, modelarts.ErrNotJSON
	}
	if json.Unmarshal(a.Body, &list) != nil || list.Items == nil && !list.Total.OK {
		return nil, errors.New("the answer holds no list of training jobs")
	}
	found := &trainings{total: int(max(list.Total.N, 0)), requestID: a.RequestID()}
	if list.Items == nil {
		return found, nil
	}
	for _, item := range *list.Items {
		t, err := parseTraining(a, item)
		if err != nil {
			return nil, fmt.Errorf("in its list: %w", err)
		}
		found.items = append(found.items, *t)
	}
	return found, nil
}

// parseTraining reads one training job of an answer. Parts of other types than
// documented are as good as absent; its id may not be.
func parseTraining(a *modelarts.Answer, raw []byte) (*training, error) {
	var j trainingJSON
	err := json.Unmarshal(raw, &j)
	_, odd := errors.AsType[*json.UnmarshalTypeError](err) // of a part: the others have been read
	if err != nil && !odd || !bytes.HasPrefix(raw, []byte("{")) || j.Metadata.ID == "" {
		return nil, errNoTraining
	}
	t := &training{
		Job: jobs.Job{
			ID: a.Line(j.Metadata.ID), Name: a.Line(j.Metadata.Name), Description: a.Line(j.Metadata.Description),
			CreateTime: j.Metadata.CreateTime.Time(), Status: statusOf(a.Line(j.Status.Phase)), Duration: j.Status.Duration.Times(time.Millisecond),
			ServiceURL: a.Line(j.Endpoints.TensorBoard.URL), RequestID: a.RequestID(),
		},
		kind: a.Line(j.Kind),
	}
	if strings.EqualFold(string(j.Spec.AutoStop.Unit), "HOURS") {
		t.AutoStop = j.Spec.AutoStop.Duration.Times(time.Hour)
	}
	for _, name := range annotations {
		value := strings.Trim(string(j.Metadata.Annotations[name]), `"`)
		t.annotated = t.annotated || value == "true"
	}
	return t, nil
}
