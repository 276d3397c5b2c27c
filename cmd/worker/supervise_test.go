package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"vizstop/internal/redistest"
	"vizstop/internal/sdnotify"
)

// manager is a service manager that keeps what it is told.
type manager struct {
	t      *testing.T
	socket string

	mu   sync.Mutex
	told []string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd") // short: the path of a socket has little room
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &manager{t: t, socket: filepath.Join(dir, "notify")}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.told = append(m.told, string(buf[:n]))
			m.mu.Unlock()
		}
	})
	t.Cleanup(func() { conn.Close(); reader.Wait() })
	return m
}

// count is how many messages begin with prefix.
func (m *manager) count(prefix string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, one := range m.told {
		if strings.HasPrefix(one, prefix) {
			n++
		}
	}
	return n
}

func (m *manager) first() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.told) == 0 {
		return ""
	}
	return m.told[0]
}

// awaitMore waits until n further messages begin with prefix.
func (m *manager) awaitMore(n int, prefix string) {
	m.t.Helper()
	had := m.count(prefix)
	await(m.t, "more of "+prefix, func() bool { return m.count(prefix) >= had+n })
}

func (m *manager) await(prefix string) {
	m.t.Helper()
	await(m.t, prefix, func() bool { return m.count(prefix) > 0 })
}

// The manager hears when the worker is ready, how it is, that it lives even
// while Redis is away, and when it stops.
func TestServiceManagerIsTold(t *testing.T) {
	server, sim := redistest.Start(t), simulate(t)
	m := newManager(t)
	env := signing(server, sim)
	env["NOTIFY_SOCKET"], env["WATCHDOG_USEC"] = m.socket, "2000000"
	r := start(t, env)
	m.await("STATUS=ok")
	if got := m.first(); got != sdnotify.Ready {
		t.Errorf("first told %q, want %q", got, sdnotify.Ready)
	}
	m.awaitMore(1, sdnotify.Watchdog)

	server.Kill()
	m.await("STATUS=not ready; Redis: ")
	m.awaitMore(2, sdnotify.Watchdog)
	server.StartAgain()
	m.awaitMore(1, "STATUS=ok")

	r.stop()
	m.await("STOPPING=1\nSTATUS=shutting down")
	if n := m.count(sdnotify.Ready); n != 1 {
		t.Errorf("told %d times to be ready", n)
	}
}

// A worker that can't start is never ready.
func TestServiceManagerIsNotToldTooEarly(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	refusal(t, environ{"HW_AUTH_TOKEN": "T", "VIZSTOP_REDIS": "redis://127.0.0.1:1", "NOTIFY_SOCKET": m.socket})
	s, err := newSupervisor(environ{"NOTIFY_SOCKET": m.socket}.get)
	if err != nil {
		t.Fatal(err)
	}
	defer s.notify.Close()
	s.send(slog.New(slog.DiscardHandler), "MARK")
	await(t, "the mark", func() bool { return m.first() != "" })
	if got := m.first(); got != "MARK" {
		t.Errorf("told %q", got)
	}
}

// The watchdog of a worker whose page does not answer goes hungry.
func TestHungWorkerFeedsNoWatchdog(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	s, err := newSupervisor(environ{"NOTIFY_SOCKET": m.socket, "WATCHDOG_USEC": "240000000"}.get)
	if err != nil {
		t.Fatal(err)
	}
	defer s.notify.Close()
	hung := make(chan struct{})
	page := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hung }))
	defer page.Close()
	quick := s
	quick.limit = 40 * time.Millisecond
	if err := quick.beat(context.Background(), page.URL); err == nil {
		t.Error("a page that doesn't answer counts as life")
	}
	close(hung)
	s.send(slog.New(slog.DiscardHandler), "MARK")
	if err := s.beat(context.Background(), page.URL); err != nil {
		t.Fatal(err)
	}
	m.await(sdnotify.Watchdog)
	if got := m.first(); got != "MARK" {
		t.Errorf("first told %q", got)
	}
}

func TestBadServiceManager(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]environ{
		"NOTIFY_SOCKET: dial unixgram ":     {"NOTIFY_SOCKET": filepath.Join(t.TempDir(), "none")},
		`WATCHDOG_USEC: "soon" is not a nu`: {"WATCHDOG_USEC": "soon"},
	} {
		env["HW_AUTH_TOKEN"] = "T"
		wantLines(t, refusal(t, env), []string{name})
	}
}
