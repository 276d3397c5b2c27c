package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/urfave/cli/v3"

	"vizstop/internal/embedded"
	"vizstop/internal/modelarts"
	"vizstop/internal/redisconn"
	"vizstop/internal/release"
	"vizstop/internal/reread"
	"vizstop/internal/schedules"
	"vizstop/internal/settings"
	"vizstop/internal/tracing"
	"vizstop/internal/tracing/otlp"
	"vizstop/internal/version"
	"vizstop/internal/worker"
)

func runCommand(getenv func(string) string, stderr io.Writer) *cli.Command {
	var cfg config
	cfg.declareRun()
	return &cli.Command{
		Name:  "run",
		Usage: "take tasks from the queue until SIGTERM or SIGINT (the default command)",
		Description: `Credentials come from variables, or from files named by the variable with _FILE:
HW_ACCESS_KEY and HW_SECRET_KEY (and HW_SECURITY_TOKEN), or HW_AUTH_TOKEN, or
HW_USER_NAME, HW_USER_PASSWORD and HW_DOMAIN_NAME. A password for Redis may come
from VIZSTOP_REDIS_PASSWORD. Credentials in files, and the files of --accounts and
--schedules, are read again when they change, and on SIGHUP.

` + cfg.Variables(),
		Flags:        cfg.Flags(),
		OnUsageError: usageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			manager, err := newSupervisor(getenv)
			if err := errors.Join(settings.NoArguments(cmd), cfg.Load(cmd, getenv), err); err != nil {
				return err
			}
			signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more is no reason to stop
			return cfg.serve(ctx, getenv, cfg.log.Logger(stderr), manager)
		},
	}
}

// serve runs one worker until ctx ends, and tells manager how it is.
func (c *config) serve(ctx context.Context, getenv func(string) string, log *slog.Logger, manager supervisor) error {
	asked := settings.Rereads()
	tracer, flush := startTraces(ctx, getenv, log)
	defer flush()
	log = tracer.Logger(log)
	for _, warning := range c.Warnings() {
		log.WarnContext(ctx, warning)
	}
	if proxied(getenv) {
		log.InfoContext(ctx, "batch reports (--notify) are posted without the proxy that API calls use: receivers must be reachable directly")
	}
	redisconn.RouteLogs(log)
	rdb, done, err := c.connect(ctx, log)
	if err != nil {
		return err
	}
	defer done()

	w, files, err := c.newWorker(ctx, rdb, tracer, log)
	if err != nil {
		return err
	}
	pages, err := c.servePages(w, log)
	if err != nil {
		return err
	}
	defer pages.Close(scrapeGrace)
	if err := w.Start(ctx); err != nil {
		if ctx.Err() != nil { // told to end before it had begun
			log.Info("worker stopped")
			return nil
		}
		return err
	}
	log.InfoContext(ctx, "worker started", "worker", w.ID(), "version", version.String(), "redis", c.redis.Describe(),
		"listen", pages.Addr(), "concurrency", c.worker.Concurrency, "api_rate", c.worker.Release.Rate)

	go files.Run(ctx, reread.Interval, asked)

	health, err := localURL(pages.Addr(), "/healthz")
	if err != nil {
		return err
	}
	end := manager.started(log, w.Ready, health)
	defer end()

	var fault error
	select {
	case <-ctx.Done():
	case fault = <-pages.Failed(): // nobody could see what it does
	}
	manager.stopping(log)
	log.Info("worker stops: finishing the tasks at work", "timeout", c.worker.ShutdownTimeout)
	w.Shutdown()
	log.Info("worker stopped")
	return fault
}

// newWorker returns a worker that calls the API with these settings, and what is to be
// read again for it when it changes.
func (c *config) newWorker(ctx context.Context, rdb redis.UniversalClient, tracer *tracing.Tracer, log *slog.Logger) (*worker.Worker, *reread.Watcher, error) {
	reg := prometheus.NewRegistry()
	events := worker.NewMetrics(reg, version.String())
	var w *worker.Worker
	api, err := c.api.Open(settings.Options{
		Changed: func() { w.Renewed(ctx) },
		Spend:   func(ctx context.Context, projectID string) error { return w.Spend(ctx, projectID) },
		Owe:     func(ctx context.Context, projectID string) { w.Owe(ctx, projectID) },
		Client: func(account string) []modelarts.Option {
			return []modelarts.Option{worker.ObserveAPI(events, account), modelarts.WithMaxConnections(c.worker.Concurrency),
				modelarts.WithUserAgent("vizstop/" + version.String()), modelarts.WithRoundTripper(tracer.Transport)}
		},
	})
	if err != nil {
		return nil, nil, err
	}
	for _, warning := range api.Warnings() {
		log.WarnContext(ctx, warning)
	}
	c.worker.Redis, c.worker.Jobs, c.worker.API, c.worker.Logger = rdb, api, api, log
	c.worker.Registry, c.worker.Metrics, c.worker.Tracer = reg, events, tracer
	c.worker.Accounts = func() []string { return api.File().Serving() }
	c.worker.Release.Serving = func(projectID string) release.Serving {
		account, endpoint, rate, shadow := api.Serving(projectID)
		if account == "" {
			endpoint = release.Nowhere
		}
		return release.Serving{Account: account, Endpoint: endpoint, Rate: rate, Shadow: shadow}
	}
	c.worker.Projects = func(r schedules.Rule) ([]string, error) { return scheduled(api.File(), r) }
	c.warnOfSchedules(ctx, log)
	var files *reread.Watcher
	c.worker.Refused = func() []string { return files.Refused() }
	w = worker.New(c.worker)
	own := c.watchSchedules(w)
	files = reread.New(log, append(api.Watch(func(groups ...reread.Group) { files.Set(append(groups, own...)...) }), own...)...)
	return w, files, nil
}

// proxied reports whether API calls go through a proxy. Reports don't: only who dials himself can refuse addresses that
// are not public.
func proxied(getenv func(string) string) bool {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"} {
		if getenv(name) != "" {
			return true
		}
	}
	return false
}

// startTraces sets up traces, if the environment asks for them. What goes wrong
// with them is logged, and holds up nothing.
func startTraces(ctx context.Context, getenv func(string) string, log *slog.Logger) (*tracing.Tracer, func()) {
	tracer, flush, err := otlp.Start(ctx, otlp.Config{Getenv: getenv, Service: "vizstop-worker", Version: version.String(),
		OnError: func(err error) { log.Warn("spans were not sent", "error", err) }})
	switch {
	case err != nil:
		log.WarnContext(ctx, "no traces are made", "error", err)
	case tracer != nil:
		log.InfoContext(ctx, "traces are made")
	}
	return tracer, flush
}

// connect returns a client of the Redis that the settings name, once it
// answers.
func (c *config) connect(ctx context.Context, log *slog.Logger) (redis.UniversalClient, func(), error) {
	closeEmbedded := func() {}
	if c.redis.Embedded() {
		own, err := embedded.Start(redisconn.DefaultEmbeddedAddr)
		if err != nil {
			return nil, nil, err
		}
		closeEmbedded = own.Close
		c.redis.Use(own.Options())
		log.WarnContext(ctx, "embedded Redis keeps nothing on disk: when this worker ends, everything it was asked is forgotten",
			"url", own.URL())
	}
	// Calls share most writes; asynq holds a few connections of its own.
	rdb, err := c.redis.Connect(ctx, c.worker.Concurrency+32)
	if err != nil {
		closeEmbedded()
		return nil, nil, err
	}
	return rdb, func() { rdb.Close(); closeEmbedded() }, nil
}
