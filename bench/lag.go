package main

import (
	"context"
	"time"
)

// lag measures how soon a stop that is complete is known to be, and how many
// calls that takes.
func (b *bench) lag(ctx context.Context) (*measurement, error) {
	const jobs = 2000
	sim := realistic("--stop-time", "20s", "--stop-spread", "0.5")
	ours, plain := vizstopSide(jobs, "--concurrency", "64", "--api-rate", "0"), plainSide(jobs, 5*time.Second)
	runs, err := b.atOnce(ctx, b.roundsOr(2), []side{plain, ours}, 8*time.Minute, sim...)
	if err != nil {
		return nil, err
	}
	perJob := func(s side) []float64 { return over(runs[s.name], func(r *sideRun) float64 { return r.perJob(jobs) }) }
	mine := runs[ours.name]
	m := &measurement{
		Title: "Calls and lag",
		Work:  "2,000 jobs, API lognormal with median 80 ms, stop time lognormal with median 20 s",
		How: "Lag is from the moment at which the simulated job truly stopped to its confirmation: in the ledger for " +
			"vizstop, when the program has read the answer for the plain one, which polls every 5 s. The worker has its " +
			"defaults but `--concurrency 64 --api-rate 0`. Nearly all of this is waiting, so both sides run at the same time, " +
			"each with a Redis and a simulator of its own.",
		Goals: []goal{
			atMost("API calls per confirmed job (floor 2)", "", 2.1, perJob(ours)),
			atMost("detection lag, p50", "s", 1.5, lags(mine, 0.5)),
			atMost("detection lag, p95", "s", 3.5, lags(mine, 0.95)),
			atMost("detection lag, max", "s", 8, lags(mine, 1)),
			atMost("wall time, long stops, against the plain Go program", "×", 1.02,
				ratios(walls(mine), walls(runs[plain.name]))),
		},
		Columns: []col{{"calls a job", ""}, {"lag p50", "s"}, {"lag p95", "s"}, {"lag max", "s"}, {"wall time", "s"}},
		Runs:    runs,
	}
	for _, s := range []side{plain, ours} {
		got := runs[s.name]
		m.Rows = append(m.Rows, row{s.name, [][]float64{
			perJob(s), lags(got, 0.5), lags(got, 0.95), lags(got, 1), walls(got)}})
	}
	m.Plots = append(m.Plots,
		distributionPlot("lag", "Detection lag: share of stops confirmed within", "seconds", []side{plain, ours}, runs,
			func(r *sideRun) []float64 { return r.Lag }),
		distributionPlot("calls", "API calls for a job: share of jobs with at most so many", "calls",
			[]side{plain, ours}, runs,
			func(r *sideRun) []float64 { return r.Calls }))
	return m, nil
}
