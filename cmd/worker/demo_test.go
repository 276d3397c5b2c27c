package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vizstop/internal/report"
)

func TestDemoJSON(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if err := run(t.Context(), []string{"demo", "--json", "--jobs", "20"}, environ{}.get, &stdout, &stderr); err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	var got demoResult
	dec := json.NewDecoder(&stdout)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&got); err != nil || dec.More() {
		t.Fatalf("not one object: %v", err)
	}
	// 20 that run and the one that throttles are stopped by us.
	want := map[string]int{"stopped": 21, "already_stopped": 1, "gone": 0, "not_found": 1, "rejected": 0, "expired": 0, "canceled": 0,
		"would_stop": 0, "would_already": 0, "would_not_found": 0, "would_hold": 0}
	if got.Requested != 23 || !maps.Equal(got.Outcomes, want) {
		t.Errorf("requested %d, outcomes %v; want 23, %v", got.Requested, got.Outcomes, want)
	}
	if q := got.Duration; q == (report.Quantiles{}) || q.P50 > q.P95 || q.P95 > q.Max || q.Max > 30 {
		t.Errorf("durations %+v, want p50 <= p95 <= max <= 30", q)
	}
	// Every job gets one stop call, the throttled one two, and each stopped one
	// at least one detail call; lists say when.
	if calls := got.APICalls; calls["stop"] != 24 || calls["detail"] < 21 || calls["list"] == 0 || len(calls) != 3 {
		t.Errorf("API calls %v, want 24 stop, at least 21 detail, and some list", calls)
	}
	if first, _, _ := strings.Cut(stderr.String(), "\n"); !strings.HasPrefix(first, "demo: ") { // before anything can take time
		t.Errorf("the first line is %q", first)
	}
	wantContains(t, stderr.String(), "metrics: http://", "stopping 23 simulated jobs, batch ", "23 of 23 stops have an outcome")
}

func TestDemoTable(t *testing.T) {
	t.Parallel()
	s := &report.Summary{
		Requested: 4, Outcomes: map[string]int{"stopped": 2, "already_stopped": 1, "gone": 1},
		Duration: report.Quantiles{P50: 2.04, P95: 3.5, Max: 3.5},
	}
	var stdout bytes.Buffer
	if err := new(demo).print(s, map[string]int{"stop": 5, "list": 1, "detail": 3}, &stdout); err != nil {
		t.Fatal(err)
	}
	want := []string{"outcome stops", "stopped 2", "already_stopped 1", "gone 1", "requested 4", "",
		"time to confirmed seconds", "p50 2.0", "p95 3.5", "max 3.5", "", "API calls: 5 stop, 1 list, 3 detail: 2.25 for each stop"}
	var got []string
	for line := range strings.Lines(stdout.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	if !slices.Equal(got, want) {
		t.Errorf("printed %q, want %q", got, want)
	}
}

// With --serve, the console is there from the start, and ends with the demo.
func TestDemoServesTheConsole(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"demo", "--serve", "--jobs", "3", "--listen", "127.0.0.1:0"}, environ{}.get, io.Discard, w)
		w.Close()
		ended <- err
	}()
	url, served := "", false
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if found, ok := strings.CutPrefix(lines.Text(), "console: "); ok {
			url = found
		}
		if strings.HasPrefix(lines.Text(), "serving ") {
			res, err := http.Get(url + "readyz")
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			served = res.StatusCode == http.StatusOK
			cancel()
		}
	}
	if err := <-ended; err != nil || !served {
		t.Errorf("the console at %q was ready: %v; the demo ended with %v", url, served, err)
	}
}
