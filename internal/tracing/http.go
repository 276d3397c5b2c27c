package tracing

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Transport returns next with a client span for each request. A span tells the
// method, the status and the URL without user, query and fragment; no header and
// no body, so nothing that proves who we are. The request is sent as it came: the
// other side learns nothing of the trace. A nil *Tracer returns next itself.
func (t *Tracer) Transport(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return &transport{next: next, spans: t.spans}
}

type transport struct {
	next  http.RoundTripper
	spans trace.Tracer
}

// RoundTrip ends its span when the body is read to its end or closed.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	_, span := t.spans.Start(req.Context(), req.Method, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(requestAttributes(req)...))
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		fail(span, err)
		span.End()
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	if resp.StatusCode >= 400 {
		span.SetAttributes(attribute.String("error.type", strconv.Itoa(resp.StatusCode)))
		span.SetStatus(codes.Error, "")
	}
	resp.Body = &tracedBody{ReadCloser: resp.Body, end: sync.OnceFunc(func() { span.End() })}
	return resp, nil
}

// CloseIdleConnections closes those of what lies beneath.
func (t *transport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func requestAttributes(req *http.Request) []attribute.KeyValue {
	bare := url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path, RawPath: req.URL.RawPath}
	attrs := []attribute.KeyValue{
		attribute.String("http.request.method", req.Method),
		attribute.String("server.address", req.URL.Hostname()),
		attribute.String("url.full", bare.String()),
	}
	port := req.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[req.URL.Scheme]
	}
	if n, err := strconv.Atoi(port); err == nil {
		attrs = append(attrs, attribute.Int("server.port", n))
	}
	return attrs
}

type tracedBody struct {
	io.ReadCloser
	end func()
}

func (b *tracedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end()
	}
	return n, err
}

func (b *tracedBody) Close() error {
	defer b.end()
	return b.ReadCloser.Close()
}
