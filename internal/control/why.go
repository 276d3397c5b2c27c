package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/redisconn"
	"vizstop/internal/release"
)

// NoWorker is said when stops wait and nobody would carry them out. seen is when a
// worker was last seen; zero: never.
func NoWorker(seen time.Time) string {
	since := "yet"
	if !seen.IsZero() {
		since = "since " + seen.Local().Format(time.RFC3339)
	}
	return "no worker has been seen " + since + ": nothing moves until one is started (worker run)"
}

// Standstill says why nothing moves, whatever is held: Redis refuses writes, so that nobody can tell who lives, or no
// worker lives. "": neither is so. It goes by the last Refresh.
func (d *Desk) Standstill(ctx context.Context) (words string, refused bool, err error) {
	err = d.Fleet.TryWrite(ctx)
	if words := redisconn.WritesRefused(err); words != "" {
		return words, true, nil
	}
	if census := d.Fleet.Census(); err == nil && len(census.Alive) == 0 {
		words = NoWorker(census.Seen)
	}
	return words, false, err
}

// Why tells what keeps its stops from moving, in words. status and --wait show it.
func (b *Batch) Why(ctx context.Context) ([]string, error) {
	lines, err := b.desk.stands(ctx)
	if err != nil {
		return nil, err
	}
	holds, err := b.Holds(ctx)
	if err != nil {
		return lines, err
	}
	for _, h := range release.Told(holds) {
		lines = append(lines, h.String())
	}
	refusals, err := b.refusals(ctx)
	return append(lines, refusals...), err
}

// Refused tells, in words, of refused credentials that keep its stops from moving, and what a person can do.
func (b *Batch) Refused(ctx context.Context) ([]string, error) {
	holds, err := b.Holds(ctx)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, h := range release.Told(holds) {
		if h.Reason == release.Credentials {
			lines = append(lines, h.String())
		}
	}
	refusals, err := b.refusals(ctx)
	return append(lines, refusals...), err
}

// refusals tells of those by which nothing is held yet.
func (b *Batch) refusals(ctx context.Context) (lines []string, err error) {
	all, err := b.desk.Release.Refusals(ctx)
	for _, f := range all {
		if slices.ContainsFunc(b.Projects, func(id string) bool { return b.desk.Concerns(f.Hold(), id) }) {
			lines = append(lines, f.String())
		}
	}
	return lines, err
}

// stands asks anew who lives, and says why nothing moves at all: at most one line, as Standstill has it.
func (d *Desk) stands(ctx context.Context) ([]string, error) {
	if err := d.Fleet.Sync(ctx); err != nil {
		return nil, err
	}
	lines := []string{}
	words, _, err := d.Standstill(ctx)
	if words != "" {
		lines = append(lines, words)
	}
	return lines, err
}

// Holds are those that hold its calls back.
func (b *Batch) Holds(ctx context.Context) ([]release.Hold, error) {
	holds, err := b.desk.Release.Holds(ctx)
	if err != nil {
		return nil, err
	}
	var own []release.Hold
	for _, h := range holds {
		if b.Shadow() && (h.Reason == release.Paused || h.ByLimit()) { // its looks go on, and tell of it
			continue
		}
		concerns := slices.ContainsFunc(b.Projects, func(id string) bool { return b.desk.Concerns(h, id) })
		if concerns && h.Reason == release.WindowLimit { // it is not for what somebody has confirmed
			known, err := b.Ledger.Batch(ctx, h.ProjectID, b.ID)
			if err != nil && !errors.Is(err, ledger.ErrNotFound) {
				return nil, err
			}
			concerns = err == nil && !known.Confirmed
		}
		if concerns && (h.Batch == "" || h.Batch == b.ID) {
			own = append(own, h)
		}
	}
	return own, nil
}

// Concerns reports whether a hold holds back calls of a project. Without Served, any account may be the project's.
func (d *Desk) Concerns(h release.Hold, projectID string) bool {
	return h.Scope == release.ScopeCredential && d.Served == nil || d.Release.Concerns(h, projectID)
}

// Paused is the pauses that hold its stop calls back, that of asynq's queue among them,
// in words.
func (b *Batch) Paused(ctx context.Context) ([]string, error) {
	holds, err := b.Holds(ctx)
	lines := []string{}
	for _, h := range holds {
		if h.ByPerson() {
			lines = append(lines, h.String())
		}
	}
	return lines, err
}

// Explain gives stops that a limit holds back the reason why they wait.
func (d *Desk) Explain(ctx context.Context, stops []*ledger.Stop) error {
	for _, s := range stops {
		if s.State != ledger.Pending || !s.Unconfirmed {
			continue
		}
		b := &Batch{ID: s.Batch, Projects: []string{s.ProjectID}, Ledger: d.Ledger, desk: d}
		holds, err := b.Holds(ctx)
		if err != nil {
			return err
		}
		for _, h := range holds {
			if h.ByLimit() {
				s.Reason = h.String()
			}
		}
	}
	return nil
}
