package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

// The project of the tests' jobs, and a made-up key that opens it.
const (
	project   = "0123456789abcdef0123456789abcdef"
	accessKey = "TESTACCESSKEY"
	secretKey = "test-secret-key"
)

// patience is how long a test waits for what must come: a machine may be slow,
// a test must end.
const patience = time.Minute

// environ is the environment of a run.
type environ map[string]string

func (e environ) get(name string) string { return e[name] }

// running is a worker in this process. Two must not run at once: run tells
// go-redis, once for the whole process, where to log.
type running struct {
	t      *testing.T
	addr   string // of its pages
	log    *logBuffer
	cancel context.CancelFunc
	done   chan error
}

// start runs the worker until the test ends, or until stop, and returns when it
// has started.
func start(t *testing.T, env environ, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{t: t, log: &logBuffer{addr: make(chan string, 1)}, cancel: cancel, done: make(chan error, 1)}
	args = append([]string{"--listen", "127.0.0.1:0", "--log-format", "json", "--check-interval", "10ms",
		"--delayed-check-interval", "100ms", "--poll-first", "100ms", "--shutdown-timeout", "30s"}, args...)
	go func() { r.done <- run(ctx, args, env.get, io.Discard, r.log) }()
	select {
	case r.addr = <-r.log.addr:
	case err := <-r.done:
		cancel()
		t.Fatalf("the worker did not start: %v", err)
	case <-time.After(patience):
		cancel()
		t.Fatalf("the worker has not started:\n%s", r.log)
	}
	t.Cleanup(func() {
		if r.done != nil {
			r.stop()
		}
		if t.Failed() {
			t.Log(r.log)
		}
	})
	return r
}

// stop does what SIGTERM does, and waits for the end.
func (r *running) stop() {
	r.t.Helper()
	r.cancel()
	r.wait()
}

func (r *running) wait() {
	r.t.Helper()
	select {
	case err := <-r.done:
		r.done = nil
		if err != nil {
			r.t.Errorf("the worker ended with: %v", err)
		}
	case <-time.After(patience):
		r.t.Fatalf("the worker has not ended:\n%s", r.log)
	}
}

// get fetches one of the worker's pages.
func (r *running) get(path string) (status int, body string) {
	r.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	res, err := client.Get("http://" + r.addr + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// logBuffer keeps what a worker logs and tells the address that it says it
// listens on.
type logBuffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	addr chan string
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Write(p)
	var line struct{ Msg, Listen string }
	if json.Unmarshal(p, &line) == nil && line.Msg == "worker started" {
		b.addr <- line.Listen
	}
	return len(p), nil
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// simulate starts an API that knows the key, with running jobs.
func simulate(t *testing.T, jobs ...string) *modelartstest.Server {
	t.Helper()
	sim, err := modelartstest.Start(modelartstest.Config{
		Auth:   modelartstest.Auth{AccessKeys: map[string]string{accessKey: secretKey}},
		Phases: modelartstest.Phases{Stop: modelartstest.Fixed(10 * time.Millisecond)},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	for _, id := range jobs {
		sim.AddJob(project, modelartstest.Job{ID: id})
	}
	return sim
}

// await waits until done.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !done(); <-tick.C {
		if time.Since(began) > patience {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

func wantContains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}
