package modelarts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// VisualizationJob is a TensorBoard or MindInsight job as the API tells of it.
// A field that the answer lacks, or that makes no sense in it, is zero. Texts are
// one printable line of at most 512 characters.
//
// Source: ModelArts API reference, "Querying the Details About a Visualization
// Job" and "Querying a Visualization Job List".
type VisualizationJob struct {
	// ID is a decimal number in every documented answer; the API calls it a
	// string in paths.
	ID          string
	Name        string
	Description string
	// Status is StatusUnknown if the answer has none that is a number.
	Status Status
	// CreateTime is to the millisecond.
	CreateTime time.Time
	// Duration is how long the job has run. The API reports milliseconds; it
	// does not say whether earlier runs of a restarted job count.
	Duration time.Duration
	// AutoStop is after how much time ModelArts stops the job by itself; 0 if
	// the answer tells of no schedule.
	AutoStop time.Duration
	// TrainURL is the OBS path of the summary files, such as "/bucket/dir/".
	TrainURL string
	// ServiceURL opens the job in a browser; usable only while it runs.
	ServiceURL string
	// ResourceID is the id under which the job is billed.
	ResourceID string
	// RequestID is that of the answer the job was in.
	RequestID string
}

// StopVisualizationJob asks for a job to be stopped and returns the request id.
// A nil error means accepted, not stopped: only ShowVisualizationJob tells when
// it has. Repeating it does no harm; a job that is stopping or has ended refuses
// with KindNotAllowed and its status.
func (c *Client) StopVisualizationJob(ctx context.Context, projectID, jobID string) (string, error) {
	return c.act(ctx, OperationStop, projectID, jobID)
}

// RestartVisualizationJob asks for an ended job to run again and returns the
// request id. A nil error means accepted, not running. A job that runs refuses
// with KindNotAllowed.
func (c *Client) RestartVisualizationJob(ctx context.Context, projectID, jobID string) (string, error) {
	return c.act(ctx, OperationRestart, projectID, jobID)
}

// act sends a call that has no body and whose answer says no more than accepted.
func (c *Client) act(ctx context.Context, operation, projectID, jobID string) (requestID string, err error) {
	cl, err := c.jobCall(operation, http.MethodPost, projectID, jobID, operation)
	if err != nil {
		return "", err
	}
	cl.accept = func(a *answer) error {
		requestID = a.requestID()
		if len(a.body) > 0 && !a.problem.object {
			return errNotJSON
		}
		return nil
	}
	if err := c.do(ctx, cl); err != nil {
		return "", err
	}
	return requestID, nil
}

// ShowVisualizationJob returns the job as it is now. It returns no job without
// an error saying why. An answer about another job is no answer.
func (c *Client) ShowVisualizationJob(ctx context.Context, projectID, jobID string) (*VisualizationJob, error) {
	cl, err := c.jobCall(OperationDetail, http.MethodGet, projectID, jobID)
	if err != nil {
		return nil, err
	}
	var job *VisualizationJob
	cl.accept = func(a *answer) (err error) {
		job, err = readJob(a)
		if err == nil && job.ID != "" && job.ID != jobID {
			return fmt.Errorf("the answer is about job %q", job.ID)
		}
		return err
	}
	if err := c.do(ctx, cl); err != nil {
		return nil, err
	}
	if job.ID == "" {
		job.ID = jobID
	}
	return job, nil
}

// jobCall is a call to one job; action are the path's segments after the job.
func (c *Client) jobCall(operation, method, projectID, jobID string, action ...string) (*call, error) {
	if err := ValidateID("job", jobID); err != nil {
		return nil, invalid(operation, err)
	}
	return c.projectCall(operation, method, projectID, append([]string{jobID}, action...)...)
}

// projectCall is a call below a project's jobs. The segments must be checked.
func (c *Client) projectCall(operation, method, projectID string, segments ...string) (*call, error) {
	if err := ValidateID("project", projectID); err != nil {
		return nil, invalid(operation, err)
	}
	return &call{
		operation:   operation,
		method:      method,
		url:         c.jobsURL(projectID, segments),
		project:     projectID,
		contentType: "application/json",
	}, nil
}

func (c *Client) jobsURL(projectID string, segments []string) *url.URL {
	u := *c.base
	below := "/" + strings.Join(append([]string{projectID, "visualization-jobs"}, segments...), "/")
	u.Path += below
	if u.RawPath != "" {
		u.RawPath += below // ids need no escaping
	}
	return &u
}

// jobJSON is a job on the wire. remaining_duration is left out: its unit is not
// documented, and it comes as null even where there is a schedule.
type jobJSON struct {
	ID          looseString     `json:"job_id"`
	Name        looseString     `json:"job_name"`
	Description looseString     `json:"job_desc"`
	Status      looseInt        `json:"status"`
	CreateTime  looseInt        `json:"create_time"`
	Duration    looseInt        `json:"duration"`
	Schedule    json.RawMessage `json:"schedule"`
	TrainURL    looseString     `json:"train_url"`
	ServiceURL  looseString     `json:"service_url"`
	ResourceID  looseString     `json:"resource_id"`
}

// readJob is the job of a detail answer, which must say at least which job or
// what status.
func readJob(a *answer) (*VisualizationJob, error) {
	if !a.problem.object {
		return nil, errNotJSON
	}
	var j jobJSON
	if json.Unmarshal(a.body, &j) != nil || j.ID == "" && !j.Status.ok {
		return nil, errors.New("the answer holds no job")
	}
	job := j.job(a.requestID())
	return &job, nil
}

func (j *jobJSON) job(requestID string) VisualizationJob {
	job := VisualizationJob{
		ID:          j.ID.line(),
		Name:        j.Name.line(),
		Description: j.Description.line(),
		Duration:    multiple(j.Duration, time.Millisecond),
		AutoStop:    autoStop(j.Schedule),
		TrainURL:    j.TrainURL.line(),
		ServiceURL:  j.ServiceURL.line(),
		ResourceID:  j.ResourceID.line(),
		RequestID:   requestID,
	}
	if n := j.Status.n; n >= math.MinInt32 && n <= math.MaxInt32 {
		job.Status = Status(n)
	}
	// One documented sample has a time of 11 digits, which fits no unit. It
	// stays a time; only what no calendar holds is dropped.
	const year10000 = 253402300800000
	if ms := j.CreateTime.n; ms > 0 && ms < year10000 {
		job.CreateTime = time.UnixMilli(ms)
	}
	return job
}

// multiple is n units, 0 if n is negative or too large to hold.
func multiple(n looseInt, unit time.Duration) time.Duration {
	if n.n < 0 || n.n > math.MaxInt64/int64(unit) {
		return 0
	}
	return time.Duration(n.n) * unit
}

// autoStop reads a schedule, which is an object in the documents' tables and an
// array in their samples, with the unit under two spellings.
func autoStop(schedule json.RawMessage) time.Duration {
	type element struct {
		Type     looseString `json:"type"`
		Unit     looseString `json:"time_unit"`
		UnitToo  looseString `json:"timeUnit"`
		Duration looseInt    `json:"duration"`
	}
	var elements []element
	if json.Unmarshal(schedule, &elements) != nil {
		elements = make([]element, 1)
		if json.Unmarshal(schedule, &elements[0]) != nil {
			return 0
		}
	}
	for _, e := range elements {
		if e.Type == "stop" && strings.EqualFold(string(firstOf(e.Unit, e.UnitToo)), "HOURS") {
			return multiple(e.Duration, time.Hour)
		}
	}
	return 0
}
