// Package otlp sends spans to an OpenTelemetry collector over OTLP/HTTP, if the
// standard OTEL_ variables name one.
package otlp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"

	"vizstop/internal/tracing"
)

// Config says which program traces.
type Config struct {
	Getenv  func(string) string // decides whether to trace; the SDK itself reads the process' own environment
	Service string              // the name of the service, unless OTEL_SERVICE_NAME says another
	Version string
	OnError func(error) // told what was not sent; may be called at any time, by any goroutine
}

const (
	// queued is how many spans wait to be sent at most, about 1 KB each; more are
	// dropped, so that a collector that is slow or away holds nothing up.
	queued = 16384
	// flushTime bounds the sending of what is left at the end.
	flushTime = 5 * time.Second
)

// Start returns a tracer, and a function that sends what is left, for at most 5
// seconds. Without OTEL_EXPORTER_OTLP_ENDPOINT and
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, with OTEL_SDK_DISABLED=true or
// OTEL_TRACES_EXPORTER=none, the tracer is nil and nothing is done. It is nil on
// an error, too, and the function never is. One process calls it once: the
// SDK's handler of errors and its logger are the process'.
func Start(ctx context.Context, c Config) (*tracing.Tracer, func(), error) {
	off := func() {}
	if !wanted(c.Getenv) {
		return nil, off, nil
	}
	if err := errors.Join(checkProtocol(c.Getenv), Check(c.Getenv)); err != nil {
		return nil, off, err
	}
	otel.SetLogger(logr.New(words(c.OnError)))
	otel.SetErrorHandler(otel.ErrorHandlerFunc(c.OnError))
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, off, fmt.Errorf("set up OTLP: %w", err)
	}
	res, err := resource.New(ctx, resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName(c.Service), semconv.ServiceVersion(c.Version)), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) && !errors.Is(err, resource.ErrSchemaURLConflict) {
		return nil, off, fmt.Errorf("describe this process to OpenTelemetry: %w", err)
	}
	var batching []sdktrace.BatchSpanProcessorOption
	if c.Getenv("OTEL_BSP_MAX_QUEUE_SIZE") == "" {
		batching = append(batching, sdktrace.WithMaxQueueSize(queued))
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithBatcher(exporter, batching...))
	flush := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			c.OnError(fmt.Errorf("send the last spans: %w", err))
		}
	}
	return tracing.New(provider, c.Version), flush, nil
}

// wanted reports whether spans are to be sent anywhere.
func wanted(getenv func(string) string) bool {
	if strings.EqualFold(strings.TrimSpace(getenv("OTEL_SDK_DISABLED")), "true") ||
		strings.TrimSpace(getenv("OTEL_TRACES_EXPORTER")) == "none" {
		return false
	}
	return strings.TrimSpace(getenv("OTEL_EXPORTER_OTLP_ENDPOINT")+getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) != ""
}

const onlyProtocol = "http/protobuf"

func checkProtocol(getenv func(string) string) error {
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		switch protocol := strings.TrimSpace(getenv(name)); protocol {
		case "":
		case onlyProtocol:
			return nil
		default:
			return fmt.Errorf("%s=%q is not spoken here: set it to %s, and the endpoint to that port (often 4318)", name, protocol, onlyProtocol)
		}
	}
	return nil
}

// words is a sink for the log of the SDK. It tells what went wrong, but not with what: the error and the values quote
// variables, which may be secret.
type words func(error)

func (words) Init(logr.RuntimeInfo)            {}
func (words) Enabled(int) bool                 { return false } // errors come all the same
func (words) Info(int, string, ...any)         {}
func (w words) WithValues(...any) logr.LogSink { return w }
func (w words) WithName(string) logr.LogSink   { return w }
func (w words) Error(_ error, what string, _ ...any) {
	w(fmt.Errorf("OpenTelemetry could not %s: look at its OTEL_ variables", what))
}
