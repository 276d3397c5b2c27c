package redistest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 15 * time.Second // from exec to the first connection
	stopTimeout  = time.Minute      // from SIGTERM to SIGKILL: a machine may be slow
	// pipeTimeout is how long to wait for the log's end when a child of the
	// server (a background save) outlives it.
	pipeTimeout = time.Second
)

// readyLine is what redis-server logs when it listens and its data is loaded;
// sentinelReadyLine is a Sentinel's. Unlike an answer to PING it can only come
// from our own process, not from one that won the race for the port.
const (
	readyLine         = "Ready to accept connections"
	sentinelReadyLine = "Sentinel ID is "
)

// process is a redis-server that this test binary started.
type process struct {
	pid  int
	os   *os.Process
	log  *output
	done chan struct{} // closed when the process has been waited for
}

// startProcess returns when the server has logged the given line, which says
// that it accepts connections. If it ends before that, the error holds its last
// words.
func startProcess(path, dir string, args []string, line string) (*process, error) {
	out := &output{line: []byte(line), ready: make(chan struct{})}
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = pipeTimeout

	done := make(chan struct{})
	if err := startTied(cmd, done); err != nil {
		return nil, err
	}
	p := &process{pid: cmd.Process.Pid, os: cmd.Process, log: out, done: done}
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case <-out.ready:
		return p, nil
	case <-done:
		return nil, fmt.Errorf("ended at once: %s", out.lastLines(5))
	case <-timeout.C:
		p.kill()
		return nil, fmt.Errorf("not ready after %s: %s", startTimeout, out.lastLines(5))
	}
}

// stop asks the process to shut down and kills it when it does not do so in
// time.
func (p *process) stop(patience time.Duration) error {
	// A paused process only gets the signal when it goes on.
	err := errors.Join(p.signal(syscall.SIGTERM), p.signal(syscall.SIGCONT))
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-p.done:
		return err
	case <-timeout.C:
		p.kill()
		return fmt.Errorf("still running %s after SIGTERM", patience)
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) kill() {
	_ = p.os.Kill()
	<-p.done
}

func (p *process) pause() error {
	if err := p.os.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return waitPaused(p.pid)
}

func (p *process) resume() error { return p.os.Signal(syscall.SIGCONT) }

// signal is content when the process has ended by itself.
func (p *process) signal(sig os.Signal) error {
	err := p.os.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// output collects a server's log and closes ready at the line.
type output struct {
	line  []byte
	mu    sync.Mutex
	buf   bytes.Buffer
	isUp  bool
	ready chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, err := o.buf.Write(b)
	if !o.isUp && bytes.Contains(o.buf.Bytes(), o.line) {
		o.isUp = true
		close(o.ready)
	}
	return n, err
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) lastLines(n int) string {
	lines := strings.Split(strings.TrimSpace(o.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
