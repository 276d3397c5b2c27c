package main

import (
	"maps"
	"testing"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

func TestAfterKillings(t *testing.T) {
	begin := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	after := func(seconds float64) time.Time { return begin.Add(time.Duration(seconds * float64(time.Second))) }
	stop := func(job string, at float64, status int) modelartstest.Call {
		return modelartstest.Call{Operation: modelartstest.OpStop, JobID: job, At: after(at), HTTPStatus: status}
	}
	killings := []killing{
		{back: after(2), accepted: map[string]bool{"known": true}},
		{back: after(6), accepted: map[string]bool{"known": true, "later": true}},
	}
	calls := []modelartstest.Call{
		stop("refused", 0, 503), stop("known", 0.5, 200), stop("later", 0.6, 200), stop("lost", 0.9, 200),
		stop("refused", 2.25, 200),                  // no earlier call was accepted
		stop("lost", 3, 400), stop("later", 4, 400), // not known when the first worker was killed
		stop("later", 6.75, 400), stop("known", 6.8, 400), // known when the second was
	}
	got, err := afterKillings(killings, calls)
	want := map[string]float64{"resumed": 0.75, "repeated unknowingly": 2, "repeated knowingly": 2}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("afterKillings = %v, %v; want %v", got, err, want)
	}
	if _, err := afterKillings([]killing{{back: after(7)}}, calls); err == nil {
		t.Error("a worker that never called again passed")
	}
}

func TestSeenEnded(t *testing.T) {
	got, err := seenEnded("1000 2026-01-02T03:04:05.5Z\n1001 2026-01-02T03:04:06Z\n")
	if err != nil || len(got) != 2 || got["1000"].Nanosecond() != 5e8 {
		t.Errorf("seenEnded = %v, %v", got, err)
	}
	if _, err := seenEnded("1000\n"); err == nil {
		t.Error("a line without a time was taken")
	}
}
