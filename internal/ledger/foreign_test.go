package ledger_test

import (
	"testing"
	"time"

	"vizstop/internal/ledger"
)

func TestForeignTask(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		open := func() ledger.Opening {
			t.Helper()
			o, err := w.ledger.OpenForeign(t.Context(), project, "their-task", w.ask("10"))
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		first, again := open(), open()
		if first.Result != ledger.Opened || again.Result != ledger.Known || again.StopID != first.StopID {
			t.Fatalf("first %v, again %v", first, again)
		}
		if s := w.get(t, first.StopID); s.Batch != "queue-20260102" {
			t.Errorf("batch %s, want the day's", s.Batch)
		}
		w.finished(t, w.claim(t, first.StopID), ledger.Stopped)
		w.advance(10*time.Minute - time.Millisecond)
		if o := open(); o.Result != ledger.Known || o.StopID != first.StopID {
			t.Errorf("delivered again just after the end: %v", o)
		}
		w.advance(time.Millisecond)
		anew := open()
		if anew.Result != ledger.Opened || anew.StopID == first.StopID {
			t.Errorf("same task id ten minutes later: %v, want a new stop", anew)
		}
		if o := open(); o.Result != ledger.Known || o.StopID != anew.StopID {
			t.Errorf("and again: %v, want the new stop", o)
		}
	})
}

// A second foreign task that asks for a job on the same day is remembered as the first one is: until ten minutes after
// the end of the stop that serves both. Nothing of it stays for ever.
func TestTwoForeignTasksForOneJob(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		open := func(task string) ledger.Opening {
			t.Helper()
			o, err := w.ledger.OpenForeign(t.Context(), project, task, w.ask("10"))
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		first, second := open("one"), open("two")
		if second.Result != ledger.Known || second.StopID != first.StopID {
			t.Fatalf("first %v, second %v", first, second)
		}
		w.finished(t, w.claim(t, first.StopID), ledger.Stopped)
		w.advance(10*time.Minute - time.Millisecond)
		for _, task := range []string{"two", "one"} { // its worker died before the queue heard that it was done
			if o := open(task); o.Result != ledger.Known || o.StopID != first.StopID {
				t.Errorf("task %q is delivered again: %v, want the stop %s", task, o, first.StopID)
			}
		}
		if b := w.batch(t, "queue-20260102"); b.Total != 1 {
			t.Errorf("%d stops in the batch, want 1", b.Total)
		}
		w.advance(time.Millisecond)
		if o := open("two"); o.Result != ledger.Opened || o.StopID == first.StopID {
			t.Errorf("task two ten minutes later: %v, want a new stop", o)
		}
		notes := 0
		for _, key := range w.rdb.Keys(t.Context(), keys.Stop("*")).Val() {
			if w.rdb.HExists(t.Context(), key, "served").Val() {
				if notes++; w.rdb.TTL(t.Context(), key).Val() <= 0 {
					t.Errorf("%s stays for ever", key)
				}
			}
		}
		if notes != 1 {
			t.Errorf("%d notes, want that of task two", notes)
		}
	})
}

// A foreign task whose stop was forgotten meanwhile gets one of its own.
func TestForeignTaskOutlivesItsStop(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		for _, task := range []string{"one", "two"} {
			if _, err := w.ledger.OpenForeign(t.Context(), project, task, w.ask("10")); err != nil {
				t.Fatal(err)
			}
		}
		active := w.rdb.HGet(t.Context(), keys.Active(), "10").Val()
		w.finished(t, w.claim(t, active), ledger.Stopped)
		w.advance(retention + time.Minute)
		w.sweep(t)
		for _, task := range []string{"two", "one"} {
			o, err := w.ledger.OpenForeign(t.Context(), project, task, w.ask(task))
			if err != nil || o.Result != ledger.Opened {
				t.Errorf("task %q: %v, %v, want a new stop", task, o, err)
			}
		}
	})
}

// A foreign task whose worker died between its note and its stop gets its stop.
func TestForeignTaskWithoutAStop(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		first, err := w.ledger.OpenForeign(t.Context(), project, "their-task", w.ask("10"))
		if err != nil {
			t.Fatal(err)
		}
		w.rdb.Del(t.Context(), keys.Stop(first.StopID), keys.Active())
		again, err := w.ledger.OpenForeign(t.Context(), project, "their-task", w.ask("10"))
		if err != nil || again.Result != ledger.Opened || again.StopID != first.StopID {
			t.Errorf("%v, %v, want the stop opened under the same id", again, err)
		}
	})
}
