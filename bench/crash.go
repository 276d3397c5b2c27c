package main

import (
	"context"
	"strconv"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

// crash measures what it costs when the only worker is killed and comes back.
func (b *bench) crash(ctx context.Context) (*measurement, error) {
	const jobs = 2000
	ours := side{name: "vizstop", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		return st.crashThrice(ctx, jobs)
	}}
	sim := realistic("--stop-time", "10s", "--stop-spread", "0")
	runs, err := b.inTurn(ctx, b.roundsOr(3), []side{ours}, 6*time.Minute, sim...)
	if err != nil {
		return nil, err
	}
	got := runs[ours.name]
	m := &measurement{
		Title: "Crashes",
		Work: "2,000 jobs, API lognormal with median 80 ms, a stop takes 10 s, the only worker is killed with -9 three " +
			"times and back 1 s later",
		How: "It is killed when 700 stop calls have arrived, when 1,400 have, and when 500 jobs were shown to have ended: " +
			"always with calls under way. From the start of the new process to the first call that arrives, the longest of " +
			"the three. A stop call is repeated if one for the same job was accepted before; whether the ledger knew of that " +
			"is read from `enqueue stops` while no worker runs. `--concurrency 64 --api-rate 0`.",
		Goals: []goal{
			atMost("crash, from restart to the next call", "s", 1, numbers(got, "resumed")),
			atMost("crash, detection lag, p50", "s", 2, lags(got, 0.5)),
			atMost("crash, detection lag, p95", "s", 6, lags(got, 0.95)),
			atMost("crash, stop calls repeated although acceptance was recorded", "", 0, numbers(got, "repeated knowingly")),
			atMost("crash, stop calls repeated whose acceptance was not recorded", "", 5, numbers(got, "repeated unknowingly")),
		},
		Columns: []col{{"from restart to the next call", "s"}, {"lag p50", "s"}, {"lag p95", "s"}, {"lag max", "s"},
			{"wall time", "s"}, {"repeated, recorded", ""}, {"repeated, not recorded", ""}},
		Rows: []row{{ours.name, [][]float64{numbers(got, "resumed"), lags(got, 0.5), lags(got, 0.95), lags(got, 1),
			walls(got), numbers(got, "repeated knowingly"), numbers(got, "repeated unknowingly")}}},
		Runs: runs,
	}
	m.Plots = append(m.Plots, confirmedPlot("crash", "Stops confirmed over time, the worker is killed three times",
		[]side{ours}, runs))
	return m, nil
}

// killing is one end of the worker.
type killing struct {
	back     time.Time       // when the next worker was started
	accepted map[string]bool // jobs whose acceptance the ledger had while no worker ran
}

// crashThrice stops all jobs with a worker that is killed three times meanwhile.
func (st *stage) crashThrice(ctx context.Context, jobs int) (*sideRun, error) {
	worker := []string{"--concurrency", strconv.Itoa(parallel), "--api-rate", "0"}
	if err := st.startWorker(ctx, worker...); err != nil {
		return nil, err
	}
	if err := st.letLoose(ctx); err != nil {
		return nil, err
	}
	batch, err := st.enqueue(ctx, project, st.list)
	if err != nil {
		return nil, err
	}
	var killings []killing
	for _, due := range []func(modelartstest.CountsPage) bool{
		func(c modelartstest.CountsPage) bool { return c.Calls[modelartstest.OpStop][200] >= jobs*35/100 },
		func(c modelartstest.CountsPage) bool { return c.Calls[modelartstest.OpStop][200] >= jobs*70/100 },
		func(c modelartstest.CountsPage) bool { return c.ShownEnded >= jobs/4 },
	} {
		err := await(ctx, "the time to kill the worker", 20*time.Millisecond, func() (bool, error) {
			c, err := st.counts(ctx)
			return err == nil && due(c), err
		})
		if err != nil {
			return nil, err
		}
		k, err := st.killWorker(ctx, batch, worker...)
		if err != nil {
			return nil, err
		}
		killings = append(killings, k)
	}
	r, err := st.concludeBatch(ctx, batch)
	if err != nil {
		return nil, err
	}
	calls, err := st.calls(ctx)
	if err != nil {
		return nil, err
	}
	r.Numbers, err = afterKillings(killings, calls)
	return r, err
}

// killWorker kills the worker with -9 and starts another one a second later.
func (st *stage) killWorker(ctx context.Context, batch string, args ...string) (killing, error) {
	st.parts["worker"].kill()
	killed := time.Now()
	k := killing{accepted: map[string]bool{}}
	stops, err := st.stops(ctx, batch)
	if err != nil {
		return k, err
	}
	for _, s := range stops {
		k.accepted[s.JobID] = s.Accepted != nil
	}
	if err := pause(ctx, time.Until(killed.Add(time.Second))); err != nil {
		return k, err
	}
	k.back = time.Now()
	return k, st.launchWorker(ctx, args...)
}

// afterKillings reads from all calls how soon work went on after each killing, and which stop calls were made again.
func afterKillings(killings []killing, calls []modelartstest.Call) (map[string]float64, error) {
	n := map[string]float64{"repeated knowingly": 0, "repeated unknowingly": 0}
	for _, k := range killings {
		resumed, err := firstCallAfter(calls, k.back)
		if err != nil {
			return nil, err
		}
		n["resumed"] = max(n["resumed"], resumed)
	}
	accepted := map[string]bool{}
	for _, c := range calls {
		if c.Operation != modelartstest.OpStop {
			continue
		}
		if accepted[c.JobID] {
			n[repetition(killings, c)]++
		}
		accepted[c.JobID] = accepted[c.JobID] || c.HTTPStatus == 200
	}
	return n, nil
}

// repetition names a repeated stop call by whether the ledger had the acceptance of an earlier one.
func repetition(killings []killing, c modelartstest.Call) string {
	for _, k := range killings {
		if k.back.Before(c.At) && k.accepted[c.JobID] {
			return "repeated knowingly"
		}
	}
	return "repeated unknowingly"
}
