package main

import (
	"context"

	"vizstop/internal/report"
	"vizstop/internal/throttle"
)

// watch is a batch to wait for.
func (b *books) watch(batch string, projects []string, progress report.Progress) report.Watch {
	return report.Watch{Ledger: b.ledger, Batch: batch, Projects: projects, Progress: progress, Rate: b.rate, Why: b.why(projects)}
}

// why tells what keeps the stops of these projects from moving. status and --wait show it. Whatever else can be a reason
// is added here.
func (b *books) why(projects []string) report.Why {
	return func(ctx context.Context) ([]string, error) { return b.paused(ctx, projects) }
}

// paused is the pauses that hold the stop calls of these projects back, in words.
func (b *books) paused(ctx context.Context, projects []string) ([]string, error) {
	pauses, err := throttle.New(b.rdb, throttle.Config{}).Pauses(ctx, projects)
	if err != nil {
		return nil, err
	}
	lines := []string{}
	for _, p := range pauses {
		lines = append(lines, p.String())
	}
	return lines, nil
}
