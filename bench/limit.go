package main

import (
	"context"
	"time"
)

// limit measures how well a limit of the API is used and kept, by a worker that was told of it and by one that was not.
func (b *bench) limit(ctx context.Context) (*measurement, error) {
	const jobs, rate = 2000, 100
	const floor = 2.0 * jobs / rate
	sim := realistic("--stop-time", "5s", "--stop-spread", "0", "--rate", "100")
	known := vizstopSide(jobs, "--concurrency", "64", "--api-rate", "100")
	unknown := vizstopSide(jobs, "--concurrency", "64", "--api-rate", "0")
	known.name, unknown.name = "vizstop, limit known", "vizstop, limit unknown"
	plain := plainSide(jobs, 5*time.Second)
	sides := []side{plain, known, unknown}
	runs, err := b.atOnce(ctx, b.roundsOr(2), sides, 8*time.Minute, sim...)
	if err != nil {
		return nil, err
	}
	refused := func(s side) []float64 {
		return over(runs[s.name], func(r *sideRun) float64 { return 100 * r.calls(429) / r.calls(0) })
	}
	floors := func(s side) []float64 {
		return over(runs[s.name], func(r *sideRun) float64 { return r.Wall / floor })
	}
	m := &measurement{
		Title: "Under a limit",
		Work:  "2,000 jobs, API lognormal with median 80 ms, 429 above 100 requests/s (burst 20), a stop takes 5 s",
		How: "The floor is two calls a job at the limit: 40 s. The workers have their defaults but `--concurrency 64` and " +
			"`--api-rate 100`, or `--api-rate 0` where the limit is unknown; the plain program knows no limit either, polls " +
			"every 5 s, and repeats a refused call after 1, 2, 4 and at most 8 s. All sides run at the same time, each with a " +
			"simulator of its own.",
		Goals: []goal{
			atMost("known limit, wall time against the floor", "×", 1.1, floors(known)),
			atMost("known limit, answers with 429", "%", 1, refused(known)),
			atMost("unknown limit, wall time against the floor", "×", 1.1, floors(unknown)),
			atMost("unknown limit, answers with 429", "%", 10, refused(unknown)),
		},
		Columns: []col{{"wall time", "s"}, {"against the floor", "×"}, {"calls a job", ""}, {"429", "%"}},
		Runs:    runs,
	}
	for _, s := range sides {
		m.Rows = append(m.Rows, row{s.name, [][]float64{walls(runs[s.name]), floors(s),
			over(runs[s.name], func(r *sideRun) float64 { return r.perJob(jobs) }), refused(s)}})
	}
	m.Plots = append(m.Plots, confirmedPlot("limited", "Stops confirmed over time, limit 100 requests/s", sides, runs))
	return m, nil
}
