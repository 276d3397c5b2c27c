package scheduler

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// whole has every project of several be listed.
var whole = strings.Replace(several, ", x1", "", 1)

// cancelTick cancels the tick of a batch that has no stops.
func (b *bench) cancelTick(batch string) {
	b.t.Helper()
	if open, err := NewDesk(b.rdb, b).Cancel(b.t.Context(), batch, "canceled by ann: a slip"); err != nil || !open {
		b.t.Errorf("canceled %v, %v", open, err)
	}
}

// A tick that is canceled before it has stops gets none, wherever it stands, and says so.
func TestCanceledBeforeItHasStops(t *testing.T) {
	fail := func(b *bench) {
		for _, p := range []string{"a1", "a2", "b1", "b2"} {
			b.faults[p] = errors.New("http 503")
		}
	}
	heal := func(b *bench) { clear(b.faults) }
	run := func(b *bench) string {
		batch, _, err := NewDesk(b.rdb, b).Run(t.Context(), "s", "bob", false)
		if err != nil {
			t.Fatal(err)
		}
		return batch
	}
	during := func(b *bench, do func()) { // the list of the second project
		b.Jobs = func(ctx context.Context, project string) iter.Seq2[jobs.Job, error] {
			if project == "a2" {
				do()
			}
			return b.list(ctx, project)
		}
	}
	for name, tt := range map[string]struct {
		play     func(b *bench) (batch string)
		outcome  Outcome // default Canceled
		canceled int     // stops
		by       string
	}{
		"between two tries": {play: func(b *bench) string {
			fail(b)
			b.at("11-26 20:05")
			b.cancelTick(eveningBatch)
			heal(b)
			b.at("11-26 20:06")
			return eveningBatch
		}},
		"a run between two tries": {play: func(b *bench) string {
			fail(b)
			batch := run(b)
			b.at("11-26 19:01")
			b.cancelTick(batch)
			heal(b)
			b.at("11-26 19:02")
			return batch
		}, by: "bob"},
		"a run that nobody has begun with": {play: func(b *bench) string {
			batch := run(b)
			b.cancelTick(batch)
			b.at("11-26 19:01")
			return batch
		}, by: "bob"},
		"a tick that nobody has begun with": {play: func(b *bench) string {
			b.set("11-26 20:00")
			b.cancelTick(eveningBatch)
			b.at("11-26 20:00")
			return eveningBatch
		}},
		"while its jobs are listed": {play: func(b *bench) string {
			during(b, func() { b.cancelTick(eveningBatch) })
			b.at("11-26 20:05")
			b.at("11-26 20:05")
			return eveningBatch
		}},
		"and settled, while its jobs are listed": {play: func(b *bench) string {
			during(b, func() {
				b.cancelTick(eveningBatch)
				if _, err := b.look(t.Context()); err != nil {
					t.Error(err)
				}
			})
			b.at("11-26 20:05")
			return eveningBatch
		}},
		"its jobs chosen": {play: func(b *bench) string {
			p := interrupted{left: 0}
			b.interrupt(&p)
			b.at("11-26 20:05")
			b.cancelTick(eveningBatch)
			p.left = 100
			b.at("11-26 20:06")
			return eveningBatch
		}},
		"its first stops being asked for": {play: func(b *bench) string {
			p := interrupted{left: 100, before: func(chunk int) {
				if chunk == 1 {
					b.cancelTick(eveningBatch)
				}
			}}
			b.interrupt(&p)
			b.at("11-26 20:05")
			return eveningBatch
		}, outcome: Partial, canceled: 2},
		"its first stops asked for, and no time left": {play: func(b *bench) string {
			b.interrupt(&interrupted{left: 1})
			b.at("11-26 20:05")
			b.cancelTick(eveningBatch)
			b.at("11-26 21:30")
			return eveningBatch
		}, canceled: 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, whole, "11-26 19:00")
			b.at("11-26 19:00")
			batch := tt.play(b)
			r, want := b.last("s"), tt.outcome
			if want == "" {
				want = Canceled
			}
			if r.Outcome != want || !strings.HasPrefix(r.Reason, "canceled by ann: a slip") || r.By != tt.by || b.counted[string(want)] != 1 || len(b.counted) != 1 {
				t.Errorf("%s: %s, by %q; counted %v", r.Outcome, r.Reason, r.By, b.counted)
			}
			b.Jobs = b.list
			b.at("11-26 20:30") // whatever is tried again is so by now
			if got := b.stops(batch); got[ledger.Pending] != 0 || got[ledger.Canceled] != tt.canceled {
				t.Errorf("the batch has %v", got)
			}
			tick, known, err := NewDesk(b.rdb, b).Tick(t.Context(), batch)
			if err != nil || !known || tick.Open || tick.Canceled != (want == Canceled) {
				t.Errorf("then it stands as %+v, %v, %v", tick, known, err)
			}
			if again, err := NewDesk(b.rdb, b).Cancel(t.Context(), batch, "again"); again || err != nil {
				t.Errorf("a tick with a result was canceled: %v, %v", again, err)
			}
		})
	}
}

