package tasks

import (
	"context"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
	"vizstop/internal/tracing"
)

// logger writes one line for each finished task, and ends its span.
type logger struct {
	*slog.Logger
	tracer *tracing.Tracer
	ended  context.Context
}

// ownTime is ctx without its end: what is under way is given up only when the
// worker is.
func (l *logger) ownTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return until(context.WithoutCancel(ctx), l.ended)
}

// until is ctx until another one ends. nil never does.
func until(ctx, end context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if end == nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(end, cancel)
	return ctx, func() { stop(); cancel() }
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
func (l *logger) logged(process func(context.Context, *asynq.Task) (result, error)) asynq.HandlerFunc {
	return func(ctx context.Context, t *asynq.Task) error {
		began := time.Now()
		id, _ := asynq.GetTaskID(ctx)
		queue, _ := asynq.GetQueueName(ctx)
		// Not because asynq's lease has run out: hops keep two tasks apart.
		ctx, cancel := l.ownTime(ctx)
		defer cancel()
		ctx, task := l.tracer.Begin(ctx, t.Headers()[tracing.Header], queue, id, began)
		res, err := process(ctx, t)
		ctx = task.Context(ctx)
		l.tell(ctx, res, err, "task", id, "type", t.Type(), "duration", time.Since(began).Round(time.Millisecond))
		endSpan(task.Span(), res.stop, err)
		return err
	}
}

// tell logs what became of a task.
func (l *logger) tell(ctx context.Context, res result, err error, attrs ...any) {
	level := slog.LevelInfo
	switch {
	case err != nil:
		level, res.what = slog.LevelError, "task comes again"
	case res.note != "" && (res.stop == nil || !res.stop.State.Good()):
		level = slog.LevelWarn
	}
	if !l.Enabled(ctx, level) {
		return
	}
	if s := res.stop; s != nil {
		attrs = append(attrs, "stop", s.ID, "batch", s.Batch, "project", s.ProjectID, "job", s.JobID, "state", s.State)
		if s.Status != "" {
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
	if err != nil {
		attrs = append(attrs, "error", err)
	}
	l.Log(ctx, level, res.what, attrs...)
}
