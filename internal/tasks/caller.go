package tasks

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
)

// caller makes stop calls for steps that were claimed, frees their slots and
// reports how they ended.
type caller struct {
	call     func(ctx context.Context, projectID, jobID string) (jobs.Accepted, error)
	schedule Schedule
	reporter *reporter
}

// detail makes detail calls likewise. It has no way to make any other call.
type detail struct {
	call     func(ctx context.Context, projectID, jobID string) (*jobs.Job, error)
	schedule Schedule
	reporter *reporter
}

// reporter frees the slots of calls that have ended, and tells the fleet how.
type reporter struct {
	release *release.Releaser
	slots   *Slots
	log     *slog.Logger
}

const (
	// leastLookTime is how long any detail call may take at first. It is harmless to ask
	// again: mostly one answer is slow, not the API.
	leastLookTime = 1500 * time.Millisecond
	// slowLook: a look that takes so many times as long as usual is asked for again.
	slowLook = 3
)

// stop makes the stop call of a claimed stop, and keeps what it has told besides
// its verdict. system says that a failure is the system's. If others may have taken
// this worker for dead before the call could be sent, or the deadline has passed, there
// is none, and the error is jobs.ErrLate.
func (c *caller) stop(ctx context.Context, step claimed) (accepted jobs.Accepted, err error, system bool) {
	s := step.Stop
	late := func() bool {
		now := c.reporter.release.Now()
		return step.late(now) && step.lapsed() || !s.Wanted(now)
	}
	callCtx, cancel := context.WithTimeout(ctx, c.schedule.CallTimeout)
	began := time.Now()
	accepted, err = c.call(jobs.UnlessLate(callCtx, late), s.ProjectID, s.JobID)
	took := time.Since(began)
	cancel()
	if errors.Is(err, jobs.ErrLate) {
		s.Marked = time.Time{}
		return jobs.Accepted{}, err, false
	}
	if s.Called.IsZero() {
		s.Called = step.At
	}
	now := c.reporter.release.Now()
	noteCall(s, accepted, err, now)
	noteAbsent(s, err, now)
	return accepted, err, c.reporter.report(ctx, step, err, took)
}

// look makes a detail call for a claimed stop.
func (c *detail) look(ctx context.Context, step claimed) (job *jobs.Job, err error, system bool) {
	s := step.Stop
	if !s.Marked.IsZero() && !step.MayCall {
		s.LostCall(c.schedule.lostTill(s.Marked))
	}
	var took time.Duration
	for _, limit := range lookLimits(c.reporter.slots.LookTimeOf(s.ProjectID), c.schedule.CallTimeout) {
		if err != nil { // the first call was slow
			c.reporter.owe(ctx, s.ProjectID)
			s.Polls++
			s.Note(historyDetail(c.reporter.release.Now(), nil, err))
		}
		callCtx, cancel := context.WithTimeout(ctx, limit)
		began := time.Now()
		job, err = c.call(callCtx, s.ProjectID, s.JobID)
		took = time.Since(began)
		slow := callCtx.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !slow {
			break
		}
	}
	now := c.reporter.release.Now()
	notePoll(s, job, err, step.At, now)
	noteAbsent(s, err, now)
	return job, err, c.reporter.report(ctx, step, err, took)
}

// owe counts a second call of a look, which nobody has paid for. It does not wait long for Redis.
func (c *reporter) owe(ctx context.Context, projectID string) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := c.release.Owe(ctx, projectID); err != nil {
		c.log.WarnContext(ctx, "the rate does not count a call", "project", projectID, "error", err)
	}
}

// lookLimits are how long the calls of a look may take, the second if the first one is slow,
// where looks usually take so long and a call has so much time. Together they take no longer
// than that and leastLookTime: a probe has that time.
func lookLimits(usual, timeout time.Duration) []time.Duration {
	first := max(leastLookTime, slowLook*usual)
	if first >= timeout || first > max(timeout/2, leastLookTime) {
		return []time.Duration{timeout}
	}
	return []time.Duration{first, timeout - (first - leastLookTime)}
}

// report tells how a call ended, when it had taken so long, and whether a failure is the
// system's. What the call has shown counts all the same if Redis can't be told.
func (c *reporter) report(ctx context.Context, step claimed, err error, took time.Duration) (system bool) {
	s, account := step.Stop, step.Account
	few := c.release.Few(account)
	system, rerr := c.release.Report(context.WithoutCancel(ctx),
		release.Call{ProjectID: s.ProjectID, Step: s.Member(), At: step.At, Account: account, Ill: step.Ill}, err)
	switch jobs.KindOf(err) { // not before: what is refused counts before another call goes out
	case jobs.KindTimeout, jobs.KindDisconnected: // not answered
		step.slot.Free()
	case jobs.KindOK, jobs.KindNotFound, jobs.KindNotAllowed:
		step.slot.Answered(took)
	default:
		step.slot.Ended(took)
	}
	if rerr != nil {
		c.log.WarnContext(ctx, "the fleet did not learn of an answer", "project", s.ProjectID, "error", rerr)
	}
	if few > 0 && c.release.Few(account) == 0 {
		c.slots.Wake()
	}
	if err != nil {
		s.Failures++
	} else {
		s.Failures = 0
	}
	return system
}

// noteCall keeps what a stop call has told besides its verdict.
func noteCall(s *ledger.Stop, accepted jobs.Accepted, err error, now time.Time) {
	s.Note(historyStop(now, accepted, err))
	s.Calls++
	s.Marked = time.Time{} // it is no longer under way
	apiErr := apiError(err)
	if apiErr == nil {
		s.RequestID = accepted.RequestID
		return
	}
	s.RequestID = apiErr.RequestID
	s.Unsure = s.Unsure || apiErr.MaybeSent
	if apiErr.JobStatus.Code != "" {
		s.Status = apiErr.JobStatus.String()
	}
}

// notePoll keeps what a detail call has told besides its verdict. It was claimed at one
// time, and has ended now.
func notePoll(s *ledger.Stop, job *jobs.Job, err error, at, now time.Time) {
	s.Note(historyDetail(now, job, err))
	s.Polls++
	if err != nil {
		if apiErr := apiError(err); apiErr != nil {
			s.RequestID = apiErr.RequestID
		}
		return
	}
	s.Status, s.RequestID = job.Status.String(), job.RequestID
	if job.Status.State == jobs.Stopping {
		s.Looked = at
	}
}

// noteAbsent keeps since when the API says that there is no such job. A call that
// got no answer about the job changes nothing.
func noteAbsent(s *ledger.Stop, err error, now time.Time) {
	switch kind := jobs.KindOf(err); {
	case kind == jobs.KindNotFound && s.Absent.IsZero():
		s.Absent = now
	case kind == jobs.KindOK || kind == jobs.KindNotAllowed:
		s.Absent = time.Time{}
	}
}
