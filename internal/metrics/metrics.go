// Package metrics holds every metric of vizstop. It imports nothing of ours:
// label values come in as closed sets, events as method calls, and what the
// ledger and the queue hold as a Snapshot taken at each scrape.
//
// Base units, label values from closed sets only, every series at zero from the
// start. docs/operations.md says which question each metric answers.
package metrics

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

const namespace = "vizstop"

// Labels are the closed sets of label values.
type Labels struct {
	Outcomes   []string // how a stop can end
	Shadows    []string // how a stop can end for which no stop call is made
	Phases     []string // parts of a stop's duration
	Operations []string // calls of the API
	Results    []string // how such a call can end
	Holds      []string // why calls can be held back
	Recoveries []string // what a recovery can have found
	ListChecks []string // how a list check can end
	Drops      []string // why a task can be dropped
	Ticks      []string // what can become of a schedule's tick
}

// Metrics counts events. Its methods are safe for concurrent use.
type Metrics struct {
	operations, results []string // of calls of the API
	tickResults         []string

	outcomes    *prometheus.CounterVec
	shadows     *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	phases      *prometheus.HistogramVec
	polls       prometheus.Histogram
	pollLag     prometheus.Histogram
	requests    *prometheus.CounterVec
	requestTime *prometheus.HistogramVec
	holds       *prometheus.CounterVec
	recoveries  *prometheus.CounterVec
	listChecks  *prometheus.CounterVec
	duplicates  prometheus.Counter
	drops       *prometheus.CounterVec
	ticks       *prometheus.CounterVec

	listener atomic.Pointer[Listener] // nil: none
}

// Listener is told of some events as they are counted. Its methods must be safe for
// concurrent use, and quick.
type Listener interface {
	StopEnded(outcome string, took time.Duration)
	ShadowEnded(outcome string)
	APICalled(operation, result string)
}

// Tell has a listener told of what is counted from now on, in place of the one before.
func (m *Metrics) Tell(l Listener) { m.listener.Store(&l) }

// tell calls do with the listener, if there is one.
func (m *Metrics) tell(do func(Listener)) {
	if l := m.listener.Load(); l != nil {
		do(*l)
	}
}

// Buckets fit the work: a stop takes seconds to minutes, its deadline is an
// hour; a call takes milliseconds to its timeout of half a minute.
var (
	stopBuckets = []float64{1, 2.5, 5, 7.5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600}
	callBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	waitBuckets = []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
	pollBuckets = []float64{1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100}
)

// New registers every event metric, and those of the Go runtime and the
// process, with reg.
func New(reg prometheus.Registerer, version string, l Labels) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		outcomes: f.NewCounterVec(counter("stop_outcomes_total",
			"Stops that ended, by outcome. Each stop counts once in the sum over all workers."), []string{"outcome"}),
		shadows: f.NewCounterVec(counter("shadow_outcomes_total",
			"Stops that ended without a stop call because they only had to tell what one would meet, by outcome."), []string{"outcome"}),
		duration: f.NewHistogramVec(histogram("stop_duration_seconds",
			"Time from when a stop was due until its outcome.", stopBuckets), []string{"outcome"}),
		phases: f.NewHistogramVec(histogram("stop_phase_seconds",
			"Parts of a stop's time: queued (due to first call), accepting (to acceptance), confirming (to confirmation).",
			stopBuckets), []string{"phase"}),
		polls: f.NewHistogram(histogram("stop_polls",
			"Detail calls per finished stop.", pollBuckets)),
		pollLag: f.NewHistogram(histogram("poll_lag_seconds",
			"Time from when a poll was due until it was claimed.", waitBuckets)),
		requests: f.NewCounterVec(counter("modelarts_requests_total",
			"Calls of the ModelArts and IAM API, by operation, result and account."), []string{"operation", "result", "account"}),
		requestTime: f.NewHistogramVec(histogram("modelarts_request_duration_seconds",
			"Time that a call of the API took.", callBuckets), []string{"operation", "account"}),
		holds: f.NewCounterVec(counter("holds_total",
			"Times that the API's answers made calls of a project or of a credential be held back, by reason."), []string{"reason"}),
		recoveries: f.NewCounterVec(counter("recoveries_total",
			"Steps that were released again because nobody carried them any more, by what was found."), []string{"found"}),
		listChecks: f.NewCounterVec(counter("list_checks_total",
			"List checks of a project's stopping jobs, by result."), []string{"result"}),
		duplicates: f.NewCounter(counter("duplicates_total",
			"Asks that joined an active stop, and tasks that came again and were fenced off.")),
		drops: f.NewCounterVec(counter("tasks_dropped_total",
			"Tasks of other programs in the queue that nobody can carry out, by reason."), []string{"reason"}),
		ticks: f.NewCounterVec(counter("schedule_ticks_total",
			"Ticks of schedules that have a result, by schedule and result, without shadow runs by hand of schedules that "+
				"stop jobs. Each counts once in the sum over all workers."), []string{"schedule", "result"}),
	}
	f.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: "build_info",
		Help: "Always 1; which version runs."}, []string{"version", "goversion"}).
		WithLabelValues(version, runtime.Version()).Set(1)
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.operations, m.results, m.tickResults = l.Operations, l.Results, l.Ticks
	m.zero(l)
	return m
}

