// Package caller makes calls of the API that belong to no stop, such as the lists that a
// rule is applied to: at the fleet's rate, and again while there is no answer.
package caller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// Caller makes calls of the API at the fleet's rate, and repeats those that got
// no answer. It tells nobody of refused credentials. It is safe for concurrent use if
// API and Rate are.
type Caller struct {
	API  API
	Rate Rate
}

// API is the part of the API that is called.
type API interface {
	List(ctx context.Context, projectID string, q jobs.Query) (*jobs.Page, error)
	Get(ctx context.Context, projectID, jobID string) (*jobs.Job, error)
	Restart(ctx context.Context, projectID, jobID string) (requestID string, err error)
	Restarts(projectID string) bool
}

// Rate says when a call may go out.
type Rate interface {
	Spend(ctx context.Context, projectID string) error
	Throttled(ctx context.Context, projectID string, err error) error
}

// FleetRate is what all workers and commands on one Redis keep to together.
type FleetRate struct {
	Rate
	Ledger *ledger.Ledger
}

// Spend leaves something in Redis, also for a project that never has a stop.
func (r FleetRate) Spend(ctx context.Context, projectID string) error {
	return errors.Join(r.Ledger.Visit(ctx, projectID), r.Rate.Spend(ctx, projectID))
}

// OwnRate is all that is known without a Redis: rest after a 429. The zero value is ready. It is safe for
// concurrent use.
type OwnRate struct {
	mu    sync.Mutex
	until time.Time
}

// Spend waits until the rest after a 429 is over.
func (r *OwnRate) Spend(ctx context.Context, _ string) error {
	r.mu.Lock()
	rest := time.Until(r.until)
	r.mu.Unlock()
	timer := time.NewTimer(rest)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Throttled begins a rest.
func (r *OwnRate) Throttled(_ context.Context, _ string, err error) error {
	rest := 3 * time.Second // the vendor advises 2 to 5
	if apiErr, ok := errors.AsType[*jobs.Error](err); ok {
		rest = max(rest, apiErr.RetryAfter)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.until = time.Now().Add(rest)
	return nil
}

const (
	callTries = 5  // of a call that gets no answer
	parkTries = 20 // of a call that is answered 429: each waits until the project is no longer parked
)

// call makes one call of a project, again while the API gives no answer. The
// error is that of the API, of Redis or of ctx.
func (c *Caller) call(ctx context.Context, projectID string, do func(context.Context) error) error {
	for tries, parks := 1, 1; ; {
		if err := c.Rate.Spend(ctx, projectID); err != nil {
			return fmt.Errorf("wait for the rate of project %s: %w", projectID, err)
		}
		callCtx, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := do(callCtx)
		cancel()
		kind := jobs.KindOf(err)
		apiErr, _ := errors.AsType[*jobs.Error](err)
		switch {
		case ctx.Err() != nil:
			return err
		case kind == jobs.KindThrottled && parks < parkTries:
			parks++
			if err := c.Rate.Throttled(ctx, projectID, err); err != nil {
				return err
			}
		case tries < callTries && apiErr != nil && (apiErr.MaybeSent || kind == jobs.KindUnreachable || kind == jobs.KindUnavailable):
			tries++
		default:
			return err
		}
	}
}

// List returns one page.
func (c *Caller) List(ctx context.Context, projectID string, q jobs.Query) (page *jobs.Page, err error) {
	err = c.call(ctx, projectID, func(ctx context.Context) error {
		page, err = c.API.List(ctx, projectID, q)
		return err
	})
	return page, err
}

// Get looks at one job.
func (c *Caller) Get(ctx context.Context, projectID, jobID string) (job *jobs.Job, err error) {
	err = c.call(ctx, projectID, func(ctx context.Context) error {
		job, err = c.API.Get(ctx, projectID, jobID)
		return err
	})
	return job, err
}

// Restart restarts one job. If a try got no answer and may have worked, its error says so (jobs.Error.Unanswered),
// whatever came after it, unless that names the job as active.
func (c *Caller) Restart(ctx context.Context, projectID, jobID string) (requestID string, err error) {
	var unanswered *jobs.Error
	err = c.call(ctx, projectID, func(ctx context.Context) error {
		requestID, err = c.API.Restart(ctx, projectID, jobID)
		if apiErr, ok := errors.AsType[*jobs.Error](err); ok && apiErr.Unanswered() {
			unanswered = apiErr
		}
		return err
	})
	last, _ := errors.AsType[*jobs.Error](err)
	if err != nil && unanswered != nil && (last == nil || !last.Unanswered() && last.JobStatus.State != jobs.Active) {
		err = fmt.Errorf("%w, then: %w", unanswered, err)
	}
	return requestID, err
}

// Restarts reports whether jobs of a project can be restarted at all.
func (c *Caller) Restarts(projectID string) bool { return c.API.Restarts(projectID) }
