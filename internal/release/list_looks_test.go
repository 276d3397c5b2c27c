package release

import (
	"strconv"
	"testing"
	"time"
)

// What a dead worker holds takes up the room of a project. A worker looks at jobs that a
// list has not shown all the same.
func TestLooksNeedNoRoom(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(3)
		w.advance(time.Second)
		w.checked(ListCheck{Began: w.now(), Next: time.Hour, Result: ListRead}, false)
		w.fill(keys.Released(), 10)
		need := listing(1)
		need.Room = 10
		w.fill(keys.Large(), 1)
		if r := w.round(need); len(r.Left) != 3 || len(r.Stops) != 0 {
			t.Errorf("%d jobs to look at and %d stops without room, want the 3 that the list did not show, and none",
				len(r.Left), len(r.Stops))
		}
	})
}

// Looks that a worker makes itself enter no queue, so one that is full of what dead workers
// have released does not keep them, or the list, from being made.
func TestLooksNeedNoQueue(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(3)
		w.advance(time.Second)
		w.checked(ListCheck{Began: w.now(), Result: ListRead}, false)
		w.unlisted("new")
		need := listing(1)
		need.Most, need.Inline = 0, 4
		if r := w.round(need); len(r.Left) != 3 || r.List == nil {
			t.Errorf("%d jobs to look at, and a list check is due: %t; want the 3 that the list did not show, and one", len(r.Left), r.List != nil)
		}
	})
}

// While many jobs that a list has not shown wait for a look it is not read again; it is while a few do, which keep
// workers busy meanwhile.
func TestListCheckWhileLooksWait(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(4)
		w.advance(time.Second)
		w.checked(ListCheck{Began: w.now(), Result: ListRead}, false)
		w.unlisted("new")
		need := listing(3)
		need.Inline, need.Backlog = 1, 2
		if r := w.round(need); len(r.Left) != 1 || r.List != nil {
			t.Errorf("round %+v, want one job of five to look at, and no list check while three wait", r)
		}
		if r := w.round(need); len(r.Left) != 1 || r.List == nil {
			t.Errorf("round %+v, want one job of five to look at, and a list check while two wait", r)
		}
	})
}

// If a round gives all that are watched to a worker, the list has nothing to tell.
func TestNoListCheckOfWhatIsLookedAt(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(4)
		w.advance(time.Second)
		w.checked(ListCheck{Began: w.now(), Result: ListRead}, false)
		if r := w.round(listing(3)); len(r.Left) != 4 || r.List != nil {
			t.Errorf("%d jobs to look at, and a list check: %t; want all 4, and none", len(r.Left), r.List != nil)
		}
	})
}

// Jobs that no list has shown for long, as none could be read, are no reason to read none: at a low rate the looks at
// them would take all of it, and come round again before they have ended. The list goes first, and they go on while it
// is read.
func TestListCheckAfterALongTimeWithoutOne(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(12)
		w.advance(time.Minute)
		need := listing(3)
		need.Inline, need.Backlog = 2, 4
		if r := w.round(need); len(r.Left) != 0 || r.List == nil {
			t.Errorf("%d jobs to look at, and a list check: %t; want none, and one", len(r.Left), r.List != nil)
		}
		if r := w.round(need); len(r.Left) != 2 || r.List != nil {
			t.Errorf("%d jobs to look at, and a list check: %t; want 2 of 12, and none", len(r.Left), r.List != nil)
		}
	})
}

// A list check, which tells of a hundred jobs, does not stand behind looks at single ones.
func TestListCheckBesideManyLooks(t *testing.T) {
	w := onRedis(t, Config{Rate: 50})
	for i := range 20 {
		w.unlisted("job" + strconv.Itoa(i))
	}
	w.fill(keys.Large(), 7000)
	w.crowded(keys.Look(), 2000, w.now(), "look%016d:1:%d")
	w.advance(time.Second)
	need := listing(5)
	need.Room = 1 << 30
	lists, looks, left, began := 0, 0, 0, w.now()
	for w.now().Sub(began) < 2*time.Minute {
		r := w.round(need)
		looks += len(r.Polls)
		left += len(r.Left)
		if r.List != nil {
			lists++
			c := ListCheck{Check: r.List.Check, Began: w.now(), Next: 2 * time.Second, Result: ListRead, Pages: 1, Jobs: 20}
			w.checked(c, false)
		}
		w.advance(min(max(r.Next, 5*time.Millisecond), 25*time.Millisecond))
	}
	if lists < 10 {
		t.Errorf("%d list checks, %d looks at watched jobs and %d other looks in two minutes, want a list check every few seconds",
			lists, left, looks)
	}
}
