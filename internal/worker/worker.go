// Package worker puts the parts of a worker together: the ledger, the throttle
// and the handlers on an asynq server, the repairer and the notifier beside it, and the pages
// that show how it is. "worker run", "worker demo" and the tests run the same.
package worker

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/metrics"
	"vizstop/internal/modelarts"
	"vizstop/internal/notify"
	"vizstop/internal/tasks"
	"vizstop/internal/throttle"
	"vizstop/internal/tracing"
)

// Config settles a Worker. Redis, Jobs, Registry and Metrics are needed; zero
// values of the others mean their defaults.
type Config struct {
	Redis    redis.UniversalClient // stays the caller's to close
	Jobs     tasks.Jobs
	Registry *prometheus.Registry // gets the collector of what Redis holds
	Metrics  *metrics.Metrics
	Tracer   *tracing.Tracer // nil: no traces
	Logger   *slog.Logger    // default: silent

	Concurrency     int           // API calls at once; default 32
	ShutdownTimeout time.Duration // for tasks at work when Shutdown is called; default 20 s
	// CheckInterval is how often an idle worker looks for tasks that are ready,
	// DelayedCheckInterval how often for tasks that have become due. Defaults 25 ms
	// and 500 ms; what they cost Redis is in docs/operations.md.
	CheckInterval, DelayedCheckInterval time.Duration

	Retention time.Duration // of ended stops; default ledger.DefaultRetention
	Schedule  tasks.Schedule
	Throttle  throttle.Config // its Observer is set by New; Sitters default to somewhat more than its Rate, at most 512
	Repair    tasks.RepairConfig

	// FitnessInterval is how often the worker looks whether Redis is fit; default
	// a minute.
	FitnessInterval time.Duration

	NotifySecret string   // signs batch reports; "" leaves them unsigned
	NotifyHosts  []string // that batch reports may be posted to; none: every public one, with https
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Concurrency <= 0 {
		c.Concurrency = 32
	}
	if c.ShutdownTimeout <= 0 {
		c.ShutdownTimeout = 20 * time.Second
	}
	if c.CheckInterval <= 0 {
		c.CheckInterval = 25 * time.Millisecond
	}
	if c.DelayedCheckInterval <= 0 {
		c.DelayedCheckInterval = 500 * time.Millisecond
	}
	if c.FitnessInterval <= 0 {
		c.FitnessInterval = time.Minute
	}
	return c
}

// Worker is one worker of a fleet. Start and Shutdown are each called once;
// the pages and Ready may be used from any goroutine.
type Worker struct {
	cfg      Config
	ledger   *ledger.Ledger
	throttle *throttle.Throttle
	server   *asynq.Server
	mux      *asynq.ServeMux
	repairer *tasks.Repairer
	notifier *notify.Notifier
	inspect  *asynq.Inspector
	fitness  *fitness

	endRounds context.CancelFunc // of the repairer, the notifier and the fitness
	rounds    sync.WaitGroup
	stopping  chan struct{}
}

// sitters is how many tasks may sit out a wait of up to a second beside those
// that make calls: what one project may call in a second and some more, because due times have
// whole seconds and all that a second allows come at its beginning. More would
// only take tasks away from other workers.
func sitters(rate float64) int {
	if rate <= 0 {
		return -1
	}
	return int(min(64+1.5*rate, 512)) // half as many more, who come early or late
}

