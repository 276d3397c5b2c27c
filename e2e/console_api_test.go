package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/principals"
)

// consoleProcess is a console at work.
type consoleProcess struct {
	*process
	addr    string
	metrics string // the address of --metrics-listen; "": there is none
}

// startConsole starts a console and returns when it serves.
func startConsole(t *testing.T, env []string, args ...string) *consoleProcess {
	t.Helper()
	c := &consoleProcess{process: launch(t, env, "", "console", append([]string{"run", "--log-format", "json"}, args...)...)}
	await(t, "the console's start", func() bool {
		select {
		case <-c.done:
			t.Fatalf("the console has ended: %v\n%s", c.cmd.ProcessState, c.stderr.lastLines(5))
		default:
		}
		for line := range strings.Lines(c.stderr.String()) {
			var said struct{ Msg, Listen string }
			if json.Unmarshal([]byte(line), &said) != nil {
				continue
			}
			switch said.Msg {
			case "console started":
				c.addr = said.Listen
			case "metrics are served":
				c.metrics = said.Listen
			}
		}
		return c.addr != ""
	})
	return c
}

// producers are clients that ask for stops in small posts, and repeat each until it is answered.
type producers struct {
	*testing.T
	url, token string
	jobs       int
	perPost    int
	accepted   atomic.Int64 // jobs of posts that were answered
	fresh      atomic.Int64 // of these, new stops
	repeats    atomic.Int64
}

// run has so many clients ask for all jobs. halfway is called once when about half of them are answered.
func (p *producers) run(clients int, halfway func()) {
	p.Helper()
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	var group, middle sync.WaitGroup
	var once sync.Once
	for range clients {
		group.Go(func() {
			for {
				first := int(next.Add(int64(p.perPost))) - p.perPost
				if first >= p.jobs || p.Context().Err() != nil {
					return
				}
				p.post(client, first)
				if p.accepted.Load() >= int64(p.jobs/2) {
					once.Do(func() { middle.Go(halfway) })
				}
			}
		})
	}
	group.Wait()
	middle.Wait()
}

// post asks for the jobs from the first one on until it is answered.
func (p *producers) post(client *http.Client, first int) {
	n := min(p.perPost, p.jobs-first)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = strconv.Itoa(first + i + 1)
	}
	body, err := json.Marshal(map[string]any{"project_id": project, "jobs": ids, "in": "24h"})
	if err != nil {
		p.Error(err)
		return
	}
	for p.Context().Err() == nil {
		req, err := http.NewRequestWithContext(p.Context(), http.MethodPost, p.url, strings.NewReader(string(body)))
		if err != nil {
			p.Error(err)
			return
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+p.token)
		req.Header.Set("Idempotency-Key", "from-"+strconv.Itoa(first))
		if p.answered(client, req, first, n) {
			return
		}
		p.repeats.Add(1)
		select {
		case <-time.After(20 * time.Millisecond):
		case <-p.Context().Done():
		}
	}
}

// answered sends a post once, and reports whether that settled it.
func (p *producers) answered(client *http.Client, req *http.Request, first, n int) bool {
	resp, err := client.Do(req)
	if err != nil {
		return false // the console is dead
	}
	defer resp.Body.Close()
	var a struct {
		Type                          string
		Accepted, Known, Joined, Full int
	}
	err = json.NewDecoder(resp.Body).Decode(&a)
	switch {
	case err != nil || resp.StatusCode == http.StatusConflict && a.Type == "/problems/in-progress",
		resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable:
		return false
	case resp.StatusCode != http.StatusAccepted || a.Accepted+a.Known != n:
		p.Errorf("the post from %d on: %d %+v", first, resp.StatusCode, a)
	}
	p.accepted.Add(int64(n))
	p.fresh.Add(int64(a.Accepted))
	return true
}

// Clients that ask through the HTTP API in small posts, and repeat while the console is killed with -9 in the
// middle, get each stop exactly once. VIZSTOP_E2E_CONSOLE_STOPS is how many stops; the time is told beside that of
// one enqueue.
func TestConsoleKilledWhileClientsAsk(t *testing.T) {
	t.Parallel()
	stops, clients := 2000, 10
	if text := os.Getenv("VIZSTOP_E2E_CONSOLE_STOPS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		stops, clients = n, 50
	}
	w := newWorld(t, modelartstest.Config{})
	token, hash := principals.NewToken()
	file := filepath.Join(t.TempDir(), "principals.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "principals:\n- {name: producer, role: ask, token_hash: %q}\n", hash), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"VIZSTOP_REDIS=" + w.redis.URL, "VIZSTOP_CONSOLE_PRINCIPALS=" + file, "VIZSTOP_CONSOLE_REQUEST_RATE=100000"}
	c := startConsole(t, env, "--listen", "127.0.0.1:0")
	p := &producers{T: t, url: "http://" + c.addr + "/v1/batches", token: token, jobs: stops, perPost: 10}
	var down time.Duration
	began := time.Now()
	p.run(clients, func() {
		killed := time.Now()
		c.kill()
		_ = startConsole(t, env, "--listen", c.addr)
		down = time.Since(killed)
	})
	took := time.Since(began)
	if n := p.accepted.Load(); n != int64(stops) {
		t.Errorf("%d stops were answered for, want %d", n, stops)
	}
	w.wantOnce(stops, p.perPost)
	began = time.Now()
	var list strings.Builder
	for i := range stops {
		fmt.Fprintln(&list, stops+i+1)
	}
	launch(t, w.env(), list.String(), "enqueue", "--from", "-", "--in", "24h", "--max", strconv.Itoa(stops), "--yes", "--json").wantExit(0)
	alone := time.Since(began)
	t.Logf("%d stops in posts of %d by %d clients: %.1f s, of which the console was down %.1f s: %.0f stops a second; %d posts were repeated; %d stops were answered as new. One enqueue: %.1f s, %.0f stops a second",
		stops, p.perPost, clients, took.Seconds(), down.Seconds(), float64(stops)/(took-down).Seconds(), p.repeats.Load(), p.fresh.Load(), alone.Seconds(), float64(stops)/alone.Seconds())
}

// wantOnce wants each job to have one stop, in one of the batches of all posts.
func (w *world) wantOnce(stops, perPost int) {
	w.t.Helper()
	ctx := context.Background()
	ids, err := w.books.Batches(ctx, 2*stops)
	if err != nil || len(ids) != (stops+perPost-1)/perPost {
		w.t.Errorf("%d batches, %v, want one for each post", len(ids), err)
	}
	total := 0
	for _, id := range ids {
		b := w.batch(id)
		if total += b.Total; b.Joined != 0 || b.Total > perPost {
			w.t.Errorf("batch %s: %+v", id, b)
		}
	}
	if total != stops {
		w.t.Errorf("the ledger has %d stops, want %d", total, stops)
	}
}
