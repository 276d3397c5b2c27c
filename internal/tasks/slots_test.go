package tasks

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// line are the calls that wait for slots, and those that got one, in their order.
type line struct {
	t     *testing.T
	slots *Slots
	got   chan string
}

func newLine(t *testing.T, n int) *line {
	return &line{t, NewSlots(n, nil), make(chan string, 100)}
}

// take takes n slots, which are free.
func (l *line) take(n int, project string, look bool) {
	l.t.Helper()
	for range n {
		if _, err := l.slots.Acquire(l.t.Context(), project, look); err != nil {
			l.t.Fatalf("no slot for %s: %v", project, err)
		}
	}
}

// wait has calls of a project wait for a slot, one after the other.
func (l *line) wait(n int, project string, look bool) {
	kind := " stop"
	if look {
		kind = " look"
	}
	for range n {
		go func() {
			if _, err := l.slots.Acquire(l.t.Context(), project, look); err == nil {
				l.got <- project + kind
			}
		}()
		synctest.Wait()
	}
}

// order is who has got a slot so far.
func (l *line) order() (all []string) {
	synctest.Wait()
	for len(l.got) > 0 {
		all = append(all, <-l.got)
	}
	return all
}

func (l *line) want(want ...string) {
	l.t.Helper()
	if got := l.order(); !slices.Equal(got, want) {
		l.t.Errorf("got slots: %q, want %q", got, want)
	}
}

// Stop calls go before looks.
func TestStopCallsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 10)
		l.take(8, "a", false)
		l.take(2, "a", true) // the looks' fifth
		l.wait(2, "a", true)
		l.wait(2, "a", false)
		l.want()
		for _, want := range []string{"a stop", "a stop", "a look", "a look"} {
			l.slots.release("a", false)
			l.want(want)
		}
		if used, waiting := l.slots.Used(), l.slots.Waiting(); used != 10 || waiting != 0 {
			t.Errorf("%d slots used and %d calls wait, want 10 and none", used, waiting)
		}
	})
}

// Looks are sure of a fifth, however many stop calls wait.
func TestLooksAreSureOfAFifth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 10)
		l.take(10, "a", false)
		l.wait(5, "a", false)
		l.wait(5, "a", true)
		for _, want := range []string{"a look", "a look", "a stop", "a stop"} {
			l.slots.release("a", false)
			l.want(want)
		}
		l.slots.release("a", true)
		l.want("a look")
	})
}

// The project with the fewest calls under way is next.
func TestFewestCallsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 8)
		l.take(5, "a", false)
		l.take(2, "b", false)
		l.take(1, "c", false)
		l.wait(3, "a", false)
		l.wait(1, "b", false)
		l.wait(1, "c", false)
		for _, want := range []string{"c stop", "b stop", "a stop"} {
			l.slots.release("a", false)
			l.want(want)
		}
	})
}

// A project leaves the last quarter to others, as long as there are some.
func TestTheLastQuarter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 8)
		l.take(8, "a", false) // it is alone
		l.wait(1, "b", false)
		l.slots.release("a", false)
		l.want("b stop")
		l.wait(4, "a", false)
		l.slots.release("a", false) // six are left
		l.want()
		l.wait(1, "b", false)
		l.want("b stop")
		l.slots.release("a", false)
		l.want("a stop")

		l.slots.release("b", false)
		l.slots.release("b", false)
		l.want()
		time.Sleep(time.Minute + time.Second) // nobody else has wanted a slot for long
		l.wait(1, "a", false)
		l.want("a stop", "a stop")
	})
}

// Only three calls are under way while it is not known whether the credential is
// accepted, and only two of one project: its calls may hang. Once one is refused,
// one at a time goes out.
func TestFewCallsWhileUnproven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		few := 3
		l := newLine(t, 10)
		l.slots.few = func() int { return few }
		l.wait(6, "a", false)
		l.want("a stop", "a stop")
		l.wait(2, "b", false)
		l.want("b stop")
		l.slots.Wake()
		l.want()
		few = 1 // one was refused
		l.slots.release("a", false)
		l.slots.release("a", false)
		l.want() // one of b is under way
		l.slots.release("b", false)
		l.want("a stop")
		few = 0
		l.slots.Wake()
		got := l.order() // all at once: in any order
		slices.Sort(got)
		if !slices.Equal(got, []string{"a stop", "a stop", "a stop", "b stop"}) {
			t.Errorf("got slots: %q, want all who waited", got)
		}
	})
}

// Who gives up waits no more, and keeps no slot.
func TestGivingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 1)
		l.take(1, "a", false)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.slots.Acquire(ctx, "a", false); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the end of the context", err)
		}
		if n := l.slots.Waiting(); n != 0 {
			t.Errorf("%d calls wait, want none", n)
		}
		l.slots.release("a", false)
		l.wait(1, "b", true)
		l.want("b look")
		l.slots.release("b", true)
		if len(l.slots.held) != 0 || l.slots.looks != 0 || l.slots.used != 0 {
			t.Errorf("with nothing under way: %+v", l.slots)
		}
	})
}

// Pages of a list go before other looks, and keep their order: a list is read from its last page to the first.
func TestPagesKeepTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 1)
		l.take(1, "a", true)
		l.wait(1, "a", true)
		given, giveUp := context.WithCancel(t.Context())
		for _, page := range []string{"4", "given up", "3", "2", "1"} {
			ctx := t.Context()
			if page == "given up" {
				ctx = given
			}
			go func() {
				if _, err := l.slots.AcquirePage(ctx, "a"); err == nil {
					l.got <- "page " + page
				}
			}()
			synctest.Wait()
		}
		giveUp()
		for _, want := range []string{"page 4", "page 3", "page 2", "page 1", "a look"} {
			l.want()
			l.slots.release("a", true)
			l.want(want)
		}
	})
}
