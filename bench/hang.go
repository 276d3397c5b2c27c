package main

import (
	"context"
	"strconv"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

// hang measures whether a project whose calls hang slows down another one.
func (b *bench) hang(ctx context.Context) (*measurement, error) {
	const jobs = 1000
	alone := side{name: "alone", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		return st.besideHanging(ctx, false)
	}}
	beside := side{name: "beside one that hangs", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		return st.besideHanging(ctx, true)
	}}
	sides := []side{alone, beside}
	runs, err := b.inTurn(ctx, b.roundsOr(2), sides, 9*time.Minute,
		realistic("--stop-time", "2s", "--stop-spread", "0", "--project", project, "--project", smallProject)...)
	if err != nil {
		return nil, err
	}
	slower := ratios(walls(runs[beside.name]), walls(runs[alone.name]))
	m := &measurement{
		Title: "A project that hangs",
		Work: "1,000 stops of a project beside 1,000 of one whose calls all hang for 30 s; API lognormal with median 80 " +
			"ms, a stop takes 2 s",
		How: "The project that hangs is asked for 3 s earlier, so that its calls have every slot that they can get. From " +
			"the start of `enqueue` for the healthy one to its last confirmation. The worker has its defaults but " +
			"`--concurrency 64 --api-rate 0`: so a call ends after 30 s. Rounds in turn.",
		Goals:   []goal{atMost("a project beside one that hangs, wall time against alone", "×", 1.1, slower)},
		Columns: []col{{"wall time", "s"}, {"lag p50", "s"}, {"lag p95", "s"}},
		Runs:    runs,
	}
	for _, s := range sides {
		got := runs[s.name]
		m.Rows = append(m.Rows, row{s.name, [][]float64{walls(got), lags(got, 0.5), lags(got, 0.95)}})
	}
	return m, nil
}

// besideHanging stops the jobs of a project, maybe beside those of another whose calls hang.
func (st *stage) besideHanging(ctx context.Context, beside bool) (*sideRun, error) {
	if err := st.startWorker(ctx, "--concurrency", strconv.Itoa(parallel), "--api-rate", "0"); err != nil {
		return nil, err
	}
	if beside {
		err := st.order(ctx, modelartstest.Order{ProjectID: smallProject, Delay: 30, Honest: true})
		if err != nil {
			return nil, err
		}
		if _, err := st.enqueue(ctx, smallProject, st.list); err != nil {
			return nil, err
		}
		if err := pause(ctx, 3*time.Second); err != nil {
			return nil, err
		}
	}
	if err := st.letLoose(ctx); err != nil {
		return nil, err
	}
	batch, err := st.enqueue(ctx, project, st.list)
	if err != nil {
		return nil, err
	}
	return st.concludeBatch(ctx, batch)
}
