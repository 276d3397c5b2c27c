// Package v1 is the first generation of the API: "visualization jobs". Status
// numbers, paging and refusals of it stay in here.
//
// Source: ModelArts API reference, "Visualization Jobs", in its editions from
// 2019 to 2025. Where they contradict each other, all of them are understood.
package v1

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/loose"
)

// API calls the first generation of the API through a client. It is a jobs.API.
type API struct {
	client *modelarts.Client
}

// New returns the API of the client's endpoint.
func New(client *modelarts.Client) *API { return &API{client} }

// NoJob is an id that no job has: ids count from 1, and never come this far.
const NoJob = "999999999999999999"

// LooksLikeID reports whether a text has the form of this generation's ids: a number.
func LooksLikeID(id string) bool { return id != "" && strings.Trim(id, "0123456789") == "" }

// generation is how answers of this generation are judged.
var generation = &modelarts.Generation{Name: "v1 visualization-jobs API", JobStatus: statusIn}

// jobStatus finds the status in the text of ModelArts.0105, such as "This job
// can't be stop. job status: 10".
var jobStatus = regexp.MustCompile(`(?i)job status:\s*(\d+)`)

func statusIn(message string) jobs.Status {
	m := jobStatus.FindStringSubmatch(message)
	if m == nil {
		return jobs.Status{}
	}
	n, err := strconv.ParseInt(m[1], 10, 32)
	if err != nil {
		return jobs.Status{}
	}
	return Status(n).Job()
}

// call is a call of a project's jobs; below are the segments of its path after that.
func call(operation, method, projectID, jobID string, below ...string) *modelarts.Call {
	return &modelarts.Call{Generation: generation, Operation: operation, Method: method, ProjectID: projectID, JobID: jobID,
		Path: append([]string{"v1", projectID, "visualization-jobs"}, below...)}
}

// Stop is that of jobs.API.
func (a *API) Stop(ctx context.Context, projectID, jobID string) (jobs.Accepted, error) {
	requestID, err := a.act(ctx, jobs.OperationStop, projectID, jobID)
	return jobs.Accepted{RequestID: requestID}, err
}

// Restarts is that of jobs.API.
func (a *API) Restarts(string) bool { return true }

// Restart is that of jobs.API. A job that runs refuses with KindNotAllowed.
func (a *API) Restart(ctx context.Context, projectID, jobID string) (string, error) {
	return a.act(ctx, jobs.OperationRestart, projectID, jobID)
}

// act sends a call that has no body and whose answer says no more than accepted.
func (a *API) act(ctx context.Context, operation, projectID, jobID string) (requestID string, err error) {
	cl := call(operation, http.MethodPost, projectID, jobID, jobID, operation)
	cl.Accept = func(a *modelarts.Answer) error {
		requestID = a.RequestID()
		if len(a.Body) > 0 && !a.IsObject() {
			return modelarts.ErrNotJSON
		}
		return nil
	}
	if err := a.client.Do(ctx, cl); err != nil {
		return "", err
	}
	return requestID, nil
}

// Get is that of jobs.API.
func (a *API) Get(ctx context.Context, projectID, jobID string) (*jobs.Job, error) {
	cl := call(jobs.OperationDetail, http.MethodGet, projectID, jobID, jobID)
	var job *jobs.Job
	cl.Accept = func(a *modelarts.Answer) (err error) {
		job, err = readJob(a)
		if err == nil && job.ID != jobID {
			return fmt.Errorf("the answer is about job %q", job.ID)
		}
		return err
	}
	if err := a.client.Do(ctx, cl); err != nil {
		return nil, err
	}
	return job, nil
}

// pageSize is the limit that holds in every edition of the documents.
const pageSize = 100

// PageSize is that of jobs.API.
func (a *API) PageSize(string) int { return pageSize }

// List is that of jobs.API.
//
// Source: ModelArts API reference, "Querying a Visualization Job List". Limits
// and defaults differ between its editions, so the narrowest limits hold here
// and nothing is left to a default.
func (a *API) List(ctx context.Context, projectID string, q jobs.Query) (*jobs.Page, error) {
	q, err := q.Within(pageSize)
	if err != nil {
		return nil, err
	}
	cl := call(jobs.OperationList, http.MethodGet, projectID, "")
	cl.Query = encode(q)
	var page *jobs.Page
	cl.Accept = func(a *modelarts.Answer) (err error) {
		page, err = readPage(a)
		return err
	}
	if err := a.client.Do(ctx, cl); err != nil {
		return nil, err
	}
	return page, nil
}

func encode(q jobs.Query) string {
	v := url.Values{
		"per_page": {strconv.Itoa(q.PerPage)},
		"page":     {strconv.Itoa(q.Page)},
		"sortBy":   {"job_id"},
		"order":    {"asc"},
	}
	if q.Stopping {
		v.Set("status", strconv.Itoa(int(StatusKilling)))
	}
	return v.Encode()
}

func readPage(a *modelarts.Answer) (*jobs.Page, error) {
	var list struct {
		Jobs  *[]jobJSON `json:"jobs"`
		Total loose.Int  `json:"job_total_count"`
	}
	if !a.IsObject() {
		return nil, modelarts.ErrNotJSON
	}
	if json.Unmarshal(a.Body, &list) != nil || list.Jobs == nil && !list.Total.OK {
		return nil, errors.New("the answer holds no list of jobs")
	}
	page := &jobs.Page{Total: int(max(list.Total.N, 0)), RequestID: a.RequestID()}
	if list.Jobs != nil {
		for _, j := range *list.Jobs {
			page.Jobs = append(page.Jobs, j.job(a))
		}
	}
	return page, nil
}
