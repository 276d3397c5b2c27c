package main

import (
	"context"
	"path/filepath"
	"strconv"
	"time"
)

// wall measures how long it takes to stop many jobs, against what users would
// otherwise write.
func (b *bench) wall(ctx context.Context) (*measurement, error) {
	const jobs = 5000
	sim := []string{"--latency", "20ms", "--stop-time", "500ms", "--stop-spread", "0"}
	ours := vizstopSide(jobs, "--concurrency", strconv.Itoa(parallel), "--api-rate", "0", "--poll-first", "1s",
		"--poll-max", "2s")
	plain := plainSide(jobs, 500*time.Millisecond)
	sides := []side{plain, ours, asynqSide(jobs, time.Second)}
	runs, err := b.inTurn(ctx, b.roundsOr(5), sides, 3*time.Minute, sim...)
	if err != nil {
		return nil, err
	}
	shell := curlSide(jobs, filepath.Join(b.out, "baseline", "curl.sh"), "0.5")
	once, err := b.inTurn(ctx, 1, []side{shell}, 15*time.Minute, sim...)
	if err != nil {
		return nil, err
	}
	runs[shell.name] = once[shell.name]
	sides = append(sides, shell)

	mine := runs[ours.name]
	m := &measurement{
		Title: "Wall time",
		Work:  "5,000 jobs, API 20 ms, a stop takes 0.5 s",
		How: "From asking (start of `enqueue`, or of the program) to the last confirmation; 64 calls at once on every " +
			"side, rounds in turn. Everybody polls for a stop of half a second: the plain program and the shell after 0.5 s, " +
			"asynq after 1 s, the worker with `--poll-first 1s --poll-max 2s`; it runs with `--concurrency 64 --api-rate 0` " +
			"and already waits for work, as asynq's does. The shell loop ran once.",
		Goals: []goal{
			atMost("wall time, durable, against the plain Go program", "×", 1.2, ratios(walls(mine), walls(runs[plain.name]))),
			atMost("worker memory, peak RSS", "MiB", 40, over(mine, func(r *sideRun) float64 { return r.WorkerMiB })),
		},
		Columns: []col{{"wall time", "s"}, {"against plain", "×"}, {"calls a job", ""}, {"worker peak", "MiB"}},
		Runs:    runs,
	}
	for _, s := range sides {
		got := runs[s.name]
		m.Rows = append(m.Rows, row{s.name, [][]float64{walls(got), ratios(walls(got), walls(runs[plain.name])),
			over(got, func(r *sideRun) float64 { return r.perJob(jobs) }),
			over(got, func(r *sideRun) float64 { return r.WorkerMiB })}})
	}
	m.Plots = append(m.Plots, confirmedPlot("confirmed", "Stops confirmed over time, 5,000 jobs", sides[:3], runs))
	return m, nil
}
