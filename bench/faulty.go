package main

import (
	"context"
	"time"
)

// faulty measures what an API costs of which some calls fail and some answers come late.
func (b *bench) faulty(ctx context.Context) (*measurement, error) {
	const jobs = 1000
	ours := vizstopSide(jobs, "--concurrency", "64", "--api-rate", "0", "--poll-first", "2s")
	plain := plainSide(jobs, time.Second)
	sides := []side{plain, ours}
	runs, err := b.inTurn(ctx, b.roundsOr(3), sides, 5*time.Minute,
		realistic("--stop-time", "2s", "--stop-spread", "0", "--fault-share", "0.05")...)
	if err != nil {
		return nil, err
	}
	mine := runs[ours.name]
	m := &measurement{
		Title: "A faulty API",
		Work:  "1,000 jobs, API lognormal with median 80 ms, a stop takes 2 s, 5 % of calls fail or are answered 15 s late",
		How: "Eight faults, equally likely: HTTP 500, 502 and 503, `is_success: false`, a connection reset before and " +
			"after the effect, a cut answer, and an answer that comes 15 s late although the effect came at once. List calls " +
			"meet them too. Lag is from the true end of a job to its confirmation. The plain program polls every second, and " +
			"repeats a failed call after 1, 2, 4 and at most 8 s; the worker runs with `--concurrency 64 --api-rate 0 " +
			"--poll-first 2s`. Rounds in turn.",
		Goals: []goal{
			atMost("faulty API, wall time against the plain Go program", "×", 1, ratios(walls(mine), walls(runs[plain.name]))),
			atMost("faulty API, detection lag, p50", "s", 0.6, lags(mine, 0.5)),
			atMost("faulty API, detection lag, p95", "s", 1.5, lags(mine, 0.95)),
		},
		Columns: []col{{"wall time", "s"}, {"against plain", "×"}, {"lag p50", "s"}, {"lag p95", "s"}, {"lag max", "s"},
			{"calls a job", ""}},
		Runs: runs,
	}
	for _, s := range sides {
		got := runs[s.name]
		m.Rows = append(m.Rows, row{s.name, [][]float64{walls(got), ratios(walls(got), walls(runs[plain.name])),
			lags(got, 0.5), lags(got, 0.95), lags(got, 1), over(got, func(r *sideRun) float64 { return r.perJob(jobs) })}})
	}
	m.Plots = append(m.Plots, confirmedPlot("faulty", "Stops confirmed over time, 5 % of calls fail", sides, runs))
	return m, nil
}
