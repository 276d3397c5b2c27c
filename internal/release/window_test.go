package release

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

func (w *world) window() Window {
	w.t.Helper()
	got, err := w.Windows(w.t.Context(), project)
	w.ok(err)
	return got[0]
}

// No more calls that nobody confirmed go out within 60 minutes than the limit, whoever
// makes the rounds and claims. Rounds rest meanwhile, and what was confirmed goes on.
func TestWindowLimit(t *testing.T) {
	eachRedis(t, limit(3), func(t *testing.T, w *world) {
		w.time = w.time.Truncate(time.Minute)
		ids := w.unconfirmed("b", 5)
		if got := w.goOut(); got != 3 {
			t.Fatalf("%d calls went out, want the limit of 3", got)
		}
		other := w.worker("worker-2", limit(3))
		r, err := other.Round(t.Context(), project, wide())
		if err != nil || len(r.Stops) > 0 || r.Next < time.Minute {
			t.Errorf("another round: %d stops, next in %v, %v; want none, and a rest", len(r.Stops), r.Next, err)
		}
		if got := w.place(ids[4]); got != "limited" {
			t.Errorf("the last stop waits in %s", got)
		}
		w.open("confirmed", 4)
		if got := w.goOut(); got != 4 {
			t.Errorf("%d of 4 confirmed calls went out", got)
		}
		if got := w.window(); got.Used != 3 || got.Waiting != 2 || got.Left() != 0 {
			t.Errorf("the window is %+v, want 3 used and 2 waiting", got)
		}
		w.advance(61*time.Minute - time.Second)
		if got := w.goOut(); got != 0 {
			t.Errorf("%d calls went out an hour after the others, want none within the minutes that count", got)
		}
		w.advance(time.Minute + time.Second)
		if got := w.goOut(); got != 2 {
			t.Errorf("%d calls went out after that, want the 2 that waited", got)
		}
		if got := w.window(); got.Used != 2 || !got.Shut.IsZero() {
			t.Errorf("the window is %+v, want 2 used", got)
		}
		if n := w.rdb.HLen(context.Background(), keys.Window()).Val(); n > 2 {
			t.Errorf("%d fields are kept, want none of the minutes that are over", n)
		}
	})
}

// What rounds have released too much of, claims put back in its place.
func TestWindowLimitIsKeptByClaims(t *testing.T) {
	eachRedis(t, limit(2), func(t *testing.T, w *world) {
		w.unconfirmed("b", 6)
		released := append(w.released(), w.released()...)
		if len(released) != 4 {
			t.Fatalf("two rounds released %d stops, want 2 each", len(released))
		}
		went := 0
		for i, id := range released {
			c := w.tryClaim(id)
			if c.Stop != nil {
				went++
			}
			if held := i >= 2; c.Held != held {
				t.Errorf("claim %d is held back: %t", i, c.Held)
			}
		}
		if went != 2 {
			t.Errorf("%d calls may go out, want 2", went)
		}
		if got := w.place(released[2]); got != "limited" {
			t.Errorf("a stop that was held back waits in %s", got)
		}
	})
}

// A call that is claimed again counts again, if it may go out twice or goes out late. An
// answer that is only asked for again does not.
func TestEachClaimCounts(t *testing.T) {
	eachRedis(t, limit(3), func(t *testing.T, w *world) {
		id := w.unconfirmed("b", 1)[0]
		w.round(wide())
		attempt := w.NewClaim(project, w.get(id).Member(), ledger.KindStop)
		for _, later := range []time.Duration{0, time.Second, time.Minute} {
			w.advance(later)
			if c, err := attempt.Do(); err != nil || c.Stop == nil {
				t.Fatalf("claim: %+v, %v", c, err)
			}
		}
		if got := w.window().Used; got != 2 {
			t.Errorf("%d calls count, want the claim and the late one", got)
		}
		s := w.get(id)
		w.move(s, ledger.Step{Kind: ledger.KindStop, Due: w.now()})
		if got := w.goOut(); got != 1 {
			t.Fatalf("the call was not made again")
		}
		if got := w.window(); got.Used != 3 {
			t.Errorf("the window is %+v, want 3 used", got)
		}
	})
}

