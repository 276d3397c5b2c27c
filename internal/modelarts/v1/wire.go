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
// remaining_duration is left out: its unit is not
// documented, and it comes as null even where there is a schedule.
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

// readJob is the job of a detail answer, which must say at least which job or
// what status.
func readJob(a *modelarts.Answer) (*jobs.Job, error) {
	if !a.IsObject() {
		return nil, modelarts.ErrNotJSON
	}
	var j jobJSON
	if json.Unmarshal(a.Body, &j) != nil || j.ID == "" && !j.Status.OK {
		return nil, errors.New("the answer holds no job")
	}
	job := j.job(a.RequestID())
	return &job, nil
}

func (j *jobJSON) job(requestID string) jobs.Job {
	job := jobs.Job{
		ID:          j.ID.Line(),
		Name:        j.Name.Line(),
		Description: j.Description.Line(),
		Duration:    multiple(j.Duration, time.Millisecond),
		AutoStop:    autoStop(j.Schedule),
		TrainURL:    j.TrainURL.Line(),
		ServiceURL:  j.ServiceURL.Line(),
		ResourceID:  j.ResourceID.Line(),
		RequestID:   requestID,
	}
	if n := j.Status.N; j.Status.OK && n >= math.MinInt32 && n <= math.MaxInt32 {
		job.Status = Status(n).Job()
	}
	// One documented sample has a time of 11 digits, which fits no unit. It
	// stays a time; only what no calendar holds is dropped.
	const year10000 = 253402300800000
	if ms := j.CreateTime.N; ms > 0 && ms < year10000 {
		job.CreateTime = time.UnixMilli(ms)
	}
	return job
}

// multiple is n units, 0 if n is negative or too large to hold.
func multiple(n loose.Int, unit time.Duration) time.Duration {
	if n.N < 0 || n.N > math.MaxInt64/int64(unit) {
		return 0
	}
	return time.Duration(n.N) * unit
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
			return multiple(e.Duration, time.Hour)
		}
	}
	return 0
}
