package main

import (
	"context"
	"strconv"
	"time"
)

// memory measures what stops in flight weigh.
func (b *bench) memory(ctx context.Context) (*measurement, error) {
	const jobs = 100_000
	var weights []float64
	var overTime series
	ours := side{name: "vizstop", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		r, weight, s, err := st.weigh(ctx, jobs)
		weights, overTime = append(weights, weight), s
		return r, err
	}}
	runs, err := b.inTurn(ctx, b.roundsOr(1), []side{ours}, 12*time.Minute, "--latency", "0s", "--stop-time", "1h",
		"--stop-spread", "0")
	if err != nil {
		return nil, err
	}
	peaks := over(runs[ours.name], func(r *sideRun) float64 { return r.WorkerMiB })
	return &measurement{
		Title: "Memory",
		Work:  "100,000 stops in flight",
		How: "All stops are accepted and none has ended. The worker's peak resident memory over all of that, and what " +
			"Redis uses more than before, divided by the stops: ledger, tasks and indexes. `--api-rate 0 --concurrency 64 " +
			"--poll-first 1h --poll-max 1h`.",
		Goals: []goal{
			atMost("worker memory, peak RSS", "MiB", 64, peaks),
			atMost("Redis memory per stop in flight", "KiB", 1.5, weights),
		},
		Columns: []col{{"worker peak", "MiB"}, {"Redis per stop", "KiB"}},
		Rows:    []row{{ours.name, [][]float64{peaks, weights}}},
		Runs:    runs,
		Plots: []*plot{{
			File: "memory", Title: "Peak memory of the worker while 100,000 stops are accepted",
			XUnit: "stops accepted", YUnit: "MiB",
			Series: []series{overTime},
		}},
	}, nil
}

// weigh has all jobs accepted and returns what each weighs in Redis, in KiB.
func (st *stage) weigh(ctx context.Context, jobs int) (r *sideRun, weight float64, s series, err error) {
	s.Name = "worker"
	if err := st.startWorker(ctx, "--concurrency", strconv.Itoa(parallel), "--api-rate", "0", "--poll-first", "1h",
		"--poll-max", "1h"); err != nil {
		return nil, 0, s, err
	}
	if err := st.letLoose(ctx); err != nil {
		return nil, 0, s, err
	}
	before, err := st.redis.info(ctx, "memory", "used_memory")
	if err != nil {
		return nil, 0, s, err
	}
	batch, err := st.enqueue(ctx, project, st.list)
	if err != nil {
		return nil, 0, s, err
	}
	err = await(ctx, "acceptance of all stops", time.Second, func() (bool, error) {
		got, err := st.standing(ctx, project, batch)
		if err != nil {
			return false, err
		}
		peak, err := st.parts["worker"].peakMemory()
		if err != nil {
			return false, err
		}
		s.Points = append(s.Points, point{float64(got.accepted), peak / (1 << 20)})
		return got.accepted == jobs, nil
	})
	if err != nil {
		return nil, 0, s, err
	}
	after, err := st.redis.info(ctx, "memory", "used_memory")
	if err != nil {
		return nil, 0, s, err
	}
	r = &sideRun{Wall: time.Since(st.began).Seconds()}
	return r, (after - before) / float64(jobs) / 1024, s, st.costs(ctx, r)
}
