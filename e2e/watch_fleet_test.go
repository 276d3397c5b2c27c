package e2e

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/tasks"
)

// watched is a worker with its world, scraped as a job of its own.
type watched struct {
	*world
	name     string
	scrape   string // more of its scrape configuration
	worker   *workerProcess
	file     string          // the worker's schedules file
	console  *consoleProcess // nil: it has none
	operator *operator       // of the console, if it has principals
	producer *tasks.Producer
	next     int // number of the next job
}

// newWatched starts one whose Redis keeps what it is given, unless redisArgs
// say otherwise.
func newWatched(t *testing.T, name, scrape string, redisArgs ...string) *watched {
	t.Helper()
	f := &watched{world: newWorld(t, modelartstest.Config{}, append([]string{"--appendonly", "yes"}, redisArgs...)...), name: name, scrape: scrape, next: 1000}
	file := filepath.Join(t.TempDir(), "schedules.yaml")
	if err := os.WriteFile(file, []byte(`{revision: 1, schedules: [{name: evening, at: "20:00", timezone: UTC, rule: {project: `+project+`, name: none-*}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	f.file, f.worker = file, startWorker(t, f.env(), "--api-rate", "200", "--schedules", file)
	f.producer = tasks.NewProducer(f.books, f.rdb)
	return f
}

// withConsole starts a console that everybody may look at.
func (f *watched) withConsole() *watched {
	f.console = startConsole(f.t, f.env(), "--listen", "127.0.0.1:0")
	return f
}

// withOperator starts a console with principals and without credentials, and has it refuse a rule for that: an
// answer from 500 on, as rules look for them.
func (f *watched) withOperator() *watched {
	env := slices.DeleteFunc(f.env(), func(v string) bool { return strings.HasPrefix(v, "HW_") })
	f.operator, f.console = newOperator(f.t, env, "--metrics-listen", "127.0.0.1:0")
	f.operator.do(http.StatusNotImplemented, "PUT", "/v1/batches/rule", "application/json", fmt.Sprintf(`{"project_id": %q, "rule": {"all": true}}`, project))
	return f
}

// hours is longer than any test: a job that takes so long to stop hangs.
const hours = 100 * time.Hour

// ask adds n jobs and asks to stop them. due and deadline count from now; what
// was due before was asked for while no worker ran.
func (f *watched) ask(n int, stopTime, due, deadline time.Duration) (jobs []string) {
	asks := f.asks(n, stopTime, due, deadline)
	if _, err := f.producer.Ask(context.Background(), project, ledger.NewBatchID(time.Now()), asks); err != nil {
		f.t.Error(err) // from any goroutine
	}
	for _, a := range asks {
		jobs = append(jobs, a.JobID)
	}
	return jobs
}

func (f *watched) asks(n int, stopTime, due, deadline time.Duration) (asks []ledger.Ask) {
	now := time.Now()
	for range n {
		id := f.id(f.next)
		f.next++
		f.sim.AddJob(project, modelartstest.Job{ID: id, StopTime: stopTime})
		asks = append(asks, ledger.Ask{JobID: id, Due: now.Add(due), Deadline: now.Add(deadline)})
	}
	return asks
}

// keepBusy asks for stops until the test ends.
func (f *watched) keepBusy() {
	f.ask(1, hours, 0, time.Hour)
	ended, done := make(chan struct{}), make(chan struct{})
	f.t.Cleanup(func() { close(ended); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			f.ask(3, 300*time.Millisecond, 0, time.Hour)
			select {
			case <-ended:
				return
			case <-tick.C:
			}
		}
	}()
}

// scrapeFleets starts a Prometheus with the rules, and returns when it has seen
// every fleet. Alerts fire at once, without the time that they wait elsewhere.
func scrapeFleets(t *testing.T, fleets []*watched) *prometheusServer {
	t.Helper()
	// A worker waits for Redis for 3 s before it reports it as down, and a scrape takes no longer than its interval.
	config := "global: {scrape_interval: 4s, scrape_timeout: 4s, evaluation_interval: 1s}\n" +
		"rule_files: [vizstop.rules.yml, vizstop.alerts.yml]\nscrape_configs:\n"
	for _, f := range fleets {
		targets := fmt.Sprintf("%q", strings.TrimPrefix(f.worker.url, "http://"))
		if f.console != nil {
			targets += fmt.Sprintf(", %q", cmp.Or(f.console.metrics, f.console.addr))
		}
		config += fmt.Sprintf("  - {job_name: %s, static_configs: [{targets: [%s]}]%s}\n", f.name, targets, f.scrape)
	}
	files := map[string]string{"prometheus.yml": config}
	for _, name := range []string{"vizstop.rules.yml", "vizstop.alerts.yml"} {
		b, err := os.ReadFile(filepath.Join("../deploy/prometheus", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = regexp.MustCompile(`(?m)^ +(for|interval): .*\n`).ReplaceAllString(string(b), "")
	}
	p := startPrometheus(t, files)
	await(t, "two scrapes of every fleet", func() bool {
		seen, problem := p.values(`count_over_time(vizstop_build_info[1h]) > 1`)
		if problem != "" {
			t.Fatal(problem)
		}
		return len(seen) == len(fleets)
	})
	return p
}
