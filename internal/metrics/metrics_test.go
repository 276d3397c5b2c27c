package metrics

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

var labels = Labels{
	Outcomes:   []string{"stopped", "gone"},
	Phases:     []string{"queued"},
	Operations: []string{"stop"}, Results: []string{"ok", "throttled"},
	Holds: []string{"throttled"}, Recoveries: []string{"missing"}, ListChecks: []string{"read", "failed"},
	Drops: []string{"type", "unreadable"},
}

func TestEveryEventIsCounted(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "v1", labels)
	m.Account("a")
	m.Account("b")
	m.StopEnded("stopped", 7*time.Second, 2, "")
	m.StopPhase("queued", time.Second, "")
	m.APICalled("a", "stop", "ok", 20*time.Millisecond, "")
	m.HoldBegan("throttled")
	m.Recovered("missing")
	m.ListChecked("read")
	m.Duplicate()
	m.Dropped("unreadable")

	want := `
# HELP vizstop_duplicates_total Asks that joined an active stop, and tasks that came again and were fenced off.
# TYPE vizstop_duplicates_total counter
vizstop_duplicates_total 1
# HELP vizstop_holds_total Times that the API's answers made calls of a project or of a credential be held back, by reason.
# TYPE vizstop_holds_total counter
vizstop_holds_total{reason="throttled"} 1
# HELP vizstop_list_checks_total List checks of a project's stopping jobs, by result.
# TYPE vizstop_list_checks_total counter
vizstop_list_checks_total{result="failed"} 0
vizstop_list_checks_total{result="read"} 1
# HELP vizstop_modelarts_requests_total Calls of the ModelArts and IAM API, by operation, result and account.
# TYPE vizstop_modelarts_requests_total counter
vizstop_modelarts_requests_total{account="a",operation="stop",result="ok"} 1
vizstop_modelarts_requests_total{account="b",operation="stop",result="ok"} 0
vizstop_modelarts_requests_total{account="a",operation="stop",result="throttled"} 0
vizstop_modelarts_requests_total{account="b",operation="stop",result="throttled"} 0
# HELP vizstop_recoveries_total Steps that were released again because nobody carried them any more, by what was found.
# TYPE vizstop_recoveries_total counter
vizstop_recoveries_total{found="missing"} 1
# HELP vizstop_stop_outcomes_total Stops that ended, by outcome. Each stop counts once in the sum over all workers.
# TYPE vizstop_stop_outcomes_total counter
vizstop_stop_outcomes_total{outcome="gone"} 0
vizstop_stop_outcomes_total{outcome="stopped"} 1
# HELP vizstop_tasks_dropped_total Tasks of other programs in the queue that nobody can carry out, by reason.
# TYPE vizstop_tasks_dropped_total counter
vizstop_tasks_dropped_total{reason="type"} 0
vizstop_tasks_dropped_total{reason="unreadable"} 1
`
	err := testutil.GatherAndCompare(reg, strings.NewReader(want), "vizstop_duplicates_total",
		"vizstop_holds_total", "vizstop_list_checks_total", "vizstop_modelarts_requests_total", "vizstop_recoveries_total",
		"vizstop_stop_outcomes_total", "vizstop_tasks_dropped_total")
	if err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(m.duration); n != len(labels.Outcomes) {
		t.Errorf("%d duration series before all outcomes were seen, want %d", n, len(labels.Outcomes))
	}
}

