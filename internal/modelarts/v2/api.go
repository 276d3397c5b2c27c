// Package v2 is the second generation of the API: training jobs, of which
// visualization jobs are a kind. Phases, searches, codes and the guard that keeps all
// other training jobs from being stopped stay in here.
//
// Source: ModelArts API reference, "Training Management", and the public clients that
// are named where a fact is theirs alone.
package v2

import (
	"context"
	"errors"
	"net/http"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	"vizstop/internal/plain"
)

// Options settle an API.
type Options struct {
	// TensorboardTraining allows stops of training jobs whose annotations switch on
	// TensorBoard or MindStudio Insight.
	TensorboardTraining bool
	// Spend is asked before each further call that List makes beside its first, and
	// waits until the project's rate allows it. nil: never.
	Spend func(ctx context.Context, projectID string) error
	// Owe is told of the look that Stop makes before a stop call, in time for the rate
	// of what comes next. It does not wait. nil: nobody is.
	Owe func(ctx context.Context, projectID string)
}

// API calls the second generation of the API through a client. It is a jobs.API.
type API struct {
	client *modelarts.Client
	spend  func(ctx context.Context, projectID string) error
	owe    func(ctx context.Context, projectID string)
	guard  guard
	search *search
}

// New returns the API of the client's endpoint.
func New(client *modelarts.Client, o Options) *API {
	if o.Spend == nil {
		o.Spend = func(context.Context, string) error { return nil }
	}
	if o.Owe == nil {
		o.Owe = func(context.Context, string) {}
	}
	return &API{client: client, spend: o.Spend, owe: o.Owe, guard: guard{annotated: o.TensorboardTraining}, search: newSearch()}
}

// NoJob is an id that no job has: the UUID that is reserved for none.
const NoJob = "00000000-0000-0000-0000-000000000000"

// LooksLikeID reports whether a text has the form of this generation's ids: a UUID.
func LooksLikeID(id string) bool {
	if len(id) != len(NoJob) {
		return false
	}
	for i, c := range []byte(id) {
		dash := c == '-'
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
		if dash != (NoJob[i] == '-') || !dash && !hex {
			return false
		}
	}
	return true
}

// Get is that of jobs.API. It tells of any training job: Stop looks at the kind.
func (a *API) Get(ctx context.Context, projectID, jobID string) (*jobs.Job, error) {
	t, err := a.get(ctx, projectID, jobID)
	if err != nil {
		return nil, err
	}
	if err := a.guard.refusal(t); err != nil {
		t.Job.Refusal = plain.Line(err.Error(), mostRefusal)
	}
	return &t.Job, nil
}

// mostRefusal bounds a Refusal, in characters.
const mostRefusal = 512

func (a *API) get(ctx context.Context, projectID, jobID string) (t *training, err error) {
	err = a.one(ctx, &modelarts.Call{
		Operation: jobs.OperationDetail, Method: http.MethodGet, ProjectID: projectID, JobID: jobID,
		Accept: func(answer *modelarts.Answer) (err error) {
			t, err = readTraining(answer, jobID)
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// one makes a call of one job, or of what is below it.
func (a *API) one(ctx context.Context, cl *modelarts.Call, below ...string) error {
	cl.Generation, cl.Path = generation, append([]string{"v2", cl.ProjectID, "training-jobs", cl.JobID}, below...)
	return a.client.Do(ctx, cl)
}

// terminate is the body of the one action that there is.
var terminate = []byte(`{"action_type":"terminate"}`)

// Stop is that of jobs.API. Before the first stop call of a job it looks at its kind:
// one that is not a visualization job is refused with KindInvalid and gets no call.
//
// Source: ModelArts API reference, "Terminating a Training Job".
func (a *API) Stop(ctx context.Context, projectID, jobID string) (accepted jobs.Accepted, err error) {
	if !a.guard.knows(projectID, jobID) {
		if err := a.mayStop(ctx, projectID, jobID); err != nil {
			return jobs.Accepted{}, err
		}
		a.owe(ctx, projectID)
	}
	err = a.one(ctx, &modelarts.Call{
		Operation: jobs.OperationStop, Method: http.MethodPost, ProjectID: projectID, JobID: jobID, Body: terminate,
		Accept: func(answer *modelarts.Answer) error {
			accepted.RequestID = answer.RequestID()
			if len(answer.Body) == 0 {
				return nil
			}
			t, err := readTraining(answer, jobID)
			if errors.Is(err, errNoTraining) { // it says no more than accepted
				return nil
			}
			accepted.Ended = err == nil && t.Status.State == jobs.Ended
			return err
		},
	}, "actions")
	if err != nil {
		return jobs.Accepted{}, err
	}
	return accepted, nil
}

// mayStop looks at a job before its first stop call. The look also shows what a stop
// call would be refused for.
func (a *API) mayStop(ctx context.Context, projectID, jobID string) error {
	t, err := a.get(ctx, projectID, jobID)
	if err != nil {
		return jobs.NotSent(jobs.OperationStop, err)
	}
	refusal := &jobs.Error{Operation: jobs.OperationStop, RequestID: t.RequestID}
	if refusal.Err = a.guard.check(projectID, t); refusal.Err != nil {
		refusal.Kind = jobs.KindInvalid
		return refusal
	}
	if t.Status.State == jobs.Stopping || t.Status.State == jobs.Ended {
		refusal.Kind, refusal.JobStatus = jobs.KindNotAllowed, t.Status
		return refusal
	}
	return nil
}

// Restarts is that of jobs.API: no call of this generation starts a job again.
func (a *API) Restarts(string) bool { return false }

// Restart is that of jobs.API. It sends nothing.
func (a *API) Restart(context.Context, string, string) (string, error) {
	return "", &jobs.Error{Operation: jobs.OperationRestart, Kind: jobs.KindInvalid,
		Err: errors.New("the " + generation.Name + " has no call that starts a job again")}
}
