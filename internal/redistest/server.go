// Package redistest runs throwaway redis-server processes for tests.
//
// A test that depends on what Redis really does (scripts, expiry, faults,
// failover) should use it instead of an imitation. A missing redis-server fails
// the test; it never skips it.
package redistest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Server is one redis-server process on a loopback port, started by Start.
// Its methods fail the test that started it, so call them from that test's
// goroutine; they are not safe for concurrent use.
type Server struct {
	// Addr is host:port, and stays the same over Restart and StartAgain.
	Addr string
	// URL is redis://user:password@host:port/0 of a user that may only do what
	// deploy/redis/users.acl lets the programs do: the one for product code. It
	// is of no use to a server that only listens with TLS.
	URL string

	t    testing.TB
	path string // of redis-server
	dir  string // working directory of redis-server
	port int
	args []string // users first, then the test's own
	line string   // in the log, that says it is ready
	// config is the text of a configuration file to begin with, which the server
	// may rewrite; "" for none.
	config string
	data   []byte   // of a dump to begin with; nil for none
	proc   *process // nil while none runs
}

// attempts bounds how often a start is tried again after redis-server gave up,
// mostly because another process took its port.
const attempts = 10

// Start runs a redis-server of its own in a temporary directory and returns as
// soon as it accepts connections. The server ends with the test, and also when
// the test binary dies without cleaning up (on Linux).
//
// It keeps nothing on disk unless args say so. args are redis-server arguments
// such as "--requirepass", "x", and win over the defaults. In each of them
// "{port}" becomes the port of Addr and "{dir}" the working directory, so a
// server with TLS only is "--port", "0", "--tls-port", "{port}". Leave the log
// (--loglevel, --logfile) alone: Start reads there that the server is ready.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	known, err := users()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, args: append(known, args...), line: readyLine}
	s.start()
	return s
}

func (s *Server) start() {
	s.t.Helper()
	var err error
	if s.path, err = exec.LookPath("redis-server"); err != nil {
		s.t.Fatal("redis-server is not installed: run `make deps`")
	}
	s.dir = s.t.TempDir()
	s.t.Cleanup(s.end)
	if s.config != "" {
		if err := os.WriteFile(s.configFile(), []byte(s.config), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	if s.data != nil {
		if err := os.WriteFile(filepath.Join(s.dir, dumpName), s.data, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	for range attempts {
		s.usePort(freePort(s.t))
		if err = s.launch(); err == nil {
			return
		}
	}
	s.t.Fatalf("redis-server %s: %v", strings.Join(s.args, " "), err)
}

func (s *Server) configFile() string { return filepath.Join(s.dir, "redis.conf") }

// patience is how long clients wait for a server, on a machine that may be busy. Contexts end sooner.
const patience = 30 * time.Second

// Client returns a client of the server without user or password, who may do
// everything, closed at the end of t.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	return s.clientOf(t, "", "")
}

// clientOf returns a client of a user, closed at the end of t.
func (s *Server) clientOf(t testing.TB, user, password string) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr:                     s.Addr,
		Username:                 user,
		Password:                 password,
		DialTimeout:              patience,
		ReadTimeout:              patience,
		WriteTimeout:             patience,
		ContextTimeoutEnabled:    true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// PID is the process id of the running server, 0 when none runs.
func (s *Server) PID() int {
	if s.proc == nil {
		return 0
	}
	return s.proc.pid
}

// Dir is the server's working directory, kept over Restart and StartAgain.
func (s *Server) Dir() string { return s.dir }

// Log is what the running server has written so far; "" when none runs.
func (s *Server) Log() string {
	if s.proc == nil {
		return ""
	}
	return s.proc.log.String()
}

// Restart shuts the server down as an operator would and starts it again. Data
// survives only if the server was told to save it.
func (s *Server) Restart() {
	s.t.Helper()
	s.stop()
	s.StartAgain()
}

// Kill ends the server as a crash would (SIGKILL) and returns when it is gone.
// Nothing happens when none runs.
func (s *Server) Kill() {
	if s.proc != nil {
		s.proc.kill()
		s.proc = nil
	}
}

// StartAgain starts the server after Kill (or SHUTDOWN), on the same port and in the same
// directory, with the same arguments.
func (s *Server) StartAgain() {
	s.t.Helper()
	if s.proc != nil && !s.proc.ended() {
		s.t.Fatal("redistest: StartAgain of a running server")
	}
	var err error
	for range attempts {
		if err = s.launch(); err == nil {
			return
		}
	}
	s.t.Fatalf("redis-server again on %s: %v", s.Addr, err)
}

// Pause stops the server from answering without closing a connection
// (SIGSTOP). When it returns, no further command is answered.
func (s *Server) Pause() {
	s.t.Helper()
	if err := s.running().pause(); err != nil {
		s.t.Fatalf("redistest: pause: %v", err)
	}
}

// Resume lets a paused server go on; it then answers what was sent meanwhile.
func (s *Server) Resume() {
	s.t.Helper()
	if err := s.running().resume(); err != nil {
		s.t.Fatalf("redistest: resume: %v", err)
	}
}

func (s *Server) running() *process {
	s.t.Helper()
	if s.proc == nil {
		s.t.Fatal("redistest: the server is not running")
	}
	return s.proc
}

func (s *Server) usePort(port int) {
	s.port = port
	s.Addr = net.JoinHostPort(loopback, strconv.Itoa(port))
	s.URL = s.urlOf(bothUser)
}

func (s *Server) launch() error {
	proc, err := startProcess(s.path, s.dir, s.commandLine(), s.line)
	if err != nil {
		return err
	}
	s.proc = proc
	return nil
}

// commandLine puts args after the defaults: redis-server lets the last one win.
func (s *Server) commandLine() []string {
	var line []string
	if s.config != "" {
		line = append(line, s.configFile())
	}
	line = append(line, "--bind", loopback, "--port", strconv.Itoa(s.port), "--save", "", "--appendonly", "no")
	fill := strings.NewReplacer("{port}", strconv.Itoa(s.port), "{dir}", s.dir)
	for _, arg := range s.args {
		line = append(line, fill.Replace(arg))
	}
	return line
}

// end is stop after the test, which must not have been denied anything.
func (s *Server) end() {
	if s.proc != nil && s.proc.resume() == nil {
		for _, d := range s.denied() {
			s.t.Errorf("redistest: the access list denied %s", d)
		}
	}
	s.stop()
}

func (s *Server) stop() {
	if s.proc == nil {
		return
	}
	err := s.proc.stop(stopTimeout)
	s.proc = nil
	if err != nil {
		s.t.Errorf("redistest: stop: %v", err)
	}
}
