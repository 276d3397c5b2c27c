package ledger_test

import (
	"context"
	"errors"
	"fmt"
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
		w.withdraw(t, id, "b2", ledger.TooLate) // it asks for nothing
		w.withdraw(t, id, "b3", ledger.TooLate)
		w.advance(time.Minute)
		w.finished(t, w.claim(t, id), ledger.Stopped)
		is := func(besides2 string, undone1 bool) {
			t.Helper()
			got := w.get(t, id)
			if got.WantedBesides("b1") != "" || got.WantedBesides("b2") != besides2 || got.Undone("b1") != undone1 || got.Undone("b2") {
				t.Errorf("wanted besides b1 by %q, besides b2 by %q, undone %v; want none, %q, %v",
					got.WantedBesides("b1"), got.WantedBesides("b2"), got.Undone("b1"), besides2, undone1)
			}
			want := map[string]int{"b1": 0, "b2": 0}
			if undone1 {
				want["b1"] = 1
			}
			for id, n := range want {
				if b := w.batch(t, id); b.Undone != n || b.LastUndone() != nil {
					t.Errorf("batch %s counts %d undone at %v, want %d", id, b.Undone, b.UndoneAt, n)
				}
			}
		}
		is("b1", false)
		if got := w.get(t, id); got.TooLate("b1") || !got.TooLate("b3") || got.TooLate("nobody") {
			t.Errorf("withdrawn too late: b1 %v, b3 %v; want b3 only", got.TooLate("b1"), got.TooLate("b3"))
		}
		if _, err := w.ledger.Undo(t.Context(), s, "b1", "me"); err != nil {
			t.Fatal(err)
		}
		is("", true)
		if _, err := w.ledger.Undo(t.Context(), s, "b1", "me"); err != nil { // as an answer that got lost makes one do
			t.Fatal(err)
		}
		is("", true)
		if noted, err := w.ledger.Undo(t.Context(), s, "b1", "another"); noted || err != nil {
			t.Errorf("another undo of b1 at the same time: %v, %v; want false", noted, err)
		}
		if err := w.ledger.NotUndone(t.Context(), s, "b1", "another"); err != nil {
			t.Fatal(err)
		}
		is("", true)
		if err := w.ledger.NotUndone(t.Context(), s, "b1", "me"); err != nil {
			t.Fatal(err)
		}
		is("b1", false)
		if err := w.ledger.NotUndone(t.Context(), s, "b1", "me"); err != nil {
			t.Fatal(err)
		}
		is("b1", false)
		if _, err := w.ledger.Undo(t.Context(), s, "nobody", "me"); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("undo of a batch that never asked: %v", err)
		}
		if _, err := w.ledger.Undo(t.Context(), &ledger.Stop{ID: "lost", ProjectID: project}, "b1", "me"); !errors.Is(err, ledger.ErrNotFound) {
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

// Of two batches that renounce the same stop, the second one is told that nobody else wants it: it has to restart the
// job. Who has restarted it, and who has only renounced, is known.
func TestRenounce(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b1", "10")[0]
		w.accept(t, id)
		w.opened(t, "b2", "10")
		w.opened(t, "b3", "10")
		w.withdraw(t, id, "b3", ledger.TooLate) // it asks for nothing
		w.advance(time.Minute)
		w.finished(t, w.claim(t, id), ledger.Stopped)
		s := w.get(t, id)
		renounce := func(batch string, want bool) {
			t.Helper()
			if wanted, err := w.ledger.Renounce(t.Context(), s, batch); wanted != want || err != nil {
				t.Fatalf("%s renounces: others want it %v, %v; want %v", batch, wanted, err, want)
			}
		}
		is := func(by, without1, without2 string, undone1, undone2 int) {
			t.Helper()
			s = w.get(t, id)
			if s.RestartedBy("b3") != by || s.WantedBesides("b1") != without1 || s.WantedBesides("b2") != without2 {
				t.Errorf("restarted by %q, wanted besides b1 by %q, besides b2 by %q; want %q, %q, %q",
					s.RestartedBy("b3"), s.WantedBesides("b1"), s.WantedBesides("b2"), by, without1, without2)
			}
			if n1, n2 := w.batch(t, "b1").Undone, w.batch(t, "b2").Undone; n1 != undone1 || n2 != undone2 {
				t.Errorf("b1 counts %d restarted, b2 %d; want %d, %d", n1, n2, undone1, undone2)
			}
		}
		renounce("b1", true)
		renounce("b1", true)
		is("", "b2", "", 0, 0)
		if s.RestartedBy("b1") != "" {
			t.Error("b1 has only renounced it")
		}
		renounce("b2", false)
		is("", "b2", "", 0, 0)

		if _, err := w.ledger.Undo(t.Context(), s, "b2", "me"); err != nil {
			t.Fatal(err)
		}
		is("b2", "", "", 0, 1)
		if got := s.RestartedBy("b1"); got != "b2" {
			t.Errorf("as b1 sees it, %q has restarted it, want b2", got)
		}
		if err := w.ledger.NotUndone(t.Context(), s, "b2", "me"); err != nil {
			t.Fatal(err)
		}
		is("", "b2", "", 0, 0)

		// What a batch has renounced it restarts when nobody else wants it, and that counts once.
		w.sweepWish(t, id, "b2")
		renounce("b1", false)
		for range 2 {
			if _, err := w.ledger.Undo(t.Context(), s, "b1", "me"); err != nil {
				t.Fatal(err)
			}
			if got := w.get(t, id).RestartedBy("b1"); got != "b1" || w.batch(t, "b1").Undone != 1 {
				t.Errorf("restarted by %q, and b1 counts %d", got, w.batch(t, "b1").Undone)
			}
		}
		if _, err := w.ledger.Renounce(t.Context(), s, "b2"); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("a batch that is forgotten renounces: %v", err)
		}
	})
}

