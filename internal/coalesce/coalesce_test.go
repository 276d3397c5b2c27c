package coalesce

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// Callers that come while a call is under way share the next one; each gets its
// own answer.
func TestConcurrentCallersShareACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var sizes []int
		c := New(10, 0, func(key string, items []int) ([]int, error) {
			mu.Lock()
			sizes = append(sizes, len(items))
			mu.Unlock()
			time.Sleep(time.Second)
			answers := make([]int, len(items))
			for i, n := range items {
				answers[i] = 2 * n
			}
			return answers, nil
		})
		var callers sync.WaitGroup
		for n := range 25 {
			callers.Go(func() {
				if got, err := c.Do("key", n); got != 2*n || err != nil {
					t.Errorf("Do(%d) = %d, %v, want %d", n, got, err, 2*n)
				}
			})
			if n == 0 {
				synctest.Wait()
			}
		}
		callers.Wait()
		synctest.Wait() // until its goroutine has ended
		want := []int{1, 10, 10, 4}
		if len(sizes) != len(want) {
			t.Fatalf("calls of %v items, want %v", sizes, want)
		}
		for i, n := range want {
			if sizes[i] != n {
				t.Errorf("calls of %v items, want %v", sizes, want)
			}
		}
		if len(c.keys) != 0 {
			t.Errorf("%d keys are kept, want none", len(c.keys))
		}
	})
}

// Keys do not wait for each other, and an error is everybody's who shared the call.
func TestKeysAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		c := New(10, 0, func(key string, items []int) ([]int, error) {
			time.Sleep(time.Second)
			if key == "bad" {
				return nil, broken
			}
			return items, nil
		})
		began := time.Now()
		var callers sync.WaitGroup
		callers.Go(func() {
			if _, err := c.Do("bad", 1); !errors.Is(err, broken) {
				t.Errorf("got %v, want %v", err, broken)
			}
		})
		callers.Go(func() {
			if got, err := c.Do("good", 1); got != 1 || err != nil {
				t.Errorf("got %d, %v", got, err)
			}
		})
		callers.Wait()
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %v, want the time of one call", took)
		}
	})
}

// Calls of one key begin a pace apart, but one that is full does not wait.
func TestCallsKeepAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var calls []string
		c := New(3, time.Second, func(key string, items []int) ([]int, error) {
			calls = append(calls, fmt.Sprint(len(items), " at ", time.Since(began)))
			time.Sleep(100 * time.Millisecond)
			return items, nil
		})
		var callers sync.WaitGroup
		do := func(n int, at time.Duration) {
			for i := range n {
				callers.Go(func() {
					time.Sleep(at)
					if got, err := c.Do("key", i); got != i || err != nil {
						t.Errorf("Do(%d) = %d, %v", i, got, err)
					}
				})
			}
		}
		do(1, 0)
		do(2, 200*time.Millisecond)
		do(7, 1500*time.Millisecond)
		do(1, 10*time.Second)
		callers.Wait()
		want := "[1 at 0s 2 at 1s 3 at 2s 3 at 2.1s 1 at 3.1s 1 at 10s]"
		if got := fmt.Sprint(calls); got != want {
			t.Errorf("calls of %s, want %s", got, want)
		}
	})
}
