package simulation

import (
	"context"
	"slices"
	"sync"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/worker"
)

// callRecorder remembers every call that was made, and its result.
type callRecorder struct {
	mu   sync.Mutex
	seen []recordedCall
}

type recordedCall struct {
	at, end   time.Time
	by        *faultyWorker // nil: an undo
	project   string
	operation string
	job       string // "" when it is a list
	status    modelarts.Status
	err       error
}

// within reports whether a worker made the call while s was in flight. The ledger
// keeps whole milliseconds.
func (c recordedCall) within(s *ledger.Stop) bool {
	return c.by != nil && !c.at.Before(s.Asked) && !c.at.After(s.Ended.Add(time.Millisecond))
}

func (r *callRecorder) record(c recordedCall) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.end = time.Now()
	r.seen = append(r.seen, c)
}

// recorded lists the calls in the order in which they went out.
func (r *callRecorder) recorded() []recordedCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	calls := slices.Clone(r.seen)
	slices.SortStableFunc(calls, func(a, b recordedCall) int { return a.at.Compare(b.at) })
	return calls
}

// recordingJobs is a worker's client of the API that records its calls.
type recordingJobs struct {
	worker.Jobs
	recorder *callRecorder
	by       *faultyWorker
}

func (j *recordingJobs) StopVisualizationJob(ctx context.Context, projectID, jobID string) (string, error) {
	if !j.by.survives() {
		return "", errDead
	}
	if ctx.Err() != nil { // it froze for so long that nothing is sent
		return j.Jobs.StopVisualizationJob(ctx, projectID, jobID)
	}
	at := time.Now()
	id, err := j.Jobs.StopVisualizationJob(ctx, projectID, jobID)
	j.recorder.record(recordedCall{at: at, by: j.by, project: projectID, operation: modelarts.OperationStop, job: jobID, err: err})
	return id, err
}

func (j *recordingJobs) ShowVisualizationJob(ctx context.Context, projectID, jobID string) (*modelarts.VisualizationJob, error) {
	if !j.by.survives() {
		return nil, errDead
	}
	if ctx.Err() != nil {
		return j.Jobs.ShowVisualizationJob(ctx, projectID, jobID)
	}
	at := time.Now()
	job, err := j.Jobs.ShowVisualizationJob(ctx, projectID, jobID)
	c := recordedCall{at: at, by: j.by, project: projectID, operation: modelarts.OperationDetail, job: jobID, err: err}
	if err == nil {
		c.status = job.Status
	}
	j.recorder.record(c)
	return job, err
}

func (j *recordingJobs) ListVisualizationJobs(ctx context.Context, projectID string, q modelarts.ListQuery) (*modelarts.JobPage, error) {
	if !j.by.survives() {
		return nil, errDead
	}
	if ctx.Err() != nil {
		return j.Jobs.ListVisualizationJobs(ctx, projectID, q)
	}
	at := time.Now()
	page, err := j.Jobs.ListVisualizationJobs(ctx, projectID, q)
	j.recorder.record(recordedCall{at: at, by: j.by, project: projectID, operation: modelarts.OperationList, err: err})
	return page, err
}
