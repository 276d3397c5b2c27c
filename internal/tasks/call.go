package tasks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vizstop/internal/throttle"
)

const (
	// claimLife is how long after its claim a task's call may begin. The repairer
	// gives the task to another worker when asynq's lease of 30 s and leaseGrace are
	// over, at the earliest: a process that was paused for so long must not go on as
	// if nothing had happened.
	claimLife = 20 * time.Second
	// leaveLife is how long after the question the leave to call is good for: a
	// process that stood still meanwhile does not know of a pause, a halt or a
	// deadline since.
	leaveLife = 5 * time.Second
)

// errUnused is reported for leave that was given and not used: as a call that
// was given up, it tells nothing about the API.
var errUnused = fmt.Errorf("leave to call was not used: %w", context.Canceled)

// errand is an API call to be made.
type errand struct {
	projectID string
	class     throttle.Class
	back      bool      // it comes back to a place in line
	claimed   time.Time // when the right to make it was claimed
	do        func(context.Context) error
}

// call makes one API call when the gate gives leave; otherwise it returns how
// long to wait. system says that a failure is the system's.
func (h *handler) call(ctx context.Context, e errand) (wait throttle.Wait, system bool, callErr, err error) {
	asked := h.Now()
	permit, wait, err := h.Gate.Enter(ctx, e.projectID, e.class, e.back)
	if err != nil || wait.For > 0 {
		return wait, false, nil, err
	}
	select {
	case h.calls <- struct{}{}:
		defer func() { <-h.calls }()
	case <-ctx.Done():
		return throttle.Wait{}, false, nil, errors.Join(ctx.Err(), h.giveBack(ctx, permit))
	}
	if h.passed(e.claimed) > claimLife || h.passed(asked) > leaveLife { // the next hop is fenced, and asks anew
		return throttle.Wait{For: time.Second, Reason: throttle.Rate}, false, nil, h.giveBack(ctx, permit)
	}
	callCtx, cancel := context.WithTimeout(ctx, h.Schedule.CallTimeout)
	callErr = e.do(callCtx)
	cancel()
	// What the call has shown must not be lost to a shutdown.
	system, err = h.Gate.Report(context.WithoutCancel(ctx), permit, callErr)
	if err != nil { // the answer counts all the same
		h.Logger.WarnContext(ctx, "the throttle did not learn of an answer", "project", e.projectID, "error", err)
	}
	return throttle.Wait{}, system, callErr, nil
}

// passed is the time since t by the wall clock or by the monotonic one, whichever
// says more: one doesn't run while a machine sleeps, the other can be set back.
func (h *handler) passed(t time.Time) time.Duration {
	now := h.Now()
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// giveBack returns leave to call that was not used.
func (h *handler) giveBack(ctx context.Context, p throttle.Permit) error {
	_, err := h.Gate.Report(context.WithoutCancel(ctx), p, errUnused)
	return err
}
