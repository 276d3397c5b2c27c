// Package httpd is an HTTP server with limits and the web configuration file of Prometheus exporters, as the worker and
// the console have one.
package httpd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v2"
)

// Server is an HTTP server at work.
type Server struct {
	http   *http.Server
	addr   string
	failed chan error
}

// The server's limits, which a handler can stretch for one request by http.ResponseController.
const (
	maxHeader     = 16 << 10
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = time.Minute
	idleTimeout   = 2 * time.Minute // longer than the gap between two scrapes
	maxStreams    = 100             // requests at once of a connection of HTTP/2, the least that RFC 9113 recommends
)

// maxConfigFile is the largest web configuration file, certificate or key.
const maxConfigFile = 1 << 20

// Config is a server.
type Config struct {
	Listen  string // address and port; port 0 is any that is free
	Setting string // what Listen is called in errors, such as "--listen (VIZSTOP_LISTEN)"
	// WebConfig is a web configuration file of Prometheus exporters, for TLS and passwords; "" for none. It is read
	// again with every request.
	WebConfig string
	Handler   http.Handler
	Log       *slog.Logger
}

// Listen binds the address, before any work is taken, and serves until Close.
func Listen(c Config) (*Server, error) {
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Setting, err)
	}
	quiet := slog.New(discreet{c.Log.Handler()})
	s := &Server{
		http: &http.Server{
			Handler: c.Handler, MaxHeaderBytes: maxHeader, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
			WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
			HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: maxStreams, WriteByteTimeout: writeTimeout},
			ErrorLog: slog.NewLogLogger(quiet.Handler(), slog.LevelWarn),
		},
		addr:   l.Addr().String(),
		failed: make(chan error, 1),
	}
	go func() {
		err := web.Serve(newListener(l.(*net.TCPListener), maxConnections), s.http, &web.FlagConfig{WebConfigFile: &c.WebConfig}, quiet)
		if !errors.Is(err, http.ErrServerClosed) { // that is Close
			l.Close()
			s.failed <- fmt.Errorf("the pages at %s are no longer served: %w", s.addr, withoutQuotes(err))
		}
	}()
	return s, nil
}

// Addr is the address that was bound.
func (s *Server) Addr() string { return s.addr }

// Failed gets what made the server end before Close.
func (s *Server) Failed() <-chan error { return s.failed }

// Close takes no more requests and lets those under way finish within grace; then it cuts them off.
func (s *Server) Close(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		s.http.Close()
	}
}

// CheckWebConfig reads a web configuration file with all that it names, as ReadWebConfig does.
func CheckWebConfig(path string) error {
	_, err := ReadWebConfig(path)
	return err
}

// WebConfig is what a web configuration file gives.
type WebConfig struct {
	TLS          bool
	Certificates bool // client certificates are asked for, and verified
	Passwords    bool // the file's own users
}

// ReadWebConfig checks a web configuration file, with the files that it names, and says what it gives; "" is
// none. The error does not quote it. They must be regular files: the server reads them again with each connection.
func ReadWebConfig(path string) (WebConfig, error) {
	if path == "" {
		return WebConfig{}, nil
	}
	c, err := decode(path)
	if err == nil {
		err = web.Validate(path)
	}
	if err != nil {
		return WebConfig{}, fmt.Errorf("%s: %w", path, withoutQuotes(err))
	}
	verifies := c.TLSConfig.ClientAuth == "VerifyClientCertIfGiven" || c.TLSConfig.ClientAuth == "RequireAndVerifyClientCert"
	return WebConfig{TLS: c.TLSConfig.IsEnabled(), Certificates: verifies, Passwords: len(c.Users) > 0}, nil
}

// decode reads a web configuration file, and looks whether the files that it names can be read.
func decode(path string) (c web.Config, err error) {
	if err := regular(path); err != nil {
		return c, err
	}
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.UnmarshalStrict(text, &c)
	}
	if err != nil {
		return c, err
	}
	c.TLSConfig.SetDirectory(filepath.Dir(path))
	for _, named := range []string{c.TLSConfig.TLSCertPath, c.TLSConfig.TLSKeyPath, c.TLSConfig.ClientCAs} {
		if named == "" {
			continue
		}
		if err := regular(named); err != nil {
			return c, fmt.Errorf("%s: %w", named, err)
		}
	}
	return c, nil
}

// regular reports what is wrong if there is something else than a regular file at path, or a larger one than is meant.
func regular(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil // whoever opens it says so
	case !info.Mode().IsRegular():
		return errors.New("is not a regular file: write the path of one")
	case info.Size() > maxConfigFile:
		return fmt.Errorf("has %d bytes, more than the %d of any web configuration file, certificate or key", info.Size(),
			maxConfigFile)
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

// BeyondThisMachine reports whether an address that was bound can be reached
// from other machines.
func BeyondThisMachine(addr string) bool {
	ap, err := netip.ParseAddrPort(addr)
	return err != nil || !ap.Addr().Unmap().IsLoopback()
}
