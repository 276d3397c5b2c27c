package tasks

import (
	"context"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
	"vizstop/internal/tracing"
)

// Jobs is the part of the API that the handlers call.
type Jobs interface {
	Stop(ctx context.Context, projectID, jobID string) (jobs.Accepted, error)
	Get(ctx context.Context, projectID, jobID string) (*jobs.Job, error)
}

// Config is what the handlers work with. Every field without a default is
// needed.
type Config struct {
	Ledger   *ledger.Ledger
	Release  *release.Releaser
	Jobs     Jobs
	Slots    *Slots
	Recorder Recorder
	// Pull is told that a project needs a round after that long. It must be safe for
	// concurrent use, and quick.
	Pull func(projectID string, after time.Duration)
	// PullShadow is Pull for the shadow stops of a project.
	PullShadow func(projectID string, after time.Duration)
	// Pulse returns what reports later whether other workers may have taken this one for
	// dead meanwhile; nil: they never do.
	Pulse func() (lapsed func() bool)

	Tracer   *tracing.Tracer // nil: no traces
	Schedule Schedule        // zero fields mean their defaults
	Logger   *slog.Logger    // nil: silent
	Stopping context.Context // ends when no more calls are to begin; nil: never
	Ended    context.Context // ends when what is under way is to be given up; nil: never
}

// Handlers are the handlers of all task types, and of looks without a task.
type Handlers struct {
	Stop   *StopHandler
	Poll   *PollHandler
	Looker *Looker
	Shadow *ShadowLooker
	AtWork *AtWork // of all of them; whoever takes steps without a task notes them there, too

	logger   *logger
	recorder Recorder
}

// New returns the handlers.
func New(cfg Config) *Handlers {
	cfg.Schedule = cfg.Schedule.WithDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Pulse == nil {
		cfg.Pulse = func() func() bool { return func() bool { return false } }
	}
	log := &logger{cfg.Logger, cfg.Tracer, cfg.Ended}
	claims := &claimer{cfg.Release, cfg.Slots, cfg.Recorder, cfg.Stopping, NewAtWork(), cfg.Pull, cfg.Pulse}
	gaps := &gaps{schedule: cfg.Schedule, ledger: cfg.Ledger, log: cfg.Logger, known: make(map[string]knownTimes)}
	moves := &mover{ledger: cfg.Ledger, schedule: cfg.Schedule, gaps: gaps, recorder: cfg.Recorder, pull: cfg.Pull, release: cfg.Release}
	reports := &reporter{release: cfg.Release, slots: cfg.Slots, log: cfg.Logger}
	calls, details := &caller{cfg.Jobs.Stop, cfg.Schedule, reports}, &detail{cfg.Jobs.Get, cfg.Schedule, reports}
	look := &Looker{self{moves, cfg.Release, cfg.Slots, log}, details}
	adopt := &adopter{ledger: cfg.Ledger, inShadow: cfg.Release.InShadow, recorder: cfg.Recorder, pull: cfg.Pull, pullShadow: cfg.PullShadow, deadline: cfg.Schedule.Deadline}
	return &Handlers{
		Stop:   &StopHandler{claims: claims, calls: calls, moves: moves, look: look, adopt: adopt},
		Poll:   &PollHandler{claims: claims, look: look, recorder: cfg.Recorder},
		Looker: look,
		Shadow: newShadowLooker(cfg, log),
		AtWork: claims.work,

		logger: log, recorder: cfg.Recorder,
	}
}

// typeScreen is a task type of the first version, which may still be in a queue.
const typeScreen = "visualization:screen"

// Handler is asynq's handler of all tasks: each goes to that of its type, and gets
// one line of log when it is finished. A type must match as a whole; asynq's own
// ServeMux goes by its beginning.
func (h *Handlers) Handler() asynq.Handler {
	stop, poll := h.logger.logged(h.Stop.process), h.logger.logged(h.Poll.process)
	shadow, other := h.logger.logged(h.shadow), h.logger.logged(h.drop)
	return asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) error {
		switch t.Type() {
		case TypeStop:
			return stop(ctx, t)
		case TypePoll:
			return poll(ctx, t)
		case TypeShadow:
			return shadow(ctx, t)
		case typeScreen:
			return nil
		default:
			return other(ctx, t)
		}
	})
}

// lateDelay is asynq's delay before it delivers a task again whose own deadline has
// passed: it would never call the handler. Long before, the tasks that asynq has
// given up are looked through.
const lateDelay = time.Minute

// RedeliveryDelay is asynq's delay before a task comes again whose handler met
// an error of Redis, or whose worker ended: a second. A task that asynq itself has
// given up because its deadline has passed waits for a minute.
func RedeliveryDelay(_ int, err error, _ *asynq.Task) time.Duration {
	if err == context.DeadlineExceeded { // as asynq says it; an error of a handler would be wrapped
		return lateDelay
	}
	return time.Second
}
