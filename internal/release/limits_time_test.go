package release

import (
	"strconv"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// askAt asks in a batch for the jobs "job-0" to "job-<n-1>", for a time.
func (w *world) askAt(batch string, confirmed bool, n int, due, deadline time.Time) (ids []string) {
	w.t.Helper()
	var asks []ledger.Ask
	for i := range n {
		asks = append(asks, ledger.Ask{JobID: "job-" + strconv.Itoa(i), Due: due, Deadline: deadline, Confirmed: confirmed})
	}
	openings, err := w.ledger.Open(w.t.Context(), project, batch, asks)
	w.ok(err)
	for _, o := range openings {
		ids = append(ids, o.StopID)
	}
	return ids
}

// lookAfterLate does what a worker does with the stops that a round says are late.
func (w *world) lookAfterLate() {
	w.t.Helper()
	var stops []*ledger.Stop
	for _, id := range w.round(Need{Most: 1, Unlisted: time.Hour, Unwatched: time.Hour, Silence: time.Hour}).Late {
		stops = append(stops, w.get(id))
	}
	w.ok(w.Hasten(w.t.Context(), project, stops))
}

// What somebody has confirmed for a time goes out before it only within the limits of
// whoever asks for that, and without any when its time has come.
func TestAskedForBeforeItsConfirmedTime(t *testing.T) {
	for name, c := range map[string]struct {
		held  bool   // whether the batch that asks for it earlier is
		first string // the batch that is recorded first
		lane  string
		early int // how many calls go out early
	}{
		"window":                 {false, "evening", "limited", 3},
		"held":                   {true, "evening", "held", 0},
		"window, confirmed last": {false, "now", "limited", 3},
		"held, confirmed last":   {true, "now", "held", 0},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, limit(3), func(t *testing.T, w *world) {
				evening := w.now().Add(8 * time.Hour)
				ask := map[string]func() []string{
					"evening": func() []string { return w.askAt("evening", true, 10, evening, evening.Add(time.Hour)) },
					"now":     func() []string { return w.askAt("now", false, 10, w.now(), w.now().Add(3*time.Hour)) },
				}
				if c.held {
					w.hold("now")
				}
				ids := ask[c.first]()
				delete(ask, c.first)
				for _, other := range ask {
					other()
				}
				w.advance(time.Second)
				if got := w.goOut() + w.goOut(); got != c.early {
					t.Errorf("%d calls went out at once, want %d", got, c.early)
				}
				if got := w.place(ids[9]); got != c.lane {
					t.Errorf("a stop waits in %s, want %s", got, c.lane)
				}
				w.advance(2 * time.Hour) // the window is open again
				if got := w.goOut(); got != c.early {
					t.Errorf("%d calls went out between, want %d", got, c.early)
				}
				w.advance(4 * time.Hour) // it is open again, but the earlier ask is over
				if got := w.goOut(); got != 0 {
					t.Errorf("%d calls went out after the time of the earlier ask, want none", got)
				}
				w.time = evening
				w.lookAfterLate()
				if got, want := w.goOut(), 10-2*c.early; got != want {
					t.Errorf("%d calls went out at the confirmed time, want the %d that are left", got, want)
				}
				if got := w.window().Used; got != 0 {
					t.Errorf("%d calls count, want none of those that were confirmed", got)
				}
			})
		})
	}
}

// A wish that is confirmed, or withdrawn, gives the confirmed stop its time back.
func TestTheConfirmedTimeChanges(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, ids []string)
		want   int
	}{
		"allowed":   {func(w *world, _ []string) { w.allow("now", 10) }, 10},
		"withdrawn": {func(w *world, ids []string) { w.cancel("now", ledger.Withdrew, ids...) }, 0},
		"asked for again, confirmed": {func(w *world, _ []string) {
			w.askAt("third", true, 10, w.now(), w.now().Add(time.Minute))
		}, 10},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, limit(3), func(t *testing.T, w *world) {
				evening := w.now().Add(8 * time.Hour)
				ids := w.askAt("evening", true, 10, evening, evening.Add(time.Hour))
				w.askAt("now", false, 10, w.now(), w.now().Add(time.Hour))
				c.change(w, ids)
				w.advance(time.Second)
				if got := w.goOut(); got != c.want {
					t.Errorf("%d calls went out, want %d", got, c.want)
				}
				if used := w.window().Used; used != 0 {
					t.Errorf("%d calls count, want none", used)
				}
				w.time = evening
				if got := w.goOut(); got != 10-c.want {
					t.Errorf("%d calls went out in the evening, want the other %d", got, 10-c.want)
				}
			})
		})
	}
}

// When the deadline of what was confirmed has passed, calls for those who want it later
// keep to the limits.
func TestAskedForBeyondItsConfirmedTime(t *testing.T) {
	for name, held := range map[string]bool{"window": false, "held": true} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, limit(3), func(t *testing.T, w *world) {
				now := w.now()
				w.askAt("person", true, 10, now, now.Add(time.Hour))
				if held {
					w.hold("foreign")
				}
				w.askAt("foreign", false, 10, now, now.Add(24*time.Hour))
				need := wide()
				need.Room = 4
				before := 0
				for _, m := range w.round(need).Stops {
					if w.tryClaim(m.StopID).Stop != nil {
						before++
					}
				}
				if used := w.window().Used; before == 0 || used != 0 {
					t.Errorf("%d calls went out in time, and %d count; want some, and none", before, used)
				}
				w.advance(2 * time.Hour) // paused, or an outage
				want := 3
				if held {
					want = 0
				}
				if got := w.goOut() + w.goOut(); got != want {
					t.Errorf("%d calls went out after the confirmed deadline, want %d", got, want)
				}
			})
		})
	}
}

// A project that waits for the window limit waits no longer when the limit is raised, be
// it that a worker with a stricter one has gone, or that one starts with another limit.
func TestARaisedLimitIsHeard(t *testing.T) {
	eachRedis(t, limit(2), func(t *testing.T, w *world) {
		n := 2 // each Redis has its own
		old := w.worker("old", Config{Window: func() int { return n }})
		w.ok(old.Refresh(t.Context()))
		w.unconfirmed("b", 5)
		rests := func() {
			r, err := old.Round(t.Context(), project, wide())
			w.ok(err)
			if len(r.Stops) > 0 || r.Next < time.Minute {
				t.Fatalf("%d stops were released, the next round is in %v; want a rest", len(r.Stops), r.Next)
			}
			w.turns(old, Pull(project, r.Next))
			w.ok(old.Refresh(t.Context()))
			if turns, _ := w.turns(old); len(turns) != 0 {
				t.Errorf("turns %v, although no limit has changed", turns)
			}
		}
		r, err := old.Round(t.Context(), project, wide())
		w.ok(err)
		for _, m := range r.Stops {
			if c, err := old.NewClaim(project, m, ledger.KindStop).Do(); err != nil || c.Stop == nil {
				t.Fatalf("claim: %+v, %v", c, err)
			}
		}
		rests()
		n = 3
		w.ok(old.Refresh(t.Context()))
		if turns, _ := w.turns(old); len(turns) != 1 {
			t.Errorf("turns %v after the limit was raised, want one", turns)
		}
		n = 2
		w.ok(old.Refresh(t.Context()))
		rests()
		w.ok(w.worker("new", Config{Window: func() int { return 3 }}).Refresh(t.Context()))
		if turns, _ := w.turns(old); len(turns) != 1 {
			t.Errorf("turns %v after a worker with another limit has started, want one", turns)
		}
	})
}
