package worker

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vizstop/internal/plain"
)

// scrapesAtOnce is how many scrapes are served at once: each asks Redis.
const scrapesAtOnce = 10

// Pages serves /metrics, /healthz and /readyz, for reading only: any method but
// GET and HEAD is answered 405.
func (w *Worker) Pages() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(w.cfg.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: scrapesAtOnce}))
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprintln(rw, "ok") })
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		faults, notes := w.Ready(r.Context())
		if len(faults) > 0 {
			rw.WriteHeader(http.StatusServiceUnavailable)
		}
		for _, line := range Lines(faults, notes) {
			fmt.Fprintln(rw, plain.Line(line, maxLine)) // the words of the API, of Redis, of whoever paused
		}
	})
	mux.HandleFunc("GET /{$}", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(rw, `<!doctype html><title>vizstop worker</title><h1>vizstop worker</h1>`+
			`<ul><li><a href="/metrics">metrics</a><li><a href="/readyz">readiness</a><li><a href="/healthz">health</a></ul>`)
	})
	return guarded(mux)
}

// maxLine bounds a line of /readyz, in characters.
const maxLine = 2048

// Lines say what Ready has found: "ok" or "not ready", what keeps the worker from being ready, and then what is worth
// knowing besides, each with "note: " before it.
func Lines(faults, notes []string) []string {
	lines := []string{"ok"}
	if len(faults) > 0 {
		lines = append([]string{"not ready"}, faults...)
	}
	for _, note := range notes {
		lines = append(lines, "note: "+note)
	}
	return lines
}

// guarded tells browsers to take a page for what it says it is, to show it in no
// frame and to keep no copy. What a web configuration file says goes first.
func guarded(pages http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"X-Content-Type-Options": "nosniff", "X-Frame-Options": "deny", "Cache-Control": "no-store",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if rw.Header().Get(name) == "" {
				rw.Header().Set(name, value)
			}
		}
		pages.ServeHTTP(rw, r)
	})
}
