package tasks

import (
	"context"
	"errors"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/throttle"
)

// claimLife is how long after its claim a task's call may begin. asynq gives the
// task to another worker a minute after this one was last heard of, at the
// earliest: a process that was paused for so long must not go on as if nothing
// had happened.
const claimLife = 20 * time.Second

var errPaused = errors.New("this worker stood still between its claim and its call: another may have made the call by now")

// call makes one API call when the gate gives leave; otherwise it returns how
// long to wait. claimed is when s was claimed. system says that a failure is the
// system's.
func (h *handler) call(ctx context.Context, s *ledger.Stop, claimed time.Time, class throttle.Class, do func(context.Context) error) (
	wait throttle.Wait, system bool, callErr, err error) {

	permit, wait, err := h.Gate.Enter(ctx, s.ProjectID, class, !s.Slot.IsZero())
	if err != nil || wait.For > 0 {
		return wait, false, nil, err
	}
	if h.passed(claimed) > claimLife {
		return throttle.Wait{}, false, nil, errors.Join(errPaused, h.giveBack(ctx, permit))
	}
	callCtx, cancel := context.WithTimeout(ctx, h.Schedule.CallTimeout)
	callErr = do(callCtx)
	cancel()
	// What the call has shown must not be lost to a shutdown.
	system, err = h.Gate.Report(context.WithoutCancel(ctx), permit, callErr)
	if err != nil { // the answer counts all the same
		h.Logger.WarnContext(ctx, "the throttle did not learn of an answer", "project", s.ProjectID, "error", err)
	}
	return throttle.Wait{}, system, callErr, nil
}

// passed is the time since t by the wall clock or by the monotonic one, whichever
// says more: one doesn't run while a machine sleeps, the other can be set back.
func (h *handler) passed(t time.Time) time.Duration {
	now := h.Now()
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// giveBack returns a leave that was not used.
func (h *handler) giveBack(ctx context.Context, p throttle.Permit) error {
	_, err := h.Gate.Report(ctx, p, context.Canceled)
	return err
}
