package rounds

import (
	"context"
	"errors"
	"log/slog"

	"vizstop/internal/ledger"
)

// restorer looks through the projects that may have work, a few at a time, and puts those
// back into the rounds that Redis has lost there. In a Redis Cluster the node that has the rounds of all
// projects may lose writes that the nodes of the projects keep.
type restorer struct {
	ledger *ledger.Ledger
	rounds interface {
		Projects(ctx context.Context) ([]string, error)
		Restore(ctx context.Context, projectIDs []string) (int, error)
	}
	logger *slog.Logger

	from int64 // where the next projects to look at are
}

func (l *Loop) restorers() []*restorer {
	return []*restorer{{ledger: l.Ledger, rounds: l.Release, logger: l.Logger},
		{ledger: l.Ledger.Shadow(), rounds: l.Release.Shadow(), logger: l.Logger}}
}

// restore looks at the next few projects of each kind of stops.
func restore(ctx context.Context, all []*restorer) error {
	var errs error
	for _, r := range all {
		errs = errors.Join(errs, r.step(ctx))
	}
	return errs
}

// step looks at the next few projects. Those that it can't look at, as their node is down, keep it from nothing: its
// error tells of them. If it fails otherwise, the next one looks at the same.
func (r *restorer) step(ctx context.Context) error {
	if r.from == 0 { // what one node has lost, the other may know
		known, err := r.rounds.Projects(ctx)
		if err == nil {
			err = r.ledger.NoteWork(ctx, known)
		}
		if err != nil {
			return err
		}
	}
	projects, next, missed := r.ledger.InFlight(ctx, r.from)
	n, err := r.rounds.Restore(ctx, projects)
	if err != nil {
		return errors.Join(missed, err)
	}
	r.from = next
	if n > 0 {
		r.logger.WarnContext(ctx, "rounds are made again of projects with stops that Redis had lost there", "projects", n,
			"shadow", r.ledger.OfShadow())
	}
	return missed
}
