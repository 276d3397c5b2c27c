package main

import (
	"context"
	"fmt"
	"time"
)

// paused measures what stops cost that wait behind a pause.
func (b *bench) paused(ctx context.Context) (*measurement, error) {
	var sides []side
	for _, n := range []int{20_000, 1_000_000} {
		play := func(ctx context.Context, st *stage) (*sideRun, error) {
			return st.waitPaused(ctx, n)
		}
		sides = append(sides, side{name: fmt.Sprintf("%d stops", n), jobs: n, each: 1, run: play})
	}
	runs, err := b.inTurn(ctx, b.roundsOr(1), sides, 8*time.Minute, realistic()...)
	if err != nil {
		return nil, err
	}
	above := func(s side) []float64 {
		return over(runs[s.name], func(r *sideRun) float64 { return r.Numbers["paused"] - r.Numbers["idle"] })
	}
	m := &measurement{
		Title: "Paused",
		Work:  "20,000 and 1,000,000 stops wait behind `enqueue pause`",
		How: "One worker, `--api-rate 50 --concurrency 64`. " + countedHow + " First for 15 s while nothing is in flight, " +
			"then for 30 s while the stops wait, beginning 20 s after the last was registered. The difference is the claim.",
		Columns: []col{{"idle", "requests/s"}, {"paused", "requests/s"}, {"difference", "requests/s"},
			{"enqueue started again", "times"}},
		Runs: runs,
	}
	for _, s := range sides {
		what := "requests to Redis above an idle worker, " + s.name + " paused"
		m.Goals = append(m.Goals, atMost(what, "requests/s", 20, above(s)))
		m.Rows = append(m.Rows, row{s.name, [][]float64{
			numbers(runs[s.name], "idle"), numbers(runs[s.name], "paused"), above(s), numbers(runs[s.name], "repeated")}})
	}
	return m, nil
}

// countedHow says how requests are counted.
const countedHow = "A proxy on the loopback interface between the worker and Redis counts the worker's requests: " +
	"each command that it sends, alone or in a pipeline, a script as one whatever it calls."

// waitPaused counts requests to Redis while n stops wait behind a pause.
func (st *stage) waitPaused(ctx context.Context, n int) (*sideRun, error) {
	list, err := writeIDs(st.dir, firstJob, n)
	if err != nil {
		return nil, err
	}
	if err := st.countRequests(); err != nil {
		return nil, err
	}
	if err := st.startWorker(ctx, "--concurrency", "64", "--api-rate", "50"); err != nil {
		return nil, err
	}
	if _, err := st.command(ctx, "pause"); err != nil {
		return nil, err
	}
	if err := st.letLoose(ctx); err != nil {
		return nil, err
	}
	r := &sideRun{Numbers: map[string]float64{}}
	if r.Numbers["idle"], err = st.requestRate(ctx, 5*time.Second, 15*time.Second); err != nil {
		return nil, err
	}
	batch := "paused"
	if r.Numbers["repeated"], err = st.enqueueAll(ctx, batch, list); err != nil {
		return nil, err
	}
	if r.Numbers["paused"], err = st.requestRate(ctx, 20*time.Second, 30*time.Second); err != nil {
		return nil, err
	}
	got, err := st.standing(ctx, project, batch)
	if err != nil {
		return nil, err
	}
	if got.inFlight != n || got.accepted > 0 {
		return nil, fmt.Errorf("of %d paused stops, %d are in flight and %d accepted", n, got.inFlight, got.accepted)
	}
	r.Wall = time.Since(st.began).Seconds()
	return r, st.costs(ctx, r)
}

// enqueueAll registers the stops of a list, which is not measured here. An enqueue that breaks off is started again, as
// its message says, up to nine times; it returns how often.
func (st *stage) enqueueAll(ctx context.Context, batch, list string) (repeated float64, err error) {
	for ; ; repeated++ {
		_, err = st.enqueue(ctx, project, list, "--batch", batch)
		if err == nil || repeated == 9 || ctx.Err() != nil {
			return repeated, err
		}
	}
}

// countRequests puts a counting proxy in front of Redis, for workers that start from now on.
func (st *stage) countRequests() (err error) {
	st.proxy, err = startProxy(st.redis.addr)
	if err == nil {
		st.workerRedis = st.proxy.addr
	}
	return err
}

// requestRate is how many requests a second workers make of Redis over a time, after settling.
func (st *stage) requestRate(ctx context.Context, settle, over time.Duration) (float64, error) {
	if err := pause(ctx, settle); err != nil {
		return 0, err
	}
	before, began := st.proxy.requests.Load(), time.Now()
	if err := pause(ctx, over); err != nil {
		return 0, err
	}
	return float64(st.proxy.requests.Load()-before) / time.Since(began).Seconds(), st.parts["worker"].ended()
}
