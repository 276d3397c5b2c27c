package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/console"
	"vizstop/internal/console/operate"
	"vizstop/internal/console/site"
	"vizstop/internal/control"
	"vizstop/internal/httpd"
	"vizstop/internal/principals"
)

// demoConsole is where the console of the demo listens, as "console run" does.
const demoConsole = "127.0.0.1:9465"

// consoleGrace is how long requests under way may take at the end of the demo.
const consoleGrace = time.Second

// console serves the web page and the HTTP API beside the demo, to be looked at: without
// principals, nothing can be changed there. end stops it.
func (d *demo) console(ctx context.Context, rdb redis.UniversalClient, log *slog.Logger, stderr io.Writer) (end func(), err error) {
	desk, err := control.Open(ctx, rdb)
	if err != nil {
		return nil, err
	}
	everybody, err := principals.Open("", desk.Fleet.Now)
	if err != nil {
		return nil, err
	}
	operator := operate.New(desk, nil)
	handler, err := console.New(console.Config{
		Site:       &site.Site{Desk: desk, Operator: operator, Log: log},
		Principals: everybody,
		Ready:      func(ctx context.Context) error { return rdb.Ping(ctx).Err() },
		Registry:   prometheus.NewRegistry(),
	})
	if err != nil {
		return nil, err
	}
	server := httpd.Config{Listen: demoConsole, Setting: "the console", Handler: handler, Log: log}
	pages, err := httpd.Listen(server)
	if err != nil { // somebody else may have the port
		server.Listen = "127.0.0.1:0"
		if pages, err = httpd.Listen(server); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(stderr, "console: http://%s/\n", pages.Addr())
	return func() { pages.Close(consoleGrace); operator.Close() }, nil
}