func TestNamesPassLint(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	m := New(reg, "v1", labels)
	m.PollStarted(0, "")
	reg.MustRegister(NewSnapshotCollector(func(context.Context) (Snapshot, error) { return full, nil }))
	reg.MustRegister(NewCallSlots(slots{})...)
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

type slots struct{}

func (slots) All() int     { return 32 }
func (slots) Used() int    { return 30 }
func (slots) Waiting() int { return 7 }

func TestCallSlots(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(NewCallSlots(slots{})...)
	want := `
# HELP vizstop_call_slots Calls of the API that this worker makes at once at most.
# TYPE vizstop_call_slots gauge
vizstop_call_slots 32
# HELP vizstop_call_slots_used Calls of the API that this worker makes now.
# TYPE vizstop_call_slots_used gauge
vizstop_call_slots_used 30
# HELP vizstop_calls_waiting Calls of the API that wait for a slot of this worker.
# TYPE vizstop_calls_waiting gauge
vizstop_calls_waiting 7
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

var full = Snapshot{
	InFlight: map[string]int{"pending": 3, "stopping": 0},
	Oldest:   map[string]time.Time{"pending": time.UnixMilli(1700000000500)},
	Held: map[Hold]bool{
		{"credentials", "credential", "a"}: true, {"credentials", "credential", "b"}: false, {"outage", "project", "a"}: false,
		{"paused", "fleet", ""}: false, {"paused", "project", ""}: true,
	},
	Unfit:   map[string]bool{"eviction": true, "version": false},
	Queue:   Queue{Name: "q", Tasks: map[string]int{"pending": 2}, Latency: 1500 * time.Millisecond},
	Workers: 3,
	Rate:    12.5, ConfiguredRate: math.Inf(1), WindowUsed: 7, WindowLimit: 1000,
}

func TestSnapshot(t *testing.T) {
	c := NewSnapshotCollector(func(context.Context) (Snapshot, error) { return full, nil })
	want := `
# HELP vizstop_configured_rate Calls per second and project that are configured; +Inf: no limit.
# TYPE vizstop_configured_rate gauge
vizstop_configured_rate +Inf
# HELP vizstop_held Whether calls are held back for this reason, of a project, of an account's credential or of the fleet: 1 or 0.
# TYPE vizstop_held gauge
vizstop_held{account="",reason="paused",scope="fleet"} 0
vizstop_held{account="",reason="paused",scope="project"} 1
vizstop_held{account="a",reason="credentials",scope="credential"} 1
vizstop_held{account="a",reason="outage",scope="project"} 0
vizstop_held{account="b",reason="credentials",scope="credential"} 0
# HELP vizstop_limit_window Stop calls that nobody confirmed which a project may get in any 60 minutes; +Inf: no limit.
# TYPE vizstop_limit_window gauge
vizstop_limit_window 1000
# HELP vizstop_limit_window_used Stop calls that nobody confirmed and that count for the window limit now, of the project that got most of those with stops in flight.
# TYPE vizstop_limit_window_used gauge
vizstop_limit_window_used 7
# HELP vizstop_oldest_stop_timestamp_seconds When the oldest stop of a state was due; absent when there is none.
# TYPE vizstop_oldest_stop_timestamp_seconds gauge
vizstop_oldest_stop_timestamp_seconds{state="pending"} 1.7000000005e+09
# HELP vizstop_queue_latency_seconds Age of the oldest task that is ready and waits for a worker.
# TYPE vizstop_queue_latency_seconds gauge
vizstop_queue_latency_seconds{queue="q"} 1.5
# HELP vizstop_queue_tasks Tasks in the queue by asynq's state, of the whole fleet.
# TYPE vizstop_queue_tasks gauge
vizstop_queue_tasks{queue="q",state="pending"} 2
# HELP vizstop_rate Calls per second that the project allowed least may make now, of those with stops in flight; +Inf: no limit.
# TYPE vizstop_rate gauge
vizstop_rate 12.5
# HELP vizstop_redis_unfit Whether Redis is known to run this risk of losing what it was given, or to refuse writes: 1 or 0.
# TYPE vizstop_redis_unfit gauge
vizstop_redis_unfit{risk="eviction"} 1
vizstop_redis_unfit{risk="version"} 0
# HELP vizstop_redis_up Whether Redis answered at this scrape: 1 or 0.
# TYPE vizstop_redis_up gauge
vizstop_redis_up 1
# HELP vizstop_stops_in_flight Stops that have not ended, by state, of the whole fleet.
# TYPE vizstop_stops_in_flight gauge
vizstop_stops_in_flight{state="pending"} 3
vizstop_stops_in_flight{state="stopping"} 0
# HELP vizstop_workers Workers that live, as this worker sees the fleet.
# TYPE vizstop_workers gauge
vizstop_workers 3
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

func TestRedisDownShowsInTheScrape(t *testing.T) {
	c := NewSnapshotCollector(func(context.Context) (Snapshot, error) { return Snapshot{}, errors.New("no Redis") })
	want := `
# HELP vizstop_redis_up Whether Redis answered at this scrape: 1 or 0.
# TYPE vizstop_redis_up gauge
vizstop_redis_up 0
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// heard is what a listener was told, in order.
type heard []string

func (h *heard) StopEnded(outcome string, took time.Duration) {
	*h = append(*h, "stop "+outcome+" "+took.String())
}
func (h *heard) ShadowEnded(outcome string)         { *h = append(*h, "shadow "+outcome) }
func (h *heard) APICalled(operation, result string) { *h = append(*h, operation+" "+result) }

// A listener is told of what is counted from then on, until another one is.
func TestAListenerIsTold(t *testing.T) {
	m := New(prometheus.NewPedanticRegistry(), "v1", labels)
	m.StopEnded("stopped", time.Second, 2, "") // nobody listens
	var first, second heard
	m.Tell(&first)
	m.StopEnded("gone", 7*time.Second, 2, "")
	m.ShadowEnded("would_stop")
	m.Tell(&second)
	m.APICalled("a", "stop", "throttled", time.Second, "")
	if got, want := strings.Join(append(first, second...), ", "), "stop gone 7s, shadow would_stop, stop throttled"; got != want || len(second) != 1 {
		t.Errorf("told %q, the second %q; want %q in all", first, second, want)
	}
}
