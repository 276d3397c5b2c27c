package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"vizstop/internal/logtest"
	"vizstop/internal/redistest"
)

// patience is how long a test waits for what must come: a machine may be slow,
// a test must end.
const patience = 10 * time.Minute

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
		if _, race, found := strings.Cut(p.stderr.String(), "DATA RACE"); found {
			t.Errorf("%q has a data race:\n%s", cmd.Args, race)
		}
		if t.Failed() {
			t.Logf("%s wrote %s\n%s", filepath.Base(cmd.Path), p.keepOutput(), p.stderr.lastLines(3))
		}
	})
	return p
}

// keepOutput writes the command line and all that p wrote to a file that
// outlives the test. It returns the file's name: a test that failed shows only
// the end, for some have a dozen programs.
func (p *process) keepOutput() string {
	f, err := os.CreateTemp("", "vizstop-failed-*.log")
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if _, err := fmt.Fprintf(f, "%q\n%s\n%s", p.cmd.Args, &p.stdout, &p.stderr); err != nil {
		return err.Error()
	}
	return f.Name()
}

// notIgnoring runs start so that the programs that it starts do not ignore sig, even if this process does, as under
// nohup.
func notIgnoring(sig os.Signal, start func()) {
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, sig) // a program begins with the default for what is caught here
	defer signal.Stop(caught)
	start()
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
	w := &workerProcess{process: launch(t, env, "", "worker", quick(args)...)}
	w.awaitStart(&w.stderr)
	return w
}

// quick puts settings of a worker that is quick before args.
func quick(args []string) []string {
	return append([]string{"--listen", "127.0.0.1:0", "--log-format", "json", "--api-rate", "0",
		"--check-interval", "10ms", "--delayed-check-interval", "100ms",
		"--poll-first", "500ms", "--poll-max", "2s", "--retry-first", "100ms"}, args...)
}

// awaitStart waits until the worker's log says that it has started, and where its pages are.
func (w *workerProcess) awaitStart(log *output) {
	w.t.Helper()
	await(w.t, "the worker's start", func() bool {
		select {
		case <-w.done:
			w.t.Fatalf("the worker has ended: %v", w.cmd.ProcessState)
		default:
		}
		for line := range strings.Lines(log.String()) {
			var said struct{ Msg, Listen string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "worker started" {
				w.url = "http://" + said.Listen
			}
		}
		return w.url != ""
	})
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
type output struct{ logtest.Buffer }

// lastLines are the last n lines, long ones cut.
func (o *output) lastLines(n int) string {
	const width = 240
	lines := strings.Split(strings.TrimSpace(o.String()), "\n")
	lines = lines[max(0, len(lines)-n):]
	for i, l := range lines {
		lines[i] = l[:min(len(l), width)]
	}
	return strings.Join(lines, "\n")
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
