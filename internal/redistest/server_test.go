package redistest

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

func TestStartAnswersAndKeepsNothingOnDisk(t *testing.T) {
	t.Parallel()
	s := Start(t)
	client := s.Client(t)
	ctx := t.Context()

	if got, err := client.Ping(ctx).Result(); err != nil || got != "PONG" {
		t.Fatalf("PING = %q, %v", got, err)
	}
	for name, want := range map[string]string{"save": "", "appendonly": "no", "bind": loopback} {
		if got := client.ConfigGet(ctx, name).Val()[name]; got != want {
			t.Errorf("config %s = %q, want %q", name, got, want)
		}
	}
	opts, err := redis.ParseURL(s.URL)
	if err != nil || opts.Addr != s.Addr {
		t.Errorf("URL %q: address %+v, %v; want %s", s.URL, opts, err, s.Addr)
	}
}

func TestStartLetsArgumentsWin(t *testing.T) {
	t.Parallel()
	s := Start(t, "--appendonly", "yes", "--databases", "3", "--pidfile", "{dir}/pid")
	client := s.Client(t)
	if got := client.ConfigGet(t.Context(), "appendonly").Val()["appendonly"]; got != "yes" {
		t.Errorf("appendonly = %q, want yes", got)
	}
	if _, err := os.Stat(s.Dir() + "/pid"); err != nil {
		t.Errorf("{dir} was not filled in: %v", err)
	}
}

func TestServersDoNotShareAnything(t *testing.T) {
	t.Parallel()
	a, b := Start(t), Start(t)
	if a.Addr == b.Addr || a.PID() == b.PID() || a.Dir() == b.Dir() {
		t.Fatalf("two servers share something: %s %d, %s %d", a.Addr, a.PID(), b.Addr, b.PID())
	}
}

func TestStartTriesAnotherPort(t *testing.T) {
	t.Parallel()
	taken := Start(t)
	s := &Server{t: t, path: taken.path, dir: t.TempDir(), line: readyLine}
	s.usePort(taken.port)
	err := s.launch()
	if err == nil || !strings.Contains(err.Error(), "Address already in use") {
		t.Fatalf("start on a taken port: %v, want its log", err)
	}
	if s.PID() != 0 {
		t.Error("a server that did not start has a process id")
	}
}

func TestRestartAndKill(t *testing.T) {
	t.Parallel()
	s := Start(t, "--appendonly", "yes", "--appendfsync", "always")
	client, ctx := s.Client(t), t.Context()
	if err := client.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	addr, first := s.Addr, s.PID()

	s.Restart()
	if got := client.Get(ctx, "k").Val(); got != "v" {
		t.Errorf("after Restart k = %q, want v", got)
	}
	s.Kill()
	if err := once(s).Ping(ctx).Err(); err == nil {
		t.Error("a killed server answers")
	}
	if s.PID() != 0 || s.Log() != "" {
		t.Error("a killed server has a process")
	}
	s.StartAgain()
	if got := client.Get(ctx, "k").Val(); got != "v" {
		t.Errorf("after Kill and StartAgain k = %q, want v", got)
	}
	if s.Addr != addr || s.PID() == first {
		t.Errorf("address %s pid %d, want %s and another pid than %d", s.Addr, s.PID(), addr, first)
	}
}

func TestPausedServerIsSilentUntilResumed(t *testing.T) {
	t.Parallel()
	s := Start(t)
	client := s.Client(t)
	if err := client.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		s.Pause()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if err := client.Ping(ctx).Err(); !errors.Is(err, context.DeadlineExceeded) && !os.IsTimeout(err) {
			t.Errorf("PING of a paused server: %v, want a timeout", err)
		}
		cancel()
		s.Resume()
		if err := client.Ping(t.Context()).Err(); err != nil {
			t.Fatalf("PING after Resume: %v", err)
		}
	}
	s.Pause() // the cleanup has to cope with it
}

// recorder is a test that records its failure instead of failing.
type recorder struct {
	testing.TB
	fatal string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatal(args ...any) {
	r.fatal = args[0].(string)
	panic(r)
}

func TestMissingRedisServerFailsTheTest(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	r := &recorder{TB: t}
	defer func() {
		if recover() == nil || r.fatal != "redis-server is not installed: run `make deps`" {
			t.Errorf("failed with %q", r.fatal)
		}
	}()
	Start(r)
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	t.Parallel()
	// The shell ignores SIGTERM and says what startProcess waits for.
	script := "trap '' TERM; echo '" + readyLine + "'; exec tail -f /dev/null"
	p, err := startProcess("/bin/sh", t.TempDir(), []string{"-c", script}, readyLine)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.stop(time.Millisecond); err == nil || !strings.Contains(err.Error(), "still running") {
		t.Errorf("stop = %v", err)
	}
	if !p.ended() {
		t.Error("still running after stop")
	}
}

func once(s *Server) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DialerRetries: 1})
}
