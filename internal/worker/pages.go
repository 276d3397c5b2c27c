package worker

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Pages serves /metrics, /healthz and /readyz, for reading only.
func (w *Worker) Pages() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(w.cfg.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { fmt.Fprintln(rw, "ok") })
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		faults, notes := w.Ready(r.Context())
		if len(faults) > 0 {
			rw.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(rw, strings.Join(append([]string{"not ready"}, append(faults, notes...)...), "\n"))
			return
		}
		fmt.Fprintln(rw, strings.Join(append([]string{"ok"}, notes...), "\n"))
	})
	mux.HandleFunc("GET /{$}", func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(rw, `<!doctype html><title>vizstop worker</title><h1>vizstop worker</h1>`+
			`<ul><li><a href="/metrics">metrics</a><li><a href="/readyz">readiness</a><li><a href="/healthz">health</a></ul>`)
	})
	return mux
}
