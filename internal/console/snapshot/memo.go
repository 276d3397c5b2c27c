package snapshot

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Kept is an answer that may have been kept for a while.
type Kept[V any] struct {
	Value V
	Read  time.Time // when it was read, by this process' clock
	// Trouble is why it could not be read anew since; nil: it is as fresh as it is to be.
	Trouble error
}

// memo keeps answers for a while: however many ask for one, it is made once, and while nobody asks it is not made at
// all. When it can't be made anew, the one from before is given, with why. It is safe for concurrent use.
type memo[K comparable, V any] struct {
	// fresh is how long an answer is good. One that took long to make is good for longer, so that making takes at
	// most a fifth of the time.
	fresh time.Duration
	most  int // how many answers are kept
	clock func() time.Time

	mu   sync.Mutex
	kept map[K]*entry[V]
}

type entry[V any] struct {
	value V
	have  bool
	read  time.Time // when value was read
	tried time.Time // when it was tried last
	asked time.Time
	good  time.Duration
	fault error
	doing chan struct{} // closed when the making that goes on has ended; nil: none does
}

const (
	// makingFor is how long a making may take.
	makingFor = 10 * time.Second
	// patience is how long somebody waits for a new answer who could have an old one.
	patience = 1500 * time.Millisecond
	// rests is how many times as long as it took to make an answer is good.
	rests = 4
)

// get returns the answer to a key. An error is that of the making, when there is no answer from before, or ctx's.
func (m *memo[K, V]) get(ctx context.Context, key K, read func(context.Context) (V, error)) (Kept[V], error) {
	m.mu.Lock()
	e := m.entry(key)
	now := m.clock()
	e.asked = now
	if e.doing == nil && (e.tried.IsZero() || now.Sub(e.tried) >= e.good) {
		e.doing = make(chan struct{})
		go m.make(context.WithoutCancel(ctx), e, read)
	}
	doing, have := e.doing, e.have
	m.mu.Unlock()
	if doing != nil {
		var enough <-chan time.Time
		if have {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			enough = timer.C
		}
		select {
		case <-doing:
		case <-enough:
		case <-ctx.Done():
			return Kept[V]{}, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	fault := e.fault
	if e.doing != nil && doing == e.doing {
		fault = fmt.Errorf("no answer of Redis within %v", patience)
	}
	if !e.have {
		return Kept[V]{}, fault
	}
	return Kept[V]{Value: e.value, Read: e.read, Trouble: fault}, nil
}

func (m *memo[K, V]) make(ctx context.Context, e *entry[V], read func(context.Context) (V, error)) {
	ctx, cancel := context.WithTimeout(ctx, makingFor)
	defer cancel()
	began := m.clock()
	value, err := read(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock()
	e.tried, e.fault, e.good = began, err, max(m.fresh, rests*now.Sub(began))
	if err == nil {
		e.value, e.have, e.read = value, true, began
	}
	close(e.doing)
	e.doing = nil
}

// entry is that of a key. When there are too many, the one goes that nobody has asked for for longest.
func (m *memo[K, V]) entry(key K) *entry[V] {
	if e := m.kept[key]; e != nil {
		return e
	}
	if m.kept == nil {
		m.kept = map[K]*entry[V]{}
	}
	for len(m.kept) >= max(1, m.most) {
		var oldest K
		var found *entry[V]
		for k, e := range m.kept {
			if found == nil || e.asked.Before(found.asked) {
				oldest, found = k, e
			}
		}
		delete(m.kept, oldest)
	}
	e := &entry[V]{}
	m.kept[key] = e
	return e
}

// forget has everything read anew when it is asked for next. What is being read still is for those who wait for it
// only.
func (m *memo[K, V]) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.kept)
}

// drop has one answer read anew when it is asked for next.
func (m *memo[K, V]) drop(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.kept, key)
}
