package release

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
)

// askFor asks in a batch for the jobs "job-0" to "job-<n-1>", for a day.
func (w *world) askFor(batch string, confirmed bool, n int) (ids []string) {
	w.t.Helper()
	var asks []ledger.Ask
	for i := range n {
		asks = append(asks, ledger.Ask{JobID: "job-" + strconv.Itoa(i), Deadline: w.now().Add(24 * time.Hour), Confirmed: confirmed})
	}
	openings, err := w.ledger.Open(w.t.Context(), project, batch, asks)
	w.ok(err)
	for _, o := range openings {
		ids = append(ids, o.StopID)
	}
	w.advance(time.Millisecond)
	return ids
}

// hold has a batch held.
func (w *world) hold(batch string) {
	w.t.Helper()
	w.ok(w.ledger.StateSize(w.t.Context(), project, batch, 10, "it is over a limit"))
}

// cancel withdraws what a batch wants of stops.
func (w *world) cancel(batch string, want ledger.Withdrawal, ids ...string) {
	w.t.Helper()
	for _, id := range ids {
		if got, err := w.ledger.Withdraw(w.t.Context(), project, id, batch, "a mistake"); got != want || err != nil {
			w.t.Fatalf("withdraw %s: %s, %v, want %s", id, got, err, want)
		}
	}
}

// allow confirms all that a batch wants.
func (w *world) allow(batch string, want int) {
	w.t.Helper()
	if got, err := w.ledger.Confirm(w.t.Context(), project, batch, 1000); got != want || err != nil {
		w.t.Errorf("allowed %d of batch %s, %v, want %d", got, batch, err, want)
	}
}

// When a batch is canceled, the limits of those that are left are for its stops.
func TestLimitsOfWhoIsLeft(t *testing.T) {
	for name, c := range map[string]struct {
		first    bool // whether the batch that is canceled is confirmed
		held     bool // whether the one that is left is
		released bool // whether a round has released the stops before
		want     int  // how many calls go out
	}{
		"confirmed, held":             {true, true, false, 0},
		"confirmed, held, released":   {true, true, true, 0},
		"confirmed, window":           {true, false, false, 2},
		"confirmed, window, released": {true, false, true, 2},
		"unconfirmed, held":           {false, true, false, 0},
		"unconfirmed, held, released": {false, true, true, 0},
		"unconfirmed, window":         {false, false, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, limit(2), func(t *testing.T, w *world) {
				ids := w.askFor("a", c.first, 5)
				if c.held {
					w.hold("b")
				}
				w.askFor("b", false, 5)
				var released []string
				if c.released {
					released = w.released()
				}
				w.cancel("a", ledger.Withdrew, ids...)
				went := 0
				for _, id := range released {
					if w.tryClaim(id).Stop != nil {
						went++
					}
				}
				if went += w.goOut(); went != c.want {
					t.Errorf("%d calls went out, want %d", went, c.want)
				}
				if got := w.window().Used; got != c.want {
					t.Errorf("%d calls count, want %d", got, c.want)
				}
				if c.held {
					w.holdsAre("batch batch_limit")
					w.allow("b", 5)
					if got := w.goOut(); got != 5 {
						t.Errorf("%d calls went out, want the 5 that were allowed", got)
					}
				}
			})
		})
	}
}

// A call that may have gone out for a canceled batch is made again only within the limits
// of who asks since.
func TestLimitsOfWhoAsksSince(t *testing.T) {
	eachRedis(t, limit(100), func(t *testing.T, w *world) {
		id := w.askFor("a", true, 1)[0]
		w.claim(id)
		w.cancel("a", ledger.TooLate, id)
		w.hold("b")
		w.askFor("b", false, 1)
		s := w.get(id)
		w.move(s, ledger.Step{Kind: ledger.KindStop, Due: w.now()})
		w.askFor("a", true, 1) // canceled is canceled
		if got := w.goOut() + w.goOut(); got != 0 {
			t.Errorf("%d calls of a held batch went out", got)
		}
		w.holdsAre("batch batch_limit")
		w.allow("a", 0)
		w.allow("b", 1)
		if got := w.goOut(); got != 1 {
			t.Errorf("%d calls went out, want the one that was allowed", got)
		}
	})
}

// What a batch that is not held wants goes out, whatever else wants it or did so, and
// whenever that came to be held.
func TestAHoldKeepsNobodyElse(t *testing.T) {
	for _, held := range []string{"before", "between", "after", "between, and met"} {
		t.Run(held, func(t *testing.T) {
			eachRedis(t, limit(100), func(t *testing.T, w *world) {
				if held == "before" {
					w.hold("a")
				}
				ids := w.askFor("a", false, 5)
				if held == "between" {
					w.hold("a")
				}
				if held == "between, and met" {
					w.hold("a")
					if got := w.goOut(); got != 0 || w.place(ids[0]) != "held" {
						t.Fatalf("%d calls went out, one stop is in %s; want all held", got, w.place(ids[0]))
					}
				}
				w.askFor("b", false, 3)
				w.hold("a")
				if got := w.goOut(); got != 3 {
					t.Errorf("%d calls went out, want the 3 of the batch that is not held", got)
				}
				if n := w.rdb.ZCard(t.Context(), keys.Held()).Val(); n != 2 {
					t.Errorf("%d stops are held, want 2", n)
				}
				if got := w.window().Used; got != 3 {
					t.Errorf("%d calls count, want 3", got)
				}
				w.cancel("a", ledger.Withdrew, ids[3:]...)
				if n := w.rdb.ZCard(t.Context(), keys.Held()).Val(); n != 0 {
					t.Errorf("%d stops are held, want none of a batch that is canceled", n)
				}
			})
		})
	}
}

