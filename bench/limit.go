package main

import (
	"context"
	"time"
)

// limit measures how well a limit of the API is used and kept.
func (b *bench) limit(ctx context.Context) (*measurement, error) {
	const jobs, rate = 2000, 100
	const floor = 2.0 * jobs / rate
	sim := []string{"--latency", "20ms", "--stop-time", "500ms", "--stop-spread", "0", "--rate", "100"}
	ours := vizstopSide(jobs, "--concurrency", "64", "--api-rate", "100", "--poll-first", "1s", "--poll-max", "5s")
	plain := plainSide(jobs, time.Second)
	runs, err := b.atOnce(ctx, b.roundsOr(2), []side{plain, ours}, 8*time.Minute, sim...)
	if err != nil {
		return nil, err
	}
	walls := func(s side) []float64 { return over(runs[s.name], func(r *sideRun) float64 { return r.Wall }) }
	refused := func(s side) []float64 {
		return over(runs[s.name], func(r *sideRun) float64 { return 100 * r.calls(429) / r.calls(0) })
	}
	floors := func(s side) []float64 {
		return over(runs[s.name], func(r *sideRun) float64 { return r.Wall / floor })
	}
	m := &measurement{
		Title: "Under a limit",
		Work:  "2,000 jobs, the API answers 429 above 100 requests/s (burst 20), a stop takes 0.5 s",
		How: "The floor is two calls a job at the limit: 40 s. The worker has `--api-rate 100 --concurrency 64 --poll-first 1s --poll-max 5s`; the plain " +
			"program knows no limit, polls every second, and repeats a refused call after 1, 2, 4 and at most 8 s. Both sides run at the same time, each with a simulator of its own.",
		Goals: []goal{
			{What: "wall time against the floor", Unit: "×", Most: 1.25, Rounds: floors(ours)},
			{What: "answers with 429", Unit: "%", Most: 1, Rounds: refused(ours)},
		},
		Columns: []col{{"wall time", "s"}, {"against the floor", "×"}, {"calls a job", ""}, {"429", "%"}},
		Runs:    runs,
	}
	for _, s := range []side{plain, ours} {
		m.Rows = append(m.Rows, row{s.name, [][]float64{walls(s), floors(s),
			over(runs[s.name], func(r *sideRun) float64 { return r.calls(0) / jobs }), refused(s)}})
	}
	m.Plots = append(m.Plots, confirmedPlot("limited", "Stops confirmed over time, limit 100 requests/s", []side{plain, ours}, runs))
	return m, nil
}
