package tasks

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// In company a project has an eighth of the slots, and one more for each of its calls that was
// answered quickly of late. Alone it has all.
func TestSlotsAreEarned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := NewSlots(16, doubts{})
		ctx, end := context.WithCancel(t.Context())
		defer end()
		held := make(map[string][]*Slot)
		var mu sync.Mutex
		ask := func(project string, n int) {
			for range n {
				go func() {
					if slot, err := slots.Acquire(ctx, project, false); err == nil {
						mu.Lock()
						defer mu.Unlock()
						held[project] = append(held[project], slot)
					}
				}()
			}
			synctest.Wait()
		}
		has := func(project string, want int) {
			t.Helper()
			synctest.Wait()
			if got := len(held[project]); got != want {
				t.Errorf("%s has %d slots, want %d", project, got, want)
			}
		}
		const never = 0
		free := func(project string, took time.Duration) {
			all := held[project]
			held[project] = nil
			for _, slot := range all {
				if took != never {
					slot.Ended(took)
				}
				slot.Free()
			}
		}
		ask("b", 1)
		free("b", quick-1)
		ask("a", 30)
		has("a", 2)
		ask("b", 30)
		has("b", 3)
		free("b", time.Second)
		has("b", 6)
		time.Sleep(quick)
		free("b", quick) // none of them earns anything
		has("b", 6)
		time.Sleep(2 * quick)
		free("b", quick) // all is forgotten
		has("b", 2)
		has("a", 2)
		free("b", never)
		has("b", 2)
		for _, project := range []string{"b", "one that has not wanted any yet"} {
			if got := slots.May(project); got != 2 {
				t.Errorf("%s may have %d slots", project, got)
			}
		}
	})
}

// A project that is alone has as many slots as tell of an outage until a call of it is
// answered, then all, however long the answer took. Of many slots it has an eighth.
func TestAnAnswerEarnsAllSlotsAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := NewSlots(16, doubts{})
		ctx, end := context.WithCancel(t.Context())
		defer end()
		held := make(chan *Slot, 100)
		for range 30 {
			go func() {
				if slot, err := slots.Acquire(ctx, "a", false); err == nil {
					held <- slot
				}
			}()
		}
		want := func(n, may int) {
			t.Helper()
			synctest.Wait()
			if len(held) != n || slots.May("a") != may {
				t.Errorf("it has %d slots and may have %d, want %d and %d", len(held), slots.May("a"), n, may)
			}
		}
		want(5, 5)
		(<-held).Free() // without an answer
		want(5, 5)
		time.Sleep(2 * quick)
		(<-held).Ended(time.Minute)
		want(16, 16)
		time.Sleep(2 * quick)
		want(16, 5)
		(<-held).Free()
		want(15, 5)
		(<-held).Ended(time.Minute)
		want(16, 16)
	})
	for all, want := range map[int]int{1: 1, 2: 2, 4: 4, 8: 5, 64: 8} {
		if got := NewSlots(all, doubts{}).May("a"); got != want {
			t.Errorf("of %d slots one may have %d, want %d", all, got, want)
		}
	}
}

// However few slots there are, accounts whose credential may be refused leave one to others.
func TestDoubtfulAccountsLeaveASlot(t *testing.T) {
	for _, all := range []int{2, 3, 4, 5} {
		synctest.Test(t, func(t *testing.T) {
			ctx, end := context.WithCancel(t.Context())
			defer end()
			doubts := doubts{"a": 3, "b": 3, "c": 3}
			slots, got := NewSlots(all, doubts), make(chan string, 100)
			for _, project := range []string{"a", "a", "b", "b", "c", "c", "e"} { // "e" is accepted
				go func() {
					if _, err := slots.Acquire(ctx, project, false); err == nil {
						got <- project
					}
				}()
				synctest.Wait()
			}
			close(got)
			has := ""
			for project := range got {
				has += project
			}
			if !strings.Contains(has, "e") {
				t.Errorf("%d slots: projects %q have them, one whose account is accepted waits", all, has)
			}
		})
	}
}

// A project with stop calls and looks gets looks beside one that only looks, also where those
// hang.
func TestEachProjectGetsLooks(t *testing.T) {
	for _, hang := range []bool{false, true} {
		for _, all := range []int{1, 2, 3, 4, 5, 8, 9, 16, 32} {
			if hang && all == 1 {
				continue // whoever hangs has it
			}
			synctest.Test(t, func(t *testing.T) {
				slots := NewSlots(all, doubts{})
				ctx, end := context.WithCancel(t.Context())
				got := map[string]int{}
				var mu sync.Mutex
				play := func(project string, look, hang bool) {
					for range 60 {
						go func() {
							for {
								slot, err := slots.Acquire(ctx, project, look)
								if err != nil {
									return
								}
								if hang {
									time.Sleep(30 * time.Second)
									slot.Free()
								} else {
									time.Sleep(time.Second)
									slot.Answered(time.Second)
								}
								mu.Lock()
								got[fmt.Sprint(project, " look ", look)]++
								mu.Unlock()
							}
						}()
					}
				}
				play("a", false, false)
				play("a", true, false)
				play("c", true, hang)
				time.Sleep(5 * time.Minute)
				end()
				time.Sleep(time.Hour)
				mu.Lock()
				defer mu.Unlock()
				stops, looks := got["a look false"], got["a look true"]
				if looks < stops/lookPart || stops < 2*looks {
					t.Errorf("%d slots, others hang %v: %v", all, hang, got)
				}
			})
		}
	}
}

