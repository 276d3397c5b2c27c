package worker

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

// A worker that has shut down leaves no goroutine behind, and no connection to
// Redis but those of the caller's own client. The test uses real sockets: the
// pipes of package simulation would hide some leaks. It must not run in parallel
// with other tests.
func TestShutdownLeavesNothingBehind(t *testing.T) {
	const project = "0123456789abcdef0123456789abcdef"
	server := redistest.Start(t)
	outside := server.Client(t)
	before := goleak.IgnoreCurrent()

	sim, err := modelartstest.Start(modelartstest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 24 * time.Hour})
	transport := &http.Transport{}
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr, PoolSize: 20, ClientName: "of-the-worker",
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	reg := prometheus.NewRegistry()
	events := NewMetrics(reg, "test")
	api, err := sim.API(modelarts.WithHTTPClient(&http.Client{Transport: transport}), ObserveAPI(events, release.DefaultAccount))
	if err != nil {
		t.Fatal(err)
	}
	w := New(Config{Redis: rdb, Jobs: api, Registry: reg, Metrics: events, Concurrency: 10})
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	producer := tasks.NewProducer(ledger.New(outside, time.Now), outside)
	ask := []ledger.Ask{{JobID: "10", Deadline: time.Now().Add(time.Hour)}}
	if _, err := producer.Ask(t.Context(), project, "b", ask); err != nil {
		t.Fatal(err)
	}
	eventually(t, outside, "the stop call", func() bool { return sim.Counts()[jobs.OperationStop] > 0 })
	eventually(t, outside, "a subscription", func() bool { return connections(t, outside, "pubsub") > 0 })

	w.Shutdown()
	eventually(t, outside, "the end of subscriptions, which are the worker's own", func() bool {
		return connections(t, outside, "pubsub") == 0
	})
	if err := rdb.Close(); err != nil {
		t.Fatal(err)
	}
	transport.CloseIdleConnections()
	sim.Close()
	eventually(t, outside, "the end of connections", func() bool { return connections(t, outside, "normal") == 0 })
	var leak error
	for began := time.Now(); ; {
		if leak = goleak.Find(before); leak == nil || time.Since(began) > 30*time.Second {
			break
		}
	}
	if leak != nil {
		t.Error(leak)
	}
}

// connections counts those of the worker that Redis has, of a type of Redis'.
func connections(t *testing.T, rdb *redis.Client, kind string) int {
	t.Helper()
	list, err := rdb.Do(context.Background(), "CLIENT", "LIST", "TYPE", kind).Text()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(list, " name=of-the-worker ")
}

// eventually waits up to a minute, in real time.
func eventually(t *testing.T, rdb *redis.Client, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); !done(); <-ticker.C {
		if time.Since(began) > time.Minute {
			list, _ := rdb.ClientList(context.Background()).Result()
			t.Fatalf("not within a minute: %s\n%s", what, list)
		}
	}
}
