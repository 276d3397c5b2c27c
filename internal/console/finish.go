package console

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"vizstop/internal/console/problem"
	"vizstop/internal/console/site"
	"vizstop/internal/version"
)

// finish counts and logs a request that has ended. A handler that panicked has failed; if it had begun to answer, the
// connection is cut, so that nobody takes a part for the whole.
func (c *Console) finish(a *answer, r *http.Request, rt *route) {
	cause := recover()
	begun := a.status != 0
	if cause != nil && cause != http.ErrAbortHandler {
		c.log.ErrorContext(r.Context(), "a request has failed: this is a fault of vizstop", "method", methodOf(r), "route", rt.label,
			"principal", a.principal, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
		if !begun {
			c.site.Fail(a, r, problem.New(problem.Internal, "The log of the console says what it was."))
		}
	}
	if a.status == 0 {
		a.status = http.StatusOK // the server says so if the handler says nothing
	}
	took := c.now().Sub(a.began)
	method, code := methodOf(r), strconv.Itoa(a.status)
	c.metrics.inFlight.Dec()
	c.metrics.requests.WithLabelValues(rt.label, method, code).Inc()
	c.metrics.duration.WithLabelValues(rt.label).Observe(took.Seconds())
	level := levelOf(a.status, method, rt)
	if a.principal == "" && level > slog.LevelDebug && !c.muffle.passes(r.RemoteAddr, site.Remote(r), c.now()) {
		level = slog.LevelDebug
	}
	c.log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", slog.String("principal", a.principal),
		slog.String("method", method), slog.String("route", rt.label), slog.Int("status", a.status), slog.Int64("bytes", a.bytes),
		slog.Duration("duration", took), slog.String("from", site.Remote(r)))
	if cause != nil && (begun || cause == http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
}

// levelOf is the level of a request in the log. Pages ask again every few seconds: what reads and succeeds is for
// debugging, and so is every question about health that was answered well.
func levelOf(status int, method string, rt *route) slog.Level {
	reads := method == http.MethodGet || method == http.MethodHead
	if status < http.StatusBadRequest && (reads || rt.quiet) {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// methodOf is the method as metrics and logs have it: a client may send any word.
func methodOf(r *http.Request) string {
	if slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}, r.Method) {
		return r.Method
	}
	return "other"
}

// metrics are the series of the console.
type metrics struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight prometheus.Gauge
	refusals *prometheus.CounterVec
}

// refusals are the types of problems that the middleware answers with.
var refusals = []problem.Type{
	problem.NotAuthenticated, problem.Expired, problem.RoleTooLow, problem.ActionsOff, problem.CrossOrigin, problem.SlowBody,
	problem.MalformedBody, problem.BodyTooLarge, problem.WrongHost, problem.TooManyRequests, problem.TooManyGuesses, problem.Overloaded,
	problem.TookTooLong,
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		requests: f.NewCounterVec(prometheus.CounterOpts{Name: "vizstop_console_requests_total",
			Help: "Requests that were answered, by route, method and status."}, []string{"route", "method", "code"}),
		duration: f.NewHistogramVec(prometheus.HistogramOpts{Name: "vizstop_console_request_duration_seconds",
			Help:    "Time from the header of a request until its answer was written, by route.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}}, []string{"route"}),
		inFlight: f.NewGauge(prometheus.GaugeOpts{Name: "vizstop_console_in_flight_requests", Help: "Requests at work."}),
		refusals: f.NewCounterVec(prometheus.CounterOpts{Name: "vizstop_console_refused_total",
			Help: "Requests that were refused before their handler, or because of how their body came, by type of problem."}, []string{"why"}),
	}
	f.NewGaugeVec(prometheus.GaugeOpts{Name: "vizstop_console_build_info", Help: "Always 1; which version of the console runs."}, // not vizstop_build_info: that
		[]string{"version", "goversion"}).WithLabelValues(version.String(), runtime.Version()).Set(1) // says that a worker is there
	for _, why := range refusals {
		m.refusals.WithLabelValues(string(why))
	}
	return m
}

func (m *metrics) refuse(why problem.Type) { m.refusals.WithLabelValues(string(why)).Inc() }