// A look, and a step that makes no call because its time is over, count nowhere.
func TestWhatMakesNoCallDoesNotCount(t *testing.T) {
	eachRedis(t, limit(1), func(t *testing.T, w *world) {
		looked := w.unconfirmed("b", 1)[0]
		s := w.claim(looked).Stop
		s.State = ledger.Stopping
		w.move(s, w.lookAfter(0))
		w.claim(looked)
		if got := w.window().Used; got != 1 {
			t.Errorf("%d calls count after a look, want the stop call alone", got)
		}
		w.Allow(t.Context(), project, 5)
		late := w.unconfirmed("late", 1)[0]
		w.round(wide())
		w.advance(25 * time.Hour)
		if c := w.tryClaim(late); c.Stop == nil {
			t.Fatalf("claim of a stop whose time is over: %+v", c)
		}
		if got := w.window().Used; got != 0 {
			t.Errorf("%d calls count, want none", got)
		}
	})
}

// What somebody allows goes out once, and within the hour.
func TestAllow(t *testing.T) {
	eachRedis(t, limit(2), func(t *testing.T, w *world) {
		w.unconfirmed("b", 10)
		for range 2 {
			w.goOut()
		}
		w.holdsAre("project window_limit")
		w.ok(w.Allow(t.Context(), project, 3))
		if got := w.goOut() + w.goOut(); got != 3 {
			t.Errorf("%d calls went out, want the 3 that were allowed", got)
		}
		w.advance(63 * time.Minute)
		if got := w.goOut() + w.goOut(); got != 2 {
			t.Errorf("%d calls went out an hour later, want the limit of 2", got)
		}
		w.ok(w.Allow(t.Context(), project, 4))
		w.ok(w.Allow(t.Context(), project, 4))
		if got := w.window(); got.Allowed != 8 {
			t.Errorf("the window is %+v, want 8 allowed", got)
		}
		w.advance(63 * time.Minute)
		if got := w.window(); got.Allowed != 0 || got.Left() != 2 {
			t.Errorf("the window is %+v, want nothing allowed any more", got)
		}
	})
}

// Where the limit was lowered, what somebody allows goes out, and no more than that when
// the calls of before count no longer.
func TestAllowUnderALowerLimit(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		most := 40
		w.time, w.Releaser = w.time.Truncate(time.Hour), w.worker("worker-1", Config{Window: func() int { return most }})
		w.unconfirmed("old", 30)
		w.goOut()
		w.advance(10 * time.Minute)
		w.unconfirmed("later", 10)
		if got := w.goOut(); got != 10 || w.window().Used != 40 {
			t.Fatalf("%d calls went out, and %d count; want 10 and 40", got, w.window().Used)
		}
		w.advance(45 * time.Minute)
		most = 10
		w.ok(w.Allow(t.Context(), project, 5))
		w.ok(w.Allow(t.Context(), project, 2))
		if got := w.window().Left(); got != 7 {
			t.Errorf("%d calls may go out, want the 7 that were allowed", got)
		}
		w.unconfirmed("new", 100)
		w.advance(8 * time.Minute) // the 30 count no longer, which were all those beyond the limit
		if got := w.goOut() + w.goOut(); got != 7 {
			t.Errorf("%d calls went out, want the 7 that were allowed", got)
		}
		w.advance(10 * time.Minute) // nor do the 10
		if got := w.goOut() + w.goOut(); got != 10 {
			t.Errorf("%d calls went out, want the limit of 10", got)
		}
	})
}

// A window opens when so many calls no longer count that another may go out, not when the
// first ones don't.
func TestOpensUnderALowerLimit(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		most := 5
		w.time, w.Releaser = w.time.Truncate(time.Hour), w.worker("worker-1", Config{Window: func() int { return most }})
		began := w.time
		for _, n := range []int{2, 3} { // at once and after 10 minutes
			w.unconfirmed(fmt.Sprint("b", n), n)
			if got := w.goOut(); got != n {
				t.Fatalf("%d of %d calls went out", got, n)
			}
			w.advance(10 * time.Minute)
		}
		for limit, after := range map[int]time.Duration{5: 62 * time.Minute, 4: 62 * time.Minute, 3: 72 * time.Minute, 1: 72 * time.Minute} {
			most = limit
			if got := w.window(); !got.Opens.Equal(began.Add(after)) {
				t.Errorf("with a limit of %d the window opens after %v, want %v", limit, got.Opens.Sub(began), after)
			}
		}
		for _, limit := range []int{6, 0} {
			most = limit
			if got := w.window(); !got.Opens.IsZero() {
				t.Errorf("with a limit of %d the window opens at %v, want that it is open", limit, got.Opens)
			}
		}
	})
}

