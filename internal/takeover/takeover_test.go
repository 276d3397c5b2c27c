package takeover_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/ledger/ledgertest"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
	"vizstop/internal/takeover"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

// waiting are the batches of the dump whose time has not come, or that are paused.
var waiting = []string{"tomorrow", "in-ten-minutes", "paused"}

// A worker takes over a Redis of the first version, in which everything was under
// way: each stop goes on from where it was, nothing is called twice without need,
// and what waits still waits.
func TestFirstVersion(t *testing.T) {
	t.Parallel()
	server, dump := ledgertest.FirstVersion(t)
	sim := jobsOf(t, dump)
	reg, rdb := start(t, server, sim)
	l := ledger.New(rdb, time.Now)

	due := dump.Of(func(s *ledgertest.Stop) bool { return s.InFlight() && !slices.Contains(waiting, s.Batch) })
	for _, old := range due {
		redistest.Await(t, "the end of stop "+old.ID+" of batch "+old.Batch, func() bool {
			s, err := l.Get(t.Context(), old.Project, old.ID)
			return err == nil && s.State.Ended()
		})
		s, err := l.Get(t.Context(), old.Project, old.ID)
		if err != nil {
			t.Fatal(err)
		}
		if s.State != ledger.Stopped {
			t.Errorf("batch %s, job %s: %s because %q, want stopped", old.Batch, old.Job, s.State, s.Reason)
		}
		checkCalls(t, sim, old)
	}
	checkWaiting(t, l, dump)
	checkBatches(t, l, dump)
	checkRest(t, rdb)
	if n := testutil.ToFloat64(outcome(t, reg, "canceled")); n != 2 {
		t.Errorf("%v outcomes counted as canceled, want the 2 that nobody had counted", n)
	}
}

