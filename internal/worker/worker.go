// Package worker puts the parts of a worker together: the handlers on asynq
// servers, the loop that makes rounds beside them, the notifier, and the pages
// that show how it is. "worker run", "worker demo" and the tests run the same.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/actions"
	"vizstop/internal/caller"
	"vizstop/internal/fleet"
	"vizstop/internal/jobs"
	"vizstop/internal/lasthour"
	"vizstop/internal/ledger"
	"vizstop/internal/limits"
	"vizstop/internal/metrics"
	"vizstop/internal/modelarts"
	"vizstop/internal/notify"
	"vizstop/internal/queueconn"
	"vizstop/internal/release"
	"vizstop/internal/rounds"
	"vizstop/internal/scheduler"
	"vizstop/internal/schedules"
	"vizstop/internal/takeover"
	"vizstop/internal/tasks"
	"vizstop/internal/tracing"
)

// Jobs is the part of the API that a worker calls.
type Jobs interface {
	tasks.Jobs
	rounds.Lists
}

// Config settles a Worker. Redis, Jobs, Registry and Metrics are needed; zero
// values of the others mean their defaults.
type Config struct {
	Redis    redis.UniversalClient // stays the caller's to close
	Jobs     Jobs
	Registry *prometheus.Registry // gets the collector of what Redis holds
	Metrics  *metrics.Metrics
	Tracer   *tracing.Tracer // nil: no traces
	Logger   *slog.Logger    // default: silent

	Concurrency     int           // API calls at once; default 32
	ShutdownTimeout time.Duration // for tasks at work when Shutdown is called; default 20 s
	// CheckInterval is how often an idle worker looks for foreign tasks; default
	// 200 ms. It knows of its own at once. DelayedCheckInterval is how often it looks
	// for foreign tasks that have become due; default 1 s.
	CheckInterval, DelayedCheckInterval time.Duration

	Retention time.Duration // of ended batches and of actions; default ledger.DefaultRetention
	Schedule  tasks.Schedule
	Release   release.Config // its Observer, CallTimeout and Window are set by New
	// Limits are on what nobody has confirmed; zero values mean the defaults. Those of
	// the strictest worker count for all.
	Limits limits.Limits
	// Accounts returns the names of the accounts that this worker has credentials of now,
	// as Release.Serving gives them, for vizstop_held and Ready; nil:
	// release.DefaultAccount alone.
	Accounts func() []string
	// Refused says of each file that has changed why its new content is not in use, for
	// Ready and vizstop_refused_files; nil: none is read again.
	Refused func() []string

	// FitnessInterval is how often the worker looks whether Redis is fit; default
	// a minute.
	FitnessInterval time.Duration

	// Schedules are carried out; nil: none. Projects lists the projects that a rule of
	// theirs names, and API makes their calls; both are needed with Schedules.
	Schedules *schedules.File
	Projects  func(schedules.Rule) ([]string, error)
	API       caller.API

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
	if c.Retention <= 0 {
		c.Retention = ledger.DefaultRetention
	}
	for field, value := range map[*time.Duration]time.Duration{
		&c.ShutdownTimeout: 20 * time.Second, &c.CheckInterval: 200 * time.Millisecond,
		&c.DelayedCheckInterval: time.Second, &c.FitnessInterval: time.Minute,
	} {
		if *field <= 0 {
			*field = value
		}
	}
	if c.Accounts == nil {
		c.Accounts = func() []string { return []string{release.DefaultAccount} }
	}
	if c.Refused == nil {
		c.Refused = func() []string { return nil }
	}
	c.Schedule = c.Schedule.WithDefaults()
	c.Release.Observer, c.Release.CallTimeout = holdObserver{c.Metrics, c.Logger}, c.Schedule.CallTimeout
	return c
}

