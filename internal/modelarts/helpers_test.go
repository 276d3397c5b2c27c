package modelarts

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"
	"vizstop/internal/jobs"
)

const (
	testProject = "0123456789abcdef0123456789abcdef"
	testToken   = "token-for-tests"
	jobsPath    = "/v1/" + testProject + "/visualization-jobs"
)

// newClient is a client with a ready token, unless opts say otherwise.
func newClient(t *testing.T, url string, opts ...Option) *Client {
	t.Helper()
	c, err := New(url, append([]Option{WithCredentials(NewToken(testToken))}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// asError fails the test if err is not an *jobs.Error.
func asError(t *testing.T, err error) *jobs.Error {
	t.Helper()
	apiErr, ok := errors.AsType[*jobs.Error](err)
	if !ok {
		t.Fatalf("error is %#v, want an *jobs.Error", err)
	}
	return apiErr
}

// send makes one call of a job of a project, or of all with jobID "", and returns the answer's request id.
func send(c *Client, ctx context.Context, operation, method, projectID, jobID string, more ...string) (requestID string, err error) {
	path := []string{"v1", projectID, "visualization-jobs"}
	if jobID != "" {
		path = append(path, jobID)
	}
	err = c.Do(ctx, &Call{
		Generation: &Generation{Name: "v1 visualization-jobs API"},
		Operation:  operation, Method: method, ProjectID: projectID, JobID: jobID, Path: append(path, more...),
		Accept: func(a *Answer) error {
			requestID = a.RequestID()
			if !a.IsObject() && (len(a.Body) > 0 || method == http.MethodGet) {
				return ErrNotJSON
			}
			return nil
		},
	})
	return requestID, err
}

func stopJob(c *Client, ctx context.Context, projectID, jobID string) (string, error) {
	return send(c, ctx, jobs.OperationStop, http.MethodPost, projectID, jobID, "stop")
}

func restartJob(c *Client, ctx context.Context, projectID, jobID string) (string, error) {
	return send(c, ctx, jobs.OperationRestart, http.MethodPost, projectID, jobID, "restart")
}

func getJob(c *Client, ctx context.Context, projectID, jobID string) (string, error) {
	return send(c, ctx, jobs.OperationDetail, http.MethodGet, projectID, jobID)
}

func listJobs(c *Client, ctx context.Context, projectID string) (string, error) {
	return send(c, ctx, jobs.OperationList, http.MethodGet, projectID, "")
}

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock {
	return &clock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// observations collects what an observer is told.
type observations struct {
	mu  sync.Mutex
	all []Observation
}

func (o *observations) add(one Observation) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, one)
}

// take returns what was seen as "operation kind" and forgets it.
func (o *observations) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var texts []string
	for _, one := range o.all {
		texts = append(texts, one.Operation+" "+one.Kind.String())
	}
	o.all = nil
	return texts
}
