package release

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// unconfirmed opens n stops of a batch that nobody has confirmed, due now, for a day.
func (w *world) unconfirmed(batch string, n int) []string {
	w.t.Helper()
	var asks []ledger.Ask
	for i := range n {
		asks = append(asks, ledger.Ask{JobID: batch + "-" + strconv.Itoa(i), Deadline: w.now().Add(24 * time.Hour)})
	}
	openings, err := w.ledger.Open(w.t.Context(), project, batch, asks)
	w.ok(err)
	var ids []string
	for _, o := range openings {
		ids = append(ids, o.StopID)
	}
	w.advance(time.Millisecond)
	return ids
}

// limit is a Config with a window limit.
func limit(n int) Config { return Config{Window: func() int { return n }} }

// released makes a round, and returns the stops whose calls it lets out.
func (w *world) released() (ids []string) {
	w.t.Helper()
	for _, m := range w.round(wide()).Stops {
		ids = append(ids, m.StopID)
	}
	return ids
}

// goOut makes a round and claims what it has released, and returns how many calls may go
// out.
func (w *world) goOut() int {
	w.t.Helper()
	n := 0
	for _, id := range w.released() {
		if w.tryClaim(id).Stop != nil {
			n++
		}
	}
	return n
}

// A stop that a confirmed batch joins is confirmed from then on.
func TestAConfirmedJoin(t *testing.T) {
	eachRedis(t, limit(1), func(t *testing.T, w *world) {
		ids := w.unconfirmed("b", 3)
		w.goOut()
		_, err := w.ledger.Open(t.Context(), project, "c", []ledger.Ask{{JobID: "b-2", Deadline: w.now().Add(time.Hour), Confirmed: true}})
		w.ok(err)
		if got := w.place(ids[2]); got != "small" {
			t.Errorf("the stop waits in %s", got)
		}
		if got := w.goOut(); got != 1 {
			t.Errorf("%d calls went out, want that of the confirmed one", got)
		}
		if got := w.window().Used; got != 1 {
			t.Errorf("%d calls count, want 1", got)
		}
	})
}

// A hold of the API is probed by a stop that nobody confirmed, if there is no other, as
// long as the window has something left.
func TestProbesKeepToTheWindow(t *testing.T) {
	eachRedis(t, limit(1), func(t *testing.T, w *world) {
		w.unconfirmed("b", 2)
		w.rdb.HSet(t.Context(), keys.Control(), "hold", "outage", "probe_at", 1)
		if got := w.goOut(); got != 1 {
			t.Fatalf("%d probes went out, want 1", got)
		}
		w.rdb.HSet(t.Context(), keys.Control(), "probe_at", 1, "probe", "")
		if r := w.round(wide()); len(r.Stops) > 0 || !r.Probe {
			t.Errorf("%d stops as probes, another probe: %t; want a probe of no stop", len(r.Stops), r.Probe)
		}
	})
}

// A batch that is over a limit when it states its size is held before its first call,
// and goes on as far as somebody allows.
func TestHeldBatch(t *testing.T) {
	eachRedis(t, limit(100), func(t *testing.T, w *world) {
		w.ok(w.ledger.StateSize(t.Context(), project, "b", 4, "it has 4 stops, more than --batch-limit 3"))
		ids := w.unconfirmed("b", 4)
		w.open("other", 1)
		if got := w.goOut(); got != 1 {
			t.Errorf("%d calls went out, want that of the other batch", got)
		}
		w.holdsAre("batch batch_limit")
		if want := []string{"batch_limit:b"}; !slices.Equal(w.began.all, want) {
			t.Errorf("told of %q, want %q", w.began.all, want)
		}
		holds, err := w.Holds(t.Context())
		w.ok(err)
		for _, want := range []string{"batch b of project", "more than --batch-limit 3", "4 stops have had no call", "enqueue allow b"} {
			if text := holds[0].String(); !strings.Contains(text, want) {
				t.Errorf("the hold says %q, want %q in it", text, want)
			}
		}
		if got := w.place(ids[0]); got != "held" {
			t.Errorf("the stop waits in %s", got)
		}
		if n, err := w.ledger.Confirm(t.Context(), project, "b", 1); n != 1 || err != nil {
			t.Fatalf("allowed %d, %v", n, err)
		}
		if got := w.goOut(); got != 1 {
			t.Errorf("%d calls went out, want the one that was allowed", got)
		}
		w.holdsAre("batch batch_limit")
		if n, err := w.ledger.Confirm(t.Context(), project, "b", 1000); n != 3 || err != nil {
			t.Fatalf("allowed %d, %v", n, err)
		}
		if got := w.goOut(); got != 3 {
			t.Errorf("%d calls went out, want the rest", got)
		}
		w.holdsAre()
		if got := w.window().Used; got != 0 {
			t.Errorf("%d calls count, want none: a person has allowed them", got)
		}
	})
}

