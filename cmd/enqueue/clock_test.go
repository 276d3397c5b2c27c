package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"vizstop/internal/control"
	"vizstop/internal/redistest"
)

// What is asked for now is due now by the fleet's time, whatever the clock of this machine shows.
func TestStopIsDueByTheFleetsTime(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	admin := s.Client(t)
	for _, shift := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		if err := admin.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		// As a failover leaves it, or a clock of this machine that is wrong.
		admin.HSet(t.Context(), "vizstop:{-}:clock", "shift", shift.Milliseconds())
		getenv := func(name string) string {
			return map[string]string{"VIZSTOP_REDIS": "redis://" + s.Addr}[name]
		}
		var out, errs bytes.Buffer
		err := run(t.Context(), []string{"--project", project, "--batch", "b", "10"}, getenv, strings.NewReader(""), &out, &errs)
		if err != nil {
			t.Fatal(err, out.String(), errs.String())
		}
		desk, err := control.Open(t.Context(), admin)
		if err != nil {
			t.Fatal(err)
		}
		stops, _, err := desk.Ledger.BatchStops(t.Context(), project, "b", 0, 10)
		if err != nil || len(stops) != 1 {
			t.Fatal(stops, err)
		}
		now := desk.Ledger.Now()
		if off := stops[0].Due.Sub(now); off.Abs() > 10*time.Second {
			t.Errorf("fleet's time %v from this machine's: the stop is due %v from now, its deadline %v from now\n%s%s",
				shift, off.Round(time.Second), stops[0].Deadline.Sub(now).Round(time.Second), out.String(), errs.String())
		}
	}
}