// A canceled run makes room for another one, and of the schedule nothing else is canceled.
func TestRunAfterACanceledOne(t *testing.T) {
	b := newBench(t, whole, "11-26 19:00")
	b.at("11-26 19:00")
	desk := NewDesk(b.rdb, b)
	first, _, err := desk.Run(t.Context(), "s", "bob", false)
	if err != nil {
		t.Fatal(err)
	}
	b.cancelTick(first)
	b.cancelTick(first) // changes nothing
	if _, _, err := desk.Run(t.Context(), "s", "bob", false); err == nil || !strings.Contains(err.Error(), first+", is being canceled: ask again in a few seconds") {
		t.Errorf("run at once: %v", err)
	}
	b.at("11-26 19:01")
	second, _, err := desk.Run(t.Context(), "s", "bob", false)
	if err != nil || second == first {
		t.Fatal(second, err)
	}
	b.at("11-26 19:02")
	if r := b.last("s"); r.Outcome != Done || r.Batch != second {
		t.Errorf("the result is %+v", r)
	}
	for _, id := range []string{"b1", "sched-s-20261126T190000Z", "sched-none-20261126T200000Z", eveningBatch} {
		if open, err := desk.Cancel(t.Context(), id, "canceled"); open || err != nil {
			t.Errorf("%s is canceled: %v, %v", id, open, err)
		}
	}
	if n := b.rdb.Exists(t.Context(), stateKey("none")).Val(); n != 0 {
		t.Error("a schedule that never was has a record")
	}
}

