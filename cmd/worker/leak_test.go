package main

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.uber.org/goleak"

	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
)

// A worker that has ended leaves no goroutine behind and no connection to
// Redis. It must not run in parallel with other tests.
func TestRunLeavesNothingBehind(t *testing.T) {
	server := redistest.Start(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr, PoolSize: 1, // one connection, to tell the others by
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	t.Cleanup(func() { _ = rdb.Close() })
	connections := func() int {
		list, err := rdb.Do(t.Context(), "CLIENT", "LIST", "TYPE", "normal").Text()
		if err != nil {
			t.Fatal(err)
		}
		subscribed, err := rdb.Do(t.Context(), "CLIENT", "LIST", "TYPE", "pubsub").Text()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(list, "\n") + strings.Count(subscribed, "\n")
	}
	ask(t, rdb, "b", "10")
	before := goleak.IgnoreCurrent()

	sim, err := modelartstest.Start(modelartstest.Config{Auth: modelartstest.Auth{AccessKeys: map[string]string{accessKey: secretKey}}})
	if err != nil {
		t.Fatal(err)
	}
	sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Millisecond})
	r := start(t, signing(server, sim))
	awaitStopped(t, rdb, "b", 1)
	r.get("/metrics")
	if connections() <= 1 {
		t.Fatal("the worker has no connection to Redis")
	}
	r.stop()
	sim.Close() // and with it the idle connections that the worker's HTTP client keeps
	await(t, "the end of connections to Redis", func() bool { return connections() == 1 })
	await(t, "the end of goroutines", func() bool {
		if err := goleak.Find(before); err != nil {
			t.Log(err)
			return false
		}
		return true
	})
}
