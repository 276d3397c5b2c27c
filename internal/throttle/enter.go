package throttle

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
)

// Enter asks for leave to call. Leave is given when the returned Wait is zero.
// back says that the caller comes back to a place in line. It costs one round
// trip to Redis, and a second one when the fleet or the project is held back or a
// wait of up to a second is sat out here, within ctx (see Config.Sitters).
//
// A place in line is at a whole second of this machine's clock, because due times
// of tasks have no finer ones: rounded down, all would come too early.
func (t *Throttle) Enter(ctx context.Context, projectID string, class Class, back bool) (Permit, Wait, error) {
	how := asNew
	if back {
		how = asBack
	}
	var waited time.Duration
	sit := t.sitters.enter(class)
	permit, wait, err := t.ask(ctx, projectID, class, how, sit)
	if err == nil && wait.sit {
		waited = wait.For
		if err = rest(ctx, wait.For); err == nil {
			permit, wait, err = t.ask(ctx, projectID, class, asPaid, false)
		}
	}
	if sit {
		t.sitters.leave(class)
	}
	if err != nil {
		return Permit{}, Wait{}, err
	}
	if wait.Place {
		wait.For = untilWholeSecond(time.Now(), wait.For)
	}
	t.observeWait(waited + wait.For)
	return permit, wait, nil
}

// untilWholeSecond makes d longer, so that it ends at a whole second.
func untilWholeSecond(now time.Time, d time.Duration) time.Duration {
	due := now.Add(d)
	if part := due.Sub(due.Truncate(time.Second)); part > 0 {
		d += time.Second - part
	}
	return d
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// How a caller comes, in the words of take.lua.
const (
	asNew  = "new"
	asBack = "back"
	asPaid = "paid"
)

// ask asks once. While nothing holds back the fleet, as far as this process knows,
// the fleet and the project are asked in one round trip: a take is lost when that
// was news, once. Otherwise the fleet is asked first.
func (t *Throttle) ask(ctx context.Context, projectID string, class Class, how string, sit bool) (Permit, Wait, error) {
	if t.held.Load() {
		return t.askHeld(ctx, projectID, class, how, sit)
	}
	keys, args := t.take(projectID, class, how, sit, 0)
	pipe := t.rdb.Pipeline()
	held := pipe.Exists(ctx, haltKey(fleet), pauseKey(fleet))
	taken := takeScript.EvalSha(ctx, pipe, keys, args...)
	_, err := pipe.Exec(ctx)
	if redis.HasErrorPrefix(taken.Err(), "NOSCRIPT") {
		taken, err = takeScript.Eval(ctx, t.rdb, keys, args...), held.Err()
	}
	if err != nil {
		return Permit{}, Wait{}, fmt.Errorf("ask for leave to call: %w", err)
	}
	if held.Val() > 0 {
		t.held.Store(true)
		return t.askHeld(ctx, projectID, class, how, sit)
	}
	return t.understand(ctx, projectID, taken)
}

// askHeld asks the fleet first, and then the project.
func (t *Throttle) askHeld(ctx context.Context, projectID string, class Class, how string, sit bool) (Permit, Wait, error) {
	pipe := t.rdb.Pipeline()
	held := pipe.Exists(ctx, haltKey(fleet), pauseKey(fleet))
	thawed := pipe.HGet(ctx, bucketKey(fleet), "thaw")
	if _, err := pipe.Exec(ctx); err != nil && !isNil(err) {
		return Permit{}, Wait{}, fmt.Errorf("ask whether calls are held back: %w", err)
	}
	if at, err := thawed.Int64(); err == nil {
		t.thawed.Store(at)
	}
	var hold time.Duration
	var why Wait
	if held.Val() == 0 {
		t.held.Store(false)
	} else {
		permit, wait, err := t.askFleet(ctx, projectID, class)
		if err != nil || permit.Probe() || wait.Reason == Paused {
			return permit, wait, err
		}
		hold, why = wait.For, wait
	}
	keys, args := t.take(projectID, class, how, sit, hold)
	permit, wait, err := t.understand(ctx, projectID, takeScript.Run(ctx, t.rdb, keys, args...))
	if err == nil && hold > 0 && wait.Reason == Rate {
		wait.Reason, wait.Detail = why.Reason, why.Detail
	}
	return permit, wait, err
}

// askFleet asks for what the fleet as a whole has to say against a call.
func (t *Throttle) askFleet(ctx context.Context, projectID string, class Class) (Permit, Wait, error) {
	answer := fleetScript.Run(ctx, t.rdb, []string{haltKey(fleet), pauseKey(fleet)}, flag(class == Stop), probeLife.Milliseconds())
	permit, wait, err := t.understand(ctx, fleet, answer)
	permit.projectID = projectID
	return permit, wait, err
}

// probeLife is how long a probe may take before another may go.
const probeLife = time.Minute

func (t *Throttle) take(projectID string, class Class, how string, sit bool, hold time.Duration) (keys []string, args []any) {
	return []string{bucketKey(projectID), haltKey(projectID), pauseKey(projectID)},
		[]any{t.cfg.Rate, t.cfg.Burst, string(class), how, flag(sit), t.thawed.Load(), hold.Microseconds(), probeLife.Milliseconds()}
}

// understand reads the answer of a script for a scope: a project or the fleet.
func (t *Throttle) understand(ctx context.Context, scope string, cmd *redis.Cmd) (Permit, Wait, error) {
	answer, err := cmd.Slice()
	if err != nil {
		return Permit{}, Wait{}, fmt.Errorf("ask for leave to call: %w", err)
	}
	permit := Permit{projectID: scope, at: answer[1].(int64)}
	wait := Wait{For: time.Duration(answer[2].(int64)) * time.Microsecond,
		Reason: Reason(answer[3].(string)), Detail: answer[4].(string)}
	switch answer[0].(string) {
	case "go", "clear":
		return permit, Wait{}, nil
	case "probe":
		permit.probe = haltKey(scope)
		return permit, Wait{}, nil
	case "paused":
		wait, err = t.paused(ctx, scope)
	case "sit":
		wait.sit, wait.Place = true, true
	case "line":
		wait.Place = true
	case "far":
		wait.For += rand.N(wait.For)
	}
	return Permit{}, wait, err
}

// isNil tells whether all that went wrong is that something isn't there.
func isNil(err error) bool { return errors.Is(err, redis.Nil) }

func (t *Throttle) observeWait(d time.Duration) {
	if t.cfg.Observer != nil {
		t.cfg.Observer.ThrottleWaited(d)
	}
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
