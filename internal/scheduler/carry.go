package scheduler

import (
	"context"
	"errors"
	"time"

	"vizstop/internal/plain"
	"vizstop/internal/schedules"
)

// errLost is returned when another worker has the tick now, or it was settled.
var errLost = errors.New("the tick is no longer this worker's")

// firstRetry and mostRetry bound the wait after a try that failed whole.
const (
	firstRetry = 30 * time.Second
	mostRetry  = 5 * time.Minute
)

// maxSaid bounds an error in a result, in characters.
const maxSaid = 500

// carry carries out a tick that this worker has claimed.
func (s *Scheduler) carry(ctx context.Context, one *schedules.Schedule, c claim) {
	end := timeOf(c.Tick).Add(one.CatchUp)
	limited, cancel := context.WithTimeout(ctx, end.Sub(s.Fleet.Now()))
	defer cancel()
	result, err := s.attempt(limited, one, &c)
	switch {
	case errors.Is(err, errLost) || ctx.Err() != nil: // others go on
	case err != nil:
		err = s.giveBack(ctx, one, c, err)
	default:
		err = s.finish(ctx, one, c, result)
	}
	if errors.Is(err, errLost) && ctx.Err() == nil {
		if err := s.withdrawLost(ctx, one, c); err != nil {
			s.Logger.WarnContext(ctx, "if the tick was canceled, some of its stops may go on: cancel its batch again",
				"schedule", one.Name, "batch", schedules.BatchID(one.Name, timeOf(c.Tick)), "error", err)
		}
		return
	}
	if err != nil && ctx.Err() == nil {
		s.Logger.WarnContext(ctx, "a tick is gone on with later", "schedule", one.Name, "tick", timeOf(c.Tick).Format(time.RFC3339), "error", err)
	}
}

// attempt chooses the jobs of a tick, unless a try before has, and asks for their stops.
func (s *Scheduler) attempt(ctx context.Context, one *schedules.Schedule, c *claim) (Result, error) {
	if c.Chosen == nil {
		if err := s.choose(ctx, one, c); err != nil {
			return Result{}, err
		}
	}
	return s.ask(ctx, one, *c)
}

// mine changes the record of a schedule while this worker has the claim.
func (s *Scheduler) mine(ctx context.Context, name string, c claim, do func(*state) []Result) error {
	for {
		r, err := s.state(ctx, name)
		if err != nil {
			return err
		}
		if !s.has(&r, c) {
			return errLost
		}
		results := do(&r.state)
		err = s.change(ctx, name, &r, results...)
		if errors.Is(err, errChanged) {
			continue
		}
		return err
	}
}

// has reports whether this worker still has a claim.
func (s *Scheduler) has(r *record, c claim) bool {
	return r.Claim != nil && r.Claim.Tick == c.Tick && r.Claim.Try == c.Try && r.Claim.Worker == s.me
}

// giveBack leaves a tick whose try has failed to whoever looks at it first after a while.
func (s *Scheduler) giveBack(ctx context.Context, one *schedules.Schedule, c claim, cause error) error {
	wait := min(mostRetry, firstRetry<<min(c.Try-1, 10))
	said := plain.Line(cause.Error(), maxSaid)
	err := s.mine(ctx, one.Name, c, func(st *state) []Result {
		back := *st.Claim
		back.Worker, back.RetryAt, back.Error = "", s.Fleet.Now().Add(wait).UnixMilli(), said
		st.Claim = &back
		return nil
	})
	if err == nil {
		s.Logger.WarnContext(ctx, "a try to carry out a tick failed", "schedule", one.Name, "tick", timeOf(c.Tick).Format(time.RFC3339),
			"try", c.Try, "again_in", wait, "error", said)
	}
	return err
}

// finish settles a tick, and forgets its selection.
func (s *Scheduler) finish(ctx context.Context, one *schedules.Schedule, c claim, result Result) error {
	err := s.mine(ctx, one.Name, c, func(st *state) []Result {
		if c.By == "" {
			st.Settled = max(st.Settled, c.Tick)
			st.Next = millis(one.Next(timeOf(st.Settled)))
		}
		if (result.Outcome == Done || result.Outcome == Partial) && !result.trial(one.Shadow) {
			st.LastDone = max(st.LastDone, c.Tick)
		}
		st.Claim = nil
		return []Result{result}
	})
	if err != nil {
		return err
	}
	s.tellResult(ctx, one, result)
	if err := s.rdb.Del(ctx, chosenKey(one.Name, c.Tick, c.Chosen.Try)).Err(); err != nil {
		s.Logger.WarnContext(ctx, "the selection of a tick is forgotten later", "schedule", one.Name, "error", err)
	}
	return nil
}
