package main

import (
	"context"
	"fmt"
	"io"
	"sync"

	"vizstop/internal/plain"
	"vizstop/internal/tracing"
	"vizstop/internal/tracing/otlp"
	"vizstop/internal/version"
)

// startTraces sets up traces, if the environment asks for them, and returns what
// sends the last of them. Trouble with them is told once, and holds up nothing.
func startTraces(ctx context.Context, getenv func(string) string, stderr io.Writer) (*tracing.Tracer, func()) {
	var once sync.Once
	tell := func(err error) {
		once.Do(func() { fmt.Fprintln(stderr, plain.Line("enqueue: traces: "+err.Error(), maxErrorLine)) })
	}
	tracer, flush, err := otlp.Start(ctx, otlp.Config{Getenv: getenv, Service: "vizstop-enqueue", Version: version.String(), OnError: tell})
	if err != nil {
		tell(err)
	}
	return tracer, flush
}
