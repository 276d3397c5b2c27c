package throttle

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"vizstop/internal/modelarts"
)

// outageAfter is how many calls to a project have to fail in a row, in one
// process, before the failures are held to be the system's and not the jobs'.
const outageAfter = 5

// The vendor advises to wait 2 to 5 seconds after a 429 without Retry-After. The
// rate is lower afterwards, so the shorter half is enough.
const (
	parkLeast = 2 * time.Second
	parkMost  = 3 * time.Second
)

// Report tells how the call of a permit ended; err is what the client returned.
// It parks and halts for the fleet, and lifts the halt that the call probed. It
// reports whether the failure, if any, is the system's: then it says nothing
// about the job.
func (t *Throttle) Report(ctx context.Context, p Permit, err error) (system bool, rerr error) {
	switch kind := modelarts.KindOf(err); kind {
	case modelarts.KindThrottled:
		return true, t.park(ctx, p, err)
	case modelarts.KindCredentials:
		return true, t.halt(ctx, haltKey(fleet), Credentials, p, err)
	case modelarts.KindNoAPI:
		return true, t.halt(ctx, haltKey(fleet), NoAPI, p, err)
	case modelarts.KindPermission:
		return true, t.halt(ctx, haltKey(p.projectID), Permission, p, err)
	case modelarts.KindUnavailable, modelarts.KindTimeout, modelarts.KindUnreachable:
		inRow := t.failed(p.projectID)
		if kind != modelarts.KindUnreachable && inRow < outageAfter && !p.Probe() {
			return false, nil
		}
		if inRow < outageAfter && !p.Probe() {
			return true, nil
		}
		if p.Probe() { // tells nothing about the halt's cause: it stays
			return true, t.halt(ctx, p.probe, Outage, p, err)
		}
		return true, t.halt(ctx, haltKey(p.projectID), Outage, p, err)
	case modelarts.KindCanceled:
		return true, t.withdraw(ctx, p)
	default: // an answer about the job, good or bad: the system works
		return false, t.clear(ctx, p)
	}
}

func (t *Throttle) failed(projectID string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fails[projectID]++
	return t.fails[projectID]
}

func (t *Throttle) clear(ctx context.Context, p Permit) error {
	t.mu.Lock()
	delete(t.fails, p.projectID)
	t.mu.Unlock()
	if !p.Probe() {
		return nil
	}
	scope := p.projectID
	if p.probe == haltKey(fleet) {
		scope = fleet
	}
	if err := liftScript.Run(ctx, t.rdb, []string{p.probe, bucketKey(scope)}).Err(); err != nil {
		return fmt.Errorf("lift the halt: %w", err)
	}
	return nil
}

// withdraw gives a probe's right back unused.
func (t *Throttle) withdraw(ctx context.Context, p Permit) error {
	if !p.Probe() {
		return nil
	}
	if err := t.rdb.HDel(ctx, p.probe, "probing").Err(); err != nil {
		return fmt.Errorf("withdraw a probe: %w", err)
	}
	return nil
}

func (t *Throttle) park(ctx context.Context, p Permit, err error) error {
	d := parkLeast + rand.N(parkMost-parkLeast)
	apiErr, ok := errors.AsType[*modelarts.APIError](err)
	told := ok && apiErr.RetryAfter > 0
	if told {
		d = apiErr.RetryAfter
	}
	fresh, rerr := parkScript.Run(ctx, t.rdb, []string{bucketKey(p.projectID)},
		d.Microseconds(), p.at, t.cfg.Rate, t.cfg.Burst, flag(told)).Bool()
	if rerr != nil {
		return fmt.Errorf("park project %s: %w", p.projectID, rerr)
	}
	t.observeParked(fresh, Throttled)
	return t.withdraw(ctx, p)
}

func (t *Throttle) halt(ctx context.Context, key string, reason Reason, p Permit, err error) error {
	first, longest := t.probeWaits(reason)
	fresh, rerr := haltScript.Run(ctx, t.rdb, []string{key}, string(reason), err.Error(),
		first.Milliseconds(), longest.Milliseconds(), flag(p.probe == key)).Bool()
	if rerr != nil {
		return fmt.Errorf("halt on %s: %w", reason, rerr)
	}
	t.observeParked(fresh, reason)
	if p.Probe() && p.probe != key { // the halt it probed is gone, for another
		return t.clear(ctx, p)
	}
	return nil
}

func (t *Throttle) probeWaits(reason Reason) (first, longest time.Duration) {
	first, longest = 15*time.Second, 5*time.Minute
	if reason == Outage {
		first, longest = 2*time.Second, time.Minute
	}
	if t.cfg.FirstProbe > 0 {
		first = t.cfg.FirstProbe
	}
	if t.cfg.LongestProbe > 0 {
		longest = t.cfg.LongestProbe
	}
	return first, longest
}

func (t *Throttle) observeParked(fresh bool, reason Reason) {
	if fresh && t.cfg.Observer != nil {
		t.cfg.Observer.ThrottleParked(string(reason))
	}
}