// zero makes every series exist before its first event.
func (m *Metrics) zero(l Labels) {
	for _, v := range l.Outcomes {
		m.outcomes.WithLabelValues(v)
		m.duration.WithLabelValues(v)
	}
	for _, v := range l.Shadows {
		m.shadows.WithLabelValues(v)
	}
	for _, v := range l.Phases {
		m.phases.WithLabelValues(v)
	}
	for _, v := range l.Holds {
		m.holds.WithLabelValues(v)
	}
	for _, v := range l.Recoveries {
		m.recoveries.WithLabelValues(v)
	}
	for _, v := range l.ListChecks {
		m.listChecks.WithLabelValues(v)
	}
	for _, v := range l.Drops {
		m.drops.WithLabelValues(v)
	}
}

func counter(name, help string) prometheus.CounterOpts {
	return prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}
}

// histogram is classic and native in one: a server that takes native
// histograms gets fine buckets, any other the given ones.
func histogram(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

// observe records v, with an exemplar that names the trace it was seen in unless
// trace is "".
func observe(h prometheus.Observer, v float64, trace string) {
	if e, ok := h.(prometheus.ExemplarObserver); ok && trace != "" {
		e.ObserveWithExemplar(v, prometheus.Labels{"trace_id": trace})
		return
	}
	h.Observe(v)
}

// StopEnded counts a stop that ended. trace, here and below, is the id of the
// trace that shows it; "" for none.
func (m *Metrics) StopEnded(outcome string, took time.Duration, polls int, trace string) {
	m.outcomes.WithLabelValues(outcome).Inc()
	observe(m.duration.WithLabelValues(outcome), took.Seconds(), trace)
	observe(m.polls, float64(polls), trace)
	m.tell(func(l Listener) { l.StopEnded(outcome, took) })
}

// ShadowEnded counts a stop that ended and was not to make a stop call.
func (m *Metrics) ShadowEnded(outcome string) {
	m.shadows.WithLabelValues(outcome).Inc()
	m.tell(func(l Listener) { l.ShadowEnded(outcome) })
}

// StopPhase records a part of a stop's duration.
func (m *Metrics) StopPhase(phase string, took time.Duration, trace string) {
	observe(m.phases.WithLabelValues(phase), took.Seconds(), trace)
}

// PollStarted records how late a poll started.
func (m *Metrics) PollStarted(lag time.Duration, trace string) {
	observe(m.pollLag, lag.Seconds(), trace)
}

// Recovered counts a step that was released again.
func (m *Metrics) Recovered(found string) { m.recoveries.WithLabelValues(found).Inc() }

// ListChecked counts a check of a project's list.
func (m *Metrics) ListChecked(result string) { m.listChecks.WithLabelValues(result).Inc() }

// Duplicate counts an ask that joined, or a task that came again.
func (m *Metrics) Duplicate() { m.duplicates.Inc() }

// Dropped counts a task that nobody can carry out.
func (m *Metrics) Dropped(reason string) { m.drops.WithLabelValues(reason).Inc() }

// HoldBegan counts that calls were held back.
func (m *Metrics) HoldBegan(reason string) { m.holds.WithLabelValues(reason).Inc() }

// Schedule makes every series of a schedule exist before its first tick.
func (m *Metrics) Schedule(name string) {
	for _, result := range m.tickResults {
		m.ticks.WithLabelValues(name, result)
	}
}

// Ticked counts a tick that has a result.
func (m *Metrics) Ticked(schedule, result string) { m.ticks.WithLabelValues(schedule, result).Inc() }

// Account makes every series of calls for an account exist before its first call.
func (m *Metrics) Account(name string) {
	for _, op := range m.operations {
		m.requestTime.WithLabelValues(op, name)
		for _, result := range m.results {
			m.requests.WithLabelValues(op, result, name)
		}
	}
}

// APICalled counts a call of the API that was made for an account.
func (m *Metrics) APICalled(account, operation, result string, took time.Duration, trace string) {
	m.requests.WithLabelValues(operation, result, account).Inc()
	observe(m.requestTime.WithLabelValues(operation, account), took.Seconds(), trace)
	m.tell(func(l Listener) { l.APICalled(operation, result) })
}
