package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rogpeppe/go-internal/testscript"

	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/sdkhmac"
	"vizstop/internal/tasks"
	"vizstop/internal/throttle"
	"vizstop/internal/worker"
)

// startWorker runs the worker in this process: it is only the other side here,
// and e2e has it as a process.
func (w *world) startWorker() error {
	w.metrics = prometheus.NewRegistry()
	events := worker.NewMetrics(w.metrics, "test")
	key := sdkhmac.Key{AccessKey: accessKey, SecretKey: secretKey}
	client, err := modelarts.New(w.sim.URL, modelarts.WithCredentials(modelarts.NewAKSK(key, "")), worker.ObserveAPI(events))
	if err != nil {
		return err
	}
	w.worker = worker.New(worker.Config{
		Redis: w.limited, Jobs: client, Registry: w.metrics, Metrics: events,
		CheckInterval: 10 * time.Millisecond, DelayedCheckInterval: 100 * time.Millisecond,
		Schedule:     tasks.Schedule{PollFirst: 100 * time.Millisecond, PollMax: time.Second, RetryFirst: 10 * time.Millisecond},
		Repair:       tasks.RepairConfig{Interval: 100 * time.Millisecond},
		NotifySecret: hookSecret, NotifyHosts: []string{strings.TrimPrefix(w.hook.URL, "http://")},
	})
	return w.worker.Start(context.Background())
}

func announce(_ *testscript.TestScript, w *world, args []string) error {
	rate, err := strconv.ParseFloat(args[0], 64)
	if err != nil {
		return err
	}
	return throttle.New(w.rdb, throttle.Config{Rate: rate}).Announce(context.Background())
}

func (w *world) stopWorker() {
	if w.worker != nil {
		w.worker.Shutdown()
		w.worker = nil
	}
}

// metric finds one line in the worker's metrics page.
func metric(_ *testscript.TestScript, w *world, args []string) error {
	page := httptest.NewRecorder()
	promhttp.HandlerFor(w.metrics, promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(page.Body.String()) {
		if value, ok := strings.CutPrefix(line, args[0]+" "); ok {
			if value = strings.TrimSpace(value); value != args[1] {
				return fmt.Errorf("%s is %s, want %s", args[0], value, args[1])
			}
			return nil
		}
	}
	return fmt.Errorf("there is no metric %s", args[0])
}

// hurry makes tasks come that wait for their time: a script has no seconds to
// lose, and what is due when is checked elsewhere.
func hurry(_ *testscript.TestScript, w *world, _ []string) error {
	inspect := asynq.NewInspectorFromRedisClient(w.rdb)
	queues, err := inspect.Queues()
	for _, queue := range queues {
		if _, err := inspect.RunAllScheduledTasks(queue); err != nil {
			return err
		}
	}
	return err
}
