package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vizstop/internal/redistest"
)

// patience is how long a test waits for what must come: a machine may be slow,
// a test must end.
const patience = 2 * time.Minute

// process is one of the programs at work.
type process struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdout, stderr output
	done           chan struct{} // closed when it has ended
}

// launch starts a program with nothing but the given environment. It is killed
// at the end of the test if it still runs.
func launch(t *testing.T, env []string, stdin, name string, args ...string) *process {
	t.Helper()
	var own []string
	for _, v := range env { // each program comes to Redis as its own user
		own = append(own, redistest.For(name, v))
	}
	return start(t, exec.Command(filepath.Join(bin, name), args...), own, stdin)
}

// start is launch for any program.
func start(t *testing.T, cmd *exec.Cmd, env []string, stdin string) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	// Under -race every process would sleep for a second before it ends.
	p.cmd.Env = append([]string{"GORACE=atexit_sleep_ms=0"}, env...)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = strings.NewReader(stdin), &p.stdout, &p.stderr
	if err := startTied(p.cmd, p.done); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() || strings.Contains(p.stderr.String(), "DATA RACE") {
			t.Errorf("%q wrote:\n%s\n%s", cmd.Args, &p.stdout, p.stderr.lastLines(60))
		}
	})
	return p
}

func (p *process) signal(sig os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("signal %v: %v", sig, err)
	}
}

// kill ends p as a crash would, and returns when it is gone. Any goroutine may
// call it, at any time.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// wait returns how p has ended.
func (p *process) wait() syscall.WaitStatus {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	case <-time.After(patience):
		p.t.Fatalf("%v has not ended", p.cmd)
		return 0
	}
}

// wantExit waits for the end of p, which must have that exit code.
func (p *process) wantExit(code int) {
	p.t.Helper()
	if s := p.wait(); !s.Exited() || s.ExitStatus() != code {
		p.t.Fatalf("%v ended with %v, want exit code %d", p.cmd.Args, p.cmd.ProcessState, code)
	}
}

// workerProcess is a running worker.
type workerProcess struct {
	*process
	url string // of its pages
}

// startWorker starts a worker with quick settings, which args may change, and
// returns when it takes tasks.
func startWorker(t *testing.T, env []string, args ...string) *workerProcess {
	t.Helper()
	quick := []string{"--listen", "127.0.0.1:0", "--log-format", "json", "--api-rate", "0",
		"--check-interval", "10ms", "--delayed-check-interval", "100ms",
		"--poll-first", "500ms", "--poll-max", "2s", "--retry-first", "100ms"}
	w := &workerProcess{process: launch(t, env, "", "worker", append(quick, args...)...)}
	await(t, "the worker's start", func() bool {
		select {
		case <-w.done:
			t.Fatalf("the worker has ended: %v", w.cmd.ProcessState)
		default:
		}
		for line := range strings.Lines(w.stderr.String()) {
			var said struct{ Msg, Listen string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "worker started" {
				w.url = "http://" + said.Listen
			}
		}
		return w.url != ""
	})
	return w
}

// get fetches one of the worker's pages.
func (w *workerProcess) get(path string) (status int, body string) {
	w.t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(w.url + path)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// output is what a process has written so far.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
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

// await waits until done.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	awaitWithin(t, patience, what, done)
}

// awaitWithin waits until done, but no longer than the limit.
func awaitWithin(t *testing.T, limit time.Duration, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !done(); <-tick.C {
		if time.Since(began) > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}
