package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"vizstop/internal/sdnotify"
	"vizstop/internal/worker"
)

// supervisor tells the service manager that started this process, if it wants
// to know, how the worker is.
type supervisor struct {
	notify *sdnotify.Notifier
	limit  time.Duration // longest silence that the manager accepts; 0: it doesn't watch
}

// newSupervisor looks for the manager's wishes in the environment.
func newSupervisor(getenv func(string) string) (supervisor, error) {
	n, err := sdnotify.Dial(getenv("NOTIFY_SOCKET"))
	if err != nil {
		return supervisor{}, err
	}
	limit, err := sdnotify.WatchdogLimit(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"))
	return supervisor{notify: n, limit: limit}, err
}

// started reports a worker that has taken up its work and goes on to report
// until the returned function is called: its state in words, and that it lives.
//
// It lives while its own page answers: then the process is scheduled, has file
// descriptors left and serves. Redis and the API are not asked. When they are
// away, a restart helps nobody.
func (s supervisor) started(log *slog.Logger, ready func(context.Context) (faults, notes []string), healthURL string) (end func()) {
	if s.notify == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	var tellers sync.WaitGroup
	s.send(log, sdnotify.Ready)
	tellers.Go(func() { s.tellStatus(ctx, log, ready) })
	if s.limit > 0 {
		tellers.Go(func() { s.feed(ctx, log, healthURL) })
	}
	return func() {
		cancel()
		tellers.Wait()
		s.notify.Close()
	}
}

// stopping reports that the worker has begun to shut down.
func (s supervisor) stopping(log *slog.Logger) {
	s.send(log, sdnotify.Stopping, sdnotify.Status("shutting down"))
}

func (s supervisor) send(log *slog.Logger, states ...string) {
	if err := s.notify.Send(states...); err != nil {
		log.Warn("the service manager was not told", "states", states, "error", err)
	}
}

// statusInterval is how often the worker's state is looked at.
const statusInterval = 5 * time.Second

func (s supervisor) tellStatus(ctx context.Context, log *slog.Logger, ready func(context.Context) (faults, notes []string)) {
	said := ""
	every(ctx, statusInterval, func() {
		askCtx, cancel := context.WithTimeout(ctx, statusInterval)
		defer cancel()
		words := strings.Join(worker.Lines(ready(askCtx)), "; ")
		if ctx.Err() == nil && words != said {
			said = words
			s.send(log, sdnotify.Status(words))
		}
	})
}

// feed keeps the watchdog quiet. Looks are half the limit apart and take at
// most a quarter of it.
func (s supervisor) feed(ctx context.Context, log *slog.Logger, healthURL string) {
	every(ctx, s.limit/2, func() {
		if err := s.beat(ctx, healthURL); err != nil && ctx.Err() == nil {
			log.Error("the watchdog was not fed", "error", err)
		}
	})
}

// beat feeds the watchdog if the page answers, be it that it wants TLS or a
// password.
func (s supervisor) beat(ctx context.Context, healthURL string) error {
	ctx, cancel := context.WithTimeout(ctx, s.limit/4)
	defer cancel()
	if _, err := getPage(ctx, healthURL); err != nil && !errors.Is(err, errRefused) {
		return err
	}
	return s.notify.Send(sdnotify.Watchdog)
}

// every calls f now and at each interval, until ctx ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
