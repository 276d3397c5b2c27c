package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

// pickup measures how soon an idle worker takes up a stop that somebody asks for at a prompt.
func (b *bench) pickup(ctx context.Context) (*measurement, error) {
	const jobs = 50
	ours := side{name: "vizstop", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		if err := st.startWorker(ctx); err != nil {
			return nil, err
		}
		return st.askSlowly(ctx, jobs)
	}}
	defaults := side{name: "asynq with its defaults", jobs: jobs}
	defaults.run = func(ctx context.Context, st *stage) (*sideRun, error) {
		if err := st.startAsynq(ctx, 5*time.Second); err != nil {
			return nil, err
		}
		return st.askAsynqSlowly(ctx, jobs)
	}
	sides := []side{defaults, ours}
	sim := realistic("--stop-time", "20s", "--stop-spread", "0.5")
	runs, err := b.atOnce(ctx, b.roundsOr(2), sides, 5*time.Minute, sim...)
	if err != nil {
		return nil, err
	}
	pick := func(s side, q float64) []float64 {
		ms := pickups(runs[s.name], q)
		for i := range ms {
			ms[i] *= 1000
		}
		return ms
	}
	perJob := func(s side) []float64 { return over(runs[s.name], func(r *sideRun) float64 { return r.perJob(jobs) }) }
	m := &measurement{
		Title: "Pick-up",
		Work:  "50 jobs, about one a second, an idle worker with its defaults",
		How: "From just before the program is started that asks for a stop (`enqueue`, or one that enqueues with asynq's " +
			"defaults) to the arrival of its stop call at the API. The gaps are 0.8 s to 1.2 s at random. API lognormal with " +
			"median 80 ms, stop time lognormal with median 20 s; asynq's side polls every 5 s. Both sides run at the same time.",
		Goals: []goal{
			atMost("pick-up with the `enqueue` process, p50", "ms", 40, pick(ours, 0.5)),
			atMost("pick-up with the `enqueue` process, p99", "ms", 70, pick(ours, 0.99)),
			atMost("API calls per confirmed job, one a second", "", 2.8, perJob(ours)),
			atMost("detection lag, p50, one a second", "s", 0.6, lags(runs[ours.name], 0.5)),
		},
		Columns: []col{{"p50", "ms"}, {"p99", "ms"}, {"max", "ms"}, {"calls a job", ""}, {"lag p50", "s"}},
		Runs:    runs,
	}
	for _, s := range sides {
		m.Rows = append(m.Rows, row{s.name, [][]float64{pick(s, 0.5), pick(s, 0.99), pick(s, 1), perJob(s),
			lags(runs[s.name], 0.5)}})
	}
	return m, nil
}

// slowly asks for one job after the other, about one a second, and returns when it asked for each.
func (st *stage) slowly(ctx context.Context, jobs int, ask func(job string) error) (asked map[jobKey]time.Time,
	err error) {
	if err := st.letLoose(ctx); err != nil {
		return nil, err
	}
	asked = map[jobKey]time.Time{}
	next := st.began
	for i := range jobs {
		next = next.Add(800*time.Millisecond + rand.N(400*time.Millisecond))
		if err := pause(ctx, time.Until(next)); err != nil {
			return nil, err
		}
		asked[jobKey{project, jobID(i)}] = time.Now()
		if err := ask(jobID(i)); err != nil {
			return nil, err
		}
	}
	return asked, nil
}

// askSlowly asks with enqueue, and waits until every stop is confirmed.
func (st *stage) askSlowly(ctx context.Context, jobs int) (*sideRun, error) {
	batches := make([]string, 0, jobs)
	asked, err := st.slowly(ctx, jobs, func(job string) error {
		batch, err := st.ask(ctx, project, job)
		batches = append(batches, batch)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, batch := range batches {
		if _, err := st.awaitBatch(ctx, project, batch); err != nil {
			return nil, err
		}
	}
	r := &sideRun{}
	if err := st.costs(ctx, r); err != nil {
		return nil, err
	}
	confirmed := map[string]time.Time{}
	for i, batch := range batches {
		one, err := st.confirmed(ctx, batch)
		if err != nil {
			return nil, err
		}
		confirmed[jobID(i)] = one[jobID(i)]
	}
	return st.picked(ctx, r, asked, confirmed)
}

// askAsynqSlowly asks with asynq's defaults, and waits until every job was shown to have ended.
func (st *stage) askAsynqSlowly(ctx context.Context, jobs int) (*sideRun, error) {
	asked, err := st.slowly(ctx, jobs, func(job string) error {
		list := filepath.Join(st.dir, "one.txt")
		return errors.Join(writeLines(list, []string{job}), st.enqueueAsynq(ctx, list))
	})
	if err != nil {
		return nil, err
	}
	if err := st.awaitShown(ctx, jobs); err != nil {
		return nil, err
	}
	r := &sideRun{}
	if err := st.costs(ctx, r); err != nil {
		return nil, err
	}
	return st.picked(ctx, r, asked, nil)
}

// picked concludes a run with its times.
func (st *stage) picked(ctx context.Context, r *sideRun, asked map[jobKey]time.Time,
	confirmed map[string]time.Time) (*sideRun, error) {
	var err error
	if r.Pickup, err = st.pickups(ctx, asked); err != nil {
		return nil, err
	}
	return r, st.measure(ctx, r, confirmed)
}

// pickups waits until the stop calls of all these jobs have arrived, and
// returns how long each took, in seconds.
func (st *stage) pickups(ctx context.Context, asked map[jobKey]time.Time) (took []float64, err error) {
	err = await(ctx, "the stop calls", 500*time.Millisecond, func() (bool, error) {
		calls, err := st.calls(ctx)
		if err != nil {
			return false, err
		}
		took = nil
		seen := map[jobKey]bool{}
		for _, c := range calls {
			key := jobKey{c.ProjectID, c.JobID}
			at, wanted := asked[key]
			if wanted && !seen[key] && c.Operation == modelartstest.OpStop {
				seen[key] = true
				took = append(took, c.At.Sub(at).Seconds())
			}
		}
		return len(took) == len(asked), st.parts["worker"].ended()
	})
	return took, err
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
