package scheduler

import (
	"strings"
	"testing"

	"vizstop/internal/ledger"
)

// What became of a tick is told in one sentence, with what to do if jobs may still run.
func TestWordsOfResult(t *testing.T) {
	counts := func(of map[ledger.State]int) *Stops {
		r, b := Result{}, ledger.Batch{Counts: of}
		for _, n := range of {
			b.Total += n
		}
		r.add(&b)
		return r.Stops
	}
	undone := counts(map[ledger.State]int{ledger.Stopped: 3})
	undone.Undone = 2
	const held = "it has 9 stops, more than --batch-limit 7"
	for _, row := range []struct {
		r     Result
		title string
		words string
		well  bool
	}{
		{Result{}, "done", "", true},
		{Result{Reason: "slow"}, "done", "slow", true},
		{Result{Held: held}, "done", "held when it was asked for: " + held, false},
		{Result{Held: held, Waiting: 9, Stops: counts(map[ledger.State]int{ledger.Pending: 9})}, "done, held",
			"9 stops wait for: enqueue allow b: " + held, false},
		{Result{Held: held, Stops: counts(map[ledger.State]int{ledger.Expired: 2001})}, "done",
			"2001 asked for, 0 stopped, 2001 expired; 2001 jobs may still run, and be billed: enqueue retry b asks again", false},
		{Result{Held: held, Stops: counts(map[ledger.State]int{ledger.Canceled: 1898})}, "done", "all 1898 canceled", false},
		{Result{Held: held, Stops: counts(map[ledger.State]int{ledger.Stopped: 3})}, "done", "all 3 stopped", true},
		{Result{Stops: counts(map[ledger.State]int{ledger.Stopped: 2, ledger.Gone: 1, ledger.Pending: 4, ledger.Stopping: 1}), Reason: "slow"}, "done",
			"8 asked for, 2 stopped, 1 gone, 4 pending, 1 stopping; slow", true},
		{Result{Accepted: 40, Joined: 7, Stops: counts(map[ledger.State]int{ledger.Stopped: 7})}, "done",
			"7 asked for, 7 stopped; nothing is known any more of others", false},
		{Result{Stops: undone}, "done", "3 asked for, 3 stopped, 2 restarted by undo", true},
		{Result{Shadow: true, Stops: counts(map[ledger.State]int{ledger.WouldStop: 3})}, "done (shadow)", "all 3 would_stop", true},
		{Result{Shadow: true, Stops: counts(map[ledger.State]int{ledger.Expired: 3})}, "done (shadow)", "3 asked for, 3 expired", false},
	} {
		row.r.Outcome, row.r.Batch = Done, "b"
		if row.r.Title() != row.title || row.r.Words() != row.words || row.r.Well() != row.well {
			t.Errorf("%s: %q, well %v; want %s: %q, %v", row.r.Title(), row.r.Words(), row.r.Well(), row.title, row.words, row.well)
		}
	}
}

// The stops of the last result are counted as they stand now, in all projects; nothing is said of a batch that the
// ledger does not have any more.
func TestStopsOfTheLastResult(t *testing.T) {
	b := newBench(t, strings.Replace(several, "catch_up", "batch_limit: 7, catch_up", 1), "11-26 19:00")
	b.at("11-26 19:00")
	b.at("11-26 20:05")
	last := func() *Result {
		t.Helper()
		o, err := NewDesk(b.rdb, b).Overview(t.Context(), 1)
		if err != nil || o.Schedules[0].Last == nil {
			t.Fatalf("%+v, %v", o, err)
		}
		return o.Schedules[0].Last
	}
	r := last()
	if s := r.Stops; r.Waiting != 8 || s == nil || s.Requested != 8 || s.InFlight[ledger.Pending] != 8 || s.Outcomes[ledger.Canceled] != 0 {
		t.Errorf("held: %+v, %+v", r, r.Stops)
	}
	for _, project := range []string{"a1", "a2", "b1", "b2"} {
		if err := b.Ledger.WithdrawAll(t.Context(), project, r.Batch, "a slip", func(ledger.Withdrawal) {}); err != nil {
			t.Fatal(err)
		}
	}
	if r = last(); r.Waiting != 0 || r.Title() != "partial" || !strings.HasPrefix(r.Words(), "all 8 canceled") {
		t.Errorf("canceled: %s: %q", r.Title(), r.Words())
	}
	state, err := b.state(t.Context(), "s")
	if err == nil {
		err = b.change(t.Context(), "s", &state, Result{Outcome: Done, Batch: "forgotten", Accepted: 3})
	}
	if err != nil {
		t.Fatal(err)
	}
	if r = last(); r.Batch != "forgotten" || r.Stops != nil || r.Words() != "" {
		t.Errorf("forgotten: %+v", r)
	}
}