// A call that is to be made again is held with its batch, and allowed with it. One that is
// not is nobody's to allow.
func TestAHeldCallAgain(t *testing.T) {
	eachRedis(t, limit(100), func(t *testing.T, w *world) {
		ids := w.askFor("b", false, 3)
		for i, id := range ids {
			s := w.claim(id).Stop
			s.State = ledger.Stopping
			if i == 2 {
				w.move(s, ledger.Step{Kind: ledger.KindStop, Due: w.now()})
			} else {
				w.move(s, w.lookAfter(time.Hour))
			}
		}
		w.hold("b")
		if got := w.goOut(); got != 0 || w.place(ids[2]) != "held" {
			t.Fatalf("%d calls went out, the one to be made again waits in %s; want it held", got, w.place(ids[2]))
		}
		w.allow("b", 1)
		if got := w.goOut(); got != 1 {
			t.Errorf("%d calls went out, want the one that was allowed", got)
		}
	})
}

// Who asks again and confirms does so for what another stop serves, too, and keeps it
// when the other batch goes.
func TestAConfirmedRepeat(t *testing.T) {
	eachRedis(t, limit(1), func(t *testing.T, w *world) {
		ids := w.askFor("a", false, 3)
		w.askFor("b", false, 3)
		w.askFor("b", true, 3)
		w.cancel("a", ledger.Withdrew, ids...)
		if got := w.goOut(); got != 3 {
			t.Errorf("%d calls went out, want the 3 that were confirmed", got)
		}
		if got := w.window().Used; got != 0 {
			t.Errorf("%d calls count, want none", got)
		}
		for _, id := range ids {
			w.end(id, ledger.Stopped)
		}
		w.askFor("b", true, 3) // as often as one likes
	})
}

// What joins other stops counts for the size that a batch has stated, too: a batch that
// brings more is held, and does not let out what another one has held.
func TestMoreThanStatedByJoins(t *testing.T) {
	eachRedis(t, limit(100), func(t *testing.T, w *world) {
		w.hold("a")
		ids := w.askFor("a", false, 5)
		w.ok(w.ledger.StateSize(t.Context(), project, "b", 1, ""))
		w.askFor("b", false, 5)
		if got := w.goOut() + w.goOut(); got != 0 {
			t.Errorf("%d calls went out, want none: both batches are to be held", got)
		}
		w.holdsAre("batch batch_limit", "batch batch_limit")
		w.allow("b", 5)
		if got := w.goOut(); got != len(ids) {
			t.Errorf("%d calls went out, want the %d that were allowed", got, len(ids))
		}
	})
}

// A batch that somebody has allowed is not held again when its producer only repeats
// itself, as one does that goes on with a tick of a schedule. It is if more comes.
func TestAnAllowedBatchIsRepeated(t *testing.T) {
	eachRedis(t, limit(100), func(t *testing.T, w *world) {
		state := func() {
			w.ok(w.ledger.StateSize(t.Context(), project, "b", 4, "it has 4 stops, more than --batch-limit 3"))
		}
		state()
		w.askFor("b", false, 4)
		w.allow("b", 4)
		w.holdsAre()
		state()
		w.askFor("b", false, 4)
		if got := w.goOut(); got != 4 {
			t.Errorf("%d calls went out, want the 4 that were allowed", got)
		}
		w.holdsAre()
		w.askFor("b", false, 5)
		if got := w.goOut(); got != 0 {
			t.Errorf("%d calls went out, want none of what nobody has seen", got)
		}
		w.holdsAre("batch batch_limit")
	})
}

// before does something before a script with so many keys is sent, once.
type before struct {
	keys int
	do   func()
}

func (b *before) DialHook(next redis.DialHook) redis.DialHook { return next }
func (b *before) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (b *before) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if a := cmd.Args(); b.do != nil && len(a) > 2 && a[0] == "evalsha" && a[2] == b.keys {
			do := b.do
			b.do = nil
			do()
		}
		return next(ctx, cmd)
	}
}

// A call that is to be made again, and that a claim puts to those that are held in the
// moment in which its batch is allowed, is not held for ever: the window limit is for it.
func TestAllowedWhileACallAgainIsHeld(t *testing.T) {
	w := onRedis(t, limit(100))
	ids := w.askFor("b", false, 2)
	s := w.claim(ids[0]).Stop
	s.State = ledger.Stopping
	w.move(s, ledger.Step{Kind: ledger.KindStop, Due: w.now()})
	w.ok(w.ledger.StateSize(t.Context(), project, "b", 2, "it is over a limit"))
	w.round(wide())
	w.limited.AddHook(&before{keys: 4, do: func() { // its stops were confirmed, its hold is about to end
		if c := w.tryClaim(ids[0]); !c.Held || w.place(ids[0]) != "held" {
			t.Errorf("the claim was not held back: %+v", c)
		}
	}})
	w.allow("b", 1)
	w.holdsAre()
	if got := w.goOut(); got != 1 {
		t.Errorf("%d calls went out, want the one that was to be made again; it waits in %s", got, w.place(ids[0]))
	}
	if got := w.window().Used; got != 2 {
		t.Errorf("%d calls count, want both of the stop that nobody has confirmed", got)
	}
}
