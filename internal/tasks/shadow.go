package tasks

import (
	"context"
	"fmt"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
	"vizstop/internal/tracing"
)

// ShadowLooker tells what a stop call would meet, by a look at the job. Nothing that
// it holds can make another call than that of the detail endpoint.
type ShadowLooker struct {
	AtWork *AtWork // shadow stops that this worker has claimed and not finished

	self
	calls *detail
}

func newShadowLooker(cfg Config, log *logger) *ShadowLooker {
	return &ShadowLooker{
		AtWork: NewAtWork(),
		self: self{&mover{ledger: cfg.Ledger.Shadow(), schedule: cfg.Schedule, recorder: cfg.Recorder, pull: cfg.PullShadow},
			cfg.Release, cfg.Slots, log},
		calls: &detail{cfg.Jobs.Get, cfg.Schedule, &reporter{release: cfg.Release, slots: cfg.Slots, log: cfg.Logger}},
	}
}

// Look looks at the job of a claimed shadow stop, and ends the stop or has it looked
// at again. It waits for a slot; an error is the end of ctx, and the stop is given
// back for others to look. It is given back, too, if calls of the project rest by
// then.
func (l *ShadowLooker) Look(ctx context.Context, c release.ShadowClaim) error {
	s, began := c.Stop, time.Now()
	return l.look(ctx, s, ledger.KindShadow, func(ctx context.Context, slot *Slot) error {
		ctx, s.Trace = tracing.Join(ctx, s.Trace)
		res, err := l.moves.guarded(ctx, s, func() (result, error) {
			step := claimed{Claimed: release.Claimed{Stop: s, At: c.At, Ill: c.Ill}, slot: slot}
			job, callErr, system := l.calls.look(ctx, step)
			return l.moves.applyShadow(ctx, s, judgeShadow(s, job, callErr, system, c.Held, l.moves.chance(s).absent))
		})
		l.log.tell(ctx, res, err, "type", "shadow", "duration", time.Since(began).Round(time.Millisecond))
		return err
	})
}

// Expire ends a shadow stop whose time is up, without a look.
func (l *ShadowLooker) Expire(ctx context.Context, s *ledger.Stop) error {
	res, err := l.moves.expireShadow(ctx, s)
	l.log.tell(ctx, res, err, "type", "deadline")
	return err
}

// judgeShadow says what the answer of the detail endpoint means for a shadow stop: what
// a stop call would have met. held is what a person would have to end before one could
// go out, absent says that the API said long enough ago that there is no such job.
func judgeShadow(s *ledger.Stop, job *jobs.Job, err error, system bool, held release.Reason, absent bool) verdict {
	if err != nil {
		reason := err.Error()
		switch kind := jobs.KindOf(err); {
		case kind == jobs.KindNotFound && !absent:
			return verdict{action: actAbsent, reason: reason}
		case kind == jobs.KindNotFound && s.Seen():
			return end(ledger.WouldAlready, "the job is gone; "+reason)
		case kind == jobs.KindNotFound:
			return end(ledger.WouldNotFound, "the API knows no such job: check the project, the region and the id; "+reason)
		case system:
			return verdict{action: actWait, reason: reason, after: refusalWait(kind)}
		case kind == jobs.KindInvalid:
			return end(ledger.Rejected, reason)
		default:
			return verdict{action: actRetry, reason: reason}
		}
	}
	switch status := job.Status; {
	case job.Refusal != "":
		return end(ledger.Rejected, job.Refusal)
	case status.State == jobs.Ended || status.State == jobs.Stopping:
		return end(ledger.WouldAlready, fmt.Sprintf("job status %v", status))
	case held != "":
		return end(ledger.WouldHold, fmt.Sprintf("job status %v; a stop call would wait until somebody ends what holds it: %s", status, held))
	default: // a stop call goes out for a job of a status that says nothing, too
		return end(ledger.WouldStop, fmt.Sprintf("job status %v", status))
	}
}

// applyShadow does what v says to a shadow stop.
func (m *mover) applyShadow(ctx context.Context, s *ledger.Stop, v verdict) (result, error) {
	s.Reason = v.reason
	if v.action == actEnd {
		return m.end(ctx, s, v.outcome, v.reason)
	}
	if v.action == actRetry {
		if s.Attempts++; s.Attempts >= m.schedule.MaxAttempts {
			return m.end(ctx, s, ledger.Rejected, fmt.Sprintf("after %d attempts: %s", s.Attempts, v.reason))
		}
	}
	now := m.ledger.Now()
	if !now.Before(s.Deadline) {
		return m.expireShadow(ctx, s)
	}
	switch v.action {
	case actAbsent:
		return m.next(ctx, s, "no such job: asking once more", ledger.KindShadow, s.Absent.Add(absentWait).Sub(now))
	case actWait:
		return m.next(ctx, s, "waiting for the API", ledger.KindShadow, max(v.after, min(m.schedule.retry(s.Failures), systemWait)))
	default:
		return m.next(ctx, s, "look will be repeated", ledger.KindShadow, m.schedule.retry(s.Failures))
	}
}

// expireShadow ends a shadow stop whose deadline has passed.
func (m *mover) expireShadow(ctx context.Context, s *ledger.Stop) (result, error) {
	reason := "the deadline passed before anybody could tell what a stop call would meet"
	if s.Reason != "" {
		reason += "; last: " + s.Reason
	}
	return m.end(ctx, s, ledger.Expired, reason)
}
