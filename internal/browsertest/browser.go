// Package browsertest drives a real Chromium for tests of pages.
//
// There is one Chromium for each test binary, without a window, with a new profile. It looks up no name and dials
// nothing but this machine's loopback addresses, and Run fails the tests if it did. The packages "chromium" and
// axe-core, which "make deps" installs, must be there; a missing one fails the test, it never skips it.
//
// A package whose tests use it says so in TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(browsertest.Run(m)) }
//
//	func TestOverview(t *testing.T) {
//		page := browsertest.Start(t).Page(t, browsertest.Options{Width: 360, Script: true})
//		page.Goto(server.URL)
//		page.WaitFor(`document.querySelectorAll(".batch").length === 2`)
//		page.Axe()
//	}
//
// A page collects what goes wrong in it, such as an uncaught exception or something that the Content-Security-Policy
// refuses, and fails its test at the end; see Page.Expect.
package browsertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience bounds every wait. It is long because other tests may keep the machine busy; nothing waits that long unless
// it has failed.
const patience = 90 * time.Second

// Browser is a running Chromium. Its methods are safe for concurrent use.
type Browser struct {
	conn   *conn
	guard  *exec.Cmd
	alive  io.Closer // while it is open, the guard lets Chromium live
	dir    string    // removed by the guard
	stderr *tail
}

// guard runs Chromium in a process group of its own, beside a process that only waits until the tests have ended, by
// whatever way: then it kills the group and removes its directory.
const guard = `
dir=$1; shift
trap '' INT TERM HUP
set -m
"$@" </dev/null &
exec 2>/dev/null 3<&- 4>&-
cat >/dev/null
kill -9 -- "-$!"
wait
rm -rf -- "$dir"
`

const netLogFile = "netlog.json"

// flags keep Chromium from talking to anyone by itself. The rules for names hold for addresses too: what is not on
// loopback is "not found" before anything is sent.
func flags(dir string) []string {
	f := []string{
		"--headless=new", "--remote-debugging-pipe", "--user-data-dir=" + filepath.Join(dir, "profile"),
		"--log-net-log=" + filepath.Join(dir, netLogFile),
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE [::1], EXCLUDE localhost",
		"--proxy-server=direct://", "--dns-prefetch-disable",
		"--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync",
		"--disable-extensions", "--disable-domain-reliability", "--disable-client-side-phishing-detection",
		"--disable-component-extensions-with-background-pages", "--disable-search-engine-choice-screen",
		"--metrics-recording-only", "--no-first-run", "--no-default-browser-check", "--no-pings", "--no-service-autorun",
		"--disable-breakpad", "--log-level=3", "--password-store=basic", "--use-mock-keychain",
		"--disable-features=" + strings.Join([]string{
			"AsyncDns", "AutofillServerCommunication", "CertificateTransparencyComponentUpdater", "DialMediaRouteProvider",
			"InterestFeedContentSuggestions", "MediaRouter", "OptimizationHints", "Translate",
		}, ","),
		"--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--force-color-profile=srgb", "--lang=en-US",
	}
	if os.Geteuid() == 0 {
		f = append(f, "--no-sandbox") // which Chromium can't make for root
	}
	return append(f, "about:blank")
}

// launch starts Chromium and returns when it answers.
func launch() (*Browser, error) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return nil, errors.New("chromium is not installed: run `make deps`")
	}
	dir, err := os.MkdirTemp("", "browsertest")
	if err != nil {
		return nil, err
	}
	b := &Browser{dir: dir, stderr: new(tail)}
	b.guard = exec.Command("bash", append([]string{"-c", guard, "bash", dir, chromium}, flags(dir)...)...)
	// What Chromium keeps elsewhere than in its profile.
	b.guard.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_CACHE_HOME="+dir)
	b.guard.Stderr = b.stderr
	err = b.start()
	if err == nil {
		err = b.await()
	}
	if err != nil {
		b.kill()
		return nil, fmt.Errorf("start chromium: %w\n%s", err, b.stderr)
	}
	return b, nil
}

func (b *Browser) start() error {
	theirIn, in, err := os.Pipe()
	if err != nil {
		return err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return err
	}
	if b.alive, err = b.guard.StdinPipe(); err != nil {
		return err
	}
	b.guard.ExtraFiles = []*os.File{theirIn, theirOut}
	if err := b.guard.Start(); err != nil {
		return err
	}
	_ = theirIn.Close()
	_ = theirOut.Close()
	b.conn = newConn(out, in)
	return nil
}

func (b *Browser) await() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return b.conn.call(ctx, "", "Browser.getVersion", nil, nil)
}

// close ends Chromium and says whether it has dialed or looked up anything beyond loopback.
func (b *Browser) close() error {
	l, err := b.end()
	if err != nil {
		return err
	}
	return l.check()
}

// end ends Chromium and returns what its network has done.
func (b *Browser) end() (*netLog, error) {
	defer b.kill()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.conn.call(ctx, "", "Browser.close", nil, nil); err != nil && !errors.Is(err, errClosed) {
		return nil, err
	}
	// The last of the log is written after the browser has closed its pipes.
	for ; ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(b.dir, netLogFile))
		l := new(netLog)
		if err == nil {
			err = json.Unmarshal(text, l)
		}
		switch {
		case err == nil:
			return l, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("chromium's log of its network: %w\n%s", err, b.stderr)
		}
	}
}

// kill ends all that launch has started and removes its files.
func (b *Browser) kill() {
	if b.alive != nil {
		_ = b.alive.Close()
		_ = b.guard.Wait()
	}
	_ = os.RemoveAll(b.dir)
}

// shared is the browser of this test binary. Chromium takes a second or two of processor time to start.
var shared struct {
	sync.Mutex
	running bool // between the beginning and the end of Run
	browser *Browser
	err     error
}

// Run runs the tests, ends the browser that they shared, and returns the exit code for os.Exit. It is 1 also when the
// tests have passed and the browser has dialed or looked up anything beyond loopback.
func Run(m *testing.M) int {
	shared.Lock()
	shared.running = true
	shared.Unlock()
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	shared.running = false
	if shared.browser == nil {
		return code
	}
	if err := shared.browser.close(); err != nil {
		fmt.Fprintln(os.Stderr, "browsertest:", err)
		return max(code, 1)
	}
	return code
}

// Start returns the Chromium of this test binary, which the first call starts. It ends with Run, and also when the test
// binary dies.
func Start(t testing.TB) *Browser {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.running {
		t.Fatal("TestMain must call browsertest.Run")
	}
	if shared.browser == nil && shared.err == nil {
		shared.browser, shared.err = launch()
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.browser
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 4 << 10

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf, p...)
	w.buf = w.buf[max(0, len(w.buf)-tailSize):]
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(bytes.TrimSpace(w.buf))
}
