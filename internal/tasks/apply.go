package tasks

import (
	"context"
	"fmt"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/throttle"
)

// How long past its deadline a stop may wait for leave to make its last detail
// call before it expires without: in line, and during a halt if the job may have
// been stopped by a call whose answer made no sense. An outage is probed at least
// once a minute.
const (
	overtime     = time.Minute
	haltOvertime = 75 * time.Second
)

// mayHaveWorked reports whether s stands at a stop call and one of its calls may
// have been accepted without our knowing. Such a stop ends only after a look.
func mayHaveWorked(s *ledger.Stop) bool {
	return s.Kind == ledger.KindStop && s.State == ledger.Pending && s.Unsure
}

// apply does what v says to s.
func (h *handler) apply(ctx context.Context, s *ledger.Stop, v verdict) (result, error) {
	late := !h.Now().Before(s.Deadline)
	s.Reason = v.reason
	s.Slot = time.Time{}
	watchable := v.stopping && s.Screened != ledger.ScreenedLeft // a list that misses the job once may do so again
	s.Screened = ledger.NotScreened
	switch v.action {
	case actEnd:
		return h.end(ctx, s, v.outcome, v.reason)
	case actAccept:
		s.State, s.Accepted = ledger.Stopping, h.Now()
		return h.look(ctx, s, "stop accepted", watchable)
	case actLook:
		return h.next(ctx, s, "status in doubt", ledger.KindPoll, 0)
	case actRetry:
		s.Attempts = min(s.Attempts+1, h.Schedule.MaxAttempts)
		usedUp := s.Attempts == h.Schedule.MaxAttempts
		switch {
		case mayHaveWorked(s) && (usedUp || late):
			return h.next(ctx, s, "last look", ledger.KindPoll, 0)
		case usedUp:
			return h.end(ctx, s, ledger.Rejected, fmt.Sprintf("after %d attempts: %s", s.Attempts, v.reason))
		case late:
			return h.expire(ctx, s)
		}
		return h.next(ctx, s, "stop call will be repeated", ledger.KindStop, h.Schedule.retry(s.Attempts))
	}
	if late && mayHaveWorked(s) {
		return h.next(ctx, s, "last look", ledger.KindPoll, 0)
	}
	if late {
		return h.expire(ctx, s)
	}
	switch v.action {
	case actResend:
		s.Resends++
		return h.next(ctx, s, "stop call will be repeated", ledger.KindStop, 0)
	case actWait:
		return h.next(ctx, s, "waiting for the API", s.Kind, h.Schedule.retry(1))
	default:
		return h.look(ctx, s, "not stopped yet", watchable)
	}
}

// wait moves a stop whose call may not go out yet.
func (h *handler) wait(ctx context.Context, s *ledger.Stop, w throttle.Wait) (result, error) {
	now, limit := h.Now(), s.Deadline
	switch {
	case w.Reason == throttle.Rate:
		limit = limit.Add(overtime)
	case s.Kind == ledger.KindPoll && s.State == ledger.Pending && s.Unsure:
		limit = limit.Add(haltOvertime)
	}
	if now.After(limit) {
		s.Reason = waitReason(w)
		return h.expire(ctx, s)
	}
	s.Slot = time.Time{}
	if w.Place {
		s.Slot = now.Add(w.For)
	}
	res, err := h.next(ctx, s, "waiting for leave to call", s.Kind, w.For)
	if w.Reason != throttle.Rate {
		res.note = waitReason(w)
	}
	return res, err
}

func waitReason(w throttle.Wait) string {
	if w.Detail == "" {
		return fmt.Sprintf("no leave to call: %s", w.Reason)
	}
	return fmt.Sprintf("no leave to call: %s: %s", w.Reason, w.Detail)
}

// look moves a stop to the next look at its job, by the project's screen if it
// is watchable.
func (h *handler) look(ctx context.Context, s *ledger.Stop, what string, watchable bool) (result, error) {
	if !watchable {
		return h.next(ctx, s, what, ledger.KindPoll, h.gap(ctx, s))
	}
	moved, err := h.follow(ctx, s)
	if err == nil && !moved {
		return h.overtaken(s), nil
	}
	return result{stop: s, what: what, note: s.Reason}, err
}

func (h *handler) next(ctx context.Context, s *ledger.Stop, what string, kind ledger.Kind, delay time.Duration) (result, error) {
	moved, err := h.advance(ctx, s, kind, delay)
	if err == nil && !moved {
		return h.overtaken(s), nil
	}
	return result{stop: s, what: what, note: s.Reason}, err
}

func (h *handler) end(ctx context.Context, s *ledger.Stop, outcome ledger.State, reason string) (result, error) {
	moved, err := h.finish(ctx, s, outcome, reason)
	if err == nil && !moved {
		return h.overtaken(s), nil
	}
	return result{stop: s, what: "stop ended", note: reason}, err
}

// expire ends a stop whose deadline has passed. The reason tells what was last
// known, for the person who has to look.
func (h *handler) expire(ctx context.Context, s *ledger.Stop) (result, error) {
	reason := "the deadline passed before the stop call was accepted"
	if s.State == ledger.Stopping {
		reason = "the deadline passed before the detail endpoint confirmed the stop"
	}
	switch {
	case s.Reason != "":
		reason += "; last: " + s.Reason
	case s.Status != ledger.NoStatus:
		reason += fmt.Sprintf("; last: job status %v", modelarts.Status(s.Status))
	}
	return h.end(ctx, s, ledger.Expired, reason)
}
