package tasks

import (
	"context"
	"errors"
	"time"

	"vizstop/internal/fleet"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
)

// beginWithin is how long after its claim a call may begin. A worker that stood
// still for longer may have been taken for dead, and its step given to another.
const beginWithin = 3 * time.Second

// claimer claims the steps of tasks, each when there is a slot for its call.
type claimer struct {
	release  *release.Releaser
	slots    *Slots
	recorder Recorder
	stopping context.Context
	work     *AtWork
	pull     func(projectID string, after time.Duration)
	pulse    func() (lapsed func() bool)
}

// claimed is a step that this worker has, with a slot for its call.
type claimed struct {
	release.Claimed
	slot   *Slot
	asked  time.Time   // this machine's time when it was claimed
	lapsed func() bool // whether other workers may have taken this one for dead since
}

// late reports whether it is too late for its call to begin.
func (c claimed) late(now time.Time) bool {
	return fleet.Passed(c.asked) > beginWithin || now.Sub(c.Stop.Marked) > beginWithin
}

// claim waits for a slot and claims a step. Where it returns a stop, the caller
// must free the slot; otherwise the result says why there is nothing to do.
func (c *claimer) claim(ctx context.Context, projectID string, step ledger.Member, kind ledger.Kind) (claimed, result, error) {
	look := kind != ledger.KindStop
	ctx, cancel := until(ctx, c.stopping)
	defer cancel()
	defer c.work.wait(projectID, step)()
	slot, err := c.slots.Acquire(ctx, projectID, look)
	if err == nil && c.stopping.Err() != nil { // it became free when this worker was ending
		slot.Free()
		err = c.stopping.Err()
	}
	if err != nil {
		return claimed{}, result{}, err
	}
	attempt, again := c.release.NewClaim(projectID, step, kind), false
	for ; ; again = true {
		step := claimed{slot: slot, asked: time.Now(), lapsed: c.pulse()}
		got, err := attempt.Do()
		step.Claimed = got
		if got.Passed || again && err == nil && got.Stop == nil { // the answer that was lost may have said so
			c.pull(projectID, 0)
		}
		if err == nil && c.tooLate(step) {
			err = errTooLate
		}
		if err != nil {
			if err = pause(ctx, err); err == nil {
				continue // the same attempt: whatever Redis did with it, the answer is the same
			}
		}
		if err == nil && got.Stop != nil {
			return step, result{}, nil
		}
		slot.Free()
		switch {
		case err != nil:
			return claimed{}, result{}, err
		case got.Held:
			return claimed{}, result{what: "step is held back"}, nil
		}
		c.recorder.Duplicate()
		return claimed{}, result{what: "task came again"}, nil
	}
}

var errTooLate = errors.New("the claim of a stop call was answered too late for the call")

// tooLate reports whether a stop call may go out by a claim and it is too late for it to begin: then it has to be
// claimed anew. The answer to a repeated claim may be about an earlier mark.
func (c *claimer) tooLate(step claimed) bool {
	now := c.release.Now()
	return step.MayCall && step.Stop.Wanted(now) && step.late(now)
}

// redisPause is the time between two tries to reach a Redis that is away, or late.
const redisPause = 300 * time.Millisecond

// pause waits before the next try after an error of Redis; it returns the error
// when ctx has ended.
func pause(ctx context.Context, err error) error {
	timer := time.NewTimer(redisPause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return err
	}
}