// New returns a worker that does nothing yet.
func New(cfg Config) *Worker {
	cfg = cfg.withDefaults()
	cfg.Throttle.Observer = cfg.Metrics
	if cfg.Throttle.Sitters == 0 {
		cfg.Throttle.Sitters = sitters(cfg.Throttle.Rate)
	}
	w := &Worker{
		cfg:      cfg,
		ledger:   ledger.New(cfg.Redis, ledger.Config{Retention: cfg.Retention, Pace: tasks.Pace(cfg.Throttle.Rate)}),
		throttle: throttle.New(cfg.Redis, cfg.Throttle),
		inspect:  asynq.NewInspectorFromRedisClient(cfg.Redis),
		fitness:  &fitness{redis: cfg.Redis, log: cfg.Logger, every: cfg.FitnessInterval},
		stopping: make(chan struct{}),
	}
	work := tasks.Config{
		Ledger: w.ledger, Jobs: cfg.Jobs, Gate: w.throttle,
		Queue:    asynq.NewClientFromRedisClient(cfg.Redis),
		Recorder: cfg.Metrics, Tracer: cfg.Tracer, Parallel: cfg.Concurrency, Schedule: cfg.Schedule, Logger: cfg.Logger,
		Stopping: w.stopping,
	}
	w.mux = tasks.NewMux(work)
	w.repairer = tasks.NewRepairer(work, tasks.NewInspector(cfg.Redis), cfg.Repair)
	w.notifier = notify.New(notify.Config{
		Redis: cfg.Redis, Ledger: w.ledger, Secret: cfg.NotifySecret, Hosts: cfg.NotifyHosts, Logger: cfg.Logger,
	})
	w.server = asynq.NewServerFromRedisClient(cfg.Redis, asynq.Config{
		// Who sits out a wait makes no call, and neither does a screen that stays.
		Concurrency:              cfg.Concurrency + max(0, cfg.Throttle.Sitters) + tasks.Stays(cfg.Concurrency),
		Queues:                   tasks.Queues(),
		TaskCheckInterval:        cfg.CheckInterval,
		DelayedTaskCheckInterval: cfg.DelayedCheckInterval,
		ShutdownTimeout:          cfg.ShutdownTimeout,
		RetryDelayFunc:           tasks.RedeliveryDelay,
		IsFailure:                func(error) bool { return false }, // every error is the system's: no retry is spent
		Logger:                   queueLogger{cfg.Logger},
		LogLevel:                 asynq.InfoLevel,
	})
	cfg.Registry.MustRegister(metrics.NewSnapshotCollector(w.snapshot))
	return w
}

// NewMetrics registers all event metrics with reg, and knows every label value.
func NewMetrics(reg prometheus.Registerer, version string) *metrics.Metrics {
	return metrics.New(reg, version, metrics.Labels{
		Outcomes:    texts(ledger.Outcomes()),
		Phases:      tasks.Phases(),
		Operations:  modelarts.Operations(),
		Results:     kindNames(),
		Parks:       texts(throttle.Parks()),
		RepairKinds: tasks.RepairKinds(),
		Screens:     tasks.ScreenResults(),
	})
}

// ObserveAPI is the client option that counts its calls in m.
func ObserveAPI(m *metrics.Metrics) modelarts.Option {
	return modelarts.WithObserver(func(o modelarts.Observation) {
		m.APICalled(o.Operation, o.Kind.String(), o.Duration, tracing.IDFrom(o.Context))
	})
}

func kindNames() []string {
	var names []string
	for _, k := range modelarts.Kinds() {
		names = append(names, k.String())
	}
	return names
}

func texts[T ~string](values []T) []string {
	list := make([]string, len(values))
	for i, v := range values {
		list[i] = string(v)
	}
	return list
}

// Start begins to take tasks. A halt from before is probed at once: this worker
// may bring the credentials that everybody waits for. A Redis that is not fit is
// warned of, and worked with.
func (w *Worker) Start(ctx context.Context) error {
	projects, err := w.projects(ctx)
	if err != nil {
		return err
	}
	if err := w.throttle.ProbeSoon(ctx, projects); err != nil {
		return err
	}
	w.fitness.first(ctx)
	if err := w.throttle.Announce(ctx); err != nil {
		return err
	}
	if err := w.server.Start(w.mux); err != nil {
		return fmt.Errorf("start the queue: %w", err)
	}
	roundsCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	w.endRounds = cancel
	w.rounds.Go(func() { w.repairer.Run(roundsCtx) })
	w.rounds.Go(func() { w.notifier.Run(roundsCtx) })
	w.rounds.Go(func() { w.fitness.run(roundsCtx) })
	return nil
}

// Shutdown takes no more tasks, waits up to the shutdown timeout for those at
// work and hands the rest back to the queue.
func (w *Worker) Shutdown() {
	close(w.stopping)
	w.endRounds()
	w.rounds.Wait()
	w.server.Shutdown()
}