// A window that is open again while the project is paused says so, and no time of which
// nobody knows.
func TestHoldOfAnOpenWindow(t *testing.T) {
	eachRedis(t, limit(2), func(t *testing.T, w *world) {
		w.unconfirmed("b", 4)
		w.goOut()
		w.round(wide())
		_, err := w.Pause(t.Context(), project, "somebody", "why")
		w.ok(err)
		w.advance(2 * time.Hour)
		w.round(wide())
		holds, err := w.Holds(t.Context())
		w.ok(err)
		i := slices.IndexFunc(holds, func(h Hold) bool { return h.Reason == WindowLimit })
		if i < 0 || !holds[i].Until.Equal(w.now()) || strings.Contains(holds[i].String(), "0001-01-01") {
			t.Errorf("the holds are %v, want one of the window limit until now", holds)
		}
	})
}

// An error of one command is told of, although another one found nothing.
func TestWindowsTellOfErrors(t *testing.T) {
	eachRedis(t, limit(2), func(t *testing.T, w *world) {
		w.ok(w.rdb.SAdd(t.Context(), heldKey, project).Err())
		w.ok(w.rdb.Set(t.Context(), keys.Limited(), "no sorted set", 0).Err())
		if got, err := w.Windows(t.Context(), "other", project); err == nil {
			t.Errorf("the windows are %+v, want an error", got)
		}
		if got, err := w.Holds(t.Context()); err == nil {
			t.Errorf("the holds are %v, want an error", got)
		}
	})
	eachRedis(t, limit(2), func(t *testing.T, w *world) {
		held := strconv.FormatInt(w.now().UnixMilli(), 10) + " batch_limit words"
		w.ok(w.rdb.SAdd(t.Context(), heldKey, project).Err())
		w.ok(w.rdb.HSet(t.Context(), keys.Limits(), "held:a", held, "held:b", held).Err())
		w.ok(w.rdb.Set(t.Context(), "vizstop:{"+project+"}:batch:b", "no hash", 0).Err())
		w.ok(w.rdb.Set(t.Context(), "vizstop:{"+project+"}:shadow:batch:b", "no hash", 0).Err())
		if got, err := w.Holds(t.Context()); err == nil {
			t.Errorf("with held batches, the holds are %v, want an error", got)
		}
		if got, confirmed, err := w.ledger.Shadow().Limited(t.Context(), project, []string{"a", "b"}); err == nil {
			t.Errorf("shadow batches are held %q, confirmed %v, want an error", got, confirmed)
		}
	})
}

// Where there is no limit any more, no window holds anything.
func TestHoldOfNoWindow(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		most := 2
		w.Releaser = w.worker("worker-1", Config{Window: func() int { return most }})
		w.unconfirmed("b", 4)
		w.goOut()
		w.round(wide())
		_, err := w.Pause(t.Context(), project, "somebody", "why")
		w.ok(err)
		most = 0
		w.round(wide())
		holds, err := w.Holds(t.Context())
		w.ok(err)
		if slices.ContainsFunc(holds, func(h Hold) bool { return h.Reason == WindowLimit }) {
			t.Errorf("the holds are %v, want none of a window", holds)
		}
	})
}

// No limit lets everything out, and counts it all the same.
func TestNoWindowLimit(t *testing.T) {
	eachRedis(t, limit(-1), func(t *testing.T, w *world) {
		w.unconfirmed("b", 30)
		if got := w.goOut(); got != 30 {
			t.Errorf("%d calls went out, want all 30", got)
		}
		if got := w.window(); got.Used != 30 || got.Left() != -1 {
			t.Errorf("the window is %+v", got)
		}
		w.holdsAre()
	})
}

// A hold by the window is told of once, says the figures and what to do, and ends when
// nothing waits for it.
func TestTheHoldOfTheWindow(t *testing.T) {
	eachRedis(t, limit(2), func(t *testing.T, w *world) {
		ids := w.unconfirmed("b", 3)
		for range 3 {
			w.goOut()
		}
		w.holdsAre("project window_limit")
		if want := []string{"window_limit"}; !slices.Equal(w.began.all, want) {
			t.Errorf("told of %q, want %q", w.began.all, want)
		}
		holds, err := w.Holds(t.Context())
		w.ok(err)
		for _, want := range []string{"2 of 2 stop calls", "1 stops wait", "enqueue allow --project " + project} {
			if text := holds[0].String(); !strings.Contains(text, want) {
				t.Errorf("the hold says %q, want %q in it", text, want)
			}
		}
		if _, err := w.ledger.Withdraw(t.Context(), project, ids[2], "b", "why"); err != nil {
			t.Fatal(err)
		}
		w.round(wide())
		w.holdsAre()
	})
}
