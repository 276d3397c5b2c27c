package tracing

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

const sample = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func recording(t *testing.T) (*Tracer, *tracetest.SpanRecorder) {
	t.Helper()
	r := tracetest.NewSpanRecorder()
	return New(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r)), "v1"), r
}

// Off is free: no allocation, and everything is as it was.
func TestOffCostsNothing(t *testing.T) {
	var off *Tracer
	ctx := t.Context()
	allocs := testing.AllocsPerRun(100, func() {
		ctx, task := off.Begin(ctx, "", "q", "id", time.Time{})
		ctx, parent := Join(ctx, "")
		ctx, span := off.ListCheck(task.Context(ctx), parent)
		span.Set(Job, "10")
		span.End(nil)
		task.Span().End(nil)
		if off.Send(ctx, "q", "id").Parent() != "" || IDFrom(ctx) != "" || ID("") != "" {
			t.Error("there is a trace")
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
	if off.Transport(http.DefaultTransport) != http.DefaultTransport {
		t.Error("the transport is wrapped")
	}
	if log := slog.Default(); off.Logger(log) != log {
		t.Error("the logger is wrapped")
	}
	if ctx2, parent := Join(ctx, sample); ctx2 != ctx || parent != sample {
		t.Errorf("Join changed the traceparent to %q", parent)
	}
}

func TestID(t *testing.T) {
	for parent, want := range map[string]string{
		sample: "0af7651916cd43dd8448eb211c80319c",
		"":     "",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00": "", // nobody keeps it
		"00-00000000000000000000000000000000-b7ad6b7169203331-01": "",
		"x-y-z-01": "", "nonsense": "",
	} {
		if got := ID(parent); got != want {
			t.Errorf("ID(%q) = %q, want %q", parent, got, want)
		}
	}
}

// The ledger's word counts more than the task's, and that more than nothing.
func TestJoinFindsTheTrace(t *testing.T) {
	tracer, r := recording(t)
	const other = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct{ task, ledger, want string }{
		"ledger": {other, sample, sample}, "task": {sample, "", sample}, "alone": {"", "", ""}, "malformed": {"00-xyz", "", ""},
	} {
		ctx, task := tracer.Begin(t.Context(), c.task, "q", "id", time.Unix(1700000000, 0))
		ctx, parent := Join(ctx, c.ledger)
		if c.want != "" && parent != c.want || ID(parent) == "" || ID(parent) != IDFrom(ctx) {
			t.Errorf("%s: goes on by %q in %s", name, parent, IDFrom(ctx))
		}
		if IDFrom(task.Context(t.Context())) != ID(parent) {
			t.Errorf("%s: the task has another span now", name)
		}
		task.Span().End(nil)
	}
	for _, s := range r.Ended() {
		if s.Name() != "process q" || s.SpanKind() != trace.SpanKindConsumer || s.StartTime().Unix() != 1700000000 {
			t.Errorf("span %q, %v, from %v", s.Name(), s.SpanKind(), s.StartTime())
		}
	}
	if len(r.Ended()) != 4 {
		t.Errorf("%d spans, want 4", len(r.Ended()))
	}
}

// A client span tells how a call went, and nothing that proves who made it.
func TestTransport(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get(Header) != "" {
			t.Error("the other side learns of the trace")
		}
		rw.Header().Set("X-Subject-Token", "s3cret-answer")
		rw.WriteHeader(503)
		io.WriteString(rw, "s3cret-body")
	}))
	defer server.Close()
	tracer, r := recording(t)
	client := &http.Client{Transport: tracer.Transport(&http.Transport{})}
	defer client.CloseIdleConnections()
	req, _ := http.NewRequest("POST", strings.Replace(server.URL, "//", "//user:s3cret@", 1)+"/v1/a?token=s3cret#s3cret", strings.NewReader("s3cret"))
	req.Header.Set("Authorization", "s3cret")
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Ended()) != 0 {
		t.Error("the span ended before the body was read")
	}
	io.ReadAll(resp.Body)
	resp.Body.Close()
	if len(r.Ended()) != 1 {
		t.Fatalf("%d spans, want 1", len(r.Ended()))
	}
	got := map[string]string{}
	for _, a := range r.Ended()[0].Attributes() {
		got[string(a.Key)] = a.Value.String()
		if strings.Contains(a.Value.String(), "s3cret") {
			t.Errorf("%s is %s", a.Key, a.Value.String())
		}
	}
	port := server.URL[strings.LastIndex(server.URL, ":")+1:]
	for name, want := range map[string]string{"http.request.method": "POST", "http.response.status_code": "503", "error.type": "503",
		"server.address": "127.0.0.1", "server.port": port, "url.full": server.URL + "/v1/a"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	if s := r.Ended()[0]; s.Name() != "POST" || s.SpanKind() != trace.SpanKindClient || s.Status().Code != codes.Error {
		t.Errorf("span %q, %v, %v", s.Name(), s.SpanKind(), s.Status())
	}
}

type broken struct{}

func (broken) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("s3cret")
}

// Words of an error stay in the log.
func TestTransportError(t *testing.T) {
	tracer, r := recording(t)
	req, _ := http.NewRequest("GET", "https://example.test/v1", nil)
	if _, err := tracer.Transport(broken{}).RoundTrip(req); err == nil {
		t.Fatal("no error")
	}
	s := r.Ended()[0]
	if s.Status().Code != codes.Error || s.Status().Description != "" || len(s.Events()) > 0 {
		t.Errorf("status %v, events %v", s.Status(), s.Events())
	}
	found := false
	for _, a := range s.Attributes() {
		found = found || string(a.Key) == "error.type" && a.Value.AsString() == "*errors.errorString"
	}
	if !found {
		t.Errorf("attributes %v have no error.type", s.Attributes())
	}
}

func TestLogger(t *testing.T) {
	tracer, _ := recording(t)
	var text bytes.Buffer
	log := tracer.Logger(slog.New(slog.NewTextHandler(&text, nil))).With("a", 1)
	log.InfoContext(context.Background(), "without")
	if strings.Contains(text.String(), "trace_id") {
		t.Errorf("a line outside of any span: %s", &text)
	}
	log.InfoContext(carried(t.Context(), sample), "with")
	if !strings.Contains(text.String(), "trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331") {
		t.Errorf("a line within a span: %s", &text)
	}
}
