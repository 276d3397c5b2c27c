package ledger_test

import (
	"errors"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// A batch undoes its own wish only, can take that back, and is told when there is
// nothing to undo.
func TestUndo(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b1", "10")[0]
		s := w.accept(t, id)
		w.opened(t, "b2", "10")
		w.opened(t, "b3", "10")
		w.withdraw(t, id, "b3", ledger.TooLate) // it asks for nothing
		w.advance(time.Minute)
		w.finished(t, w.claim(t, id), ledger.Stopped)
		is := func(besides1, besides2 string, undone1 bool) {
			t.Helper()
			got := w.get(t, id)
			if got.WantedBesides("b1") != besides1 || got.WantedBesides("b2") != besides2 || got.Undone("b1") != undone1 || got.Undone("b2") {
				t.Errorf("wanted besides b1 by %q, besides b2 by %q, undone %v; want %q, %q, %v",
					got.WantedBesides("b1"), got.WantedBesides("b2"), got.Undone("b1"), besides1, besides2, undone1)
			}
			want := map[string]int{"b1": 0, "b2": 0}
			if undone1 {
				want["b1"] = 1
			}
			for id, n := range want {
				if b := w.batch(t, id); b.Undone != n || n > 0 && !b.UndoneAt.Equal(w.now()) {
					t.Errorf("batch %s counts %d undone at %v, want %d", id, b.Undone, b.UndoneAt, n)
				}
			}
		}
		is("b2", "b1", false)
		if got := w.get(t, id); got.TooLate("b1") || !got.TooLate("b3") || got.TooLate("nobody") {
			t.Errorf("withdrawn too late: b1 %v, b3 %v; want b3 only", got.TooLate("b1"), got.TooLate("b3"))
		}
		if err := w.ledger.Undo(t.Context(), s, "b1"); err != nil {
			t.Fatal(err)
		}
		is("b2", "", true)
		if err := w.ledger.Undo(t.Context(), s, "b1"); err != nil { // as an answer that got lost makes one do
			t.Fatal(err)
		}
		is("b2", "", true)
		if err := w.ledger.NotUndone(t.Context(), s, "b1"); err != nil {
			t.Fatal(err)
		}
		is("b2", "b1", false)
		if err := w.ledger.NotUndone(t.Context(), s, "b1"); err != nil {
			t.Fatal(err)
		}
		is("b2", "b1", false)
		if err := w.ledger.Renounce(t.Context(), s, "b1"); err != nil {
			t.Fatal(err)
		}
		if got, b := w.get(t, id), w.batch(t, "b1"); !got.Undone("b1") || got.WantedBesides("b2") != "" || b.Undone != 0 {
			t.Errorf("b2 still wants it stopped: undone %v, and b1 counts %d restarted", got.Undone("b1"), b.Undone)
		}
		if err := w.ledger.Undo(t.Context(), s, "nobody"); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("undo of a batch that never asked: %v", err)
		}
		if err := w.ledger.Undo(t.Context(), &ledger.Stop{ID: "lost", ProjectID: project}, "b1"); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("undo of a stop that is forgotten: %v", err)
		}
		w.advance(2 * retention)
		w.sweep(t)
		w.sweep(t)
		if all := w.everything(t); len(all) != 0 {
			t.Errorf("after the retention Redis holds %v, want nothing", all)
		}
	})
}
