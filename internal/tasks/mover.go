package tasks

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/release"
)

// mover carries out verdicts: it moves stops in the ledger.
type mover struct {
	ledger   *ledger.Ledger
	schedule Schedule
	gaps     *gaps
	recorder Recorder
	pull     func(projectID string, after time.Duration)
	release  *release.Releaser // nil where no stop call is made whatever the account
}

// mayCall reports whether a stop call may go out for s now.
func (m *mover) mayCall(s *ledger.Stop) bool {
	return m.wanted(s) && m.inShadow(s) == ""
}

func (m *mover) wanted(s *ledger.Stop) bool { return s.Wanted(m.ledger.Now()) }

// inShadow says why no stop call may go out for s whatever the time; "": one may, as far
// as the account of its project goes.
func (m *mover) inShadow(s *ledger.Stop) string {
	if m.release == nil || !m.release.InShadow(s.ProjectID) {
		return ""
	}
	return fmt.Sprintf("account %s is a shadow account: no stop call is made for its projects; ask with --shadow", m.release.Account(s.ProjectID))
}

// callAgain is how long after its claim a call that got lost with its worker is made
// again if the job still shows no effect of it. It began within beginWithin, and a
// connection is made, or given up, in not much longer. An API that takes longer than
// that to act on it gets two calls, the second for a job that is stopping by then.
const callAgain = 10 * time.Second

// lostTill is until when a call that got lost may be under way, if it was marked then.
func (s Schedule) lostTill(marked time.Time) time.Time {
	return marked.Add(s.CallTimeout + beginWithin)
}

// waitsTill is until when calls of s that got lost are waited for; zero: not at all. Where
// no other call may go out, none may be under way any more: only then it is sure that the
// job goes on.
func (m *mover) waitsTill(s *ledger.Stop) time.Time {
	switch {
	case !m.mayCall(s):
		return s.Lost
	case s.Marked.IsZero(): // there was another call since, and it was answered
		return time.Time{}
	}
	return earlier(s.Lost, s.Marked.Add(callAgain))
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// chance is what judgeStop and judgePoll have to know of the time.
func (m *mover) chance(s *ledger.Stop) chance {
	now := m.ledger.Now()
	return chance{
		call:   m.mayCall(s),
		never:  m.inShadow(s),
		lost:   !s.Marked.IsZero(),
		absent: !s.Absent.IsZero() && now.Sub(s.Absent) >= absentWait,
		over:   !now.Before(m.waitsTill(s)),
		resend: s.Resends < m.schedule.MaxResends &&
			(s.Looked.After(s.Accepted) || now.Sub(s.Accepted) >= m.schedule.ResendAfter),
	}
}

// guarded runs what is done to a claimed stop, and goes on when Redis is away: the
// step is nobody else's while this worker lives. A panic uses up an attempt of the
// stop, like any failure of its own.
func (m *mover) guarded(ctx context.Context, s *ledger.Stop, do func() (result, error)) (res result, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.Failures++
			apply := m.apply
			if s.Shadow {
				apply = m.applyShadow
			}
			res, err = apply(ctx, s, verdict{action: actRetry, reason: fmt.Sprintf("a bug in vizstop, please report it: panic: %v", p)})
			res.note += "\n" + string(debug.Stack())
		}
	}()
	return do()
}

// mayHaveWorked reports whether one of the stop calls of s may have been accepted
// without our knowing. Such a stop ends only after a look.
func mayHaveWorked(s *ledger.Stop) bool { return s.State == ledger.Pending && s.Unsure }