// sweepWish has a stop forget what a batch wants of it, as a sweep does.
func (w *world) sweepWish(t *testing.T, id, batch string) {
	t.Helper()
	if err := w.rdb.HDel(t.Context(), keys.Stop(id), "wish:"+batch).Err(); err != nil {
		t.Fatal(err)
	}
}

// An earlier version noted the same for a job that it had restarted, and for one that it had left to another batch.
func TestUndoneByAnEarlierVersion(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b1", "10")[0]
		w.accept(t, id)
		w.opened(t, "b2", "10")
		w.advance(time.Minute)
		w.finished(t, w.claim(t, id), ledger.Stopped)
		if err := w.rdb.HSet(t.Context(), keys.Stop(id), "undone:b1", w.now().UnixMilli()).Err(); err != nil {
			t.Fatal(err)
		}
		s := w.get(t, id)
		if s.RestartedBy("b1") != "b1" || s.RestartedBy("b2") != "" || s.Restarting() ||
			s.WantedBesides("b2") != "" || s.WantedBesides("b1") != "b2" {
			t.Errorf("read as %+v", s.Wishes)
		}
		if wanted, err := w.ledger.Renounce(t.Context(), s, "b2"); wanted || err != nil { // so b2 restarts it
			t.Errorf("b2 renounces: %v, %v", wanted, err)
		}
		// b2 wants it: so b1 can't have restarted it.
		if wanted, err := w.ledger.Renounce(t.Context(), s, "b1"); !wanted || err != nil {
			t.Errorf("b1 renounces: %v, %v", wanted, err)
		}
		if by := w.get(t, id).RestartedBy("b1"); by != "" {
			t.Errorf("restarted by %q", by)
		}
	})
}

// Of batches that want a job stopped no more, one restarts it: what the others note, or take back, is not noted.
func TestUndoOfAnotherBatch(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b1", "10")[0]
		w.accept(t, id)
		w.opened(t, "b2", "10")
		w.opened(t, "b3", "10")
		w.withdraw(t, id, "b1", ledger.TooLate)
		w.withdraw(t, id, "b2", ledger.TooLate)
		w.advance(time.Minute)
		w.finished(t, w.claim(t, id), ledger.Stopped)
		s := w.get(t, id)
		undo := func(batch, by string, want bool) {
			t.Helper()
			if noted, err := w.ledger.Undo(t.Context(), s, batch, by); noted != want || err != nil {
				t.Errorf("%s of %s: noted %v, %v; want %v", by, batch, noted, err, want)
			}
		}
		back := func(batch, by string) {
			t.Helper()
			if err := w.ledger.NotUndone(t.Context(), s, batch, by); err != nil {
				t.Error(err)
			}
		}
		is := func(by string, undone ...int) {
			t.Helper()
			if got := w.get(t, id).RestartedBy("nobody"); got != by {
				t.Errorf("restarted by %q, want %q", got, by)
			}
			for i, n := range undone {
				if b := w.batch(t, fmt.Sprint("b", i+1)); b.Undone != n {
					t.Errorf("batch b%d counts %d restarted, want %d", i+1, b.Undone, n)
				}
			}
		}
		undo("b1", "x", false) // b3 wants it stopped
		is("", 0, 0, 0)
		undo("b3", "z", true)
		undo("b1", "x", false)
		is("b3", 0, 0, 1)
		back("b1", "x")
		is("b3", 0, 0, 1)
		back("b3", "z")
		is("", 0, 0, 0)

		w.sweepWish(t, id, "b3")
		undo("b1", "x", true)
		undo("b1", "x", true) // as an answer that got lost makes one do
		undo("b2", "y", false)
		is("b1", 1, 0)
		back("b2", "y")
		is("b1", 1, 0)
		back("b1", "x")
		is("", 0, 0)
		undo("b2", "y", true)
		is("b2", 0, 1)
	})
}