// A batch that brings more stops than it stated is held, also those that came before.
func TestMoreThanStated(t *testing.T) {
	eachRedis(t, limit(100), func(t *testing.T, w *world) {
		w.ok(w.ledger.StateSize(t.Context(), project, "b", 2, ""))
		w.unconfirmed("b", 2)
		if got := w.goOut(); got != 2 {
			t.Fatalf("%d calls of a batch within its size went out, want 2", got)
		}
		w.ok(w.ledger.StateSize(t.Context(), project, "c", 2, ""))
		ids := w.unconfirmed("c", 3)
		for range 2 {
			if got := w.goOut(); got != 0 {
				t.Errorf("%d calls of a larger batch went out, want none", got)
			}
		}
		for i, id := range ids {
			if got := w.place(id); got != "held" {
				t.Errorf("stop %d waits in %s", i, got)
			}
		}
		w.holdsAre("batch batch_limit")
	})
}

// end ends a stop whose call went out.
func (w *world) end(id string, outcome ledger.State) {
	w.t.Helper()
	s := w.get(id)
	if s.State.Ended() {
		return
	}
	if done, err := w.ledger.Finish(w.t.Context(), s, outcome, "", 0); !done || err != nil {
		w.t.Fatalf("stop %s ended: %t, %v", id, done, err)
	}
}

// When more than 30 % of at least 20 stops that have ended were refused or not found,
// the rest of a batch that nobody confirmed is held.
func TestBadOutcomes(t *testing.T) {
	for name, c := range map[string]struct {
		bad, good int
		confirmed bool
		held      bool
	}{
		"too few":   {19, 0, false, false},
		"enough":    {7, 13, false, true},
		"good ones": {6, 14, false, false},
		"confirmed": {20, 0, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, limit(1000), func(t *testing.T, w *world) {
				ids := w.unconfirmed("b", 40)
				if c.confirmed {
					w.ledger.Confirm(t.Context(), project, "b", 1000)
				}
				need := wide()
				need.Room = 20
				var going []string
				for _, m := range w.round(need).Stops {
					going = append(going, m.StopID)
				}
				for len(going) < c.bad+c.good {
					need.Room += 10
					for _, m := range w.round(need).Stops {
						going = append(going, m.StopID)
					}
				}
				for i, id := range going[:c.bad+c.good] {
					w.tryClaim(id)
					outcome := ledger.Stopped
					if i >= c.good {
						outcome = []ledger.State{ledger.Rejected, ledger.NotFound}[i%2]
					}
					w.end(id, outcome)
				}
				want := len(ids) - c.bad - c.good
				if c.held {
					want = 0
				}
				went := w.goOut() + w.goOut()
				for _, id := range going[c.bad+c.good:] {
					if w.tryClaim(id).Stop != nil {
						went++
					}
				}
				if went != want {
					t.Errorf("%d further calls went out, want %d", went, want)
				}
				if c.held {
					w.holdsAre("batch bad_outcomes")
				} else {
					w.holdsAre()
				}
			})
		})
	}
}
