package tasks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/throttle"
)

// Jobs is the part of the API that the handlers call.
type Jobs interface {
	StopVisualizationJob(ctx context.Context, projectID, jobID string) (requestID string, err error)
	ShowVisualizationJob(ctx context.Context, projectID, jobID string) (*modelarts.VisualizationJob, error)
}

// Gate says when a call may go out, and learns how it ended.
type Gate interface {
	Enter(ctx context.Context, projectID string, class throttle.Class, back bool) (throttle.Permit, throttle.Wait, error)
	Report(ctx context.Context, p throttle.Permit, err error) (system bool, rerr error)
}

// Config is what the handlers work with. Every field but Logger, Schedule and
// Now is needed.
type Config struct {
	Ledger   *ledger.Ledger
	Jobs     Jobs
	Gate     Gate
	Queue    *asynq.Client
	Recorder Recorder
	Schedule Schedule         // zero fields mean their defaults
	Logger   *slog.Logger     // nil: silent
	Now      func() time.Time // nil: time.Now
}

// handler is what both task types share.
type handler struct {
	Config
}

func newHandler(cfg Config) *handler {
	cfg.Schedule = cfg.Schedule.WithDefaults()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &handler{cfg}
}

// NewMux routes both task types to their handlers and logs one line for each
// finished task.
func NewMux(cfg Config) *asynq.ServeMux {
	h := newHandler(cfg)
	mux := asynq.NewServeMux()
	mux.HandleFunc(TypeStop, h.logged((&StopHandler{h}).process))
	mux.HandleFunc(TypePoll, h.logged((&PollHandler{h}).process))
	return mux
}

// result is what a finished task has to tell.
type result struct {
	stop *ledger.Stop // nil when there is none
	what string       // in a word or two, for the log
	note string       // why; "" when all is well
}

// logged turns a handler's inner function into asynq's, with one line of log.
// A nil error acknowledges the task. Any error is Redis' or the end of the
// process: the task comes again, and running it twice is safe.
func (h *handler) logged(process func(context.Context, *asynq.Task) (result, error)) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		began := h.Now()
		res, err := process(ctx, t)
		id, _ := asynq.GetTaskID(ctx)
		attrs := []any{"task", id, "type", t.Type(), "duration", h.Now().Sub(began).Round(time.Millisecond)}
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
		if res.note != "" {
			attrs = append(attrs, "reason", res.note)
		}
		switch {
		case err != nil:
			h.Logger.ErrorContext(ctx, "task comes again", append(attrs, "error", err)...)
		case res.note != "" && (res.stop == nil || !res.stop.State.Good()):
			h.Logger.WarnContext(ctx, res.what, attrs...)
		default:
			h.Logger.InfoContext(ctx, res.what, attrs...)
		}
		return err
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
	return enqueue(ctx, h.Queue, s)
}

// enqueue puts the task of the stop's current hop into its queue. A task that
// is there already is as good.
func enqueue(ctx context.Context, queue *asynq.Client, s *ledger.Stop) error {
	t, err := newTask(s)
	if err != nil {
		return err
	}
	_, err = queue.EnqueueContext(ctx, t)
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue task %v: %w", currentTask(s), err)
	}
	return nil
}

// advance saves s, moves it to its next hop and enqueues the task for it.
func (h *handler) advance(ctx context.Context, s *ledger.Stop, kind ledger.Kind, delay time.Duration) (bool, error) {
	due := h.Now().Add(delay)
	if due.After(s.Deadline) && h.Now().Before(s.Deadline) {
		due = s.Deadline // to end it in time
	}
	moved, err := h.Ledger.Advance(ctx, s, kind, due)
	if err != nil || !moved {
		return moved, err
	}
	return true, enqueue(ctx, h.Queue, s)
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
