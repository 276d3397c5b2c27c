package main

import (
	"context"
	"fmt"
	"time"
)

// idle measures what projects cost in which nothing is left to do.
func (b *bench) idle(ctx context.Context) (*measurement, error) {
	var sides []side
	for _, n := range []int{1, 10_000} {
		play := func(ctx context.Context, st *stage) (*sideRun, error) {
			return st.idleAfter(ctx, n)
		}
		sides = append(sides, side{name: fmt.Sprintf("%d projects", n), jobs: n, each: 1, run: play})
	}
	runs, err := b.inTurn(ctx, b.roundsOr(2), sides, 5*time.Minute,
		"--latency", "0s", "--stop-time", "1ms", "--stop-spread", "0", "--more-projects", "10000")
	if err != nil {
		return nil, err
	}
	rates := func(s side) []float64 { return numbers(runs[s.name], "idle") }
	pages := func(s side) []float64 { return numbers(runs[s.name], "readyz") }
	one, many := sides[0], sides[1]
	m := &measurement{
		Title: "Idle",
		Work:  "a worker with nothing to do, 1 and 10,000 projects ever seen",
		How: "In each project one stop was asked for and confirmed. " + countedHow + " For 30 s, beginning 10 s after the " +
			"last confirmation; then over 20 requests of `/readyz`, one after the other, less what the idle worker makes " +
			"meanwhile.",
		Goals: []goal{
			atMost("requests to Redis of an idle worker, 10,000 projects against 1", "×", 1.1, ratios(rates(many), rates(one))),
			atMost("requests to Redis for one /readyz, 10,000 projects", "", 20, pages(many)),
		},
		Columns: []col{{"idle", "requests/s"}, {"one /readyz", "requests"}},
		Runs:    runs,
	}
	for _, s := range sides {
		m.Rows = append(m.Rows, row{s.name, [][]float64{rates(s), pages(s)}})
	}
	return m, nil
}

// idleAfter counts the requests to Redis of a worker that has served n projects and has nothing left to do.
func (st *stage) idleAfter(ctx context.Context, n int) (*sideRun, error) {
	table, err := writeTable(st.dir, n, 1)
	if err != nil {
		return nil, err
	}
	if err := st.countRequests(); err != nil {
		return nil, err
	}
	if err := st.startWorker(ctx, quickWorker()...); err != nil {
		return nil, err
	}
	if err := st.letLoose(ctx); err != nil {
		return nil, err
	}
	batch, err := st.enqueueTable(ctx, table)
	if err != nil {
		return nil, err
	}
	if err := st.awaitShown(ctx, n); err != nil {
		return nil, err
	}
	if err := st.awaitStopped(ctx, batch, n); err != nil {
		return nil, err
	}
	r := &sideRun{Wall: time.Since(st.began).Seconds(), Numbers: map[string]float64{}}
	if r.Numbers["idle"], err = st.requestRate(ctx, 10*time.Second, 30*time.Second); err != nil {
		return nil, err
	}
	if r.Numbers["readyz"], err = st.requestsOfReady(ctx, r.Numbers["idle"]); err != nil {
		return nil, err
	}
	return r, st.costs(ctx, r)
}

// requestsOfReady is how many requests of Redis one /readyz makes, beside those that the idle worker makes a second.
func (st *stage) requestsOfReady(ctx context.Context, idle float64) (float64, error) {
	const times = 20
	before, began := st.proxy.requests.Load(), time.Now()
	for range times {
		if _, err := st.ready(ctx); err != nil {
			return 0, err
		}
	}
	made := float64(st.proxy.requests.Load()-before) - idle*time.Since(began).Seconds()
	return max(0, made) / times, nil
}
