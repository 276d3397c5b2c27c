package main

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A list that nobody writes is not waited for after the program has been told to end.
func TestAListThatDoesNotComeEndsWithTheProgram(t *testing.T) {
	t.Parallel()
	silent, writer := io.Pipe()
	defer writer.Close()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, from := range []string{"-", pipe} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c := &stopCmd{from: from, streams: streams{in: silent}}
		_, _, err := c.openList(ctx)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "nothing was enqueued") {
			t.Errorf("--from %s: %v", from, err)
		}
	}
}
