package ledger_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// A key of a stop that holds something else is named, with what to do, and hides no other stop of its batch: they are
// read and withdrawn. All jobs can be asked for again.
func TestAKeyThatHoldsNoStop(t *testing.T) {
	t.Parallel()
	eachRedis(t, func(t *testing.T, w *world) {
		ids := w.opened(t, "b", "1", "2", "3")
		key := keys.Stop(ids[1])
		if err := w.rdb.Set(t.Context(), key, "somebody wrote this", 0).Err(); err != nil {
			t.Fatal(err)
		}
		named := func(what string, err error) {
			t.Helper()
			if ledger.Unreadable(err) == nil || !strings.Contains(err.Error(), key) ||
				!strings.Contains(err.Error(), "delete it in Redis: WRONGTYPE") {
				t.Errorf("%s: %v; want the key, and what to do", what, err)
			}
		}
		stops, next, err := w.ledger.BatchStops(t.Context(), project, "b", 0, 3)
		named("a page", err)
		if len(stops) != 2 || stops[0].ID != ids[0] || stops[1].ID != ids[2] || next != 3 {
			t.Errorf("read %d stops, and %d is next", len(stops), next)
		}
		_, err = w.ledger.Get(t.Context(), project, ids[1])
		named("the stop", err)
		var told []ledger.Withdrawal
		tell := func(a ledger.Withdrawal) { told = append(told, a) }
		named("withdrawn", w.ledger.WithdrawAll(t.Context(), project, "b", "a mistake", tell))
		if !slices.Equal(told, []ledger.Withdrawal{ledger.Withdrew, ledger.Withdrew}) {
			t.Errorf("withdrawals: %q", told)
		}
		got := results(w.open(t, "c", w.ask("1"), w.ask("2"), w.ask("3")))
		if !slices.Equal(got, []ledger.Result{ledger.Opened, ledger.Opened, ledger.Opened}) {
			t.Errorf("asked for again in another batch: %q", got)
		}
	})
}

// A stop that no wish wants any more, by the word of a program that knows nothing of passed wishes, is claimed all the
// same.
func TestClaimWithoutAWish(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.open(t, "soon", w.in(0, 30*time.Second))[0].StopID
		w.open(t, "later", w.in(2*time.Hour, 3*time.Hour))
		for _, batch := range []string{"soon", "later"} {
			w.rdb.HSet(t.Context(), keys.Stop(id), "late:"+batch, "canceled", "withdrawn", "canceled")
		}
		w.round(t)
		w.advance(time.Minute)
		c, err := w.release.NewClaim(project, w.get(t, id).Member(), ledger.KindStop).Do()
		if err != nil || c.Stop == nil || c.MayCall {
			t.Errorf("%+v, %v, want it claimed without a call", c, err)
		}
	})
}
