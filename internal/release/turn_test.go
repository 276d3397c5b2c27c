package release

import (
	"fmt"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// outage holds the project, and has a probe be due now.
func (w *world) outage() {
	w.t.Helper()
	w.ok(w.rdb.HSet(w.t.Context(), keys.Control(), "hold", "outage", "probe_at", 1).Err())
}

// spendAll makes as many other calls as the rate has left now, and says how many.
func (w *world) spendAll() (calls int) {
	w.t.Helper()
	for w.spend() == 0 {
		calls++
	}
	return calls
}

// A probe waits for nothing, and counts: while an outage is tried for and an undo uses the
// whole rate, no more calls go out than the rate says.
func TestProbesCount(t *testing.T) {
	eachRedis(t, Config{Rate: 1, Burst: 2}, func(t *testing.T, w *world) {
		w.open("b", 100)
		w.outage()
		probes, spent := 0, 0
		for second := range 60 {
			spent += w.spendAll()
			if second%2 == 0 { // as each probe fails
				w.rdb.HSet(t.Context(), keys.Control(), "probe_at", w.now().UnixMilli())
			}
			went := w.released()
			for _, id := range went {
				if c := w.tryClaim(id); c.Stop == nil {
					t.Fatalf("after %d s: the probe is not claimed: %+v", second, c)
				}
				probes++
			}
			if len(went) == 0 && second%2 == 0 {
				t.Errorf("no probe after %d s", second)
			}
			w.advance(time.Second)
		}
		if all := probes + spent; probes != 30 || all < 59 || all > 64 {
			t.Errorf("%d probes and %d other calls within a minute, want 30, and 60 to 64 in all", probes, spent)
		}
	})
}

// What was to be a probe and is held back by a limit makes no call: it costs nothing, earns
// nothing, and each stop is tried but once. So it is where a list check has left a debt.
func TestProbesOfAHeldBatch(t *testing.T) {
	for _, debt := range []int{0, 30} {
		t.Run(fmt.Sprintf("debt of %d", debt), func(t *testing.T) {
			eachRedis(t, Config{Rate: 1, Burst: 2}, func(t *testing.T, w *world) {
				w.unconfirmed("b", 200)
				w.hold("b")
				w.outage()
				w.rdb.HSet(t.Context(), keys.Control(), "at", w.now().UnixMilli(), "stops", -debt, "looks", 0)
				tried, spent := 0, 0
				for range 40 * 30 { // rounds, 25 ms apart
					for _, id := range w.released() {
						tried++
						if c := w.tryClaim(id); c.Stop != nil {
							t.Fatalf("stop %s of a held batch was claimed", id)
						}
					}
					spent += w.spendAll()
					w.advance(25 * time.Millisecond)
				}
				least, most := 26, 33
				if debt > 0 {
					least, most = 0, 8 // looks keep their fifth
				}
				if tried != 200 || spent < least || spent > most {
					t.Errorf("%d stops were tried as probes in 30 s, want 200; %d other calls at one a second, want %d to %d", tried, spent, least, most)
				}
			})
		})
	}
}

// firstProbe is how long it takes until a call goes out, within most.
func (w *world) firstProbe(most time.Duration) time.Duration {
	w.t.Helper()
	for began := w.now(); w.now().Sub(began) < most; w.advance(25 * time.Millisecond) {
		for _, id := range w.released() {
			if c := w.tryClaim(id); c.Stop != nil {
				return w.now().Sub(began)
			}
		}
	}
	return most
}

// Stops of a held batch, which make no call, keep nobody else from being the probe.
func TestProbeBesideAHeldBatch(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.unconfirmed("b", 200)
		w.hold("b")
		w.open("c", 5)
		w.outage()
		if d := w.firstProbe(time.Minute); d > time.Second {
			t.Errorf("with confirmed stops, the first probe goes out after %v", d)
		}
	})
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.unconfirmed("b", 200)
		w.hold("b")
		w.unconfirmed("c", 5)
		w.outage()
		if d := w.firstProbe(time.Minute); d > 10*time.Second {
			t.Errorf("with stops that nobody confirmed, the first probe goes out after %v", d)
		}
	})
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(3)
		w.unconfirmed("b", 200)
		w.hold("b")
		w.outage()
		if r := w.round(wide()); !r.Probe || len(r.Stops) > 0 {
			t.Errorf("with watched jobs, the probe is none of the list but one of %d stops", len(r.Stops))
		}
	})
}

// A step that makes no call leaves its turn to the next one, whatever the reason: nobody
// wants its stop before tomorrow, or at all, or its time is up.
func TestTurnIsPassedOn(t *testing.T) {
	day := 24 * time.Hour
	open := func(w *world, batch string, due, deadline time.Duration) string {
		o, err := w.ledger.Open(w.t.Context(), project, batch, []ledger.Ask{{JobID: "job", Due: w.now().Add(due), Deadline: w.now().Add(deadline), Confirmed: true}})
		w.ok(err)
		return o[0].StopID
	}
	withdraw := func(w *world, id, batch string) {
		_, err := w.ledger.Withdraw(w.t.Context(), project, id, batch, "a mistake")
		w.ok(err)
	}
	for name, spoil := range map[string]func(w *world) (id string, then func()){
		"wanted tomorrow": func(w *world) (string, func()) {
			id := open(w, "tomorrow", day, 2*day)
			open(w, "now", 0, 2*day)
			return id, func() { withdraw(w, id, "now") }
		},
		"canceled": func(w *world) (string, func()) {
			id := open(w, "now", 0, day)
			return id, func() { withdraw(w, id, "now") }
		},
		"late": func(w *world) (string, func()) {
			return open(w, "now", 0, time.Second), func() { w.advance(2 * time.Second) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{Rate: 1, Burst: 2}, func(t *testing.T, w *world) {
				id, then := spoil(w)
				w.advance(time.Millisecond)
				w.outage()
				if got := w.released(); len(got) != 1 || got[0] != id {
					t.Fatalf("released %v, want %s", got, id)
				}
				step := w.get(id)
				then()
				c, err := w.NewClaim(project, step.Member(), step.Kind).Do()
				w.ok(err)
				if c.Marked {
					t.Fatalf("a call goes out: %+v", c)
				}
				w.open("others", 5)
				if d := w.firstProbe(time.Hour); d > 3*time.Second {
					t.Errorf("the probe goes out after %v", d)
				}
			})
		})
	}
}
