package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
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
	status    jobs.Status
	refusal   string // why no stop call may go out for it, by its detail
	err       error
}

func (c recordedCall) String() string {
	answer := c.status.String()
	switch {
	case c.err != nil:
		answer = c.err.Error()
	case c.refusal != "":
		answer += ", " + c.refusal
	}
	return fmt.Sprintf("%s %s: %.80s", clock(c.at), c.operation, answer)
}

// noted is how far the times that the ledger notes may be behind: it keeps whole
// milliseconds of the fleet's clock, which may be a few behind.
const noted = 5 * time.Millisecond

// within reports whether a worker made a call while s was in flight. What went out a moment before s was asked for, and
// before the end of another stop of its job, was of that one; so was a stop call a moment after the end of s, when
// another one had been asked for.
func (d *day) within(c recordedCall, s *ledger.Stop) bool {
	until := s.Ended.Add(noted)
	if next := d.nexts[s.ID]; c.operation == jobs.OperationStop && !next.IsZero() && next.Before(until) {
		until = later(s.Ended, next.Add(-1))
	}
	return c.by != nil && !c.at.Before(s.Asked.Add(-early)) && !c.at.After(until) &&
		(c.at.After(d.ends[s.ID]) || !c.at.Before(s.Asked))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// precede notes for each stop when another one of its job ended, the latest that did so before it was asked for, and
// when the first one after it was asked for.
func (d *day) precede(stops []*ledger.Stop) {
	d.ends, d.nexts = map[string]time.Time{}, map[string]time.Time{}
	for _, s := range stops {
		for _, o := range stops {
			if o.ProjectID != s.ProjectID || o.JobID != s.JobID || !o.Asked.Before(s.Asked) {
				continue
			}
			if end := o.Ended.Add(noted); end.After(d.ends[s.ID]) {
				d.ends[s.ID] = end
			}
			if next := d.nexts[o.ID]; next.IsZero() || s.Asked.Before(next) {
				d.nexts[o.ID] = s.Asked
			}
		}
	}
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

func (j *recordingJobs) Stop(ctx context.Context, projectID, jobID string) (jobs.Accepted, error) {
	if !j.by.survives() {
		return jobs.Accepted{}, errDead
	}
	if ctx.Err() != nil { // it froze for so long that nothing is sent
		return j.Jobs.Stop(ctx, projectID, jobID)
	}
	at := time.Now()
	id, err := j.Jobs.Stop(ctx, projectID, jobID)
	if errors.Is(err, jobs.ErrLate) { // likewise
		return id, err
	}
	j.recorder.record(recordedCall{at: at, by: j.by, project: projectID, operation: jobs.OperationStop, job: jobID, err: err})
	return id, err
}

func (j *recordingJobs) Get(ctx context.Context, projectID, jobID string) (*jobs.Job, error) {
	if !j.by.survives() {
		return nil, errDead
	}
	if ctx.Err() != nil {
		return j.Jobs.Get(ctx, projectID, jobID)
	}
	at := time.Now()
	job, err := j.Jobs.Get(ctx, projectID, jobID)
	c := recordedCall{at: at, by: j.by, project: projectID, operation: jobs.OperationDetail, job: jobID, err: err}
	if err == nil {
		c.status, c.refusal = job.Status, job.Refusal
	}
	j.recorder.record(c)
	return job, err
}

func (j *recordingJobs) List(ctx context.Context, projectID string, q jobs.Query) (*jobs.Page, error) {
	if !j.by.survives() {
		return nil, errDead
	}
	if ctx.Err() != nil {
		return j.Jobs.List(ctx, projectID, q)
	}
	at := time.Now()
	page, err := j.Jobs.List(ctx, projectID, q)
	j.recorder.record(recordedCall{at: at, by: j.by, project: projectID, operation: jobs.OperationList, err: err})
	return page, err
}
