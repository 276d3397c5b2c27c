package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/scheduler"
)

// The last evening stands in the schedule's line, a newer shadow run below it.
func TestShadowRunStandsBelow(t *testing.T) {
	since := time.Date(2026, 11, 26, 20, 0, 0, 0, time.UTC)
	results := []scheduler.Result{
		{Tick: since.Add(time.Hour + time.Second), Outcome: scheduler.Done, Batch: "trial", Shadow: true, By: "ann"},
		{Tick: since, Outcome: scheduler.Done, Batch: "real", Held: "it has 3 stops, more than --batch-limit 2", Waiting: 3},
	}
	var out bytes.Buffer
	list := scheduler.List{Revision: 1, Since: &since, Agreed: true, Workers: []scheduler.WorkerFile{{}},
		Schedules: []scheduler.Row{{Name: "evening", Timing: "20:00", Timezone: "UTC", Last: &results[1], Results: results}}}
	if err := printSchedules(streams{out: &out}, list); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("printed\n%s", out.String())
	}
	for i, want := range map[int]string{
		2: "2026-11-26 20:00 +00:00 done, held real 3 stops wait for: enqueue allow real: " +
			"it has 3 stops, more than --batch-limit 2",
		3: "2026-11-26 21:00 +00:00 done (shadow) trial",
	} {
		if got := strings.Join(strings.Fields(lines[i]), " "); !strings.HasSuffix(got, want) {
			t.Errorf("line %q, want %q", got, want)
		}
	}
}

// What became of the last tick is told beside what is special about the schedule now.
func TestRemark(t *testing.T) {
	last := &scheduler.Result{Outcome: scheduler.Done, Batch: "b"}
	last.Stops = &scheduler.Stops{Requested: 3, Outcomes: map[ledger.State]int{ledger.Canceled: 3}}
	run := &scheduler.RequestedRun{Batch: "c", By: "ann"}
	for want, row := range map[string]scheduler.Row{
		"":               {},
		"shadow":         {Shadow: true},
		"all 3 canceled": {Last: last},
		"c, a run that ann asked for: no worker has taken it up yet":                       {Requested: run},
		"c, a run that ann asked for: no worker has taken it up yet; last: all 3 canceled": {Requested: run, Last: last},
	} {
		if got := remark(row); got != want {
			t.Errorf("remark %q, want %q", got, want)
		}
	}
}
