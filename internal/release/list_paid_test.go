package release

import (
	"testing"
	"time"
)

// The pages of a list count against the rate.
func TestListPagesArePaid(t *testing.T) {
	eachRedis(t, Config{Rate: 10}, func(t *testing.T, w *world) {
		w.watched(1)
		w.checked(ListCheck{Began: w.now(), Result: ListRead, Pages: 5, Left: 1}, false)
		w.advance(time.Second)
		if r := w.round(listing(1)); r.List == nil {
			t.Fatal("no list check")
		}
		w.fill(keys.Large(), 10)
		if r := w.round(wide()); len(r.Stops) != 0 || r.Next < 300*time.Millisecond {
			t.Errorf("%d stops released, next in %v, want none for half a second", len(r.Stops), r.Next)
		}
		w.advance(700 * time.Millisecond)
		if r := w.round(wide()); len(r.Stops) != 1 {
			t.Errorf("%d stops released, want one", len(r.Stops))
		}
	})
}

// What a check took more than the rate was asked for is paid afterwards.
func TestAListCheckPaysForItsPages(t *testing.T) {
	eachRedis(t, Config{Rate: 10, Burst: 10}, func(t *testing.T, w *world) {
		w.watched(3)
		w.advance(time.Minute)
		if w.round(listing(3)).List == nil {
			t.Fatal("no list check")
		}
		w.checked(ListCheck{Began: w.now(), Next: time.Hour, Result: ListRead, Pages: 30, Unpaid: 30}, false)
		w.advance(time.Second)
		if wait := w.spend(); wait == 0 {
			t.Error("a call goes out a second after 30 pages at 10 calls a second")
		}
		w.advance(time.Second)
		if wait := w.spend(); wait != 0 {
			t.Errorf("two seconds after 30 pages a call waits for %v", wait)
		}
	})
}

// What the rate was asked for and a check did not take is given back.
func TestAListCheckGetsBackWhatItDidNotTake(t *testing.T) {
	eachRedis(t, Config{Rate: 10, Burst: 10}, func(t *testing.T, w *world) {
		w.watched(3)
		w.checked(ListCheck{Began: w.now(), Result: ListRead, Pages: 100, Left: 1}, false)
		w.advance(time.Minute)
		r := w.round(listing(1))
		if r.List == nil || r.List.Paid() != 100 {
			t.Fatalf("list check %+v, want one of 100 pages", r.List)
		}
		w.checked(ListCheck{Began: w.now(), Next: time.Hour, Result: ListRead, Pages: 1, Unpaid: 1 - 100}, false)
		w.advance(200 * time.Millisecond)
		if wait := w.spend(); wait != 0 {
			t.Errorf("after one page a call waits for %v", wait)
		}
	})
}
