// Package coalesce lets concurrent callers share one call: what they want done
// for the same key while another call is under way travels in the next one.
package coalesce

import "sync"

// Caller carries items to run, many at once. It is safe for concurrent use. No
// goroutine of it lives longer than its work.
type Caller[Item, Answer any] struct {
	run  func(key string, items []Item) ([]Answer, error)
	most int
	lane int // how many calls of one key may be under way

	mu   sync.Mutex
	keys map[string]*queue[Item, Answer]
}

type queue[Item, Answer any] struct {
	waiting []*call[Item, Answer]
	running int
}

type call[Item, Answer any] struct {
	item   Item
	answer Answer
	err    error
	done   chan struct{}
}

// New returns a caller of run, which gets from 1 to most items of one key and
// returns an answer for each, in their order, or an error for all of them. Up to
// lanes calls of one key run at the same time.
func New[Item, Answer any](most, lanes int, run func(key string, items []Item) ([]Answer, error)) *Caller[Item, Answer] {
	return &Caller[Item, Answer]{run: run, most: most, lane: lanes, keys: make(map[string]*queue[Item, Answer])}
}

// Do has item done for key, and returns its answer.
func (c *Caller[Item, Answer]) Do(key string, item Item) (Answer, error) {
	one := &call[Item, Answer]{item: item, done: make(chan struct{})}
	c.mu.Lock()
	q := c.keys[key]
	if q == nil {
		q = &queue[Item, Answer]{}
		c.keys[key] = q
	}
	q.waiting = append(q.waiting, one)
	if q.running < c.lane {
		q.running++
		go c.serve(key, q)
	}
	c.mu.Unlock()
	<-one.done
	return one.answer, one.err
}

// serve runs what waits for key until nothing does.
func (c *Caller[Item, Answer]) serve(key string, q *queue[Item, Answer]) {
	for {
		c.mu.Lock()
		if len(q.waiting) == 0 {
			if q.running--; q.running == 0 {
				delete(c.keys, key)
			}
			c.mu.Unlock()
			return
		}
		n := min(c.most, len(q.waiting))
		some := q.waiting[:n:n]
		q.waiting = q.waiting[n:]
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
	}
}
