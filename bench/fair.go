package main

import (
	"context"
	"slices"
	"time"
)

// fair measures how long a small project waits behind a large one.
func (b *bench) fair(ctx context.Context) (*measurement, error) {
	const jobs, few = 20_000, 5
	ours := side{name: "vizstop", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		if err := st.startWorker(ctx, "--concurrency", "64", "--api-rate", "50"); err != nil {
			return nil, err
		}
		if _, err := st.enqueue(ctx, project, st.list); err != nil {
			return nil, err
		}
		if err := pause(ctx, 3*time.Second); err != nil {
			return nil, err
		}
		if err := st.letLoose(ctx); err != nil {
			return nil, err
		}
		list, err := writeIDs(st.dir, firstJob, few)
		if err != nil {
			return nil, err
		}
		asked, at := map[jobKey]time.Time{}, time.Now()
		if _, err := st.enqueue(ctx, smallProject, list); err != nil {
			return nil, err
		}
		for i := range few {
			asked[jobKey{smallProject, jobID(i)}] = at
		}
		return st.sent(ctx, asked)
	}}
	runs, err := b.inTurn(ctx, b.roundsOr(2), []side{ours}, 8*time.Minute, "--latency", "20ms", "--stop-time", "1h",
		"--project", project, "--project", smallProject)
	if err != nil {
		return nil, err
	}
	slowest := over(runs[ours.name], func(r *sideRun) float64 { return slices.Max(r.Pickup) })
	return &measurement{
		Title: "A small project",
		Work:  "five stops of a small project behind 20,000 of a large one, limit 50 requests/s for each project",
		How: "The worker runs with `--api-rate 50 --concurrency 64`. Three seconds after the large batch is in the queue, " +
			"`enqueue` asks for the five: from the start of that command to the arrival of the last of their calls.",
		Goals:   []goal{atMost("five stops behind 20,000 of another project, asked to sent", "s", 2, slowest)},
		Columns: []col{{"first", "s"}, {"last", "s"}},
		Rows: []row{{ours.name, [][]float64{
			over(runs[ours.name], func(r *sideRun) float64 { return slices.Min(r.Pickup) }), slowest}}},
		Runs: runs,
	}, nil
}
