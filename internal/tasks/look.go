package tasks

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
	"vizstop/internal/tracing"
)

// PollHandler handles visualization:poll.
type PollHandler struct {
	claims   *claimer
	look     *Looker
	recorder Recorder
}

// process asks the detail endpoint once where the job of the stop named in t
// stands, and ends the stop or schedules what comes next.
func (h *PollHandler) process(ctx context.Context, t *asynq.Task) (result, error) {
	name, _ := asynq.GetTaskID(ctx)
	payload, bad := DecodePayload(t.Payload())
	id, ours := parseTaskID(name)
	if bad != nil || !ours {
		return dropped(h.recorder), nil
	}
	step := ledger.Member{StopID: id.stopID, Hop: id.hop, JobID: payload.JobID}
	h.claims.work.Begin(id.stopID)
	defer h.claims.work.End(id.stopID)
	c, res, err := h.claims.claim(ctx, payload.ProjectID, step, ledger.KindPoll)
	s := c.Stop
	if err != nil || s == nil {
		return res, err
	}
	defer c.slot.Free()
	ctx, s.Trace = tracing.Join(ctx, s.Trace)
	h.recorder.PollStarted(max(0, c.At.Sub(s.Next)), tracing.IDFrom(ctx))
	return h.look.moves.guarded(ctx, s, func() (result, error) { return h.look.claimed(ctx, c) })
}

// Looker asks the detail endpoint where the job of a claimed stop stands.
type Looker struct {
	self
	calls *detail
}

// self is how a worker looks at a job itself, without a task.
type self struct {
	moves   *mover
	release *release.Releaser
	slots   *Slots
	log     *logger
}

// look has a claimed stop looked at as soon as there is a slot. If ctx ends before, which
// is the error, or if calls of the project rest by then, the stop is given back for
// others: it waits for a step of the kind.
func (w *self) look(ctx context.Context, s *ledger.Stop, kind ledger.Kind, do func(ctx context.Context, slot *Slot) error) error {
	slot, noSlot := w.slots.Acquire(ctx, s.ProjectID, true)
	ctx, cancel := w.log.ownTime(ctx)
	defer cancel()
	if noSlot == nil {
		defer slot.Free()
	}
	if noSlot != nil || w.release.Resting(s.ProjectID) {
		_, err := w.moves.next(ctx, s, "given back", kind, 0)
		return errors.Join(noSlot, err)
	}
	return do(ctx, slot)
}

// claimed looks at the job of a claimed stop, and ends the stop or moves it to
// what comes next.
func (l *Looker) claimed(ctx context.Context, c claimed) (result, error) {
	job, err, system := l.calls.look(ctx, c)
	return l.moves.apply(ctx, c.Stop, judgePoll(c.Stop, job, err, system, l.moves.chance(c.Stop)))
}

// Left looks at the job of a taken stop that the project's list of stopping jobs
// has not shown, without a task. It waits for a slot; an error is the end of ctx,
// and the stop is given back for others to look. It is given back, too, if calls of
// the project rest by then.
func (l *Looker) Left(ctx context.Context, c release.Claimed, seen release.Sighting) error {
	s, began := c.Stop, time.Now()
	return l.self.look(ctx, s, ledger.KindPoll, func(ctx context.Context, slot *Slot) error {
		ctx, span := l.log.tracer.ListCheck(ctx, s.Trace)
		if s.Trace == "" {
			s.Trace = span.Parent()
		}
		never := seen.Seen.IsZero() && !s.Looked.IsZero() // no list has shown it, although it is not new
		noteSighting(s, seen)
		if seen.Seen.After(s.Looked) {
			s.Looked = seen.Seen
		}
		res, err := l.moves.guarded(ctx, s, func() (result, error) {
			job, callErr, system := l.calls.look(ctx, claimed{Claimed: c, slot: slot})
			if callErr == nil {
				l.judgeList(ctx, s, job, !seen.Missed.IsZero(), never)
			}
			return l.moves.apply(ctx, s, judgePoll(s, job, callErr, system, l.moves.chance(s)))
		})
		endSpan(span, s, err)
		l.log.tell(ctx, res, err, "type", "list check", "duration", time.Since(began).Round(time.Millisecond))
		return nil
	})
}

// judgeList notes that list checks did not show a job that is stopping. The list
// was wrong only if it was read. One that has shown it before, or was read while it
// was new, has it on another page by now.
func (l *Looker) judgeList(ctx context.Context, s *ledger.Stop, job *jobs.Job, read, never bool) {
	if job.Status.State != jobs.Stopping {
		return
	}
	s.Missed = never
	if !read {
		return
	}
	if err := l.release.ListWrong(ctx, s.ProjectID); err != nil {
		l.log.WarnContext(ctx, "a wrong list was not noted", "project", s.ProjectID, "error", err)
	}
}

// Reject ends a stop that is damaged: no call is made for what can't be understood.
func (l *Looker) Reject(ctx context.Context, s *ledger.Stop) error {
	reason := s.Damage() + ": it is damaged, or of a newer version; "
	if s.State == ledger.Pending && s.Called.IsZero() && s.Marked.IsZero() && !s.Unsure {
		reason += "no stop call went out: ask again"
	} else {
		reason += "a stop call may have gone out: look at the job, and ask again if it runs"
	}
	res, err := l.moves.end(ctx, s, ledger.Rejected, reason)
	l.log.tell(ctx, res, err, "type", "damaged")
	return err
}

// Expire ends a taken stop whose deadline has passed, without a look. One that somebody
// has asked for anew in the moment before it was taken goes on.
func (l *Looker) Expire(ctx context.Context, s *ledger.Stop) error {
	if !s.Marked.IsZero() {
		s.LostCall(l.moves.schedule.lostTill(s.Marked))
	}
	res, err := l.moves.guarded(ctx, s, func() (result, error) {
		if s.Withdrawn != "" && s.State == ledger.Pending && !s.Unsure {
			return l.moves.end(ctx, s, ledger.Canceled, s.Withdrawn)
		}
		if l.moves.wanted(s) {
			return l.moves.anew(ctx, s)
		}
		return l.moves.expire(ctx, s)
	})
	l.log.tell(ctx, res, err, "type", "deadline")
	return err
}
