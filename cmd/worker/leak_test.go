package main

import (
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
)

// A worker that has ended leaves no goroutine behind and no connection to
// Redis. It must not run in parallel with other tests.
func TestRunLeavesNothingBehind(t *testing.T) {
	server := redistest.Start(t)
	rdb, eyes := server.Client(t), server.Client(t)
	connections := func() int {
		list, err := eyes.ClientList(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(list, "\n")
	}
	ask(t, rdb, "b", "10")
	connections()
	before := goleak.IgnoreCurrent()

	sim, err := modelartstest.Start(modelartstest.Config{Auth: modelartstest.Auth{AccessKeys: map[string]string{accessKey: secretKey}}})
	if err != nil {
		t.Fatal(err)
	}
	sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Millisecond})
	r := start(t, signing(server, sim))
	awaitStopped(t, rdb, "b", 1)
	r.get("/metrics")
	if err := rdb.Close(); err != nil {
		t.Fatal(err)
	}
	if connections() <= 1 {
		t.Fatal("the worker has no connection to Redis")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which closes sockets that nobody refers to
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