// Worker is one worker of a fleet. Start and Shutdown are each called once;
// the pages and Ready may be used from any goroutine.
type Worker struct {
	cfg      Config
	member   *fleet.Member
	ledger   *ledger.Ledger
	release  *release.Releaser
	handlers *tasks.Handlers
	loop     *rounds.Loop
	shadow   *rounds.Shadow
	servers  []*asynq.Server
	notifier *notify.Notifier
	inspect  *asynq.Inspector
	fitness  *fitness
	lastHour *lasthour.Writer

	scheduler *scheduler.Scheduler // nil: no schedules are carried out

	endRounds context.CancelFunc // of the loop, the notifier and the fitness
	rounds    sync.WaitGroup
	endBeat   context.CancelFunc
	beat      sync.WaitGroup

	stopping, ended context.Context // end when no more calls are to begin, and when none are waited for
	stop, giveUp    context.CancelFunc
}

// How the asynq servers of one worker share the work. Each takes tasks one by
// one, a round trip of Redis for each, so several take more.
const (
	servers = 6
	// handlersPerSlot is how many tasks may wait for a slot for each of them: those
	// of a project whose calls hang must not keep out all others.
	handlersPerSlot = 6
	// checkPause is asynq's own pause after it has found no task. The client's rest
	// comes after it.
	checkPause = 5 * time.Millisecond
	// idleForward is how often all servers but the first look for tasks that have become due: asynq has no never.
	idleForward = time.Hour
)

// New returns a worker that does nothing yet.
func New(cfg Config) *Worker {
	cfg = cfg.withDefaults()
	member := fleet.New(cfg.Redis, cfg.Concurrency).Keep(cfg.Limits)
	cfg.Release.Window = func() int { return member.Limits().Window }
	var w *Worker
	w = &Worker{
		cfg: cfg, member: member,
		ledger:  ledger.New(cfg.Redis, member.Now),
		release: release.New(cfg.Redis, member.ID(), member.Now, cfg.Release),
		inspect: asynq.NewInspectorFromRedisClient(cfg.Redis),
		fitness: &fitness{redis: cfg.Redis, log: cfg.Logger, every: cfg.FitnessInterval, refuses: func() bool { return w.loop.RefusesWrites() }},

		lastHour: lasthour.NewWriter(cfg.Redis, member.ID(), member.Now, cfg.Logger),
	}
	cfg.Metrics.Tell(w.lastHour)
	w.stopping, w.stop = context.WithCancel(context.Background())
	w.ended, w.giveUp = context.WithCancel(context.Background())
	queue := queueconn.New(cfg.Redis, cfg.CheckInterval)
	slots := tasks.NewSlots(cfg.Concurrency, w.release)
	w.handlers = tasks.New(tasks.Config{
		Ledger: w.ledger, Release: w.release, Jobs: cfg.Jobs, Slots: slots, Recorder: cfg.Metrics,
		Pull:       func(projectID string, after time.Duration) { w.loop.Pull(projectID, after) },
		PullShadow: func(projectID string, after time.Duration) { w.shadow.Pull(projectID, after) },
		Pulse:      member.Pulse,
		Tracer:     cfg.Tracer, Schedule: cfg.Schedule, Logger: cfg.Logger, Stopping: w.stopping, Ended: w.ended,
	})
	w.loop = rounds.New(rounds.Config{
		Redis: cfg.Redis, Ledger: w.ledger, Actions: actions.New(cfg.Redis, member.Now), Release: w.release, Member: member, Handlers: w.handlers,
		Carrier: tasks.NewCarrier(asynq.NewClientFromRedisClient(queue)), Queue: tasks.NewInspector(cfg.Redis),
		Slots: slots, Lists: cfg.Jobs, Recorder: cfg.Metrics, Schedule: cfg.Schedule,
		Parallel: cfg.Concurrency, Idle: cfg.CheckInterval, Retention: cfg.Retention, Carried: queue.Wake, Logger: cfg.Logger,
		ShadowWoken: func() { w.shadow.Wake() },
	})
	w.shadow = rounds.NewShadow(rounds.ShadowConfig{
		Ledger: w.ledger.Shadow(), Release: w.release.Shadow(), Member: member, Looker: w.handlers.Shadow, Recorder: cfg.Metrics,
		Parallel: cfg.Concurrency, Logger: cfg.Logger,
	})
	w.notifier = notify.New(notify.Config{
		Redis: cfg.Redis, Ledger: w.ledger, Secret: cfg.NotifySecret, Hosts: cfg.NotifyHosts, Logger: cfg.Logger,
	})
	for i := range servers {
		forward := w.cfg.DelayedCheckInterval // of one: all begin at the same time, so they would look at the same time
		if i > 0 {
			forward = idleForward
		}
		w.servers = append(w.servers, w.newServer(queue, forward))
	}
	if cfg.Schedules != nil {
		w.scheduler = w.newScheduler()
	}
	cfg.Registry.MustRegister(metrics.NewSnapshotCollector(w.snapshot), metrics.NewRefusedFiles(func() int { return len(cfg.Refused()) }))
	cfg.Registry.MustRegister(metrics.NewCallSlots(slots)...)
	return w
}