// What a suspension found between two tries does not go on after it.
func TestSuspendedAndResumedBetweenTwoTries(t *testing.T) {
	b := newBench(t, whole, "11-26 19:00")
	p := interrupted{left: 0}
	b.interrupt(&p)
	b.at("11-26 19:00")
	b.at("11-26 20:05")
	desk := NewDesk(b.rdb, b)
	if err := desk.Suspend(t.Context(), "s", at(t, "12-31 00:00"), "ann", "tests"); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.now = b.now.Add(2 * time.Second)
	b.mu.Unlock()
	if _, err := desk.Resume(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	p.left = 100
	b.at("11-26 20:10")
	if r := b.last("s"); r.Outcome != Suspended || !strings.HasPrefix(r.Reason, "suspended from 2026-11-26T20:05:00Z until 2026-11-26T20:05:02Z by ann: tests") {
		t.Errorf("%s: %s", r.Outcome, r.Reason)
	}
	if got := b.stops(eveningBatch); len(got) != 0 {
		t.Errorf("the batch has %v", got)
	}
}

// What is told of a batch without stops is what its tick is at.
func TestTickTellsWhereItStands(t *testing.T) {
	b := newBench(t, whole, "11-26 19:00")
	desk := NewDesk(b.rdb, b)
	tells := func(batch, want string, open bool) {
		t.Helper()
		tick, known, err := desk.Tick(t.Context(), batch)
		if err != nil || known != (want != "") || !strings.HasPrefix(tick.Words, want) || tick.Open != open {
			t.Errorf("%+v, %v, %v; want %s", tick, known, err, want)
		}
	}
	tells("b1", "", false)
	b.at("11-26 19:00")
	tells(eveningBatch, "the tick of schedule s at 2026-11-26T20:00:00Z is not due yet", false)
	tells("sched-s-20261127T200000Z", "", false)
	b.set("11-26 20:00")
	tells(eveningBatch, "the tick of schedule s at 2026-11-26T20:00:00Z is due, and no worker has taken it up yet; its batch appears when its jobs are chosen", true)
	b.Jobs = func(context.Context, string) iter.Seq2[jobs.Job, error] {
		tells(eveningBatch, "the tick of schedule s at 2026-11-26T20:00:00Z is being carried out; its batch appears when its jobs are chosen", true)
		return func(yield func(jobs.Job, error) bool) { yield(jobs.Job{}, errors.New("http 401")) }
	}
	b.at("11-26 20:00")
	tells(eveningBatch, "the tick of schedule s at 2026-11-26T20:00:00Z is tried again at 2026-11-26T20:00:30Z; its batch appears when its jobs are chosen; the try before: list the jobs of project a1: http 401", true)
	run, _, err := desk.Run(t.Context(), "s", "bob", true)
	if err != nil {
		t.Fatal(err)
	}
	tells(run, "bob's run of schedule s is asked for, and no worker has taken it up yet", true)
	b.cancelTick(run)
	tells(run, "bob's run of schedule s asks for no stop: canceled by ann: a slip", true)
	if o, err := desk.Overview(t.Context(), 1); err != nil || o.Schedules[0].Requested.Canceled != "canceled by ann: a slip" || o.Schedules[0].Running.Batch != eveningBatch {
		t.Errorf("%+v, %v", o.Schedules, err)
	}
	b.Jobs = func(context.Context, string) iter.Seq2[jobs.Job, error] { return func(func(jobs.Job, error) bool) {} }
	b.at("11-26 20:01")
	tells(run, "bob's run of schedule s asked for no stop: canceled by ann: a slip", false)
	tells(eveningBatch, "the tick of schedule s at 2026-11-26T20:00:00Z is done, and chose no job", false)
	b.at("11-28 12:00")
	tells("sched-s-20261127T200000Z", "the tick of schedule s at 2026-11-27T20:00:00Z is missed: from ", false)
}

// A tick that falls into a suspension is not told as the next one, also before a worker has looked.
func TestNextOfASuspendedSchedule(t *testing.T) {
	b := newBench(t, whole, "11-26 19:00")
	b.at("11-26 19:00")
	desk := NewDesk(b.rdb, b)
	next := func(want time.Time) {
		t.Helper()
		o, err := desk.Overview(t.Context(), 1)
		if err != nil || !o.Schedules[0].Next.Equal(want) {
			t.Errorf("the next tick is %v, %v; want %v", o.Schedules[0].Next, err, want)
		}
	}
	next(at(t, "11-26 20:00"))
	if err := desk.Suspend(t.Context(), "s", at(t, "11-28 00:00"), "ann", "tests"); err != nil {
		t.Fatal(err)
	}
	next(time.Time{})
	b.at("11-26 19:01")
	next(at(t, "11-28 20:00"))
}

// What looks like the batch of a tick and is none can't be canceled, and leaves nothing behind.
func TestNoTick(t *testing.T) {
	b := newBench(t, several, "11-26 19:00")
	b.at("11-26 19:00")
	b.set("11-26 20:00")
	for _, id := range []string{"sched-nosuch-19700101T000000Z", "sched-s-19700101T000000Z", "sched-s-20261126T200000.0004Z", "sched-s-20261126T200001Z"} {
		if open, err := NewDesk(b.rdb, b).Cancel(t.Context(), id, "a slip"); open || err != nil {
			t.Errorf("%s was canceled: %v, %v", id, open, err)
		}
	}
	if b.at("11-26 20:05"); b.last("s").Accepted != 8 {
		t.Errorf("the tick is %+v", b.last("s"))
	}
}

// set sets the clock, and no worker looks.
func (b *bench) set(text string) {
	b.t.Helper()
	b.mu.Lock()
	b.now = at(b.t, text)
	b.mu.Unlock()
}

// A tick that is due can be canceled also where one before it has no result yet.
func TestCanceledBehindAnOlderTick(t *testing.T) {
	const twice = "sched-s-20261126T201500Z"
	text := strings.Replace(whole, "at: '20:00'", "at: ['20:00', '20:15']", 1)
	tells := func(b *bench, want string) {
		b.t.Helper()
		tick, known, err := NewDesk(b.rdb, b).Tick(b.t.Context(), twice)
		if err != nil || !known || tick.Words != "the tick of schedule s at 2026-11-26T20:15:00Z, if there is one, "+want {
			b.t.Errorf("%+v, %v, %v; want %s", tick, known, err, want)
		}
	}
	for name, until := range map[string]string{"workers were away over both": "", "the older one is tried again": "11-26 20:01"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, text, "11-26 19:00")
			b.at("11-26 19:00")
			if until != "" {
				b.interrupt(&interrupted{left: 0})
				b.at(until)
			}
			b.set("11-26 20:20")
			tells(b, "is due, and no worker has taken it up yet; its batch appears when its jobs are chosen")
			b.cancelTick(twice)
			tells(b, "asks for no stop: canceled by ann: a slip")
			b.cancelTick(eveningBatch) // forgets nothing of the other one
			b.at("11-26 20:21")
			b.at("11-26 20:22")
			results, err := b.results(t.Context(), "s", 10)
			if err != nil || len(results) != 2 || results[0].Outcome != Canceled || results[1].Outcome != Canceled {
				t.Errorf("%+v, %v", results, err)
			}
			if got := b.stops(twice); len(got) > 0 {
				t.Errorf("the canceled tick has stops: %v", got)
			}
		})
	}
}

// What may be a tick and is none changes nothing when it is canceled, and is forgotten.
func TestCancelWhatIsNoTick(t *testing.T) {
	b := newBench(t, whole, "11-26 19:00")
	b.at("11-26 19:00")
	b.set("11-26 20:20")
	const none = "sched-s-20261126T201500Z"
	b.cancelTick(none)
	desk := NewDesk(b.rdb, b)
	for _, id := range []string{"sched-s-20261126T195900Z", "sched-s-20261126T201501Z", "sched-s-20261126T202100Z"} { // can be none
		if open, err := desk.Cancel(t.Context(), id, "a slip"); open || err != nil {
			t.Errorf("%s was canceled: %v, %v", id, open, err)
		}
	}
	b.at("11-26 20:20")
	if r := b.last("s"); r.Batch != eveningBatch || r.Accepted != 8 {
		t.Errorf("%+v", r)
	}
	b.at("11-27 20:05")
	if _, known, err := desk.Tick(t.Context(), none); known || err != nil {
		t.Errorf("it is known: %v, %v", known, err)
	}
	b.set("11-28 20:00")
	b.cancelTick("sched-s-20261128T200000Z")
	if r, err := b.state(t.Context(), "s"); err != nil || len(r.Canceled) != 1 {
		t.Errorf("%+v, %v", r.Canceled, err)
	}
}
