package main

import (
	"context"
	"time"
)

// behind measures how long an urgent stop waits behind a large batch of its own project.
func (b *bench) behind(ctx context.Context) (*measurement, error) {
	const jobs, urgent = 100_000, 5
	ours := side{name: "vizstop", jobs: jobs + urgent, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		backlog, err := writeIDs(st.dir, firstJob, jobs)
		if err != nil {
			return nil, err
		}
		if err := st.startWorker(ctx, "--concurrency", "64", "--api-rate", "50"); err != nil {
			return nil, err
		}
		if _, err := st.enqueue(ctx, project, backlog); err != nil {
			return nil, err
		}
		return st.askBehind(ctx, jobs, urgent)
	}}
	sim := realistic("--stop-time", "1h", "--stop-spread", "0")
	runs, err := b.inTurn(ctx, b.roundsOr(2), []side{ours}, 5*time.Minute, sim...)
	if err != nil {
		return nil, err
	}
	slowest := pickups(runs[ours.name], 1)
	return &measurement{
		Title: "An urgent stop behind a large batch",
		Work:  "one stop behind 100,000 waiting ones of the same project, limit 50 requests/s",
		How: "The worker runs with `--api-rate 50 --concurrency 64`. From 3 s after the large batch is in, `enqueue` asks " +
			"for a stop every two seconds, five in all: from the start of that command to the arrival of its call, the " +
			"slowest of them.",
		Goals:   []goal{atMost("urgent stop behind 100,000 of the same project, asked to sent", "s", 0.5, slowest)},
		Columns: []col{{"median", "s"}, {"slowest", "s"}},
		Rows:    []row{{ours.name, [][]float64{pickups(runs[ours.name], 0.5), slowest}}},
		Runs:    runs,
	}, nil
}
