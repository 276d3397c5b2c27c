// Package tracing makes the spans of vizstop: one trace per stop, from the ask
// through every task and every call of the API. Names and attributes follow
// OpenTelemetry's semantic conventions for messaging and HTTP.
//
// It knows OpenTelemetry's interfaces only; package otlp sends what is made here
// to a collector. A nil *Tracer is tracing switched off: each of its methods does
// nothing, and allocates nothing.
package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Scope is the name under which vizstop makes its spans.
const Scope = "vizstop"

// Header is the name of the task header that carries a trace context, as the
// W3C recommendation Trace Context has it.
const Header = "traceparent"

// Tracer starts spans. It is safe for concurrent use, and nil is one.
type Tracer struct{ spans trace.Tracer }

// New returns a tracer whose spans go to p.
func New(p trace.TracerProvider, version string) *Tracer {
	return &Tracer{spans: p.Tracer(Scope, trace.WithInstrumentationVersion(version))}
}

// carried returns ctx with the trace context that parent, a traceparent, says.
// One that is empty or malformed makes the next span the first of a new trace.
func carried(ctx context.Context, parent string) context.Context {
	ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	if parent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{Header: parent})
}

// contextOf is the span context that parent, a traceparent, says.
func contextOf(parent string) trace.SpanContext {
	return trace.SpanContextFromContext(carried(context.Background(), parent))
}

// ID is the trace id, 32 hexadecimal digits, that a traceparent says; "" if the
// trace is not sampled, so that nobody would find it, or parent is none.
func ID(parent string) string {
	if parent == "" {
		return ""
	}
	if sc := contextOf(parent); sc.IsSampled() {
		return sc.TraceID().String()
	}
	return ""
}

// IDFrom is the trace id of the span in ctx; "" if there is none, or it is not
// sampled.
func IDFrom(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.IsSampled() {
		return sc.TraceID().String()
	}
	return ""
}

// Span is work under way. The zero value is none: its methods do nothing. One
// goroutine at a time may use it.
type Span struct{ span trace.Span }

// Parent is the traceparent that makes other spans children of this one; "" for
// no span.
func (s Span) Parent() string {
	if s.span == nil {
		return ""
	}
	return traceparent(s.span.SpanContext())
}

func traceparent(sc trace.SpanContext) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(trace.ContextWithSpanContext(context.Background(), sc), carrier)
	return carrier[Header]
}

// Set adds an attribute, unless value is "".
func (s Span) Set(key, value string) {
	if s.span != nil && value != "" {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// End ends the span; an error makes it a failed one. What err says is for the
// log: it may hold words from outside.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		fail(s.span, err)
	}
	s.span.End()
}

func fail(span trace.Span, err error) {
	span.SetAttributes(attribute.String("error.type", errorType(err)))
	span.SetStatus(codes.Error, "")
}
