package browsertest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Run(m)) }

// recorder is a test that may fail without failing the one that runs it.
type recorder struct {
	testing.TB
	cleanups []func()
	failures []string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Cleanup(f func())          { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Error(args ...any)         { r.failures = append(r.failures, fmt.Sprint(args...)) }
func (r *recorder) Errorf(f string, a ...any) { r.Error(fmt.Sprintf(f, a...)) }
func (r *recorder) Fatal(args ...any)         { r.Error(args...); runtime.Goexit() }
func (r *recorder) Fatalf(f string, a ...any) { r.Fatal(fmt.Sprintf(f, a...)) }

// failures runs a test and returns what it fails with.
func failures(t *testing.T, test func(t testing.TB)) string {
	r := &recorder{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() {
			for i := len(r.cleanups) - 1; i >= 0; i-- {
				r.cleanups[i]()
			}
		}()
		test(r)
	}()
	<-ended
	return strings.Join(r.failures, "\n")
}

func TestNeedsRun(t *testing.T) {
	shared.Lock()
	shared.running = false
	shared.Unlock()
	got := failures(t, func(t testing.TB) { Start(t) })
	shared.Lock()
	shared.running = true
	shared.Unlock()
	if !strings.Contains(got, "TestMain must call browsertest.Run") {
		t.Errorf("Start without Run fails with %q", got)
	}
}

// The rules for names are what keeps a page from reaching anyone; the log of the network, which Run reads, says so too.
func TestReachesNobody(t *testing.T) {
	addresses := []string{"http://vizstop.invalid/a", "https://192.0.2.1/b", "http://[2001:db8::1]/c"}
	server := serve(t, "", `<img alt="" src="`+strings.Join(addresses, `"><img alt="" src="`)+`">`)
	page := Start(t).Page(t, Options{Script: true})
	for _, address := range addresses {
		page.Expect("request failed: GET " + address + ": net::ERR_NAME_NOT_RESOLVED")
		page.Expect("another origin: GET " + address)
	}
	page.Expect("Failed to load resource: net::ERR_NAME_NOT_RESOLVED")
	page.Goto(server.URL)
}

// A browser that had dialed someone would be found out by what it writes about its network.
func TestNetworkLog(t *testing.T) {
	server := serve(t, "", "hello")
	b, err := launch()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("page", func(t *testing.T) { b.Page(t, Options{}).Goto(server.URL) })
	l, err := b.end()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.check(); err != nil {
		t.Error(err)
	}
	const elsewhere = "192.0.2.1:80"
	address := strings.TrimPrefix(server.URL, "http://")
	for i := range l.Events {
		if l.Events[i].Params.Address == address {
			l.Events[i].Params.Address = elsewhere
		}
	}
	if err := l.check(); err == nil || !strings.Contains(err.Error(), "chromium dialed "+elsewhere) {
		t.Errorf("a log in which %s is %s: %v", address, elsewhere, err)
	}
}

const diesIn = "BROWSERTEST_DIES"

// TestDies is a test binary that dies with a browser running, when TestEndsWithTheTests starts it.
func TestDies(t *testing.T) {
	if os.Getenv(diesIn) == "" {
		t.Skip("runs in a process of its own")
	}
	b := Start(t)
	b.Page(t, Options{}).Goto("data:text/html,hello")
	fmt.Printf("\n%s%s\n", diesIn, b.dir)
	go func() { panic("the test binary dies") }()
	select {}
}

func TestEndsWithTheTests(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestDies$", "-test.v")
	cmd.Env = append(os.Environ(), diesIn+"=1")
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		t.Fatalf("the test that dies: %v", err)
	}
	var dir string
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		if rest, found := strings.CutPrefix(lines.Text(), diesIn); found {
			dir = rest
		}
	}
	if dir == "" {
		t.Fatalf("the test that dies started no browser:\n%s", out)
	}
	end := time.Now().Add(patience)
	for {
		_, err := os.Stat(dir)
		left := processesOf(t, dir)
		if errors.Is(err, fs.ErrNotExist) && len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %v; processes: %s", dir, err, left)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// processesOf are those with a directory in their command line, on Linux.
func processesOf(t *testing.T, dir string) (found []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && bytes.Contains(line, []byte(dir)) {
			found = append(found, strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func TestNetworkLogTells(t *testing.T) {
	const types = `"logEventTypes": {"HOST_RESOLVER_MANAGER_REQUEST": 1, "HOST_RESOLVER_SYSTEM_TASK": 2,
		"HOST_RESOLVER_DNS_TASK": 3, "TCP_CONNECT_ATTEMPT": 4, "UDP_CONNECT": 5, "UDP_BYTES_SENT": 6}`
	for _, test := range []struct{ name, types, events, want string }{
		{"nothing", types, ``, ""},
		{"loopback", types, `{"type": 1, "params": {"host": "http://127.0.0.1:80"}}, {"type": 4, "params": {"address": "[::1]:80"}}`, ""},
		{"its end has no address", types, `{"type": 1}, {"type": 4}, {"type": 5}`, ""},
		{"what the rules refuse", types, `{"type": 1, "params": {"host": "https://~notfound"}}`, ""},
		{"the question for a route", types, `{"type": 5, "params": {"address": "[2001:4860:4860::8888]:443"}}`, ""},
		{"a name", types, `{"type": 1, "params": {"host": "https://example.org"}}`, "asked for the address of https://example.org"},
		{"an address", types, `{"type": 1, "params": {"host": "https://192.0.2.1"}}`, "asked for the address of https://192.0.2.1"},
		{"the system's resolver", types, `{"type": 2}`, "looked up a name"},
		{"a name server", types, `{"type": 3, "params": {"host": "example.org"}}`, "looked up a name, such as example.org"},
		{"a dial", types, `{"type": 4, "params": {"address": "192.0.2.1:443"}}`, "dialed 192.0.2.1:443"},
		{"a datagram socket", types, `{"type": 5, "params": {"address": "192.0.2.1:53"}}`, "dialed 192.0.2.1:53"},
		{"a datagram", types, `{"type": 6, "params": {"address": "224.0.0.251:5353"}}`, "sent a datagram to 224.0.0.251:5353"},
		{
			"a datagram on the route", types,
			`{"type": 5, "source": {"id": 7}, "params": {"address": "[2001:4860:4860::8888]:443"}}, {"type": 6, "source": {"id": 7}}`,
			"sent a datagram to [2001:4860:4860::8888]:443",
		},
		{"another Chromium", `"logEventTypes": {}`, ``, "knows no HOST_RESOLVER_MANAGER_REQUEST"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l := new(netLog)
			text := fmt.Sprintf(`{"constants": {%s}, "events": [%s]}`, test.types, test.events)
			if err := json.Unmarshal([]byte(text), l); err != nil {
				t.Fatal(err)
			}
			err := l.check()
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// serve serves one page, with a Content-Security-Policy unless that is "".
func serve(t *testing.T, policy, body string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		if policy != "" {
			w.Header().Set("Content-Security-Policy", policy)
		}
		switch {
		case r.URL.Path == "/favicon.ico":
			w.WriteHeader(http.StatusNoContent)
		case r.URL.Path == "/secret" && r.Header.Get("Authorization") != "Bearer right":
			http.Error(w, "who are you?", http.StatusUnauthorized)
		case r.Method == http.MethodPost && http.NewCrossOriginProtection().Check(r) != nil:
			http.Error(w, "from another site", http.StatusForbidden)
		case r.Method == http.MethodPost:
			fmt.Fprintf(w, "<title>done</title><p id=done>%s %s</p>", r.FormValue("reason"), r.Header.Get("Authorization"))
		default:
			fmt.Fprint(w, body)
		}
	}))
	t.Cleanup(server.Close)
	return server
}
