package rounds

import (
	"context"
	"errors"
	"sync"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/release"
)

// late looks after stops whose time is up. One that no call can have stopped ends
// as expired; any other gets a last look, now, and expires if nothing comes of it.
// A watched stop gets a look, whatever the list says; so does one whose stop call is to
// be repeated and is held back. While asynq's queue is paused, a step that nobody has
// claimed is taken from its task.
func (l *Loop) late(ctx context.Context, projectID string, ids []string) {
	if err := l.tryLate(ctx, projectID, ids); err != nil && ctx.Err() == nil {
		l.Logger.WarnContext(ctx, "stops whose time is up are looked after later", "project", projectID, "error", err)
	}
	l.Pull(projectID, 0)
}

func (l *Loop) tryLate(ctx context.Context, projectID string, ids []string) error {
	stops, err := readable(ctx, l.Ledger, l.Logger, projectID, ids)
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(stops))
	var expire []ledger.Member
	var hasten []*ledger.Stop
	now := l.Member.Now()
	for _, s := range stops {
		known[s.ID] = true
		if toReject(s, now) {
			err = errors.Join(err, l.Handlers.Looker.Reject(ctx, s))
			continue
		}
		past := now.Sub(s.Deadline)
		unsent := s.State == ledger.Pending && !s.Unsure
		if !s.State.Ended() && s.Damage() == "" && (past >= 0 && unsent || past >= release.LastLook) {
			expire = append(expire, s.Member())
		} else {
			hasten = append(hasten, s)
		}
	}
	for _, id := range ids {
		if !known[id] { // Redis has lost it
			hasten = append(hasten, &ledger.Stop{ID: id})
		}
	}
	if err := errors.Join(err, l.Release.Hasten(ctx, projectID, hasten)); err != nil {
		return err
	}
	taken, err := l.take(ctx, projectID, expire)
	holds := sync.OnceValue(func() []release.Hold {
		all, _ := l.Release.HoldsOf(ctx, projectID) // without them it expires all the same
		return all
	})
	for _, c := range taken {
		if c.Stop.State == ledger.Pending && c.Stop.Reason == "" && !c.Stop.Wanted(now) {
			c.Stop.Reason = heldBack(holds(), c.Stop)
		}
		err = errors.Join(err, l.Handlers.Looker.Expire(ctx, c.Stop))
		l.Handlers.AtWork.End(c.Stop.ID)
	}
	return err
}

// toReject reports whether a stop that this worker does not understand is to end. A newer worker may know how to stop
// it, or to end it as expired: it has until a last look at the deadline is over.
func toReject(s *ledger.Stop, now time.Time) bool {
	return s.Damage() != "" && now.Sub(s.Deadline) >= release.LastLook
}

// heldBack is what held s back, for the person who asks why it did not go out; "": nothing that is known of. Limits are
// for stops that nobody has confirmed.
func heldBack(holds []release.Hold, s *ledger.Stop) string {
	for _, h := range holds {
		if !h.ByLimit() || s.Unconfirmed && (h.Batch == "" || h.Batch == s.Batch) {
			return h.String()
		}
	}
	return ""
}