func (w *Worker) newServer(queue *queueconn.Client, forward time.Duration) *asynq.Server {
	return asynq.NewServerFromRedisClient(queue, asynq.Config{
		Concurrency:              (handlersPerSlot*w.cfg.Concurrency + servers - 1) / servers,
		Queues:                   map[string]int{tasks.Queue: 1},
		TaskCheckInterval:        checkPause,
		DelayedTaskCheckInterval: forward,
		ShutdownTimeout:          w.cfg.ShutdownTimeout,
		RetryDelayFunc:           tasks.RedeliveryDelay,
		IsFailure:                func(error) bool { return false }, // every error is the system's: no retry is spent
		Logger:                   queueLogger{w.cfg.Logger},
		LogLevel:                 asynq.InfoLevel,
	})
}

// NewMetrics registers all event metrics with reg, and knows every label value but the
// names of accounts, which ObserveAPI tells.
func NewMetrics(reg prometheus.Registerer, version string) *metrics.Metrics {
	return metrics.New(reg, version, metrics.Labels{
		Outcomes:   texts(ledger.Outcomes()),
		Shadows:    texts(ledger.ShadowOutcomes()),
		Phases:     tasks.Phases(),
		Operations: jobs.Operations(),
		Results:    kindNames(),
		Holds:      texts(release.Reasons()),
		Recoveries: rounds.RecoveryKinds(),
		ListChecks: texts(release.ListResults()),
		Drops:      tasks.DropReasons(),
		Ticks:      texts(scheduler.Outcomes()),
	})
}

// ObserveAPI is the client option that counts its calls in m, as those of an account.
func ObserveAPI(m *metrics.Metrics, account string) modelarts.Option {
	m.Account(account)
	return modelarts.WithObserver(func(o modelarts.Observation) {
		m.APICalled(account, o.Operation, o.Kind.String(), o.Duration, tracing.IDFrom(o.Context))
	})
}

