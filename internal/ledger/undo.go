package ledger

import (
	"context"
	"fmt"
)

// Undo notes that a batch no longer wants the job of its stop s stopped. Call it
// before the job is restarted: whoever stops the job after that does so for a
// reason of their own, and no second undo of any batch of s restarts it. by is the id of this undo.
// If it reports false it has noted nothing, and the job is not to be restarted: another undo has noted the same, or
// another batch wants the job stopped. Say with Restarted, NotUndone or Unanswered what became of it.
func (l *Ledger) Undo(ctx context.Context, s *Stop, batch, by string) (noted bool, err error) {
	found, err := l.noteUndo(ctx, s, batch, "restart", by)
	return found == "noted", err
}

// Restarted notes that the restart that Undo has noted is made.
func (l *Ledger) Restarted(ctx context.Context, s *Stop, batch, by string) error {
	_, err := l.noteUndo(ctx, s, batch, "done", by)
	return err
}

// Unanswered notes that the call of the restart that Undo has noted got no answer. It may have worked: no later undo
// makes it again, and it does not count as restarted.
func (l *Ledger) Unanswered(ctx context.Context, s *Stop, batch, by string) error {
	_, err := l.noteUndo(ctx, s, batch, "unanswered", by)
	return err
}

// Renounce notes that a batch leaves the job of its stop s to another one that wants it stopped, too. It reports
// whether there is one, by what Redis has at that moment: of two batches that are undone at once one renounces, and the
// other has to restart the job. If there is none, nothing is noted.
func (l *Ledger) Renounce(ctx context.Context, s *Stop, batch string) (wanted bool, err error) {
	found, err := l.noteUndo(ctx, s, batch, "renounce", "")
	return found == "noted", err
}

// NotUndone takes Undo back, for a restart that did not work. What another undo has noted stands.
func (l *Ledger) NotUndone(ctx context.Context, s *Stop, batch, by string) error {
	_, err := l.noteUndo(ctx, s, batch, "back", by)
	return err
}

func (l *Ledger) noteUndo(ctx context.Context, s *Stop, batch, what, by string) (found string, err error) {
	k := l.keys(s.ProjectID)
	found, err = undoScript.Run(ctx, l.rdb, []string{k.Stop(s.ID), k.batch(batch)}, batch, millis(l.now()), what, by).Text()
	if err == nil && found == "missing" {
		err = ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("note the undo of stop %s of batch %s: %w", s.ID, batch, err)
	}
	return found, nil
}

// Undone reports whether a batch has undone its wish for s: by a restart of the job, or it has left that to others.
func (s *Stop) Undone(batch string) bool {
	w := s.wish(batch)
	return w != nil && !w.Undone.IsZero()
}

// RestartedBy is the batch whose undo has restarted the job of s, or is about to; "" if none has. An earlier version
// has noted no name: then batch has, if it has undone its wish.
func (s *Stop) RestartedBy(batch string) string {
	if s.restarted != "" {
		return s.restarted
	}
	if w := s.wish(batch); w != nil && !w.Undone.IsZero() && !w.Renounced {
		return batch
	}
	return ""
}

// Restarting reports whether nobody knows what became of the restart by the undo of RestartedBy: it is at it, was
// killed, or got no answer. What an earlier version has noted is done.
func (s *Stop) Restarting() bool { return s.restarting }

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
