package tasks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// line are the calls that wait for slots, and those that got one, in their order.
type line struct {
	t      *testing.T
	slots  *Slots
	doubts doubts
	got    chan string
}

func newLine(t *testing.T, n int) *line {
	doubts := doubts{}
	return &line{t, NewSlots(n, doubts), doubts, make(chan string, 100)}
}

// acquire is the slots' Acquire for a project that has earned all that it can have.
func (l *line) acquire(project string, look bool) error {
	l.slots.mu.Lock()
	l.slots.standing(project).pace = pace{answered: time.Now(), since: time.Now(), now: 1000}
	l.slots.standing(project).seen = time.Now()
	l.slots.mu.Unlock()
	_, err := l.slots.Acquire(l.t.Context(), project, look)
	return err
}

// doubts are how many calls accounts may make, which are named as the projects that
// they have: "a" is of account "a", and so is "a2".
type doubts map[string]int

func (d doubts) Account(projectID string) string { return projectID[:1] }
func (d doubts) Few(account string) int          { return d[account] }

// release gives back a slot of a project.
func (l *line) release(project string, look bool) {
	l.slots.mu.Lock()
	defer l.slots.mu.Unlock()
	l.slots.free(l.slots.standing(project), l.slots.account(l.doubts.Account(project)), look)
}

// take takes n slots, which are free.
func (l *line) take(n int, project string, look bool) {
	l.t.Helper()
	for range n {
		if err := l.acquire(project, look); err != nil {
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
			if err := l.acquire(project, look); err == nil {
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
			l.release("a", false)
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
			l.release("a", false)
			l.want(want)
		}
		l.release("a", true)
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
			l.release("a", false)
			l.want(want)
		}
	})
}

// A project leaves the last eighth to others, as long as there are some.
func TestTheLastEighth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 8)
		l.take(8, "a", false) // it is alone
		l.wait(1, "b", false)
		l.release("a", false)
		l.want("b stop")
		l.wait(4, "a", false)
		l.release("b", false) // seven are left
		l.want()
		l.wait(1, "b", false)
		l.want("b stop")
		l.release("a", false)
		l.want("a stop")

		l.release("b", false)
		l.want()
		time.Sleep(time.Minute + time.Second) // nobody else has wanted a slot for long
		l.slots.standing("a").pace.ended(time.Now(), time.Second)
		l.wait(1, "a", false)
		l.want("a stop")
	})
}

// Where several projects share one slot, each has it in turn, whatever their ids.
func TestOneSlotGoesRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 1)
		l.take(1, "a", false)
		l.wait(3, "a", false)
		l.wait(2, "b", false)
		l.wait(1, "c", false)
		has := "a"
		for _, next := range []string{"b", "c", "a", "b", "a"} {
			l.release(has, false)
			l.want(next + " stop")
			has = next
		}
	})
}

// Projects that wait for long each get their turn, and what was known of them goes when they
// are done.
func TestManyProjectsWaitLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(1, doubts{})
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		calls := make([]int, 10)
		for p := range calls {
			for range 2 {
				go func() {
					for {
						slot, err := s.Acquire(ctx, fmt.Sprint("p", p), false)
						if err != nil {
							return
						}
						mu.Lock()
						calls[p]++
						mu.Unlock()
						time.Sleep(30 * time.Second)
						slot.Answered(30 * time.Second)
					}
				}()
			}
		}
		time.Sleep(10*time.Minute + time.Millisecond)
		cancel()
		time.Sleep(10 * time.Minute)
		mu.Lock()
		if slices.Min(calls) < 2 {
			t.Errorf("calls by project: %v, want 2 each", calls)
		}
		mu.Unlock()
		for _, p := range []string{"a", "b", "a", "b"} {
			slot, err := s.Acquire(t.Context(), p, false)
			if err != nil {
				t.Fatal(err)
			}
			slot.Free()
		}
		if len(s.projects) > 2 {
			t.Errorf("%d projects that are done are known", len(s.projects))
		}
	})
}

// Looks are sure of a fifth of what fewer than five slots do.
func TestLooksWithFewSlots(t *testing.T) {
	for _, all := range []int{1, 2, 4} {
		synctest.Test(t, func(t *testing.T) {
			l := newLine(t, all)
			l.take(all, "a", false)
			l.wait(20, "a", false)
			l.wait(3, "a", true)
			looks, look := 0, false
			for range 15 {
				l.release("a", look)
				got := l.order()
				if look = len(got) == 1 && got[0] == "a look"; look {
					looks++
				}
			}
			if looks != 3 {
				t.Errorf("%d slots: %d of 15 calls were looks, want 3", all, looks)
			}
		})
	}
}

// However few slots there are, a project leaves one to others.
func TestTheLastSlot(t *testing.T) {
	for _, all := range []int{2, 3, 7} {
		synctest.Test(t, func(t *testing.T) {
			l := newLine(t, all)
			l.wait(1, "b", false)
			l.want("b stop")
			l.release("b", false)
			l.wait(all, "a", false)
			if got := len(l.order()); got != all-1 {
				t.Errorf("%d of %d slots are one project's", got, all)
			}
		})
	}
}

