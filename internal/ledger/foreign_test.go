package ledger_test

import (
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// ofDay is the batch of the foreign tasks.
const ofDay = "queue-20260102"

// foreign has a foreign task ask for job 10, which nobody has confirmed. It has an hour.
func (w *world) foreign(t *testing.T, task string) ledger.Opening {
	t.Helper()
	o, err := w.ledger.OpenForeign(t.Context(), project, task, ledger.Ask{JobID: "10", Deadline: w.now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

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

// A second foreign task for a job whose stop is in flight is served until its own deadline, too. A task that is
// delivered again asks for nothing new.
func TestSecondTaskDeadline(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		due := w.now()
		id := w.foreign(t, "one").StopID
		w.advance(50 * time.Minute)
		want := w.now().Add(time.Hour)
		w.foreign(t, "two")
		w.advance(5 * time.Minute)
		for _, task := range []string{"one", "two"} {
			if o := w.foreign(t, task); o.Result != ledger.Known || o.StopID != id {
				t.Errorf("task %s again: %v", task, o)
			}
		}
		if s := w.get(t, id); !s.Deadline.Equal(want) || !s.Due.Equal(due) || len(s.Wishes) != 1 {
			t.Errorf("the stop of both is %+v, want it due at %v, until %v", s, due, want)
		}
		if b := w.batch(t, ofDay); b.Total != 1 || b.Counts[ledger.Pending] != 1 {
			t.Errorf("the batch has %+v", b)
		}
	})
}

// A foreign task is heard after the batch of its day was canceled, while the stop goes on for another batch.
func TestForeignTaskAfterCancel(t *testing.T) {
	for name, join := range map[string]bool{"it has opened the stop": false, "it has joined the stop": true} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, func(t *testing.T, w *world) {
				due, tomorrow := w.now(), w.ask("10")
				tomorrow.Due = w.now().Add(24 * time.Hour)
				tomorrow.Deadline = tomorrow.Due.Add(time.Hour)
				var id string
				if join {
					id = w.open(t, "b", tomorrow)[0].StopID
					due = w.now()
					w.foreign(t, "one")
				} else {
					id = w.foreign(t, "one").StopID
					w.open(t, "b", tomorrow)
				}
				if _, err := w.ledger.Confirm(t.Context(), project, ofDay, 1); err != nil {
					t.Fatal(err)
				}
				w.withdraw(t, id, ofDay, ledger.Withdrew)
				if b := w.batch(t, ofDay); b.Counts[ledger.Canceled] != 1 || b.Ended.IsZero() {
					t.Fatalf("canceled, the batch has %+v", b)
				}
				w.advance(time.Minute)
				if o := w.foreign(t, "one"); o.StopID != id || !w.get(t, id).Due.Equal(tomorrow.Due) {
					t.Errorf("task one again: %v, due at %v, want what was canceled canceled", o, w.get(t, id).Due)
				}
				w.foreign(t, "two")
				if s := w.get(t, id); !s.Due.Equal(due) || !s.Deadline.Equal(tomorrow.Deadline) || !s.Unconfirmed {
					t.Errorf("the stop is %+v, want it due at %v, as nobody has confirmed", s, due)
				}
				w.stands(t, id, "waiting:limited", due)
				b := w.batch(t, ofDay)
				if b.Total != 1 || b.Counts[ledger.Pending] != 1 || b.Counts[ledger.Canceled] != 0 || !b.Ended.IsZero() {
					t.Errorf("the batch has %+v", b)
				}
				w.finished(t, w.claim(t, id), ledger.Stopped)
				if b := w.batch(t, ofDay); b.Counts[ledger.Stopped] != 1 || b.InFlight() != 0 || b.Ended.IsZero() {
					t.Errorf("the stop has ended, the batch has %+v", b)
				}
			})
		})
	}
}

// The same where the cancel was too late: the stop is wanted again.
func TestForeignTaskAfterLateCancel(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.foreign(t, "one").StopID
		w.accept(t, id)
		w.withdraw(t, id, ofDay, ledger.TooLate)
		w.advance(time.Minute)
		w.foreign(t, "two")
		if s := w.get(t, id); s.Withdrawn != "" || s.TooLate(ofDay) || !s.Deadline.Equal(w.now().Add(time.Hour)) {
			t.Errorf("the stop is %+v, want it wanted for an hour", s)
		}
		if b := w.batch(t, ofDay); b.Counts[ledger.Stopping] != 1 || b.Counts[ledger.Canceled] != 0 {
			t.Errorf("the batch has %+v", b)
		}
	})
}

// The wish of a task that was canceled does not stand again beyond what the next task asks for.
func TestAnotherTaskAfterACancel(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.foreign(t, "one").StopID // until in an hour
		w.open(t, "b", w.ask("10"))
		w.withdraw(t, id, ofDay, ledger.Withdrew)
		w.advance(10 * time.Minute)
		over := ledger.Ask{JobID: "10", Deadline: w.now().Add(-time.Minute)}
		if _, err := w.ledger.OpenForeign(t.Context(), project, "two", over); err != nil {
			t.Fatal(err)
		}
		for _, wish := range w.get(t, id).Wishes {
			if wish.Batch == ofDay && wish.Deadline.After(w.now()) {
				t.Errorf("the wish of %s stands until %v, though the time of task two is over", ofDay, wish.Deadline)
			}
		}
	})
}

// A foreign task that is delivered again on the next day leaves nothing of that day's batch.
func TestForeignTaskAgainAfterMidnight(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		w.t = time.Date(2026, 1, 2, 23, 59, 59, 0, time.UTC)
		ask := w.ask("10")
		ask.Confirmed = false // nobody has, of a foreign task
		first, err := w.ledger.OpenForeign(t.Context(), project, "task-1", ask)
		if err != nil {
			t.Fatal(err)
		}
		w.advance(2 * time.Second)
		again, err := w.ledger.OpenForeign(t.Context(), project, "task-1", ask)
		if err != nil || again.StopID != first.StopID || again.Result != ledger.Known {
			t.Fatal(again, err)
		}
		w.finished(t, w.claim(t, first.StopID), ledger.Stopped)
		w.advance(2 * retention)
		w.sweep(t)
		w.sweep(t)
		w.advance(30 * retention)
		w.sweep(t)
		ids, err := w.ledger.Batches(t.Context(), 10)
		if err != nil || len(ids) > 0 {
			t.Errorf("a month later there are batches %v, %v; Redis holds %v", ids, err, w.everything(t))
		}
	})
}
