package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rogpeppe/go-internal/testscript"

	"vizstop/internal/fleet"
	fleetlimits "vizstop/internal/limits"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/sdkhmac"
	"vizstop/internal/release"
	"vizstop/internal/schedules"
	"vizstop/internal/settings"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

// startWorker runs the worker in this process: it is only the other side here,
// and e2e has it as a process.
func (w *world) startWorker(file *schedules.File, own fleetlimits.Limits) error {
	w.metrics = prometheus.NewRegistry()
	events := worker.NewMetrics(w.metrics, "test")
	key := sdkhmac.Key{AccessKey: accessKey, SecretKey: secretKey}
	api, err := w.sim.API(modelarts.WithCredentials(modelarts.NewAKSK(key, "")), worker.ObserveAPI(events, release.DefaultAccount))
	if err != nil {
		return err
	}
	w.worker = worker.New(worker.Config{
		Redis: w.limited, Jobs: api, Registry: w.metrics, Metrics: events,
		CheckInterval: 10 * time.Millisecond, DelayedCheckInterval: 100 * time.Millisecond,
		Schedule:  tasks.Schedule{PollFirst: 100 * time.Millisecond, PollMax: time.Second, RetryFirst: 10 * time.Millisecond},
		Limits:    own,
		Schedules: file, API: api, Projects: func(r schedules.Rule) ([]string, error) { return r.Projects, nil },
		NotifySecret: hookSecret, NotifyHosts: []string{strings.TrimPrefix(w.hook.URL, "http://")},
	})
	return w.worker.Start(context.Background())
}

// startWorkerWith is the command: its arguments are a schedules file and limits.
func startWorkerWith(ts *testscript.TestScript, w *world, args []string) (err error) {
	var file *schedules.File
	var own fleetlimits.Limits
	for _, arg := range args {
		if _, is := fmt.Sscanf(arg, "window=%d", &own.Window); is == nil {
			continue
		}
		if file, err = schedules.Load(ts.MkAbs(arg), settings.Statuses()); err != nil {
			return err
		}
	}
	return w.startWorker(file, own)
}

func announce(_ *testscript.TestScript, w *world, args []string) error {
	rate, err := strconv.ParseFloat(args[0], 64)
	if err != nil {
		return err
	}
	return release.New(w.rdb, "", time.Now, release.Config{Rate: rate}).Announce(context.Background())
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

// idleWorker says every second that a worker lives.
func idleWorker(ts *testscript.TestScript, w *world, _ []string) error {
	ctx, end := context.WithCancel(context.Background())
	w.idle = fleet.New(w.rdb, 1)
	var beats sync.WaitGroup
	ts.Defer(func() { end(); beats.Wait() })
	if err := w.idle.Beat(ctx); err != nil {
		return err
	}
	beats.Go(func() {
		ticker := time.NewTicker(fleet.BeatInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				_ = w.idle.Beat(ctx) // the script says what is missing
			}
		}
	})
	return nil
}
