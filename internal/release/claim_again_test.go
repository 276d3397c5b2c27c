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
