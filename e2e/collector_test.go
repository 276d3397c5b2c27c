package e2e

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// span is one span, as a collector was told of it.
type span struct {
	*tracepb.Span
	trace, service string
	attrs          map[string]string
}

// collector is an OpenTelemetry collector that keeps everything.
type collector struct {
	t   *testing.T
	url string

	mu    sync.Mutex
	spans []span
	raw   []byte // all that was sent, as it came
}

func newCollector(t *testing.T) *collector {
	c := &collector{t: t}
	server := httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *collector) take(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var said collectorpb.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &said)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		c.t.Errorf("collector: %s: %v", r.URL, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, body...)
	for _, of := range said.ResourceSpans {
		service := values(of.Resource.Attributes)["service.name"]
		for _, scope := range of.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, span{s, hex.EncodeToString(s.TraceId), service, values(s.Attributes)})
			}
		}
	}
	rw.Header().Set("Content-Type", "application/x-protobuf")
}

func values(attrs []*commonpb.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range attrs {
		m[a.Key] = a.Value.GetStringValue()
	}
	return m
}

// of lists the spans of one trace.
func (c *collector) of(trace string) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.spans), func(s span) bool { return s.trace != trace })
}

// named lists the spans of that name which concern a job; "" is any.
func (c *collector) named(name, job string) []span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.spans), func(s span) bool {
		return s.Name != name || job != "" && s.attrs["vizstop.job"] != job
	})
}

func (c *collector) sent() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.raw)
}

// traced is env with the variables that have programs send spans to c, soon.
func (c *collector) traced(env []string) []string {
	return append(slices.Clone(env), "OTEL_EXPORTER_OTLP_ENDPOINT="+c.url, "OTEL_BSP_SCHEDULE_DELAY=50")
}
