package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/urfave/cli/v3"

	"vizstop/internal/modelarts"
	"vizstop/internal/redisconn"
	"vizstop/internal/version"
	"vizstop/internal/worker"
)

func runCommand(getenv func(string) string, stderr io.Writer) *cli.Command {
	var cfg config
	cfg.declareRun()
	return &cli.Command{
		Name:  "run",
		Usage: "take tasks from the queue until SIGTERM (the default command)",
		Description: `Credentials come from variables, or from files named by the variable with _FILE:
HW_ACCESS_KEY and HW_SECRET_KEY (and HW_SECURITY_TOKEN), or HW_AUTH_TOKEN, or
HW_USER_NAME, HW_USER_PASSWORD and HW_DOMAIN_NAME. A password for Redis may come
from VIZSTOP_REDIS_PASSWORD.

` + cfg.Variables(),
		Flags:        cfg.Flags(),
		OnUsageError: usageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			manager, err := newSupervisor(getenv)
			if err := errors.Join(noArguments(cmd), cfg.Load(cmd, getenv), err); err != nil {
				return err
			}
			return cfg.serve(ctx, cfg.log.Logger(stderr), manager)
		},
	}
}

// serve runs one worker until ctx ends, and tells manager how it is.
func (c *config) serve(ctx context.Context, log *slog.Logger, manager supervisor) error {
	redisconn.RouteLogs(log)
	rdb, done, err := c.connect(ctx, log)
	if err != nil {
		return err
	}
	defer done()

	reg := prometheus.NewRegistry()
	events := worker.NewMetrics(reg, version.String())
	client, err := c.api.Client(worker.ObserveAPI(events), modelarts.WithMaxConnections(c.worker.Concurrency),
		modelarts.WithUserAgent("vizstop/"+version.String()))
	if err != nil {
		return err
	}
	c.worker.Redis, c.worker.Jobs, c.worker.Logger = rdb, client, log
	c.worker.Registry, c.worker.Metrics = reg, events
	w := worker.New(c.worker)

	pages, err := listen(c.listen, w.Pages())
	if err != nil {
		return err
	}
	defer pages.close()
	if err := w.Start(ctx); err != nil {
		return err
	}
	log.InfoContext(ctx, "worker started", "version", version.String(), "redis", c.redis.Describe(),
		"listen", pages.addr, "concurrency", c.worker.Concurrency, "api_rate", c.worker.Throttle.Rate)

	health, err := localURL(pages.addr, "/healthz")
	if err != nil {
		return err
	}
	end := manager.started(log, w.Ready, health)
	defer end()

	<-ctx.Done()
	manager.stopping(log)
	log.Info("worker stops: finishing the tasks at work", "timeout", c.worker.ShutdownTimeout)
	w.Shutdown()
	log.Info("worker stopped")
	return nil
}

// connect returns a client of the Redis that the settings name, once it
// answers.
func (c *config) connect(ctx context.Context, log *slog.Logger) (redis.UniversalClient, func(), error) {
	closeEmbedded := func() {}
	if c.redis.Embedded() {
		embedded, err := redisconn.StartEmbedded(redisconn.DefaultEmbeddedAddr)
		if err != nil {
			return nil, nil, err
		}
		closeEmbedded = embedded.Close
		if err := c.redis.Use(embedded.URL()); err != nil {
			return nil, nil, err
		}
		log.WarnContext(ctx, "embedded Redis keeps nothing on disk: when this worker ends, everything it was asked is forgotten",
			"url", embedded.URL())
	}
	// asynq holds a few connections of its own beside those of the tasks.
	rdb, err := c.redis.Connect(ctx, c.worker.Concurrency+10)
	if err != nil {
		closeEmbedded()
		return nil, nil, err
	}
	return rdb, func() { rdb.Close(); closeEmbedded() }, nil
}

// server is the HTTP server of a worker's pages.
type server struct {
	http *http.Server
	addr string
}

// listen binds addr before any work is taken, and serves.
func listen(addr string, pages http.Handler) (*server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--listen (VIZSTOP_LISTEN): %w", err)
	}
	s := &server{
		http: &http.Server{Handler: pages, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second},
		addr: l.Addr().String(),
	}
	go s.http.Serve(l) // returns when close is called
	return s, nil
}

// close lets a scrape under way finish: the last counts are worth having.
func (s *server) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.http.Shutdown(ctx)
}
