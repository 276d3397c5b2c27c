package tasks

import (
	"context"
	"errors"

	"vizstop/internal/ledger"
	"vizstop/internal/tracing"
)

// asked are the spans of one chunk of asks, in their order; nil with tracing
// off. Each becomes the first of its stop's trace.
type asked []tracing.Span

// trace starts a span for each ask and puts its traceparent there.
func (p *Producer) trace(ctx context.Context, projectID, batch string, asks []ledger.Ask) asked {
	if p.tracer == nil {
		return nil
	}
	spans := make(asked, len(asks))
	for i, a := range asks {
		first := taskID{ledger.KindStop, ledger.StopID(batch, projectID, a.JobID), 1}
		spans[i] = p.tracer.Send(ctx, Queue, first.String())
		spans[i].Set(tracing.Batch, batch)
		spans[i].Set(tracing.Project, projectID)
		spans[i].Set(tracing.Job, a.JobID)
		asks[i].Trace = spans[i].Parent()
	}
	return spans
}

// end ends the span of the i-th ask, which became o. A stop that was there before
// has a trace of its own.
func (a asked) end(i int, o ledger.Opening, err error) {
	if a == nil {
		return
	}
	a[i].Set(tracing.Stop, o.StopID)
	a[i].Set(tracing.Result, string(o.Result))
	a[i].End(err)
}

// fail ends all spans of a chunk that could not be recorded.
func (a asked) fail(err error) {
	for _, span := range a {
		span.End(err)
	}
}

// endSpan ends the span of work on s, which may be nil. A task that comes again
// has failed; what the API refused shows in its own span.
func endSpan(span tracing.Span, s *ledger.Stop, err error) {
	if s != nil {
		span.Set(tracing.Stop, s.ID)
		span.Set(tracing.Batch, s.Batch)
		span.Set(tracing.Project, s.ProjectID)
		span.Set(tracing.Job, s.JobID)
		span.Set(tracing.State, string(s.State))
	}
	if errors.Is(err, context.Canceled) { // a shutdown
		span.Set("error.type", "canceled")
		err = nil
	}
	span.End(err)
}
