package main

import (
	"context"
	"path/filepath"
	"strconv"
	"time"
)

// throughput measures how much of asynq's own speed is left.
func (b *bench) throughput(ctx context.Context) (*measurement, error) {
	const jobs = 20_000
	ours := side{name: "vizstop", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		return st.drain(ctx, quickWorker()...)
	}}
	bare := side{name: "bare asynq", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		return st.drainBare(ctx, jobs)
	}}
	callAPI := func(ctx context.Context, st *stage) (*sideRun, error) {
		return st.drainBare(ctx, jobs, "-endpoint", st.url)
	}
	calling := side{name: "bare asynq with calls", jobs: jobs, run: callAPI}
	runs, err := b.inTurn(ctx, b.roundsOr(3), []side{bare, calling, ours}, 5*time.Minute, instantly()...)
	if err != nil {
		return nil, err
	}
	speeds := func(s side) []float64 { return over(runs[s.name], func(r *sideRun) float64 { return jobs / r.Wall }) }
	cost := func(s side) []float64 {
		return over(runs[s.name], func(r *sideRun) float64 { return 1e6 * (r.CPU["worker"] + r.CPU["redis"]) / jobs })
	}
	m := &measurement{
		Title: "Throughput",
		Work:  "20,000 jobs, API instantaneous",
		How: "All tasks are in the queue, then the worker starts: from there to the last job. Bare asynq runs two empty " +
			"tasks a job, of which the first enqueues the second; it calls no API and records nothing. Beside it, the same " +
			"with the stop call made in the first task and one look in the second, by Go's HTTP client: what any worker pays. " +
			"64 tasks at once on all sides. The cost is the processor time of the worker and Redis together.",
		Goals: []goal{
			atLeast("throughput against bare asynq", "×", 0.6, ratios(speeds(ours), speeds(bare))),
			atMost("processor time of worker and Redis a stop, against bare asynq", "×", 1.3, ratios(cost(ours), cost(bare))),
			atLeast("throughput against bare asynq with calls", "×", 0.9, ratios(speeds(ours), speeds(calling))),
			atMost("processor time a stop, against bare asynq with calls", "×", 1.2, ratios(cost(ours), cost(calling))),
		},
		Columns: []col{{"jobs a second", ""}, {"against bare asynq", "×"}, {"with calls", "×"}, {"cost a job", "µs"},
			{"against bare asynq", "×"}, {"with calls", "×"}},
		Runs: runs,
	}
	for _, s := range []side{bare, calling, ours} {
		m.Rows = append(m.Rows, row{s.name, [][]float64{
			speeds(s), ratios(speeds(s), speeds(bare)), ratios(speeds(s), speeds(calling)),
			cost(s), ratios(cost(s), cost(bare)), ratios(cost(s), cost(calling))}})
	}
	return m, nil
}

// instantly are the simulator's settings for an API that takes no time.
func instantly() []string {
	return []string{"--latency", "0s", "--stop-time", "1ms", "--stop-spread", "0"}
}

// quickWorker are the worker's settings when only its own speed counts.
func quickWorker() []string {
	return []string{"--concurrency", strconv.Itoa(parallel), "--api-rate", "0", "--poll-first", "100ms", "--poll-max",
		"1s",
		"--delayed-check-interval", "100ms"}
}

// drain enqueues all jobs and then starts a worker.
func (st *stage) drain(ctx context.Context, workerArgs ...string) (*sideRun, error) {
	batch, err := st.enqueue(ctx, project, st.list)
	if err != nil {
		return nil, err
	}
	if err := st.letLoose(ctx); err != nil {
		return nil, err
	}
	if err := st.startWorker(ctx, workerArgs...); err != nil {
		return nil, err
	}
	last, err := st.awaitBatch(ctx, project, batch)
	if err != nil {
		return nil, err
	}
	r := &sideRun{Wall: last.Sub(st.began).Seconds()}
	return r, st.costs(ctx, r)
}

func (st *stage) drainBare(ctx context.Context, jobs int, more ...string) (*sideRun, error) {
	path := filepath.Join(st.bin, "bareasynq")
	enqueue, err := st.feed(ctx, st.list, path, "-redis", st.redis.addr, "-enqueue")
	if err != nil {
		return nil, err
	}
	st.parts["enqueue"] = enqueue
	if err := enqueue.finish(ctx); err != nil {
		return nil, err
	}
	if err := st.letLoose(ctx); err != nil {
		return nil, err
	}
	p, err := start(ctx, []string{"HW_AUTH_TOKEN=bench"}, path, append(more,
		"-redis", st.redis.addr, "-parallel", strconv.Itoa(parallel), "-jobs", strconv.Itoa(jobs))...)
	if err != nil {
		return nil, err
	}
	st.parts["worker"] = p
	if err := p.finish(ctx); err != nil {
		return nil, err
	}
	done, err := time.Parse(time.RFC3339Nano+"\n", p.stdout.String())
	if err != nil {
		return nil, err
	}
	r := &sideRun{Wall: done.Sub(st.began).Seconds()}
	return r, st.costs(ctx, r)
}