// That a restart is made can be noted by the undo that has noted it before. Nobody takes it back then.
func TestRestarted(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b1", "10")[0]
		w.accept(t, id)
		w.opened(t, "b2", "10")
		w.withdraw(t, id, "b2", ledger.TooLate)
		w.advance(time.Minute)
		w.finished(t, w.claim(t, id), ledger.Stopped)
		s := w.get(t, id)
		note := func(what func(context.Context, *ledger.Stop, string, string) error, batch, by string) {
			t.Helper()
			if err := what(t.Context(), s, batch, by); err != nil {
				t.Error(err)
			}
		}
		is := func(by string, restarting bool) {
			t.Helper()
			if got := w.get(t, id); got.RestartedBy("b1") != by || got.Restarting() != restarting {
				t.Errorf("restarted by %q, restarting %v; want %q, %v", got.RestartedBy("b1"), got.Restarting(), by, restarting)
			}
		}
		note(w.ledger.Restarted, "b1", "me") // there is nothing to note
		is("", false)
		for range 2 { // it is taken back once
			if noted, err := w.ledger.Undo(t.Context(), s, "b1", "me"); !noted || err != nil {
				t.Error(noted, err)
			}
			is("b1", true)
			note(w.ledger.Restarted, "b1", "another")
			note(w.ledger.Restarted, "b2", "me")
			is("b1", true)
			note(w.ledger.NotUndone, "b1", "me")
			is("", false)
		}
		if noted, err := w.ledger.Undo(t.Context(), s, "b1", "me"); !noted || err != nil {
			t.Error(noted, err)
		}
		for range 2 { // as an answer that got lost makes one do
			note(w.ledger.Restarted, "b1", "me")
			is("b1", false)
		}
		note(w.ledger.NotUndone, "b1", "me")
		is("b1", false)
		if noted, err := w.ledger.Undo(t.Context(), s, "b1", "me"); noted || err != nil {
			t.Error(noted, err)
		}
		if n := w.batch(t, "b1").Undone; n != 1 {
			t.Errorf("%d are counted as restarted, want 1", n)
		}
	})
}

// What an earlier version has noted of a restart is done, and is no undo's to take back.
func TestRestartedByAnEarlierVersion(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b1", "10")[0]
		w.accept(t, id)
		w.advance(time.Minute)
		w.finished(t, w.claim(t, id), ledger.Stopped)
		noted := []any{"undone:b1", w.now().UnixMilli(), "restarted", "b1", "restarter", "me"}
		if err := w.rdb.HSet(t.Context(), keys.Stop(id), noted...).Err(); err != nil {
			t.Fatal(err)
		}
		if err := w.ledger.NotUndone(t.Context(), w.get(t, id), "b1", "me"); err != nil {
			t.Error(err)
		}
		if s := w.get(t, id); s.RestartedBy("b1") != "b1" || s.Restarting() {
			t.Errorf("restarted by %q, restarting %v; want b1, false", s.RestartedBy("b1"), s.Restarting())
		}
	})
}

// A restart that is taken back changes nothing of when the last one was.
func TestLastUndone(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ids := w.opened(t, "b1", "10", "11")
		for _, id := range ids {
			w.accept(t, id)
		}
		w.advance(time.Minute)
		for _, id := range ids {
			w.finished(t, w.claim(t, id), ledger.Stopped)
		}
		if _, err := w.ledger.Undo(t.Context(), w.get(t, ids[0]), "b1", "x"); err != nil {
			t.Fatal(err)
		}
		if err := w.ledger.Restarted(t.Context(), w.get(t, ids[0]), "b1", "x"); err != nil {
			t.Fatal(err)
		}
		at := *w.batch(t, "b1").LastUndone()
		w.advance(48 * time.Hour)
		if _, err := w.ledger.Undo(t.Context(), w.get(t, ids[1]), "b1", "y"); err != nil {
			t.Fatal(err)
		}
		if err := w.ledger.NotUndone(t.Context(), w.get(t, ids[1]), "b1", "y"); err != nil {
			t.Fatal(err)
		}
		b := w.batch(t, "b1")
		if !b.LastUndone().Equal(at) {
			t.Errorf("%d undone, the last at %v, want %v", b.Undone, b.LastUndone(), at)
		}
	})
}
