package e2e

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// "make watch" shows a worker that stops jobs, and a console, to a Prometheus with the rules,
// and leaves nothing behind when it is interrupted.
func TestWatchScript(t *testing.T) {
	t.Parallel()
	env := []string{"WATCH_BIN=" + bin, "WATCH_FOR=600", "STOP_TIME=1s", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
	var script *process
	notIgnoring(syscall.SIGINT, func() { script = start(t, exec.Command("../scripts/watch", "400"), env, "") })
	await(t, "the script's page", func() bool {
		select {
		case <-script.done:
			t.Fatalf("the script has ended: %v", script.cmd.ProcessState)
		default:
		}
		return strings.Contains(script.stdout.String(), "Ctrl-C ends it")
	})
	page := script.stdout.String()
	p := &prometheusServer{process: script, url: regexp.MustCompile(`http://\S+/alerts`).FindString(page)}
	p.url = strings.TrimSuffix(p.url, "/alerts")
	await(t, "confirmed stops in Prometheus", func() bool {
		values, problem := p.values(`vizstop_stop_outcomes_total{outcome="stopped"} > 0`)
		return problem == "" && len(values) > 0
	})
	if rules := p.rules(); len(rules) == 0 {
		t.Error("Prometheus has no rules")
	}
	targets, problem := ask[struct{ ActiveTargets []struct{ Health string } }](p, "/api/v1/targets", url.Values{"state": {"active"}})
	if problem != "" || len(targets.ActiveTargets) != 2 {
		t.Errorf("targets %+v, %s; want worker and console", targets, problem)
	}
	await(t, "the console in Prometheus", func() bool {
		values, problem := p.values(`up == 1 and vizstop_console_in_flight_requests >= 0`)
		return problem == "" && len(values) == 1
	})
	if console := regexp.MustCompile(`(?m)^console +(http://\S+)$`).FindStringSubmatch(page); console == nil || getPage(t, console[1]) != http.StatusOK {
		t.Errorf("the page leads to no console:\n%s", page)
	}
	if control := regexp.MustCompile(`(?m)^simulator +(http://\S+)/jobs`).FindStringSubmatch(page); control == nil {
		t.Errorf("the page tells no control address of the simulator:\n%s", page)
	}
	pids := regexp.MustCompile(`kill (?:-STOP )?(\d+)`).FindAllStringSubmatch(page, -1)
	if len(pids) != 3 {
		t.Fatalf("the page tells %d processes, want those of Redis, worker and console:\n%s", len(pids), page)
	}
	script.signal(syscall.SIGINT)
	script.wantExit(0)
	for _, m := range pids {
		pid, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		if syscall.Kill(pid, 0) == nil {
			t.Errorf("process %d is still there", pid)
		}
	}
	if _, err := os.Stat(strings.TrimSuffix(regexp.MustCompile(`unix://\S+/redis.sock`).FindString(page)[len("unix://"):], "redis.sock")); !os.IsNotExist(err) {
		t.Errorf("the script has left its folder: %v", err)
	}
}

// getPage asks for a page, and returns the status.
func getPage(t *testing.T, address string) int {
	t.Helper()
	res, err := (&http.Client{Timeout: patience}).Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}
