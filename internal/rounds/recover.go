package rounds

import (
	"context"
	"errors"
	"log/slog"
	"slices"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
	"vizstop/internal/tasks"
)

// What a recovery can have found.
const (
	foundDead    = "dead"    // the worker that had claimed the step fell silent
	foundMissing = "missing" // no worker has it, and the queue has no task for it that it would deliver
)

// RecoveryKinds lists what a recovery can have found.
func RecoveryKinds() []string { return []string{foundDead, foundMissing} }

// notYet stands for a step of a worker that lives, or may, or died a moment ago: it is
// looked at again in the next rounds.
const notYet = "not yet"

// recover releases steps again that nobody carries any more: the worker that had
// claimed them is dead, or they have lost their task before anybody claimed them.
func (l *Loop) recover(ctx context.Context, projectID string, steps []ledger.Member) {
	why, err := l.diagnose(ctx, projectID, steps)
	missing := finding{why: foundMissing}
	if err == nil && slices.Contains(why, missing) {
		// A task is gone when its step is done, too, and that may have been just now.
		var again []finding
		again, err = l.diagnose(ctx, projectID, steps)
		for i := range again {
			if why[i] == missing {
				why[i] = again[i]
			}
		}
	}
	var taken []ledger.Member
	if err == nil {
		steps, why = decided(steps, why)
		err = l.rejectDamaged(ctx, projectID, steps, why)
	}
	if err == nil {
		taken, err = l.Release.Recover(ctx, projectID, steps, func(i int) bool { return why[i].why != "" })
	}
	if err != nil {
		l.Logger.WarnContext(ctx, "silent steps are looked after later", "project", projectID, "error", err)
		return
	}
	for _, step := range taken {
		found := why[slices.Index(steps, step)]
		l.Recorder.Recovered(found.why)
		l.Logger.WarnContext(ctx, "step is released again", "project", projectID, "stop", step.StopID, "job", step.JobID,
			"hop", step.Hop, "found", found.why, "worker", found.worker)
	}
	l.Pull(projectID, 0)
}

// rejectDamaged ends the stops of lost steps that no worker would claim: they would be released for ever.
func (l *Loop) rejectDamaged(ctx context.Context, projectID string, steps []ledger.Member, why []finding) error {
	var lost []string
	for i, step := range steps {
		if why[i].why != "" {
			lost = append(lost, step.StopID)
		}
	}
	stops, err := readable(ctx, l.Ledger, l.Logger, projectID, lost)
	now := l.Member.Now()
	for _, s := range stops {
		if toReject(s, now) {
			err = errors.Join(err, l.Handlers.Looker.Reject(ctx, s))
		}
	}
	return err
}

// decided leaves out the steps of which it is not yet known.
func decided(steps []ledger.Member, why []finding) (known []ledger.Member, of []finding) {
	for i := range steps {
		if why[i].why != notYet {
			known, of = append(known, steps[i]), append(of, why[i])
		}
	}
	return known, of
}

// finding says why a step is lost ("" if it is not), and with which worker if that is known.
type finding struct{ why, worker string }

// diagnose says for each step why it is lost.
func (l *Loop) diagnose(ctx context.Context, projectID string, steps []ledger.Member) ([]finding, error) {
	ids := make([]string, len(steps))
	for i, step := range steps {
		ids[i] = step.StopID
	}
	stops, err := readable(ctx, l.Ledger, l.Logger, projectID, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*ledger.Stop, len(stops))
	for _, s := range stops {
		byID[s.ID] = s
	}
	census, now := l.Member.Census(), l.Member.Now()
	why := make([]finding, len(steps))
	for i, step := range steps {
		s := byID[step.StopID]
		switch {
		case s == nil || s.Hop != step.Hop: // the script forgets it
		case s.Damage() != "" && !toReject(s, now): // a newer worker may know what to do with it
		case s.Claimed == s.Hop && s.Worker == l.Member.ID():
			if !l.Handlers.AtWork.Has(step.StopID) {
				why[i].why = foundMissing
			}
		case s.Claimed == s.Hop:
			why[i].why = notYet
			if census.Reliable && !census.Lives(s.Worker) {
				why[i] = finding{foundDead, s.Worker}
			}
		default:
			if why[i].why, err = l.unclaimed(ctx, s, step); err != nil {
				return nil, err
			}
		}
	}
	return why, nil
}

// readable reads stops. One whose key holds something else is told of, and left out as one that Redis has lost.
func readable(ctx context.Context, books *ledger.Ledger, log *slog.Logger, projectID string,
	ids []string) ([]*ledger.Stop, error) {
	stops, err := books.GetAll(ctx, projectID, ids)
	if broken := ledger.Unreadable(err); broken != nil {
		log.ErrorContext(ctx, "a stop is lost: its job may run on", "project", projectID, "error", broken)
		return stops, nil
	}
	return stops, err
}

// unclaimed says why a released step that nobody has claimed is lost; "" if its
// task just waits for its turn.
func (l *Loop) unclaimed(ctx context.Context, s *ledger.Stop, step ledger.Member) (string, error) {
	if l.Handlers.AtWork.Waits(s.ProjectID, step) { // with this worker
		return "", nil
	}
	state, leased, err := l.Queue.Find(ctx, tasks.Queue, tasks.TaskID(s.Kind, step))
	if err != nil {
		return "", err
	}
	switch state {
	case asynq.TaskStateActive.String(): // a worker that lives would have told that it has it
		census := l.Member.Census()
		switch {
		case leased:
			return "", nil
		case !census.Reliable: // nobody could tell of anything
			return notYet, nil
		}
	case asynq.TaskStatePending.String(), asynq.TaskStateRetry.String(), asynq.TaskStateScheduled.String():
		return "", nil
	}
	return foundMissing, nil
}
