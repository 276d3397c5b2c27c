package undo

import (
	"context"
	"errors"
	"fmt"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// call makes the restart call. It is noted before: if this command is killed, no
// other undo repeats it, of this batch or of another one that wants the job stopped no more.
func (u *Undo) call(ctx context.Context, s *ledger.Stop) error {
	switch noted, err := u.ledger.Undo(ctx, s, u.Batch, u.id); {
	case errors.Is(err, ledger.ErrNotFound):
		u.note(s, "failed", forgotten)
		return nil
	case err != nil:
		return err
	case !noted: // since s was read, another undo was quicker, or another batch wants it stopped
		return u.restart(ctx, s)
	}
	_, err := u.api.Restart(ctx, s.ProjectID, s.JobID)
	apiErr, _ := errors.AsType[*jobs.Error](err)
	switch {
	case err == nil:
		return u.runs(ctx, s, "restarted", "")
	case apiErr != nil && apiErr.JobStatus.State == jobs.Active:
		return u.runs(ctx, s, "running", apiErr.JobStatus.String())
	case apiErr != nil && apiErr.Unanswered():
		return u.mayRun(ctx, s, err)
	}
	taken := u.ledger.NotUndone(context.WithoutCancel(ctx), s, u.Batch, u.id)
	if errors.Is(taken, ledger.ErrNotFound) { // forgotten: no other undo asks
		taken = nil
	}
	if !ofJob(ctx, err) {
		return errors.Join(err, taken)
	}
	u.note(s, "failed", err.Error())
	return taken
}

// runs notes that the job of s runs after its restart call, which may have waited for minutes: whoever has asked to
// stop the job meanwhile may have been told that it is stopped already.
func (u *Undo) runs(ctx context.Context, s *ledger.Stop, result, reason string) error {
	ctx = context.WithoutCancel(ctx)
	err := u.ledger.Restarted(ctx, s, u.Batch, u.id)
	if errors.Is(err, ledger.ErrNotFound) { // forgotten: no other undo asks
		err = nil
	}
	again, unread := u.askedAgain(ctx, s)
	if again == "" {
		u.note(s, result, reason)
	} else {
		u.note(s, "failed", fmt.Sprintf(runsAgainst, again))
		u.mu.Lock()
		defer u.mu.Unlock()
		u.against++
	}
	return errors.Join(err, unread)
}

// mayRun notes that the restart call of s got no answer, and may have worked. A later undo looks whether the job runs,
// as after one that was killed, and makes no other call.
func (u *Undo) mayRun(ctx context.Context, s *ledger.Stop, unanswered error) error {
	after := context.WithoutCancel(ctx)
	again, unread := u.askedAgain(after, s)
	if err := u.ledger.Unanswered(after, s, u.Batch, u.id); !errors.Is(err, ledger.ErrNotFound) { // else nobody asks
		unread = errors.Join(unread, err)
	}
	reason := mayRun
	if again != "" {
		reason = fmt.Sprintf(mayAgainst, again)
	}
	u.note(s, "failed", reason+": "+unanswered.Error())
	u.mu.Lock()
	u.silent++
	u.mu.Unlock()
	if !ofJob(ctx, unanswered) {
		return errors.Join(fmt.Errorf("job %s: %s: %w", s.JobID, reason, unanswered), unread)
	}
	return unread
}

// ofJob reports whether an error of a call is one job's own trouble.
func ofJob(ctx context.Context, err error) bool {
	kind := jobs.KindOf(err)
	_, ok := errors.AsType[*jobs.Error](err)
	return ok && ctx.Err() == nil && kind != jobs.KindCredentials && kind != jobs.KindNoAPI
}
