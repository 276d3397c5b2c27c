package simulation

import (
	"context"
	"slices"
	"sync"
	"time"

	"vizstop/internal/modelarts"
	"vizstop/internal/tasks"
)

// witness remembers every call that workers made, and its result.
type witness struct {
	mu    sync.Mutex
	calls []witnessed
}

type witnessed struct {
	at, end   time.Time
	by        *mortal
	operation string
	job       string // "" when it is a list
	status    modelarts.Status
	err       error
}

func (w *witness) saw(c witnessed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.end = time.Now()
	w.calls = append(w.calls, c)
}

// all lists the calls in the order in which they went out.
func (w *witness) all() []witnessed {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := slices.Clone(w.calls)
	slices.SortStableFunc(calls, func(a, b witnessed) int { return a.at.Compare(b.at) })
	return calls
}

// observed is the API as a worker sees it, with the witness looking on.
type observed struct {
	tasks.Jobs
	witness *witness
	by      *mortal
}

func (o *observed) StopVisualizationJob(ctx context.Context, projectID, jobID string) (string, error) {
	if !o.by.survives() {
		return "", errDead
	}
	if ctx.Err() != nil { // it froze for so long that nothing is sent
		return o.Jobs.StopVisualizationJob(ctx, projectID, jobID)
	}
	at := time.Now()
	id, err := o.Jobs.StopVisualizationJob(ctx, projectID, jobID)
	o.witness.saw(witnessed{at: at, by: o.by, operation: modelarts.OperationStop, job: jobID, err: err})
	return id, err
}

func (o *observed) ShowVisualizationJob(ctx context.Context, projectID, jobID string) (*modelarts.VisualizationJob, error) {
	if !o.by.survives() {
		return nil, errDead
	}
	if ctx.Err() != nil {
		return o.Jobs.ShowVisualizationJob(ctx, projectID, jobID)
	}
	at := time.Now()
	job, err := o.Jobs.ShowVisualizationJob(ctx, projectID, jobID)
	c := witnessed{at: at, by: o.by, operation: modelarts.OperationDetail, job: jobID, err: err}
	if err == nil {
		c.status = job.Status
	}
	o.witness.saw(c)
	return job, err
}

func (o *observed) ListVisualizationJobs(ctx context.Context, projectID string, q modelarts.ListQuery) (*modelarts.JobPage, error) {
	if !o.by.survives() {
		return nil, errDead
	}
	if ctx.Err() != nil {
		return o.Jobs.ListVisualizationJobs(ctx, projectID, q)
	}
	at := time.Now()
	page, err := o.Jobs.ListVisualizationJobs(ctx, projectID, q)
	o.witness.saw(witnessed{at: at, by: o.by, operation: modelarts.OperationList, err: err})
	return page, err
}
