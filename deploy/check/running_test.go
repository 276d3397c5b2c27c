package check

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// serve starts a program that runs until the end of the test, and returns what
// the pattern finds in its output.
func serve(t *testing.T, pattern, program string, args ...string) string {
	t.Helper()
	return serveProgram(t, pattern, filepath.Join(bin, program), args...)
}

// serveProgram is serve for any program.
func serveProgram(t *testing.T, pattern, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = []string{}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	var reader sync.WaitGroup
	reader.Go(func() {
		p := regexp.MustCompile(pattern)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			if m := p.FindStringSubmatch(lines.Text()); m != nil && len(found) == 0 {
				found <- m[1]
			}
		}
		_, _ = io.Copy(io.Discard, r)
	})
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		w.Close()
		reader.Wait()
	})
	select {
	case match := <-found:
		return match
	case <-time.After(patience):
		t.Fatalf("%s %q does not say %s", program, args, pattern)
		return ""
	}
}

// simulate starts a simulated API with two running jobs, half a day and a quarter
// old, and returns its address.
func simulate(t *testing.T, project string) string {
	t.Helper()
	args := []string{"--listen", "127.0.0.1:0", "--jobs", "2"}
	if project != "" {
		args = append(args, "--project", project)
	}
	return serve(t, `^(http://\S+)$`, "simulator", args...)
}

// pages starts a worker and returns the address of its pages.
func pages(t *testing.T) string {
	t.Helper()
	return serve(t, `^metrics: (http://\S+)/metrics$`, "worker", "demo", "--jobs", "1", "--serve", "--listen", "127.0.0.1:0")
}

func get(t *testing.T, url string) (int, string) { return getAs(t, url, "") }

// getAs is get with a token.
func getAs(t *testing.T, url, token string) (int, string) {
	t.Helper()
	client := http.Client{Timeout: patience}
	req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.SetBasicAuth("", token)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// series are the labels of every series that a worker shows, by metric.
type series map[string][]map[string]string

var (
	seriesPattern = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? `)
	labelPattern  = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
)

// shown reads the series of a running worker.
func shown(t *testing.T, pages string) series {
	t.Helper()
	_, body := get(t, pages+"/metrics")
	all := series{}
	for line := range strings.Lines(body) {
		m := seriesPattern.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		labels := map[string]string{}
		for _, l := range labelPattern.FindAllStringSubmatch(m[2], -1) {
			labels[l[1]] = l[2]
		}
		all[m[1]] = append(all[m[1]], labels)
	}
	if len(all) < 20 {
		t.Fatalf("the metrics are not understood:\n%s", body)
	}
	return all
}

var (
	selectorPattern = regexp.MustCompile(`\b(vizstop_[a-z_]+)(?:\{([^}]*)\})?`)
	matcherPattern  = regexp.MustCompile(`([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
)

// faults lists what a PromQL expression selects of vizstop's series that no
// worker shows: metrics, labels, and values that match none.
func (all series) faults(expr string) []string {
	var faults []string
	for _, m := range selectorPattern.FindAllStringSubmatch(expr, -1) {
		metric, matchers := m[1], matcherPattern.FindAllStringSubmatch(m[2], -1)
		if len(all[metric]) == 0 {
			faults = append(faults, fmt.Sprintf("no metric %s", metric))
			continue
		}
		for _, one := range matchers {
			label, op, value := one[1], one[2], one[3]
			for _, v := range strings.Split(value, "|") { // each alternative has to be there
				if fault := all.fault(metric, label, op, v); fault != "" {
					faults = append(faults, fault)
				}
			}
		}
	}
	return faults
}

func (all series) fault(metric, label, op, value string) string {
	pattern := regexp.QuoteMeta(value)
	if strings.HasSuffix(op, "~") {
		pattern = value
	}
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return err.Error()
	}
	has := false
	for _, labels := range all[metric] {
		v, ok := labels[label]
		has = has || ok
		if ok && re.MatchString(v) {
			return ""
		}
	}
	if !has {
		return fmt.Sprintf("metric %s has no label %s", metric, label)
	}
	return fmt.Sprintf("no %s is %q for label %s", metric, value, label)
}

// A metric, a label or a value that no worker shows is found.
func TestUnknownSeriesAreFound(t *testing.T) {
	t.Parallel()
	all := shown(t, pages(t))
	for expr, want := range map[string]string{
		`max(vizstop_queue_latency_seconds{queue="visualization"}) > 5`:             "",
		`sum(rate(vizstop_stop_outcomes_total{outcome=~"rejected|expired"}[5m]))`:   "",
		`vizstop_redis_up == 0 and up{job="x"} == 1`:                                "",
		`histogram_quantile(0.9, rate(vizstop_stop_duration_seconds_bucket[5m]))`:   "",
		`max(vizstop_queue_latency{queue="visualization"})`:                         "no metric vizstop_queue_latency",
		`vizstop_stop_outcomes_total{result="expired"}`:                             "metric vizstop_stop_outcomes_total has no label result",
		`vizstop_stop_outcomes_total{outcome="lost"}`:                               `no vizstop_stop_outcomes_total is "lost" for label outcome`,
		`vizstop_stop_outcomes_total{outcome=~"rejected|lost"}`:                     `no vizstop_stop_outcomes_total is "lost" for label outcome`,
		`vizstop_stop_outcomes_total{outcome!="stoped"} / vizstop_redis_up{x="1"} `: `no vizstop_stop_outcomes_total is "stoped" for label outcome; metric vizstop_redis_up has no label x`,
	} {
		if got := strings.Join(all.faults(expr), "; "); got != want {
			t.Errorf("%s: %q, want %q", expr, got, want)
		}
	}
}

// The version of the build is in the metrics.
func TestBuildInfo(t *testing.T) {
	t.Parallel()
	if fault := shown(t, pages(t)).fault("vizstop_build_info", "version", "=", builtVersion); fault != "" {
		t.Error(fault)
	}
}
