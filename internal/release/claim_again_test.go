package release

import (
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// A claim that is repeated, as its answer was lost or came too late, lets no call out that
// something holds back by then: the stop comes back as a look, as the call is marked.
func TestHeldSinceTheClaim(t *testing.T) {
	pause := func(w *world) {
		_, err := w.Pause(w.t.Context(), project, "ann", "a mistake")
		w.ok(err)
	}
	for name, c := range map[string]struct {
		hold  func(w *world)
		after time.Duration // between the two claims
	}{
		"paused":      {pause, 30 * time.Minute},
		"paused, now": {pause, 0},
		"held":        {func(w *world) { w.hold("b") }, 10 * time.Minute},
		"held, now":   {func(w *world) { w.hold("b") }, 0},
		"window": {func(w *world) {
			w.unconfirmed("other", 5)
			w.goOut()
		}, 10 * time.Minute},
		"fleet": {func(w *world) { w.fleet.queue = true }, time.Minute},
		"API":   {func(w *world) { w.rdb.HSet(w.t.Context(), keys.Control(), "hold", "outage") }, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, limit(3), func(t *testing.T, w *world) {
				id := w.unconfirmed("b", 1)[0]
				w.round(wide())
				attempt := w.NewClaim(project, w.get(id).Member(), ledger.KindStop)
				if first, err := attempt.Do(); err != nil || !first.MayCall {
					t.Fatalf("claim: %+v, %v", first, err)
				}
				c.hold(w)
				w.advance(c.after)
				got, err := attempt.Do()
				if w.ok(err); got.Stop != nil || !got.Held {
					t.Fatalf("the claim that was repeated: %+v, want it held back", got)
				}
				if s := w.get(id); w.place(id) != "look" || !s.Unsure {
					t.Errorf("the stop waits in %s, unsure: %t; want a look, as its call is marked", w.place(id), s.Unsure)
				}
			})
		})
	}
}

// A claim that is repeated lets no call out that its account gets no more: the stop comes back as a look, as its call is
// marked. One that is not wanted any more is this worker's to end.
func TestNoCallSinceTheClaim(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world, id string, serving *Serving)
		held   bool
	}{
		"in a shadow account": {func(_ *world, _ string, serving *Serving) { serving.Shadow = true }, true},
		"withdrawn":           {func(w *world, id string, _ *Serving) { w.cancel("b", ledger.TooLate, id) }, false},
		"past its deadline":   {func(w *world, _ string, _ *Serving) { w.advance(time.Hour) }, false},
	} {
		for _, after := range []time.Duration{0, 4 * time.Second} {
			t.Run(name+" after "+after.String(), func(t *testing.T) {
				eachRedis(t, Config{}, func(t *testing.T, w *world) {
					serving := Serving{}
					w.Releaser = w.worker("worker-1", Config{Serving: func(string) Serving { return serving }})
					id := w.open("b", 1)[0]
					w.round(wide())
					attempt := w.NewClaim(project, w.get(id).Member(), ledger.KindStop)
					if first, err := attempt.Do(); err != nil || !first.MayCall {
						t.Fatalf("claim: %+v, %v", first, err)
					}
					w.advance(after)
					c.change(w, id, &serving)
					got, err := attempt.Do()
					if w.ok(err); got.MayCall || got.Held != c.held || (got.Stop == nil) != c.held {
						t.Fatalf("the claim that was repeated: %+v, want no call, and held: %t", got, c.held)
					}
					s, want := w.get(id), "released"
					if c.held {
						want = "look"
					}
					if w.place(id) != want || s.Unsure != c.held {
						t.Errorf("the stop is in %s, unsure: %t; want it in %s", w.place(id), s.Unsure, want)
					}
				})
			})
		}
	}
}
