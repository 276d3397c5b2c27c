package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"time"
)

// enqueueParallel is how many commands each side has on their way to Redis at
// once: enqueue works on 8 chunks, with 64 tasks of each.
const enqueueParallel = 512

// enqueueing measures how fast enqueue registers and enqueues stops, against a
// program that only enqueues tasks with the bare asynq client.
func (b *bench) enqueueing(ctx context.Context) (*measurement, error) {
	const jobs = 100_000
	ours := side{name: "enqueue", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		if err := st.letLoose(ctx); err != nil {
			return nil, err
		}
		batch, err := st.enqueue(ctx, project, st.list)
		if err != nil {
			return nil, err
		}
		r, err := st.registered(ctx)
		if err != nil {
			return nil, err
		}
		got, err := st.standing(ctx, project, batch)
		if err == nil && got.inFlight != jobs {
			err = fmt.Errorf("%d stops in flight, want %d", got.inFlight, jobs)
		}
		return r, err
	}}
	bare := side{name: "bare asynq client", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		if err := st.letLoose(ctx); err != nil {
			return nil, err
		}
		p, err := st.feed(ctx, st.list, filepath.Join(st.bin, "bareasynq"),
			"-redis", st.redis.addr, "-enqueue", "-parallel", strconv.Itoa(enqueueParallel))
		if err != nil {
			return nil, err
		}
		st.parts["enqueue"] = p
		if err := p.finish(ctx); err != nil {
			return nil, err
		}
		r, err := st.registered(ctx)
		if err != nil {
			return nil, err
		}
		n, err := st.redis.rdb.LLen(ctx, "asynq:{visualization}:pending").Result()
		if err == nil && n != jobs {
			err = fmt.Errorf("%d tasks in the queue, want %d", n, jobs)
		}
		return r, err
	}}
	sides := []side{bare, ours}
	runs, err := b.inTurn(ctx, b.roundsOr(3), sides, 3*time.Minute)
	if err != nil {
		return nil, err
	}
	speeds := func(s side) []float64 { return over(runs[s.name], func(r *sideRun) float64 { return jobs / r.Wall }) }
	memory := func(s side) []float64 {
		return over(runs[s.name], func(r *sideRun) float64 { return r.EnqueueMiB })
	}
	m := &measurement{
		Title: "Registering and enqueuing",
		Work:  "100,000 stops from a file",
		How: "Whole processes, no worker. The baseline enqueues as many tasks with task ids through the bare asynq client, " +
			"with the same 512 commands on their way at once. It records nothing: no batch, no joining, no repair.",
		Goals: []goal{
			atLeast("stops registered a second, against bare asynq", "×", 1.5, ratios(speeds(ours), speeds(bare))),
			atMost("memory of enqueue, peak RSS", "MiB", 200, memory(ours)),
		},
		Columns: []col{{"stops a second", ""}, {"against bare asynq", "×"}, {"peak memory", "MiB"}},
		Runs:    runs,
	}
	for _, s := range sides {
		m.Rows = append(m.Rows, row{s.name, [][]float64{speeds(s), ratios(speeds(s), speeds(bare)), memory(s)}})
	}
	return m, nil
}

// registered is what it cost to register all stops: the program that did has ended just now.
func (st *stage) registered(ctx context.Context) (*sideRun, error) {
	r := &sideRun{Wall: time.Since(st.began).Seconds()}
	peak, err := st.parts["enqueue"].peakMemory()
	if err != nil {
		return nil, err
	}
	r.EnqueueMiB = peak / (1 << 20)
	return r, st.costs(ctx, r)
}
