package tasks

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/throttle"
	"vizstop/internal/tracing"
)

// Jobs is the part of the API that the handlers call.
type Jobs interface {
	StopVisualizationJob(ctx context.Context, projectID, jobID string) (requestID string, err error)
	ShowVisualizationJob(ctx context.Context, projectID, jobID string) (*modelarts.VisualizationJob, error)
	ListVisualizationJobs(ctx context.Context, projectID string, q modelarts.ListQuery) (*modelarts.JobPage, error)
}

// Gate says when a call may go out, and learns how it ended.
type Gate interface {
	Enter(ctx context.Context, projectID string, class throttle.Class, back bool) (throttle.Permit, throttle.Wait, error)
	Report(ctx context.Context, p throttle.Permit, err error) (system bool, rerr error)
}

// Config is what the handlers work with. Every field without a default is
// needed.
type Config struct {
	Ledger   *ledger.Ledger
	Jobs     Jobs
	Gate     Gate
	Queue    *asynq.Client
	Recorder Recorder
	Tracer   *tracing.Tracer  // nil: no traces
	Parallel int              // API calls at once; 0 means 32
	Schedule Schedule         // zero fields mean their defaults
	Logger   *slog.Logger     // nil: silent
	Now      func() time.Time // nil: time.Now
	Stopping <-chan struct{}  // closed when tasks should come to their ends; nil: never
}

// handler is what all task types share.
type handler struct {
	Config
	calls chan struct{} // one for each API call under way
	stays chan struct{} // one for each screen that stays in its task
	paces paces
}

func newHandler(cfg Config) *handler {
	cfg.Schedule = cfg.Schedule.WithDefaults()
	setDefault(&cfg.Parallel, 32)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &handler{Config: cfg, calls: make(chan struct{}, cfg.Parallel), stays: make(chan struct{}, Stays(cfg.Parallel)),
		paces: paces{known: make(map[string]knownPace)}}
}

// NewMux routes the task types to their handlers and logs one line for each
// finished task.
func NewMux(cfg Config) *asynq.ServeMux {
	h := newHandler(cfg)
	mux := asynq.NewServeMux()
	mux.HandleFunc(TypeStop, h.logged((&StopHandler{h}).process))
	mux.HandleFunc(TypePoll, h.logged((&PollHandler{h}).process))
	mux.HandleFunc(TypeScreen, h.logged((&ScreenHandler{h}).process))
	return mux
}

// result is what a finished task has to tell.
type result struct {
	stop *ledger.Stop // nil when there is none
	what string       // in a word or two, for the log
	note string       // why; "" when all is well

	routine bool  // note is no trouble
	attrs   []any // more, for the log
}

// logged turns a handler's inner function into asynq's, with one line of log.
// A nil error acknowledges the task. Any error is Redis' or the end of the
// process: the task comes again, and running it twice is safe.
func (h *handler) logged(process func(context.Context, *asynq.Task) (result, error)) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		began := h.Now()
		id, _ := asynq.GetTaskID(ctx)
		queue, _ := asynq.GetQueueName(ctx)
		ctx, task := h.Tracer.Begin(ctx, t.Headers()[tracing.Header], queue, id, began)
		res, err := process(ctx, t)
		ctx = task.Context(ctx)
		h.tell(ctx, res, err, "task", id, "type", t.Type(), "duration", h.Now().Sub(began).Round(time.Millisecond))
		endSpan(task.Span(), res.stop, err)
		if err != nil {
			h.awaitRedis(ctx)
		}
		return err
	}
}

// awaitRedis returns when Redis takes data, or when ctx ends: asynq puts a task
// that failed back into its queue once, and if it can't, the task waits for its
// lease to run out. Then ctx ends too.
func (h *handler) awaitRedis(ctx context.Context) {
	for h.Ledger.Probe(ctx) != nil && sleep(ctx, time.Second) == nil {
	}
}