// apply does what v says to s.
func (m *mover) apply(ctx context.Context, s *ledger.Stop, v verdict) (result, error) {
	now := m.ledger.Now()
	late := !now.Before(s.Deadline)
	s.Reason = v.reason
	switch v.action {
	case actEnd:
		return m.end(ctx, s, v.outcome, v.reason)
	case actAccept:
		s.State, s.Accepted = ledger.Stopping, now
		if v.ended {
			return m.next(ctx, s, "stop accepted", ledger.KindPoll, 0)
		}
		return m.follow(ctx, s, "stop accepted", v.stopping)
	case actSeen:
		s.State, s.Looked = ledger.Stopping, now
		return m.follow(ctx, s, "job is stopping", v.stopping)
	case actLook:
		return m.next(ctx, s, "status in doubt", ledger.KindPoll, 0)
	case actRetry:
		s.Attempts = min(s.Attempts+1, m.schedule.MaxAttempts)
		if s.Attempts == m.schedule.MaxAttempts && !mayHaveWorked(s) && s.State == ledger.Pending {
			return m.end(ctx, s, ledger.Rejected, fmt.Sprintf("after %d attempts: %s", s.Attempts, v.reason))
		}
	}
	waits := v.action == actWait && now.Before(s.Deadline.Add(release.LastLook))
	if late && !waits && (s.Kind == ledger.KindPoll || !mayHaveWorked(s) && s.State == ledger.Pending) {
		return m.expire(ctx, s)
	}
	switch v.action {
	case actRetry:
		return m.retry(ctx, s)
	case actCall:
		if s.State == ledger.Stopping {
			s.Resends++
		}
		return m.next(ctx, s, "stop call will be repeated", ledger.KindStop, 0)
	case actRest: // it keeps its place among those that wait
		return m.move(ctx, s, "stop call goes on waiting", ledger.Step{Kind: ledger.KindStop, Due: earlier(s.Due, now)})
	case actAwait:
		return m.next(ctx, s, "waiting for a lost call to end", ledger.KindPoll, m.waitsTill(s).Sub(now))
	case actAbsent:
		return m.next(ctx, s, "no such job: asking once more", ledger.KindPoll, s.Absent.Add(absentWait).Sub(now))
	case actWait:
		return m.next(ctx, s, "waiting for the API", s.Kind, max(v.after, min(m.schedule.retry(s.Failures), systemWait)))
	case actAgain:
		return m.next(ctx, s, "look will be repeated", ledger.KindPoll, min(m.schedule.retry(s.Failures), m.schedule.PollMax))
	default:
		return m.follow(ctx, s, "not stopped yet", v.stopping)
	}
}

// retry moves a stop whose call has failed to the next one, or to a last look.
func (m *mover) retry(ctx context.Context, s *ledger.Stop) (result, error) {
	usedUp, now := s.Attempts == m.schedule.MaxAttempts, m.ledger.Now()
	switch {
	case s.State == ledger.Stopping: // only a job that is seen active gets another call
		return m.next(ctx, s, "look will be repeated", ledger.KindPoll, m.schedule.retry(s.Failures))
	case s.Kind == ledger.KindPoll && usedUp && now.Before(s.Lost):
		return m.next(ctx, s, "waiting for a lost call to end", ledger.KindPoll, s.Lost.Sub(now))
	case s.Kind == ledger.KindPoll && usedUp:
		return m.end(ctx, s, ledger.Rejected, fmt.Sprintf("after %d attempts: %s", s.Attempts, s.Reason))
	case s.Kind == ledger.KindPoll && !m.mayCall(s):
		return m.next(ctx, s, "look will be repeated", ledger.KindPoll, m.schedule.retry(s.Failures))
	case usedUp || !m.mayCall(s):
		return m.next(ctx, s, "last look", ledger.KindPoll, 0)
	}
	return m.next(ctx, s, "stop call will be repeated", ledger.KindStop, m.schedule.retry(s.Failures))
}

// follow moves a stop, whose job is not stopped yet, to the next look at it: by
// the project's list check, if the answer has shown it stopping.
func (m *mover) follow(ctx context.Context, s *ledger.Stop, what string, stopping bool) (result, error) {
	now := m.ledger.Now()
	s.Instead = false
	step := ledger.Step{Kind: ledger.KindPoll, Due: m.due(s, m.gaps.next(ctx, s))}
	if stopping && !s.Missed && now.Before(s.Deadline) {
		step.WatchFrom, step.Latest = m.schedule.ListFrom, m.due(s, 2*m.schedule.PollMax)
	}
	return m.move(ctx, s, what, step)
}

func (m *mover) next(ctx context.Context, s *ledger.Stop, what string, kind ledger.Kind, after time.Duration) (result, error) {
	return m.move(ctx, s, what, ledger.Step{Kind: kind, Due: m.due(s, after)})
}

// due is when the next step of s is due: after that long, or at its deadline, to
// end it in time.
func (m *mover) due(s *ledger.Stop, after time.Duration) time.Time {
	now := m.ledger.Now()
	due := now.Add(max(0, after))
	if due.After(s.Deadline) && now.Before(s.Deadline) {
		return s.Deadline
	}
	return due
}

// restPolls is how many times longer than PollMax a job is left alone to which no other call is to be made yet.
const restPolls = 10

