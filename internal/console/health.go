package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vizstop/internal/console/site"
	"vizstop/internal/principals"
)

// addHealth adds what machines ask. Probes need no principal, name the console by its address, and know no prefix.
func (c *Console) addHealth(config Config) {
	plain := http.NewServeMux()
	for path, h := range map[string]http.HandlerFunc{"/healthz": c.healthz, "/readyz": c.readyz} {
		pattern := "GET " + path
		c.add(route{Route: site.Route{Pattern: pattern, Handler: h}, anyHost: true, probe: true, quiet: true}, c.site.Prefix, "")
		plain.Handle(pattern, h)
	}
	series := promhttp.HandlerFor(config.Registry, promhttp.HandlerOpts{})
	plain.Handle("GET /metrics", series)
	if !config.OwnMetrics {
		c.add(route{Route: site.Route{Pattern: "GET /metrics", Role: principals.Read, Handler: series}, quiet: true}, c.site.Prefix, "")
	}
	c.plain = plain
}

// Plain shows /metrics, /healthz and /readyz to whoever reaches it: for a listener of its own.
func (c *Console) Plain() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header(), r.TLS != nil)
		c.plain.ServeHTTP(w, r)
	})
}

func (c *Console) healthz(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }

func (c *Console) readyz(w http.ResponseWriter, r *http.Request) {
	if err := c.ready.now(r.Context()); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready\nRedis does not answer; the log of the console says more\n")
		c.log.WarnContext(r.Context(), "not ready", "error", err)
		return
	}
	text := "ok\n"
	if n := len(c.refusedFiles()); n > 0 { // what is in them is for the log: anybody may ask here
		text += fmt.Sprintf("refused files: %d have changed, and what was there before stays in use; the log of the console says which and why\n", n)
	}
	_, _ = io.WriteString(w, text)
}

// Readiness is asked by whoever likes: Redis is not, more often than this.
const readyInterval = time.Second

// readyTimeout is for a Redis that says nothing.
const readyTimeout = 2 * time.Second

// readiness remembers for a while whether Redis answers.
type readiness struct {
	ask func(context.Context) error

	mu  sync.Mutex
	at  time.Time
	err error
}

func (r *readiness) now(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at.IsZero() || time.Since(r.at) >= readyInterval {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout) // what is found out is for others, too
		defer cancel()
		r.err = r.ask(ctx)
		r.at = time.Now()
	}
	return r.err
}
