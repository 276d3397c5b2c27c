package main

import (
	"context"
	"errors"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

// The outage begins and ends so long after the asking.
const (
	outageFrom  = 1500 * time.Millisecond
	outageUntil = outageFrom + time.Minute
)

// outage measures how soon work goes on after the API was away for a minute.
func (b *bench) outage(ctx context.Context) (*measurement, error) {
	const jobs = 2000
	sides := []side{
		throughOutage(plainSide(jobs, 5*time.Second)),
		throughOutage(vizstopSide(jobs, "--concurrency", "64", "--api-rate", "0")),
	}
	sim := realistic("--stop-time", "10s", "--stop-spread", "0")
	runs, err := b.atOnce(ctx, b.roundsOr(2), sides, 8*time.Minute, sim...)
	if err != nil {
		return nil, err
	}
	plain, ours := runs[sides[0].name], runs[sides[1].name]
	m := &measurement{
		Title: "An outage",
		Work: "2,000 jobs, API lognormal with median 80 ms, a stop takes 10 s, every connection is reset from 1.5 s to " +
			"61.5 s",
		How: "Counted from the start of `enqueue`, or of the plain program, which polls every 5 s and repeats a failed " +
			"call after 1, 2, 4 and at most 8 s. The worker has its defaults but `--concurrency 64 --api-rate 0`. Nearly all " +
			"of this is waiting, so both sides run at the same time, each with a Redis and a simulator of its own.",
		Goals: []goal{
			atMost("outage of 60 s, wall time against the plain Go program", "×", 0.95, ratios(walls(ours), walls(plain))),
			atMost("outage of 60 s, first call after it", "s", 2, numbers(ours, "back")),
		},
		Columns: []col{{"wall time", "s"}, {"first call after it", "s"}, {"calls a job", ""}},
		Runs:    runs,
	}
	for _, s := range sides {
		got := runs[s.name]
		m.Rows = append(m.Rows, row{s.name, [][]float64{walls(got), numbers(got, "back"),
			over(got, func(r *sideRun) float64 { return r.perJob(jobs) })}})
	}
	m.Plots = append(m.Plots, confirmedPlot("outage",
		"Stops confirmed over time, the API is away from 1.5 s to 61.5 s", sides, runs))
	return m, nil
}

// throughOutage is the side with an outage that begins when it is let loose.
func throughOutage(s side) side {
	play := s.run
	s.run = func(ctx context.Context, st *stage) (*sideRun, error) {
		st.onLoose = func(ctx context.Context) error {
			return st.order(ctx, modelartstest.Order{After: outageFrom.Seconds(), For: (outageUntil - outageFrom).Seconds()})
		}
		r, err := play(ctx, st)
		if err != nil {
			return nil, err
		}
		calls, err := st.calls(ctx)
		if err != nil {
			return nil, err
		}
		r.Numbers = map[string]float64{}
		r.Numbers["back"], err = firstCallAfter(calls, st.began.Add(outageUntil))
		return r, err
	}
	return s
}

// firstCallAfter is how many seconds after a time the first call arrived.
func firstCallAfter(calls []modelartstest.Call, at time.Time) (float64, error) {
	for _, c := range calls {
		if !c.At.Before(at) {
			return c.At.Sub(at).Seconds(), nil
		}
	}
	return 0, errors.New("no call came after that")
}
