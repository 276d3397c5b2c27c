package main

import (
	"context"
	"fmt"
	"time"
)

// scale measures whether a stop costs the same in a small batch and in a large
// one.
func (b *bench) scale(ctx context.Context) (*measurement, error) {
	sizes := []int{1000, 10_000, 100_000}
	var sides []side
	for _, n := range sizes {
		play := func(ctx context.Context, st *stage) (*sideRun, error) {
			return st.drain(ctx, quickWorker()...)
		}
		sides = append(sides, side{name: fmt.Sprintf("%d stops", n), jobs: n, run: play})
	}
	runs, err := b.inTurn(ctx, b.roundsOr(2), sides, 10*time.Minute, instantly()...)
	if err != nil {
		return nil, err
	}
	cost := func(i int) []float64 {
		return over(runs[sides[i].name], func(r *sideRun) float64 {
			return 1e6 * (r.CPU["worker"] + r.CPU["redis"]) / float64(sizes[i])
		})
	}
	m := &measurement{
		Title: "Scale",
		Work:  "batches of 1,000 to 100,000, API instantaneous",
		How: "The cost of a stop is the processor time of the worker and Redis together, from the start of the worker, " +
			"with all tasks in the queue, to the last confirmation. Settings as for throughput.",
		Goals:   []goal{atMost("cost per stop, 100,000 against 1,000", "×", 1.15, ratios(cost(2), cost(0)))},
		Columns: []col{{"cost per stop", "µs"}, {"stops a second", ""}, {"worker peak", "MiB"}},
		Runs:    runs,
	}
	for i, s := range sides {
		m.Rows = append(m.Rows, row{s.name, [][]float64{cost(i),
			over(runs[s.name], func(r *sideRun) float64 { return float64(sizes[i]) / r.Wall }),
			over(runs[s.name], func(r *sideRun) float64 { return r.WorkerMiB })}})
	}
	return m, nil
}
