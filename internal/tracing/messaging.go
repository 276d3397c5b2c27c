package tracing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// What is particular to vizstop. Everything else is named by the conventions.
const (
	Stop    = "vizstop.stop"    // id of the stop
	Batch   = "vizstop.batch"   // id of its batch
	Project = "vizstop.project" // id of its project
	Job     = "vizstop.job"     // id of its job
	State   = "vizstop.state"   // where the stop stands after the work
	Result  = "vizstop.result"  // what became of an ask
)

// messaging are the attributes of an operation on a message.
func messaging(operation, queue, task string) []attribute.KeyValue {
	attrs := []attribute.KeyValue{
		attribute.String("messaging.system", "asynq"),
		attribute.String("messaging.destination.name", queue),
		attribute.String("messaging.operation.name", operation),
		attribute.String("messaging.operation.type", operation),
	}
	if task != "" {
		attrs = append(attrs, attribute.String("messaging.message.id", task))
	}
	return attrs
}

// Send starts the span of asking for one stop, whose first task goes to queue
// as task. It is the first span of a trace, unless ctx holds one.
func (t *Tracer) Send(ctx context.Context, queue, task string) Span {
	if t == nil {
		return Span{}
	}
	_, span := t.spans.Start(ctx, "send "+queue, trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(messaging("send", queue, task)...))
	return Span{span}
}

// process starts the span of a task's processing in the trace that parent says,
// or in a new one.
func (t *Tracer) process(ctx context.Context, parent, queue, task string, began time.Time) (context.Context, trace.Span) {
	return t.spans.Start(carried(ctx, parent), "process "+queue, trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithTimestamp(began), trace.WithAttributes(messaging("process", queue, task)...))
}

// ListCheck starts the span of a look at one job that a list check has not shown,
// in the trace of its stop, which parent says.
func (t *Tracer) ListCheck(ctx context.Context, parent string) (context.Context, Span) {
	if t == nil {
		return ctx, Span{}
	}
	ctx, span := t.spans.Start(carried(ctx, parent), "list check visualization")
	return ctx, Span{span}
}

// Task is a task at work. Which trace it belongs to is known only when its stop
// is, so its span starts with the first call of Join, and backdated. A nil *Task
// does nothing. One goroutine at a time may use it.
type Task struct {
	tracer    *Tracer
	parent    string // what the task itself carries
	queue, id string
	began     time.Time
	span      trace.Span
}

type taskKey struct{}

// Begin notes that a task was taken from queue at began. parent is the
// traceparent that it carries, "" for none.
func (t *Tracer) Begin(ctx context.Context, parent, queue, id string, began time.Time) (context.Context, *Task) {
	if t == nil {
		return ctx, nil
	}
	task := &Task{tracer: t, parent: parent, queue: queue, id: id, began: began}
	return context.WithValue(ctx, taskKey{}, task), task
}

// Join puts the task at work in ctx into the trace that parent says; with none,
// into the one that the task carries or a new one. It returns ctx with the task's
// span, and the traceparent by which the trace goes on. Both are what they were
// if there is no such task, or tracing is off.
func Join(ctx context.Context, parent string) (context.Context, string) {
	task, _ := ctx.Value(taskKey{}).(*Task)
	if task == nil {
		return ctx, parent
	}
	ctx = task.start(ctx, parent)
	if parent == "" {
		parent = task.parent
	}
	if sc := contextOf(parent); sc.IsValid() {
		return ctx, traceparent(sc) // not as somebody else may have written it
	}
	return ctx, Span{task.span}.Parent()
}

func (t *Task) start(ctx context.Context, parent string) context.Context {
	if t.span == nil {
		if parent == "" {
			parent = t.parent
		}
		_, t.span = t.tracer.process(ctx, parent, t.queue, t.id, t.began)
	}
	return trace.ContextWithSpan(ctx, t.span)
}

// Context is ctx with the task's span, which it starts if nobody has.
func (t *Task) Context(ctx context.Context) context.Context {
	if t == nil {
		return ctx
	}
	return t.start(ctx, "")
}

// Span is the task's span; none before Join or Context.
func (t *Task) Span() Span {
	if t == nil {
		return Span{}
	}
	return Span{t.span}
}

// errorType is a short name for the kind of err, without its words.
func errorType(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	for { // what wraps says less than what is wrapped
		inner := errors.Unwrap(err)
		if inner == nil {
			return fmt.Sprintf("%T", err)
		}
		err = inner
	}
}
