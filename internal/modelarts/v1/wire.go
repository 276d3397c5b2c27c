package v1

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"time"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/loose"
)

// jobJSON is a job on the wire.
//
// Source: ModelArts API reference, "Querying the Details About a Visualization Job"
// and "Querying a Visualization Job List".
//
// remaining_duration is left out: its unit is not documented, and it comes as null even
// where there is a schedule.
type jobJSON struct {
	ID          loose.String    `json:"job_id"`
	Name        loose.String    `json:"job_name"`
	Description loose.String    `json:"job_desc"`
	Status      loose.Int       `json:"status"`
	CreateTime  loose.Int       `json:"create_time"`
	Duration    loose.Int       `json:"duration"`
	Schedule    json.RawMessage `json:"schedule"`
	TrainURL    loose.String    `json:"train_url"`
	ServiceURL  loose.String    `json:"service_url"`
	ResourceID  loose.String    `json:"resource_id"`
}

// readJob is the job of a detail answer, which must say which one it is.
func readJob(a *modelarts.Answer) (*jobs.Job, error) {
	if !a.IsObject() {
		return nil, modelarts.ErrNotJSON
	}
	var j jobJSON
	switch {
	case json.Unmarshal(a.Body, &j) != nil, j.ID == "" && !j.Status.OK:
		return nil, errors.New("the answer holds no job")
	case j.ID == "":
		return nil, errors.New("the answer does not say which job it is about")
	}
	job := j.job(a)
	return &job, nil
}

func (j *jobJSON) job(a *modelarts.Answer) jobs.Job {
	job := jobs.Job{
		ID:          a.Line(j.ID),
		Name:        a.Line(j.Name),
		Description: a.Line(j.Description),
		CreateTime:  j.CreateTime.Time(),
		Duration:    j.Duration.Times(time.Millisecond),
		AutoStop:    autoStop(j.Schedule),
		TrainURL:    a.Line(j.TrainURL),
		ServiceURL:  a.Line(j.ServiceURL),
		ResourceID:  a.Line(j.ResourceID),
		RequestID:   a.RequestID(),
	}
	if n := j.Status.N; j.Status.OK && n >= math.MinInt32 && n <= math.MaxInt32 {
		job.Status = Status(n).Job()
	}
	return job
}

// autoStop reads a schedule, which is an object in the documents' tables and an
// array in their samples, with the unit under two spellings.
func autoStop(schedule json.RawMessage) time.Duration {
	type element struct {
		Type     loose.String `json:"type"`
		Unit     loose.String `json:"time_unit"`
		UnitToo  loose.String `json:"timeUnit"`
		Duration loose.Int    `json:"duration"`
	}
	var elements []element
	if json.Unmarshal(schedule, &elements) != nil {
		elements = make([]element, 1)
		if json.Unmarshal(schedule, &elements[0]) != nil {
			return 0
		}
	}
	for _, e := range elements {
		if e.Type == "stop" && strings.EqualFold(string(cmp.Or(e.Unit, e.UnitToo)), "HOURS") {
			return e.Duration.Times(time.Hour)
		}
	}
	return 0
}
