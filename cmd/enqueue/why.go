package main

import (
	"context"
	"slices"
	"time"

	"vizstop/internal/release"
	"vizstop/internal/report"
)

// watch is a batch to wait for.
func (b *books) watch(batch string, projects []string, progress report.Progress) report.Watch {
	return report.Watch{Ledger: b.ledger, Batch: batch, Projects: projects, Progress: progress, Rate: b.rate, Why: b.why(projects)}
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

// why tells what keeps the stops of these projects from moving. status and --wait
// show it.
func (b *books) why(projects []string) report.Why {
	return func(ctx context.Context) ([]string, error) {
		lines := []string{}
		if err := b.fleet.Sync(ctx); err != nil {
			return nil, err
		}
		if fleet := b.fleet.Census(); len(fleet.Alive) == 0 {
			lines = append(lines, noWorker(fleet.Seen))
		}
		holds, err := b.holds(ctx, projects)
		for _, h := range holds {
			lines = append(lines, h.String())
		}
		return lines, err
	}
}

// holds are those that hold calls of these projects back.
func (b *books) holds(ctx context.Context, projects []string) ([]release.Hold, error) {
	holds, err := b.release.Holds(ctx)
	return slices.DeleteFunc(holds, func(h release.Hold) bool {
		if h.Reason == release.Paused && b.ledger.OfShadow() { // its looks go on, and tell of it
			return true
		}
		return !slices.ContainsFunc(projects, func(id string) bool { return b.release.Concerns(h, id) })
	}), err
}

// paused is the pauses that hold the stop calls of these projects back, that of
// asynq's queue among them, in words.
func (b *books) paused(ctx context.Context, projects []string) ([]string, error) {
	holds, err := b.holds(ctx, projects)
	lines := []string{}
	for _, h := range holds {
		if h.ByPerson() {
			lines = append(lines, h.String())
		}
	}
	return lines, err
}
