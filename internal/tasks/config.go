package tasks

import (
	"context"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/release"
	"vizstop/internal/tracing"
)

// Jobs is the part of the API that the handlers call.
type Jobs interface {
	StopVisualizationJob(ctx context.Context, projectID, jobID string) (requestID string, err error)
	ShowVisualizationJob(ctx context.Context, projectID, jobID string) (*modelarts.VisualizationJob, error)
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
	Pull     func(projectID string, after time.Duration)
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
	AtWork *AtWork // of all of them; whoever takes steps without a task notes them there, too
	logger *logger
}

// New returns the handlers.
func New(cfg Config) *Handlers {
	cfg.Schedule = cfg.Schedule.WithDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	log := &logger{cfg.Logger, cfg.Tracer, cfg.Ended}
	claims := &claimer{cfg.Release, cfg.Slots, cfg.Recorder, cfg.Stopping, NewAtWork()}
	gaps := &gaps{schedule: cfg.Schedule, ledger: cfg.Ledger, log: cfg.Logger, known: make(map[string]knownTimes)}
	moves := &mover{ledger: cfg.Ledger, schedule: cfg.Schedule, gaps: gaps, recorder: cfg.Recorder, pull: cfg.Pull}
	calls := &caller{jobs: cfg.Jobs, release: cfg.Release, slots: cfg.Slots, schedule: cfg.Schedule, log: cfg.Logger}
	look := &Looker{calls: calls, moves: moves, release: cfg.Release, slots: cfg.Slots, recorder: cfg.Recorder, log: log}
	adopt := &adopter{ledger: cfg.Ledger, recorder: cfg.Recorder, pull: cfg.Pull, deadline: cfg.Schedule.Deadline}
	return &Handlers{
		Stop:   &StopHandler{claims: claims, calls: calls, moves: moves, look: look, adopt: adopt},
		Poll:   &PollHandler{claims: claims, look: look},
		Looker: look,
		AtWork: claims.work,
		logger: log,
	}
}

// typeScreen is a task type of the first version, which may still be in a queue.
const typeScreen = "visualization:screen"

// Mux routes the task types to their handlers and logs one line for each
// finished task.
func (h *Handlers) Mux() *asynq.ServeMux {
	mux := asynq.NewServeMux()
	mux.HandleFunc(TypeStop, h.logger.logged(h.Stop.process))
	mux.HandleFunc(TypePoll, h.logger.logged(h.Poll.process))
	mux.HandleFunc(typeScreen, func(context.Context, *asynq.Task) error { return nil })
	return mux
}

// RedeliveryDelay is asynq's delay before a task comes again whose handler met
// an error of Redis, or whose worker ended: a second.
func RedeliveryDelay(int, error, *asynq.Task) time.Duration { return time.Second }
