package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"
	"github.com/urfave/cli/v3"

	"vizstop/internal/console"
	"vizstop/internal/console/operate"
	"vizstop/internal/console/site"
	"vizstop/internal/control"
	"vizstop/internal/httpd"
	"vizstop/internal/modelarts"
	"vizstop/internal/redisconn"
	"vizstop/internal/release"
	"vizstop/internal/reread"
	"vizstop/internal/sdnotify"
	"vizstop/internal/settings"
	"vizstop/internal/version"
)

func runCommand(getenv func(string) string, stderr io.Writer) *cli.Command {
	var c config
	c.declare()
	return &cli.Command{
		Name:  "run",
		Usage: "serve the web page and the HTTP API until SIGTERM or SIGINT (the default command)",
		Description: `Whoever reaches this machine's loopback may look. With --principals, only those of the
file may, with a token or a client certificate; "console token NAME" makes a token.
The file, and credentials in files, are read again when they change, and on SIGHUP.

Credentials of ModelArts, or --accounts, are needed only to ask by rule and for undo.

` + c.Variables(),
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			manager, err := sdnotify.Dial(getenv("NOTIFY_SOCKET"))
			if err := errors.Join(settings.NoArguments(cmd), c.Load(cmd, getenv), err); err != nil {
				return err
			}
			defer manager.Close()
			signal.Ignore(syscall.SIGPIPE) // a log that nobody reads any more is no reason to stop
			return c.serve(ctx, c.log.Logger(stderr), manager)
		},
	}
}

const (
	// connections is the size of the connection pool: what a submission keeps busy, and beside it those who look.
	connections = 96
	// commandTime is how long Redis may take for one command: somebody waits for the answer.
	commandTime = 5 * time.Second
	// refreshInterval is how often the console learns anew what time it is for the fleet.
	refreshInterval = 30 * time.Second
	// grace is how long requests under way may take after SIGTERM.
	grace = 5 * time.Second
)

// serve runs a console until ctx ends.
func (c *config) serve(ctx context.Context, log *slog.Logger, manager *sdnotify.Notifier) error {
	asked := settings.Rereads()
	for _, note := range c.notes(time.Now()) {
		log.WarnContext(ctx, note)
	}
	redisconn.RouteLogs(log)
	rdb, err := c.redis.Connect(ctx, connections)
	if err != nil {
		return err
	}
	defer rdb.Close()
	redisconn.LimitCommands(rdb, commandTime)
	desk, err := control.Open(ctx, rdb)
	if err != nil {
		return err
	}
	api, err := c.openAPI(desk)
	if err != nil {
		return err
	}
	operator := newOperator(desk, api)
	defer operator.Close()
	files := c.watch(api, log)
	handler, err := c.newConsole(desk, operator, api, files, log)
	if err != nil {
		return err
	}
	pages, err := httpd.Listen(httpd.Config{Listen: c.listen, Setting: listenSetting, WebConfig: c.webConfig, Handler: handler, Log: log})
	if err != nil {
		return err
	}
	defer pages.Close(grace)
	failed, closePlain, err := c.servePlain(handler, log)
	if err != nil {
		return err
	}
	defer closePlain()
	log.InfoContext(ctx, "console started", "version", version.String(), "redis", c.redis.Describe(), "listen", pages.Addr(), "url", c.url(pages.Addr()),
		"principals", c.principals.HasFile(), "actions", c.actions, "credentials", api != nil)
	c.tell(log, manager, sdnotify.Ready)

	go files.Run(ctx, reread.Interval, asked)
	go refresh(ctx, desk, log)

	var fault error
	select {
	case <-ctx.Done():
	case fault = <-pages.Failed():
	case fault = <-failed:
	}
	c.tell(log, manager, sdnotify.Stopping)
	log.Info("console stops: finishing the requests at work", "timeout", grace)
	return fault
}

// newConsole is the handler of everything.
func (c *config) newConsole(desk *control.Desk, operator *operate.Operator, api *settings.Service, files *reread.Watcher, log *slog.Logger) (*console.Console, error) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return console.New(console.Config{
		Site: &site.Site{Desk: desk, Operator: operator, Prefix: c.prefix, Actions: c.actions, API: api, Log: log,
			GrafanaURL: c.grafanaURL, RunbookURL: c.runbookURL},
		Principals: c.principals, TrustedOrigins: c.trustedOrigins, Hosts: c.hosts, Rate: c.requestRate,
		Ready:    func(ctx context.Context) error { return desk.Redis.Ping(ctx).Err() },
		Refused:  files.Refused,
		Registry: reg, OwnMetrics: c.metricsListen != "",
	})
}

// newOperator carries out what is ordered. What it does in the background is ended, and can be ordered again, when the
// console stops.
func newOperator(desk *control.Desk, api *settings.Service) *operate.Operator {
	if api == nil {
		return operate.New(desk, nil)
	}
	return operate.New(desk, api)
}

// servePlain serves the metrics on a listener of their own, if there is one. failed gets what makes it end.
func (c *config) servePlain(handler *console.Console, log *slog.Logger) (failed <-chan error, done func(), err error) {
	if c.metricsListen == "" {
		return nil, func() {}, nil
	}
	server, err := httpd.Listen(httpd.Config{Listen: c.metricsListen, Setting: "--metrics-listen (VIZSTOP_CONSOLE_METRICS_LISTEN)", Handler: handler.Plain(), Log: log})
	if err != nil {
		return nil, nil, err
	}
	log.Info("metrics are served", "listen", server.Addr())
	return server.Failed(), func() { server.Close(time.Second) }, nil
}

// openAPI opens ModelArts; nil without credentials.
func (c *config) openAPI(desk *control.Desk) (*settings.Service, error) {
	if !c.api.HasCredentials() {
		return nil, nil
	}
	api, err := c.api.Open(settings.Options{
		Spend: desk.CallRate().Spend,
		Client: func(string) []modelarts.Option {
			return []modelarts.Option{modelarts.WithUserAgent("vizstop/" + version.String())}
		},
	})
	if err != nil {
		return nil, err
	}
	desk.Served = func(projectID string) release.Serving {
		account, endpoint, rate, shadow := api.Serving(projectID)
		return release.Serving{Account: account, Endpoint: endpoint, Rate: rate, Shadow: shadow}
	}
	return api, nil
}

// watch is what is read again when it changes.
func (c *config) watch(api *settings.Service, log *slog.Logger) *reread.Watcher {
	own := c.principals.Watch()
	if api == nil {
		return reread.New(log, own...)
	}
	var files *reread.Watcher
	files = reread.New(log, append(api.Watch(func(groups ...reread.Group) { files.Set(append(groups, own...)...) }), own...)...)
	return files
}

// refresh keeps the clock of the fleet right for as long as the console runs.
func refresh(ctx context.Context, desk *control.Desk, log *slog.Logger) {
	ticker := time.NewTicker(refreshInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := desk.Refresh(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, redis.ErrClosed) {
				log.WarnContext(ctx, "the fleet's clock and workers were not learned anew", "error", err)
			}
		}
	}
}

func (c *config) tell(log *slog.Logger, manager *sdnotify.Notifier, state string) {
	if err := manager.Send(state); err != nil {
		log.Warn("the service manager was not told", "state", state, "error", err)
	}
}

// url is where the page is.
func (c *config) url(addr string) string {
	scheme := "http"
	if c.web.TLS {
		scheme = "https"
	}
	return scheme + "://" + addr + c.prefix + "/"
}