// jobsOf is an API in which the jobs stand as the dump says.
func jobsOf(t *testing.T, dump *ledgertest.Dump) *modelartstest.Server {
	sim, err := modelartstest.Start(modelartstest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	for _, p := range dump.Projects {
		stopping := map[string]bool{}
		for _, s := range dump.Stops {
			stopping[s.Job] = stopping[s.Job] || s.Project == p.ID && s.State == "stopping"
		}
		for i := range 100 {
			job := modelartstest.Job{ID: fmt.Sprint(1000 + i), StopTime: time.Second}
			if stopping[job.ID] {
				job.Status = v1.StatusKilling
			}
			sim.Simulator.AddJob(p.ID, job)
		}
	}
	return sim
}

// A spoilt record of a stop keeps no other one from being taken over, and is not lost: rounds look after it.
func TestSpoiltRecord(t *testing.T) {
	t.Parallel()
	rdb, p := redistest.Start(t).Client(t), "0123456789abcdef0123456789abcdef"
	k, ctx := ledger.Keys(p), t.Context()
	whole := []any{"job", "11", "batch", "b", "state", "pending", "hop", 1, "kind", "stop", "next", 5, "due", 5,
		"deadline", 9e12, "asked", 5}
	for id, fields := range map[string][]any{"spoilt": {"state", "stopping"}, "whole": whole} {
		if err := errors.Join(rdb.HSet(ctx, k.Stop(id), fields...).Err(), rdb.SAdd(ctx, "vizstop:projects", p).Err(),
			rdb.ZAdd(ctx, "vizstop:{"+p+"}:next", redis.Z{Score: 5, Member: id}).Err()); err != nil {
			t.Fatal(err)
		}
	}
	l, r := ledger.New(rdb, time.Now), release.New(rdb, "worker", time.Now, release.Config{})
	if err := takeover.Run(ctx, rdb, l, r, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if s, err := l.Get(ctx, p, "whole"); err != nil || s.Hop != 2 || s.Damage() != "" {
		t.Errorf("the stop beside it is %+v, %v", s, err)
	}
	for _, id := range []string{"spoilt", "whole"} {
		if err := rdb.ZScore(ctx, k.Latest(), id).Err(); err != nil {
			t.Errorf("nobody looks after stop %q: %v", id, err)
		}
	}
}

// start runs a worker on the Redis of the dump, and returns a client for the test.
func start(t *testing.T, server *redistest.Server, sim *modelartstest.Server) (*prometheus.Registry, *redis.Client) {
	reg := prometheus.NewRegistry()
	events := worker.NewMetrics(reg, "test")
	api, err := sim.API(worker.ObserveAPI(events, release.DefaultAccount))
	if err != nil {
		t.Fatal(err)
	}
	w := worker.New(worker.Config{Redis: server.Limited(t), Jobs: api, Registry: reg, Metrics: events,
		Schedule: tasks.Schedule{PollFirst: 300 * time.Millisecond, CallTimeout: 2 * time.Second, RetryFirst: 100 * time.Millisecond, RetryMax: time.Second}})
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Shutdown)
	return reg, server.Client(t)
}

// checkCalls: a stop that was accepted before gets no stop call, and any other one
// does; one whose call was on its way is looked at first.
func checkCalls(t *testing.T, sim *modelartstest.Server, old ledgertest.Stop) {
	t.Helper()
	calls := sim.Simulator.Calls(old.Project, old.Job)
	n := 0
	for _, c := range calls {
		if c.Operation == jobs.OperationStop {
			n++
		}
	}
	if want := 1; n > want || old.State == "stopping" && n > 0 {
		t.Errorf("batch %s, job %s, %s: %d stop calls", old.Batch, old.Job, old.State, n)
	}
	if old.InTheMiddle() && (len(calls) == 0 || calls[0].Operation != jobs.OperationDetail) {
		t.Errorf("job %s, whose call was on its way: %v, want a look first", old.Job, calls)
	}
}

// checkWaiting: what is not due yet, or paused, still waits as it did.
func checkWaiting(t *testing.T, l *ledger.Ledger, dump *ledgertest.Dump) {
	t.Helper()
	for _, old := range dump.Of(func(s *ledgertest.Stop) bool { return s.InFlight() && slices.Contains(waiting, s.Batch) }) {
		s, err := l.Get(t.Context(), old.Project, old.ID)
		if err != nil {
			t.Fatal(err)
		}
		if s.State != ledger.Pending || s.Calls != 0 || s.Due.UnixMilli() != old.Due || s.Deadline.UnixMilli() != old.Deadline {
			t.Errorf("batch %s, job %s: %+v, want it to wait as before", old.Batch, old.Job, s)
		}
	}
}

// checkBatches: the counts of every batch are those of its stops, and stops that it
// had joined are among them.
func checkBatches(t *testing.T, l *ledger.Ledger, dump *ledgertest.Dump) {
	t.Helper()
	for _, old := range dump.Batches {
		b, err := l.Batch(t.Context(), old.Project, old.ID)
		if err != nil {
			t.Errorf("batch %s of project %s: %v", old.ID, old.Project, err)
			continue
		}
		if old.ID != "queue-20261126" && (b.Total != len(old.Stops)+len(old.Joined) || b.Joined != len(old.Joined)) {
			t.Errorf("batch %s: %d stops, %d joined, want %d and %d", old.ID, b.Total, b.Joined, len(old.Stops)+len(old.Joined), len(old.Joined))
		}
		stops, _, err := l.BatchStops(t.Context(), old.Project, old.ID, 0, 1000)
		if err != nil || len(stops) < len(old.Stops) {
			t.Errorf("batch %s lists %d stops, %v, want %d at least", old.ID, len(stops), err, len(old.Stops))
		}
	}
}

// checkRest: a pause stays, and what only the first version used is gone.
func checkRest(t *testing.T, rdb *redis.Client) {
	t.Helper()
	holds, err := release.New(rdb, "", time.Now, release.Config{}).Holds(context.Background())
	if err != nil || len(holds) != 1 || holds[0].Reason != release.Paused {
		t.Errorf("holds %v, %v, want the pause of one project", holds, err)
	}
	for _, pattern := range []string{"vizstop:projects", "*:next", "*:screen", "*:halt", "*:pause", "*:throttle", "*:joined"} {
		keys, err := rdb.Keys(context.Background(), pattern).Result()
		if err != nil || len(keys) > 0 {
			t.Errorf("left of the first version: %v, %v", keys, err)
		}
	}
}

// The queue that nobody reads any more goes, when what dead workers seem to hold
// has gone from it.
func TestOldQueue(t *testing.T) {
	t.Parallel()
	server, _ := ledgertest.FirstVersion(t)
	rdb := server.Client(t)
	inspect := asynq.NewInspectorFromRedisClient(rdb)
	inspector := tasks.NewInspector(server.Limited(t))
	if gone, err := takeover.Queue(t.Context(), inspect, inspector.Remove); gone || err != nil {
		t.Fatalf("removed: %v, %v, while workers seem to hold tasks", gone, err)
	}
	const lease = "asynq:{visualization-poll}:lease"
	ids, err := rdb.ZRange(t.Context(), lease, 0, -1).Result()
	if err != nil || len(ids) == 0 {
		t.Fatalf("leases %v, %v, want some in the dump", ids, err)
	}
	for _, id := range ids { // a minute has passed
		if err := rdb.ZIncrBy(t.Context(), lease, -60, id).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if _, err := takeover.Queue(t.Context(), inspect, inspector.Remove); err != nil {
			t.Fatal(err)
		}
	}
	queues, err := inspect.Queues()
	if err != nil || slices.Contains(queues, "visualization-poll") {
		t.Errorf("queues %v, %v, want the old one gone", queues, err)
	}
}

// outcome is the counter of one outcome.
func outcome(t *testing.T, reg *prometheus.Registry, name string) prometheus.Collector {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: "found"})
	for _, f := range families {
		if f.GetName() != "vizstop_stop_outcomes_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetValue() == name {
				c.Add(m.GetCounter().GetValue())
			}
		}
	}
	return c
}