// Only three calls of an account are under way while it is not known whether its
// credential is accepted, and only two of one project: its calls may hang. Once one
// is refused, one at a time goes out. Other accounts have nothing to do with it.
func TestFewCallsWhileUnproven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 10)
		l.doubts["a"] = 3
		l.wait(6, "a", false)
		l.want("a stop", "a stop")
		l.wait(2, "a2", false)
		l.want("a2 stop")
		l.slots.Wake()
		l.want()
		l.wait(4, "b", false)
		l.want("b stop", "b stop", "b stop", "b stop")
		l.doubts["a"] = 1 // one was refused
		l.release("a", false)
		l.release("a", false)
		l.want() // one of a2 is under way
		l.release("a2", false)
		l.want("a stop")
		l.doubts["a"] = 0
		l.slots.Wake()
		got := l.order() // all at once: in any order
		slices.Sort(got)
		if !slices.Equal(got, []string{"a stop", "a stop", "a stop", "a2 stop"}) {
			t.Errorf("got slots: %q, want all who waited", got)
		}
	})
}

// With a few slots stop calls go first, although looks of others have had none yet.
func TestFewCallsAreStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 10)
		l.doubts["a"] = 1
		l.take(1, "a", false)
		l.wait(2, "a", true)
		l.wait(2, "a", false)
		for _, want := range []string{"a stop", "a stop", "a look", "a look"} {
			l.release("a", want == "a look")
			l.want(want)
		}
	})
}

// All accounts together whose credential may be refused leave the last quarter to
// those that are accepted.
func TestDoubtfulAccountsLeaveAQuarter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 8)
		for _, account := range []string{"a", "b", "c", "d"} {
			l.doubts[account] = 3
			l.wait(2, account, false)
		}
		l.want("a stop", "a stop", "b stop", "b stop", "c stop", "c stop")
		if n, all := l.slots.WaitingOf("d"), l.slots.Waiting(); n != 2 || all != 2 {
			t.Errorf("%d calls of d wait and %d in all, want 2 and 2", n, all)
		}
		l.wait(2, "e", false)
		l.want("e stop", "e stop")
		l.release("a", false)
		l.want("d stop")
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
		l.release("a", false)
		l.wait(1, "b", true)
		l.want("b look")
		l.release("b", true)
		if l.slots.standing("a").held != 0 || l.slots.looks != 0 || l.slots.used != 0 || l.slots.accounts["a"].used != 0 {
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
			l.release("a", true)
			l.want(want)
		}
	})
}

// The time of looks follows what they take now; stop calls count only before there was any.
func TestLookTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := NewSlots(10, doubts{})
		hold := func(n int, look bool, d time.Duration) {
			for range n {
				slot, err := slots.Acquire(t.Context(), "a", look)
				if err != nil {
					t.Fatal(err)
				}
				slot.Answered(d)
				slot.Free()
			}
		}
		is := func(least, most time.Duration) {
			t.Helper()
			if got := slots.LookTime(); got < least || got > most {
				t.Errorf("a look is said to take %v, want %v to %v", got, least, most)
			}
		}
		is(0, 0)
		hold(1, false, time.Hour)
		is(time.Hour, time.Hour)
		hold(1, true, 20*time.Millisecond)
		is(20*time.Millisecond, 20*time.Millisecond)
		hold(100, false, time.Hour)
		hold(100, true, 80*time.Millisecond)
		is(70*time.Millisecond, 90*time.Millisecond)
		hold(100, true, 20*time.Millisecond)
		is(17*time.Millisecond, 23*time.Millisecond)
		hold(5, true, time.Minute) // a few are slow
		is(17*time.Millisecond, 40*time.Millisecond)
		hold(20, true, 20*time.Millisecond)
		is(17*time.Millisecond, 23*time.Millisecond)
		for range 100 { // nobody answers
			slot, _ := slots.Acquire(t.Context(), "a", true)
			time.Sleep(time.Second)
			slot.Free()
		}
		is(17*time.Millisecond, 23*time.Millisecond)
	})
}

// What looks of one project take says nothing of another's, nor do calls that tell nothing of
// a job, however they end.
func TestLookTimeOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := NewSlots(10, doubts{})
		hold := func(project string, look bool, d time.Duration) {
			slot, err := slots.Acquire(t.Context(), project, look)
			if err != nil {
				t.Fatal(err)
			}
			slot.Answered(d)
		}
		is := func(project string, want time.Duration) {
			t.Helper()
			if got := slots.LookTimeOf(project); got != want {
				t.Errorf("a look of %s is said to take %v, want %v", project, got, want)
			}
		}
		is("a", 0)
		hold("a", false, time.Second)
		is("a", time.Second)
		hold("a", true, 5*time.Second)
		is("a", 5*time.Second)
		is("b", 5*time.Second) // of all, as nothing is known of it
		hold("b", true, 80*time.Millisecond)
		is("b", 80*time.Millisecond)
		for range 30 {
			slot, _ := slots.Acquire(t.Context(), "a", true)
			slot.Ended(5 * time.Millisecond) // refused, or nobody is there
			slot, _ = slots.Acquire(t.Context(), "a", true)
			slot.Free()
		}
		is("a", 5*time.Second)
	})
}