// tell logs what became of a task.
func (h *handler) tell(ctx context.Context, res result, err error, attrs ...any) {
	if s := res.stop; s != nil {
		attrs = append(attrs, "stop", s.ID, "batch", s.Batch, "project", s.ProjectID, "job", s.JobID, "state", s.State)
		if s.Status != ledger.NoStatus {
			attrs = append(attrs, "status", s.Status)
		}
		if !s.State.Ended() {
			attrs = append(attrs, "next", s.Kind, "due", s.Next)
		}
		if s.RequestID != "" {
			attrs = append(attrs, "request", s.RequestID)
		}
	}
	attrs = append(attrs, res.attrs...)
	if res.note != "" {
		attrs = append(attrs, "reason", res.note)
	}
	switch {
	case err != nil:
		h.Logger.ErrorContext(ctx, "task comes again", append(attrs, "error", err)...)
	case res.note != "" && !res.routine && (res.stop == nil || !res.stop.State.Good()):
		h.Logger.WarnContext(ctx, res.what, attrs...)
	default:
		h.Logger.InfoContext(ctx, res.what, attrs...)
	}
}

// claim finds the stop that a task of ours may act on. It returns a nil stop
// when the task has nothing to do, and what to say of that.
func (h *handler) claim(ctx context.Context, id taskID, projectID string) (*ledger.Stop, result, error) {
	s, err := h.Ledger.Claim(ctx, projectID, id.stopID, id.hop, id.kind)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, result{what: "task without a stop dropped", note: "its stop ended longer ago than the ledger remembers"}, nil
	}
	if err != nil {
		return nil, result{}, err
	}
	if s.State.Ended() || s.Hop != id.hop || s.Kind != id.kind {
		h.Recorder.Duplicate()
		return nil, result{stop: s, what: "task came again"}, h.heal(ctx, s, id)
	}
	return s, result{}, nil
}

// heal enqueues the successor of a task that came again right after its own
// hop: the first delivery may have died between the ledger and the queue. If
// it did not, the task's id is taken or the ledger fences it off.
func (h *handler) heal(ctx context.Context, s *ledger.Stop, came taskID) error {
	if s.State.Ended() || s.Hop != came.hop+1 {
		return nil
	}
	if s.Kind != ledger.KindWatch {
		return enqueue(ctx, h.Queue, s)
	}
	screen, err := h.Ledger.Screen(ctx, s.ProjectID)
	if err != nil || !screen.On {
		return err
	}
	return enqueueScreen(ctx, h.Queue, s.ProjectID, screen.Hop, screen.Due)
}

// advance saves s, moves it to its next hop and enqueues the task for it.
func (h *handler) advance(ctx context.Context, s *ledger.Stop, kind ledger.Kind, delay time.Duration) (bool, error) {
	moved, err := h.Ledger.Advance(ctx, s, kind, h.due(s, delay))
	if err != nil || !moved {
		return moved, err
	}
	return true, enqueue(ctx, h.Queue, s)
}

// follow saves s, whose job was just seen stopping, and moves it to the next
// look: with many others by the project's screen, or by a poll of its own.
func (h *handler) follow(ctx context.Context, s *ledger.Stop) (bool, error) {
	from := h.due(s, h.watchFrom(ctx, s.ProjectID))
	if last := s.Deadline.Add(-watchLimit); from.After(last) { // the look at its deadline is one of its own
		from = last
	}
	due := h.due(s, h.gap(ctx, s))
	moved, screenHop, err := h.Ledger.Follow(ctx, s, due, ledger.WatchRule{Least: h.Schedule.ScreenFrom, From: from, Latest: from.Add(watchLimit)})
	switch {
	case err != nil || !moved:
		return moved, err
	case s.Kind == ledger.KindWatch && screenHop == 0:
		return true, nil
	case s.Kind == ledger.KindWatch:
		return true, enqueueScreen(ctx, h.Queue, s.ProjectID, screenHop, from)
	default:
		return true, enqueue(ctx, h.Queue, s)
	}
}

// due is when the next task of s is due: after delay, or at its deadline, to
// end it in time.
func (h *handler) due(s *ledger.Stop, delay time.Duration) time.Time {
	now := h.Now()
	due := now.Add(delay)
	if due.After(s.Deadline) && now.Before(s.Deadline) {
		return s.Deadline
	}
	return due
}

// overtaken is the result of a task whose stop was moved on by somebody else
// while the task was at work.
func (h *handler) overtaken(s *ledger.Stop) result {
	h.Recorder.Duplicate()
	return result{stop: s, what: "task was overtaken"}
}

// RedeliveryDelay is asynq's delay before a task comes again whose handler met
// an error of Redis, or whose worker died: 1 to 3 seconds.
func RedeliveryDelay(int, error, *asynq.Task) time.Duration {
	return time.Second + rand.N(2*time.Second)
}
