package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"time"

	"github.com/prometheus/exporter-toolkit/web"

	"vizstop/internal/worker"
)

// server is the HTTP server of a worker's pages.
type server struct {
	http   *http.Server
	addr   string
	failed chan error // gets what made it end before close
}

// The server's limits. A page is small, and reads Redis within seconds.
const (
	maxHeader     = 16 << 10
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = time.Minute
	idleTimeout   = 2 * time.Minute // longer than the gap between two scrapes
)

// listen binds addr before any work is taken, and serves. webConfig is a web
// configuration file of Prometheus exporters, for TLS and passwords; "" for
// none. The file is read again with every request.
func listen(addr, webConfig string, pages http.Handler, log *slog.Logger) (*server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("--listen (VIZSTOP_LISTEN): %w", err)
	}
	quiet := slog.New(discreet{log.Handler()})
	s := &server{
		http: &http.Server{
			Handler: pages, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
			WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
			ErrorLog: slog.NewLogLogger(quiet.Handler(), slog.LevelWarn),
		},
		addr:   l.Addr().String(),
		failed: make(chan error, 1),
	}
	go func() {
		err := web.Serve(l, s.http, &web.FlagConfig{WebConfigFile: &webConfig}, quiet)
		if !errors.Is(err, http.ErrServerClosed) { // that is close
			l.Close()
			s.failed <- fmt.Errorf("the pages at %s are no longer served: %w", s.addr, withoutQuotes(err))
		}
	}()
	return s, nil
}

// close lets a scrape under way finish: the last counts are worth having.
func (s *server) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.http.Shutdown(ctx)
}

// checkWebConfig reads a web configuration file with all that it names.
func checkWebConfig(path string) error {
	if err := web.Validate(path); err != nil {
		return fmt.Errorf("%s: %w", path, withoutQuotes(err))
	}
	return nil
}

// quotes finds pieces of a file in the errors of its YAML decoder.
var quotes = regexp.MustCompile("(?s)`.*`")

// withoutQuotes is err without the piece of the file that it may quote: a
// misplaced password or key could be in it.
func withoutQuotes(err error) error {
	if text := err.Error(); quotes.MatchString(text) {
		return errors.New(unquoted(text))
	}
	return err
}

func unquoted(text string) string { return quotes.ReplaceAllString(text, "(what it says)") }

// discreet is the handler of what the server's libraries log: their information
// is for debugging, and their errors may quote the web configuration file.
type discreet struct{ slog.Handler }

func (d discreet) Enabled(ctx context.Context, level slog.Level) bool {
	return d.Handler.Enabled(ctx, lowered(level))
}

func (d discreet) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, lowered(r.Level), "pages: "+unquoted(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Value.Kind() == slog.KindString {
			a.Value = slog.StringValue(unquoted(a.Value.String()))
		}
		clean.AddAttrs(a)
		return true
	})
	return d.Handler.Handle(ctx, clean)
}

// WithAttrs is slog.Handler's.
func (d discreet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return discreet{d.Handler.WithAttrs(attrs)}
}

// WithGroup is slog.Handler's.
func (d discreet) WithGroup(name string) slog.Handler { return discreet{d.Handler.WithGroup(name)} }

func lowered(level slog.Level) slog.Level {
	if level == slog.LevelInfo {
		return slog.LevelDebug
	}
	return level
}

// beyondThisMachine reports whether an address that was bound can be reached
// from other machines.
func beyondThisMachine(addr string) bool {
	ap, err := netip.ParseAddrPort(addr)
	return err != nil || !ap.Addr().Unmap().IsLoopback()
}

// servePages serves the pages of w until close.
func (c *config) servePages(w *worker.Worker, log *slog.Logger) (*server, error) {
	pages, err := listen(c.listen, c.webConfig, w.Pages(), log)
	if err == nil && c.webConfig == "" && beyondThisMachine(pages.addr) {
		log.Info("the pages are open to whoever reaches this machine: restrict them with --listen (VIZSTOP_LISTEN), "+
			"or protect them with --web-config-file (VIZSTOP_WEB_CONFIG_FILE)", "listen", pages.addr)
	}
	return pages, err
}