// Looks of a project have their turn beside projects with stop calls, however few slots there are.
func TestLooksBesideStopsOfOthers(t *testing.T) {
	for _, all := range []int{1, 2, 3, 4} {
		t.Run(fmt.Sprint(all), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer func() { cancel(); time.Sleep(time.Second) }()
				s := NewSlots(all, doubts{})
				for i := range all { // as many projects with stop calls as there are slots
					for range 3 {
						go func() {
							for {
								slot, err := s.Acquire(ctx, string(rune('a'+i)), false)
								if err != nil {
									return
								}
								took := 80*time.Millisecond + time.Duration(i)*time.Millisecond
								time.Sleep(took)
								slot.Answered(took)
							}
						}()
					}
				}
				time.Sleep(time.Second)
				limited, end := context.WithTimeout(ctx, 10*time.Minute)
				defer end()
				began := time.Now()
				slot, err := s.Acquire(limited, "z", true) // one look, or page of a list
				if took := time.Since(began); err != nil || took > 5*time.Second {
					t.Errorf("a look got no slot in %v, %v", took, err)
				}
				if slot != nil {
					slot.Free()
				}
			})
		})
	}
}

// A project that is alone reads the pages of its list at once, although no call was answered lately.
func TestPagesOfAQuietProject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSlots(8, doubts{})
		slot, _ := s.Acquire(t.Context(), "a", false)
		slot.Answered(time.Second)
		time.Sleep(2*quick + time.Second)
		began := time.Now()
		done := make(chan struct{}, 10)
		for range 10 {
			go func() {
				slot, err := s.AcquirePage(t.Context(), "a")
				if err == nil {
					time.Sleep(time.Second) // each page is answered in a second
					slot.Free()             // as reading.try does
				}
				done <- struct{}{}
			}()
		}
		for range 10 {
			<-done
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("ten pages of 1 s take %v with 8 slots that nobody else wants", took)
		}
	})
}

// moving is a project whose account changes, as when its file is read again.
type moving struct {
	account atomic.Value
	few     map[string]int
}

func (m *moving) Account(string) string  { return m.account.Load().(string) }
func (m *moving) Few(account string) int { return m.few[account] }

// Once a project has another account, its calls count for that one, although others of it have waited all the time.
func TestSlotsAfterTheAccountHasChanged(t *testing.T) {
	for from, to := range map[string]string{"accepted": "doubtful", "doubtful": "accepted"} {
		t.Run(from+" to "+to, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &moving{few: map[string]int{"doubtful": 1}}
				m.account.Store(from)
				slots := NewSlots(16, m)
				ctx, end := context.WithCancel(t.Context())
				for range 60 {
					go func() {
						for {
							slot, err := slots.Acquire(ctx, "p", false)
							if err != nil {
								return
							}
							time.Sleep(time.Second)
							slot.Answered(time.Second)
						}
					}()
				}
				want := map[string]int{"accepted": 16, "doubtful": 1}
				for _, account := range []string{from, to} {
					m.account.Store(account)
					time.Sleep(20*time.Second + time.Millisecond)
					if got := slots.Used(); got != want[account] {
						t.Errorf("%d calls at once with an account that is %s, want %d", got, account, want[account])
					}
				}
				end()
				time.Sleep(time.Minute)
				if slots.Used() != 0 || slots.accounts[from].used != 0 || slots.accounts[to].used != 0 {
					t.Errorf("afterwards %d slots are used, by the accounts %d and %d", slots.Used(), slots.accounts[from].used, slots.accounts[to].used)
				}
			})
		})
	}
}

// The same without another call: those that wait go by the account that their project has when they get a slot.
func TestSlotsOfWaitersAfterTheAccountHasChanged(t *testing.T) {
	few := map[string]int{"accepted": 0, "untried": 3, "refused": 1}
	for _, row := range []struct {
		from, to string
		want     int
	}{{"accepted", "untried", 2}, {"refused", "accepted", 8}} {
		t.Run(row.from+" to "+row.to, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &moving{few: few}
				m.account.Store(row.from)
				slots, held := NewSlots(8, m), make(chan *Slot, 100)
				ctx, end := context.WithCancel(t.Context())
				defer end()
				ask := func(n int) {
					for range n {
						go func() {
							if slot, err := slots.Acquire(ctx, "p", false); err == nil {
								held <- slot
							}
						}()
						synctest.Wait()
					}
				}
				ask(1)
				(<-held).Ended(time.Second) // answered: a project that is alone has all slots
				ask(24)
				had := len(held)
				m.account.Store(row.to)
				slots.Wake()
				synctest.Wait()
				if row.to == "accepted" { // the call of before may hang
					if got := len(held); got != row.want {
						t.Errorf("%d calls are under way, want %d", got, row.want)
					}
					return
				}
				for range had {
					(<-held).Ended(time.Second)
				}
				synctest.Wait()
				if got := len(held); got != row.want || slots.accounts[row.to].used != got || slots.accounts[row.from].used != 0 {
					t.Errorf("%d calls of account %q are under way, want %d; it is said to have %d, the other %d", got, row.to, row.want,
						slots.accounts[row.to].used, slots.accounts[row.from].used)
				}
			})
		})
	}
}

// Calls of a project that has become alone get the slots of one as soon as somebody looks.
func TestSlotsWhenCompanyHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slots := NewSlots(16, doubts{})
		slot, _ := slots.Acquire(t.Context(), "b", false)
		slot.Answered(time.Second)
		ctx, end := context.WithCancel(t.Context())
		defer end()
		for range 20 {
			go func() { _, _ = slots.Acquire(ctx, "a", false) }()
		}
		synctest.Wait()
		for _, want := range []int{2, 5} {
			slots.Wake()
			if got := slots.Used(); got != want {
				t.Errorf("%d slots are used, want %d", got, want)
			}
			time.Sleep(time.Minute + time.Second)
		}
	})
}
