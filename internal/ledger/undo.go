package ledger

import (
	"context"
	"fmt"
)

// Undo notes that a batch no longer wants the job of its stop s stopped. Call it
// before the job is restarted: whoever stops the job after that does so for a
// reason of their own, and no second undo of the batch restarts it.
func (l *Ledger) Undo(ctx context.Context, s *Stop, batch string) error {
	return l.noteUndo(ctx, s, batch, millis(l.now()), true)
}

// Renounce notes the same when the job is left as it is, since another batch wants it
// stopped: the batch does not count it as restarted.
func (l *Ledger) Renounce(ctx context.Context, s *Stop, batch string) error {
	return l.noteUndo(ctx, s, batch, millis(l.now()), false)
}

// NotUndone takes Undo back, for a restart that did not work.
func (l *Ledger) NotUndone(ctx context.Context, s *Stop, batch string) error {
	return l.noteUndo(ctx, s, batch, "", true)
}

func (l *Ledger) noteUndo(ctx context.Context, s *Stop, batch string, when any, counts bool) error {
	k := l.keys(s.ProjectID)
	found, err := undoScript.Run(ctx, l.rdb, []string{k.Stop(s.ID), k.batch(batch)}, batch, when, counts).Bool()
	if err == nil && !found {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("note the undo of stop %s of batch %s: %w", s.ID, batch, err)
	}
	return nil
}

// Undone reports whether a batch has undone its wish for s.
func (s *Stop) Undone(batch string) bool {
	w := s.wish(batch)
	return w != nil && !w.Undone.IsZero()
}

// TooLate reports whether a batch has withdrawn its wish for s after a call may have gone out: s ends as that call has
// it, and no other one goes out for that batch.
func (s *Stop) TooLate(batch string) bool {
	w := s.wish(batch)
	return w != nil && w.Late
}

// WantedBesides is a batch, other than the given one, that wants the job of s
// stopped: it has neither withdrawn nor undone its wish. "" if there is none.
func (s *Stop) WantedBesides(batch string) string {
	for _, w := range s.Wishes {
		if w.Batch != batch && w.Withdrawn.IsZero() && !w.Late && w.Undone.IsZero() {
			return w.Batch
		}
	}
	return ""
}
