package metrics

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Snapshot is what Redis holds at one moment. All workers of a fleet see the
// same: take the max of these gauges over workers, never the sum.
type Snapshot struct {
	InFlight map[string]int       // stops in flight by state
	Oldest   map[string]time.Time // when the oldest of a state was due; absent when there is none
	Held     map[Hold]bool        // every reason, scope and account, true while it holds something back
	Unfit    map[string]bool      // every risk, true while Redis is known to run it
	Queue    Queue
	Workers  int // that live

	Schedules *Schedules // nil: this worker has none

	// Calls per second that the project allowed least may make, of those with stops in
	// flight, and what is configured; +Inf is no limit.
	Rate, ConfiguredRate float64

	// Stop calls that nobody confirmed of the last hour, of the project that got most of
	// those with stops in flight, and how many a project may get; +Inf is no limit.
	WindowUsed  int
	WindowLimit float64
}

// Schedules are those of the worker's file.
type Schedules struct {
	InForce  bool // the file is the one that the fleet keeps to
	Revision int
	Next     map[string]time.Time // the first tick without a result; absent where there is none
	Done     map[string]time.Time // the newest tick that is done; absent where there is none
}

// Hold is why and what calls are held back. Account is "" where it is of none.
type Hold struct{ Reason, Scope, Account string }

// Queue is one asynq queue at one moment.
type Queue struct {
	Name    string
	Tasks   map[string]int // by asynq's task state
	Latency time.Duration  // age of the oldest pending task
}

// A scrape waits this long for Redis before it reports it as down.
const snapshotTimeout = 3 * time.Second

// SnapshotCollector asks for a snapshot at each scrape. When that fails, the
// scrape says so in vizstop_redis_up and leaves the others out.
type SnapshotCollector struct {
	take func(context.Context) (Snapshot, error)

	up, inFlight, oldest, held, unfit, workers, rate, configured, tasks, latency, windowUsed, windowLimit *prometheus.Desc

	inForce, revision, nextTick, doneTick *prometheus.Desc
}

// NewSnapshotCollector returns a collector that calls take, which must be safe
// for concurrent use and heed its context.
func NewSnapshotCollector(take func(context.Context) (Snapshot, error)) *SnapshotCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	return &SnapshotCollector{
		take:     take,
		up:       desc("redis_up", "Whether Redis answered at this scrape: 1 or 0."),
		inFlight: desc("stops_in_flight", "Stops that have not ended, by state, of the whole fleet.", "state"),
		oldest:   desc("oldest_stop_timestamp_seconds", "When the oldest stop of a state was due; absent when there is none.", "state"),
		held:     desc("held", "Whether calls are held back for this reason, of a project, of an account's credential or of the fleet: 1 or 0.", "reason", "scope", "account"),
		unfit:    desc("redis_unfit", "Whether Redis is known to run this risk of losing what it was given, or to refuse writes: 1 or 0.", "risk"),
		workers:  desc("workers", "Workers that live, as this worker sees the fleet."),
		rate: desc("rate",
			"Calls per second that the project allowed least may make now, of those with stops in flight; +Inf: no limit."),
		configured: desc("configured_rate", "Calls per second and project that are configured; +Inf: no limit."),
		tasks:      desc("queue_tasks", "Tasks in the queue by asynq's state, of the whole fleet.", "queue", "state"),
		latency:    desc("queue_latency_seconds", "Age of the oldest task that is ready and waits for a worker.", "queue"),
		windowUsed: desc("limit_window_used",
			"Stop calls that nobody confirmed and that count for the window limit now, of the project that got most of those with stops in flight."),
		windowLimit: desc("limit_window", "Stop calls that nobody confirmed which a project may get in any 60 minutes; +Inf: no limit."),
		inForce:     desc("schedules_in_force", "Whether this worker's schedules file is the one that the fleet keeps to: 1 or 0; absent without a file."),
		revision:    desc("schedules_revision", "Revision of this worker's schedules file; absent without a file."),
		nextTick: desc("schedule_next_tick_timestamp_seconds",
			"When the first tick of a schedule is or was due that has no result; absent when there is none.", "schedule"),
		doneTick: desc("schedule_last_done_timestamp_seconds",
			"When the newest tick of a schedule was due that is done, without shadow runs by hand of schedules that stop "+
				"jobs; absent when there is none.", "schedule"),
	}
}

// Describe implements prometheus.Collector.
func (c *SnapshotCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.up, c.inFlight, c.oldest, c.held, c.unfit, c.workers, c.rate, c.configured, c.tasks, c.latency,
		c.windowUsed, c.windowLimit, c.inForce, c.revision, c.nextTick, c.doneTick} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *SnapshotCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), snapshotTimeout)
	defer cancel()
	s, err := c.take(ctx)
	if err != nil {
		gauge(c.up, 0)
		return
	}
	gauge(c.up, 1)
	for state, n := range s.InFlight {
		gauge(c.inFlight, float64(n), state)
	}
	for state, due := range s.Oldest {
		gauge(c.oldest, float64(due.UnixMilli())/1000, state)
	}
	for hold, held := range s.Held {
		gauge(c.held, oneIf(held), hold.Reason, hold.Scope, hold.Account)
	}
	for risk, unfit := range s.Unfit {
		gauge(c.unfit, oneIf(unfit), risk)
	}
	gauge(c.workers, float64(s.Workers))
	gauge(c.rate, s.Rate)
	gauge(c.configured, s.ConfiguredRate)
	gauge(c.windowUsed, float64(s.WindowUsed))
	gauge(c.windowLimit, s.WindowLimit)
	for state, n := range s.Queue.Tasks {
		gauge(c.tasks, float64(n), s.Queue.Name, state)
	}
	gauge(c.latency, s.Queue.Latency.Seconds(), s.Queue.Name)
	if s.Schedules == nil {
		return
	}
	gauge(c.inForce, oneIf(s.Schedules.InForce))
	gauge(c.revision, float64(s.Schedules.Revision))
	for name, tick := range s.Schedules.Next {
		gauge(c.nextTick, float64(tick.UnixMilli())/1000, name)
	}
	for name, tick := range s.Schedules.Done {
		gauge(c.doneTick, float64(tick.UnixMilli())/1000, name)
	}
}

// NewRefusedFiles returns the gauge of changed files whose new content is not in use.
// count must be safe for concurrent use.
func NewRefusedFiles(count func() int) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: "refused_files",
		Help: "Files of this process that were changed and whose new content is refused: what was there before stays in use."},
		func() float64 { return float64(count()) })
}

// CallSlots tells of the calls of the API that a worker can make at once.
type CallSlots interface {
	All() int     // how many it can make
	Used() int    // how many it makes now
	Waiting() int // how many wait for one of those to end
}

// NewCallSlots returns the gauges of call slots, whose methods must be safe for concurrent use.
func NewCallSlots(slots CallSlots) []prometheus.Collector {
	gauge := func(name, help string, read func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help},
			func() float64 { return float64(read()) })
	}
	return []prometheus.Collector{
		gauge("call_slots", "Calls of the API that this worker makes at once at most.", slots.All),
		gauge("call_slots_used", "Calls of the API that this worker makes now.", slots.Used),
		gauge("calls_waiting", "Calls of the API that wait for a slot of this worker.", slots.Waiting),
	}
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
