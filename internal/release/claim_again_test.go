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

// A claim that is repeated lets no call out once its account is a shadow account: the stop comes back as a look, as its
// call is marked. One that is not wanted any more is this worker's to end.
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

// A stop that is withdrawn while its step is released comes back as a look, whatever held the step back or lost it: a
// stop call of it would wait for as long as the pause lasts, and none is to go out.
func TestWithdrawnWhileReleased(t *testing.T) {
	for name, back := range map[string]func(w *world, id string){
		"claimed in a pause": func(w *world, id string) {
			if c := w.tryClaim(id); !c.Held {
				w.t.Errorf("claimed %+v, want it held back", c)
			}
		},
		"recovered": func(w *world, id string) {
			_, err := w.Recover(w.t.Context(), project, []ledger.Member{w.get(id).Member()}, func(int) bool { return true })
			w.ok(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				id := w.open("b", 1)[0]
				s := w.claim(id).Stop
				w.cancel("b", ledger.TooLate, id) // while its call is under way
				_, err := w.ledger.Open(t.Context(), project, "again", []ledger.Ask{{JobID: s.JobID, Deadline: w.now().Add(time.Hour), Confirmed: true}})
				w.ok(err)
				w.move(w.get(id), ledger.Step{Kind: ledger.KindStop, Due: w.now()}) // the call was refused
				w.round(wide())
				_, err = w.Pause(t.Context(), project, "ann", "")
				w.ok(err)
				w.cancel("again", ledger.Withdrew, id)
				if s := w.get(id); w.place(id) != "released" || s.Withdrawn == "" {
					t.Fatalf("it is in %s as %+v, want it released, and withdrawn", w.place(id), s)
				}
				back(w, id)
				if s := w.get(id); w.place(id) != "look" || s.Kind != ledger.KindPoll || !s.Instead || s.Unsure || s.Next.After(w.now()) {
					t.Errorf("it waits in %s as %+v, want a look now, in place of the call", w.place(id), s)
				}
				if r := w.round(wide()); len(r.Polls) != 1 {
					t.Errorf("round %+v, want the look", r)
				}
			})
		})
	}
}
