package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// caller makes calls of the API at the fleet's rate, and repeats those that got
// no answer. Credentials that are refused are this command's own: no worker
// hears of it.
type caller struct {
	api  jobs.API
	rate rate
}

// rate says when a call may go out.
type rate interface {
	Spend(ctx context.Context, projectID string) error
	Throttled(ctx context.Context, projectID string, err error) error
}

// callRate is what calls of this command keep to. The books are nil in a dry run
// without a Redis.
func (b *books) callRate() rate {
	if b == nil {
		return &ownRate{}
	}
	return &fleetRate{b.release, b.ledger}
}

// fleetRate is what all workers and commands on one Redis keep to together.
type fleetRate struct {
	rate
	ledger *ledger.Ledger
}

// Spend leaves something in Redis, also for a project that never has a stop.
func (r *fleetRate) Spend(ctx context.Context, projectID string) error {
	return errors.Join(r.ledger.Visit(ctx, projectID), r.rate.Spend(ctx, projectID))
}

// ownRate is all that is known without a Redis: rest after a 429.
type ownRate struct {
	mu    sync.Mutex
	until time.Time
}

func (r *ownRate) Spend(ctx context.Context, _ string) error {
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

func (r *ownRate) Throttled(_ context.Context, _ string, err error) error {
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
func (c *caller) call(ctx context.Context, projectID string, do func(context.Context) error) error {
	for tries, parks := 1, 1; ; {
		if err := c.rate.Spend(ctx, projectID); err != nil {
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
			if err := c.rate.Throttled(ctx, projectID, err); err != nil {
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
func (c *caller) List(ctx context.Context, projectID string, q jobs.Query) (page *jobs.Page, err error) {
	err = c.call(ctx, projectID, func(ctx context.Context) error {
		page, err = c.api.List(ctx, projectID, q)
		return err
	})
	return page, err
}

// Get looks at one job.
func (c *caller) Get(ctx context.Context, projectID, jobID string) (job *jobs.Job, err error) {
	err = c.call(ctx, projectID, func(ctx context.Context) error {
		job, err = c.api.Get(ctx, projectID, jobID)
		return err
	})
	return job, err
}

// Restart restarts one job.
func (c *caller) Restart(ctx context.Context, projectID, jobID string) (requestID string, err error) {
	err = c.call(ctx, projectID, func(ctx context.Context) error {
		requestID, err = c.api.Restart(ctx, projectID, jobID)
		return err
	})
	return requestID, err
}

// Restarts reports whether jobs of a project can be restarted at all.
func (c *caller) Restarts(projectID string) bool { return c.api.Restarts(projectID) }
