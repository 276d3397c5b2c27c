package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/release"
	"vizstop/internal/report"
)

// watch is a batch to wait for.
func (b *books) watch(batch string, projects []string, progress report.Progress) report.Watch {
	return report.Watch{Ledger: b.ledger, Batch: batch, Projects: projects, Progress: progress, Rate: b.rate, Why: b.why(batch, projects)}
}

// noWorker is said when stops wait and nobody would carry them out. seen is when a
// worker was last seen; zero: never.
func noWorker(seen time.Time) string {
	since := "yet"
	if !seen.IsZero() {
		since = "since " + seen.Local().Format(time.RFC3339)
	}
	return "no worker has been seen " + since + ": nothing moves until one is started (worker run)"
}

// why tells what keeps the stops of a batch in these projects from moving. status and
// --wait show it.
func (b *books) why(batch string, projects []string) report.Why {
	return func(ctx context.Context) ([]string, error) {
		lines := []string{}
		if err := b.fleet.Sync(ctx); err != nil {
			return nil, err
		}
		if fleet := b.fleet.Census(); len(fleet.Alive) == 0 {
			lines = append(lines, noWorker(fleet.Seen))
		}
		holds, err := b.holds(ctx, batch, projects)
		for _, h := range holds {
			lines = append(lines, h.String())
		}
		return lines, err
	}
}

// holds are those that hold calls of a batch in these projects back.
func (b *books) holds(ctx context.Context, batch string, projects []string) ([]release.Hold, error) {
	holds, err := b.release.Holds(ctx)
	if err != nil {
		return nil, err
	}
	var own []release.Hold
	for _, h := range holds {
		if b.ledger.OfShadow() && (h.Reason == release.Paused || h.ByLimit()) { // its looks go on, and tell of it
			continue
		}
		concerns := slices.ContainsFunc(projects, func(id string) bool { return b.release.Concerns(h, id) })
		if concerns && h.Reason == release.WindowLimit { // it is not for what somebody has confirmed
			known, err := b.ledger.Batch(ctx, h.ProjectID, batch)
			if err != nil && !errors.Is(err, ledger.ErrNotFound) {
				return nil, err
			}
			concerns = err == nil && !known.Confirmed
		}
		if concerns && (h.Batch == "" || h.Batch == batch) {
			own = append(own, h)
		}
	}
	return own, nil
}

// paused is the pauses that hold the stop calls of these projects back, that of
// asynq's queue among them, in words.
func (b *books) paused(ctx context.Context, batch string, projects []string) ([]string, error) {
	holds, err := b.holds(ctx, batch, projects)
	lines := []string{}
	for _, h := range holds {
		if h.ByPerson() {
			lines = append(lines, h.String())
		}
	}
	return lines, err
}

// explain gives stops that a limit holds back the reason why they wait.
func (b *books) explain(ctx context.Context, stops []*ledger.Stop) error {
	for _, s := range stops {
		if s.State != ledger.Pending || !s.Unconfirmed {
			continue
		}
		holds, err := b.holds(ctx, s.Batch, []string{s.ProjectID})
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