func kindNames() []string {
	var names []string
	for _, k := range jobs.Kinds() {
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

// Start begins to take tasks. A hold from before is probed at once: this worker
// may bring the credentials that everybody waits for. A Redis that is not fit is
// warned of, and worked with.
func (w *Worker) Start(ctx context.Context) error {
	if err := w.learnTime(ctx); err != nil {
		return err
	}
	if err := errors.Join(w.release.ProbeSoon(ctx), w.release.Refresh(ctx)); err != nil {
		return err
	}
	w.fitness.first(ctx)
	if err := takeover.Run(ctx, w.cfg.Redis, w.ledger, w.release, w.cfg.Logger); err != nil {
		return err
	}
	if err := w.release.Announce(ctx); err != nil {
		return err
	}
	handler := w.handlers.Handler()
	for _, server := range w.servers {
		if err := server.Start(handler); err != nil {
			return fmt.Errorf("start the queue: %w", err)
		}
	}
	roundsCtx, endRounds := context.WithCancel(context.WithoutCancel(ctx))
	beatCtx, endBeat := context.WithCancel(context.WithoutCancel(ctx))
	w.endRounds, w.endBeat = endRounds, endBeat
	running := []func(context.Context){w.loop.Run, w.shadow.Run, w.loop.Listen, w.loop.Tidy, w.notifier.Run, w.fitness.run, w.oldQueue}
	if w.scheduler != nil {
		running = append(running, w.scheduler.Run)
	}
	for _, run := range running {
		w.rounds.Go(func() { run(roundsCtx) })
	}
	w.beat.Go(func() { w.loop.ShowLife(beatCtx) })
	w.beat.Go(func() { w.loop.Beat(beatCtx) })
	w.beat.Go(func() { w.loop.ShowWaiting(beatCtx) })
	w.beat.Go(func() { w.lastHour.Run(beatCtx) }) // till the end: calls are counted until then
	return nil
}

// learnTime beats until the time can be trusted: mostly once, and for five seconds if other workers may know better.
func (w *Worker) learnTime(ctx context.Context) error {
	if err := w.member.Beat(ctx); err != nil || !w.member.Doubtful() {
		return err
	}
	w.cfg.Logger.InfoContext(ctx, "worker waits for others that may know better what time it is", "for", fleet.Silence)
	tick := time.NewTicker(fleet.BeatInterval)
	defer tick.Stop()
	for till := time.Now().Add(3 * fleet.Silence); w.member.Doubtful() && time.Now().Before(till); {
		select {
		case <-ctx.Done():
			w.leave()
			return ctx.Err()
		case <-tick.C:
		}
		began := time.Now()
		err := w.member.Beat(ctx)
		if err != nil && ctx.Err() == nil {
			w.cfg.Logger.WarnContext(ctx, "the fleet does not hear of this worker", "error", err)
		}
		if err != nil || fleet.Passed(began) > fleet.BeatInterval { // nor could others beat
			till = time.Now().Add(3 * fleet.Silence)
		}
	}
	return nil
}

// ID is the worker's name in the ledger and in the log lines of others.
func (w *Worker) ID() string { return w.member.ID() }

// Spend waits until the rate of a project allows one more call.
func (w *Worker) Spend(ctx context.Context, projectID string) error {
	return w.release.Spend(ctx, projectID)
}

// oweFor is how long a stop call waits until a call that it owes is counted.
const oweFor = time.Second

// Owe counts a call that goes out with a stop call beside it. If Redis can't hear of it,
// it is forgotten: a call too many does less harm than a job that runs on.
func (w *Worker) Owe(ctx context.Context, projectID string) {
	ctx, cancel := context.WithTimeout(ctx, oweFor)
	defer cancel()
	_ = w.release.Owe(ctx, projectID)
}

// Renewed has a worker that has other credentials, or projects in other accounts, try at once whatever a refusal holds
// back, or has held back.
func (w *Worker) Renewed(ctx context.Context) {
	if err := errors.Join(w.release.ProbeSoon(ctx), w.release.Refresh(ctx), w.release.AskAll(ctx)); err != nil {
		w.cfg.Logger.WarnContext(ctx, "other credentials are tried later", "error", err)
	}
}

// oldQueue removes the queue of the first version, if there is one.
func (w *Worker) oldQueue(ctx context.Context) {
	inspector := tasks.NewInspector(w.cfg.Redis)
	for {
		gone, err := takeover.Queue(ctx, w.inspect, inspector.Remove)
		if err != nil && ctx.Err() == nil {
			w.cfg.Logger.WarnContext(ctx, "the queue of the first version is removed later", "error", err)
		}
		if gone {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(takeover.Retry):
		}
	}
}

// Shutdown begins no more calls, waits up to the shutdown timeout for the tasks at
// work and hands the rest back to the queue. The worker counts as alive until
// then.
func (w *Worker) Shutdown() {
	w.stop()
	w.endRounds()
	late := time.AfterFunc(w.cfg.ShutdownTimeout, w.giveUp)
	defer late.Stop()
	for _, server := range w.servers { // else it takes tasks from others, only to give them back
		w.rounds.Go(server.Stop)
	}
	w.rounds.Wait()
	var ends sync.WaitGroup
	for _, server := range w.servers {
		ends.Go(server.Shutdown)
	}
	ends.Wait()
	w.giveUp()
	w.endBeat()
	w.beat.Wait()
	w.leave()
}

// leave tells the fleet that this worker ends.
func (w *Worker) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := w.member.Leave(ctx); err != nil {
		w.cfg.Logger.Warn("the fleet learns of the end of this worker later", "error", err)
	}
}