// move saves s and moves it to its next step. A stop call that is to be repeated may have
// to wait for long; the job is looked at meanwhile.
func (m *mover) move(ctx context.Context, s *ledger.Stop, what string, step ledger.Step) (result, error) {
	if step.Kind == ledger.KindStop {
		s.Instead = false
		if s.State == ledger.Stopping || s.Unsure {
			now, wait := m.ledger.Now(), m.schedule.PollMax
			if s.Due.After(now) { // nobody wants another call yet
				wait *= restPolls
			}
			step.Latest = later(step.Due, now).Add(wait)
		}
	}
	moved, err := persist(ctx, func() (bool, error) { return m.ledger.Advance(ctx, s, step) })
	switch {
	case err != nil:
		return result{stop: s}, err
	case !moved:
		return m.overtaken(s), nil
	}
	m.pull(s.ProjectID, min(max(0, step.Due.Sub(m.ledger.Now())), watchPull))
	return result{stop: s, what: what, note: s.Reason}, nil
}

// systemWait is the longest wait of a stop for an API that is not well: a hold says
// when calls go out again.
const systemWait = 5 * time.Second

// watchPull is how soon a project gets a round after a stop has moved: for the
// list check of what is watched now.
const watchPull = time.Second

// end ends s and counts it, if nobody else has.
func (m *mover) end(ctx context.Context, s *ledger.Stop, outcome ledger.State, reason string) (result, error) {
	took := time.Duration(0)
	if outcome == ledger.Stopped && s.Resends == 0 && !s.Accepted.IsZero() {
		took = m.stopTime(s)
	}
	moved, err := persist(ctx, func() (bool, error) { return m.ledger.Finish(ctx, s, outcome, reason, took) })
	switch {
	case errors.Is(err, ledger.ErrWishesChanged):
		return m.anew(ctx, s)
	case err != nil:
		return result{stop: s}, err
	case !moved:
		return m.overtaken(s), nil
	}
	Record(m.recorder, s)
	m.pull(s.ProjectID, watchPull)
	return result{stop: s, what: "stop ended", note: reason}, nil
}

// anew moves on a stop that is wanted for longer, or again.
func (m *mover) anew(ctx context.Context, s *ledger.Stop) (result, error) {
	kind := ledger.KindPoll
	switch {
	case s.Shadow:
		kind = ledger.KindShadow
	case s.State == ledger.Pending && !s.Unsure:
		kind = ledger.KindStop
	}
	return m.next(ctx, s, "asked for anew", kind, 0)
}

// persist goes on until Redis has answered. Repeating a move is safe.
func persist(ctx context.Context, move func() (bool, error)) (bool, error) {
	for {
		moved, err := move()
		if err == nil || errors.Is(err, ledger.ErrWishesChanged) {
			return moved, err
		}
		if err = pause(ctx, err); err != nil {
			return false, err
		}
	}
}

// stopTime is how long the job of s, which was just found to have stopped, took
// to stop: some time between the latest sight of it as stopping and now. A random
// one is right on average, whatever the times between looks; always taking one
// end would have the looks drift away from the truth.
func (m *mover) stopTime(s *ledger.Stop) time.Duration {
	seen := s.Accepted
	if s.Looked.After(seen) {
		seen = s.Looked
	}
	return since(s.Accepted, seen) + time.Duration(m.schedule.Jitter()*float64(since(seen, m.ledger.Now()))) + time.Millisecond
}

// overtaken is the result of a step whose stop was moved on by somebody else
// while it was at work.
func (m *mover) overtaken(s *ledger.Stop) result {
	m.recorder.Duplicate()
	return result{stop: s, what: "task was overtaken"}
}

// expire ends a stop whose deadline has passed. The reason tells what was last
// known, for the person who has to look.
func (m *mover) expire(ctx context.Context, s *ledger.Stop) (result, error) {
	reason := "the deadline passed before the stop call was accepted"
	if s.State == ledger.Stopping {
		reason = "the deadline passed before the detail endpoint confirmed the stop"
	}
	switch {
	case s.Reason != "":
		reason += "; last: " + s.Reason
	case s.Status != "":
		reason += fmt.Sprintf("; last: job status %s", s.Status)
	}
	if s.State == ledger.Pending && m.ledger.Now().Before(s.Lost) {
		reason += "; a stop call that got lost with its worker may yet take effect"
	}
	return m.end(ctx, s, ledger.Expired, reason)
}
