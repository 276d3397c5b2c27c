// Package coalesce lets concurrent callers share one call: what they want done
// for the same key while another call is under way, or shortly after it began,
// travels in the next one.
package coalesce

import (
	"sync"
	"time"
)

// Caller carries items to run, many at once. It is safe for concurrent use. No
// goroutine of it lives longer than its work.
type Caller[Item, Answer any] struct {
	run  func(key string, items []Item) ([]Answer, error)
	most int
	pace time.Duration // between the beginnings of two calls of one key

	mu   sync.Mutex
	keys map[string]*queue[Item, Answer]
}

type queue[Item, Answer any] struct{ waiting []*call[Item, Answer] }

type call[Item, Answer any] struct {
	item   Item
	answer Answer
	err    error
	done   chan struct{}
}

// New returns a caller of run, which gets from 1 to most items of one key and
// returns an answer for each, in their order, or an error for all of them. Calls of
// one key run one after the other, and begin at least pace apart unless one is full:
// a call costs much more than an item.
func New[Item, Answer any](most int, pace time.Duration, run func(key string, items []Item) ([]Answer, error)) *Caller[Item, Answer] {
	return &Caller[Item, Answer]{run: run, most: most, pace: pace, keys: make(map[string]*queue[Item, Answer])}
}

// Do has item done for key, and returns its answer.
func (c *Caller[Item, Answer]) Do(key string, item Item) (Answer, error) {
	one := &call[Item, Answer]{item: item, done: make(chan struct{})}
	c.mu.Lock()
	q := c.keys[key]
	if q == nil {
		q = &queue[Item, Answer]{}
		c.keys[key] = q
		go c.serve(key, q)
	}
	q.waiting = append(q.waiting, one)
	c.mu.Unlock()
	<-one.done
	return one.answer, one.err
}

// serve runs what waits for key until nothing has come for the length of a pace.
func (c *Caller[Item, Answer]) serve(key string, q *queue[Item, Answer]) {
	for {
		began := time.Now()
		c.mu.Lock()
		if len(q.waiting) == 0 {
			delete(c.keys, key)
			c.mu.Unlock()
			return
		}
		n := min(c.most, len(q.waiting))
		some := q.waiting[:n:n]
		q.waiting = q.waiting[n:]
		full := len(q.waiting) >= c.most
		c.mu.Unlock()
		items := make([]Item, n)
		for i, one := range some {
			items[i] = one.item
		}
		answers, err := c.run(key, items)
		for i, one := range some {
			if one.err = err; err == nil {
				one.answer = answers[i]
			}
			close(one.done)
		}
		if rest := c.pace - time.Since(began); rest > 0 && !full {
			time.AfterFunc(rest, func() { c.serve(key, q) })
			return
		}
	}
}
