package tasks

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Slots are the API calls that this worker may make at once. Stop calls go before
// looks, which are sure of a fifth. Among several projects the one with the
// fewest calls under way is next, and none takes the last quarter: calls that
// hang must not take everything. It is safe for concurrent use.
type Slots struct {
	mu      sync.Mutex
	all     int
	few     func() int // nil, or how many calls may be made at once for now; 0: all
	used    int
	looks   int                  // of those used
	held    map[string]int       // by project
	waiting map[string]*queues   // by project; those for which somebody waits
	seen    map[string]time.Time // when each project last wanted a slot
}

// queues are the calls of one project that wait, by kind and in their order: stop
// calls, looks.
type queues struct {
	of    [2][]chan struct{}
	pages int // how many of the looks, the first, are pages of a list
}

func (q *queues) len() int { return len(q.of[0]) + len(q.of[1]) }

// remove takes a call out of its queue.
func (q *queues) remove(kind, i int) {
	q.of[kind] = slices.Delete(q.of[kind], i, i+1)
	if kind == kindOf(true) && i < q.pages {
		q.pages--
	}
}

// kindOf is the index of a kind of call in queues.
func kindOf(look bool) int {
	if look {
		return 1
	}
	return 0
}

// NewSlots returns n slots. As long as few returns more than 0, so many of them are
// given out; to one project one less, so that another one can show that the
// credential is accepted.
func NewSlots(n int, few func() int) *Slots {
	return &Slots{all: n, few: few, held: make(map[string]int), waiting: make(map[string]*queues), seen: make(map[string]time.Time)}
}

// Slot is one call's, from Acquire until it is freed.
type Slot struct{ free func() }

// Free gives the slot back. Doing it again changes nothing.
func (s *Slot) Free() { s.free() }

// Acquire waits for a slot for a call of a project, which must be freed.
func (s *Slots) Acquire(ctx context.Context, projectID string, look bool) (*Slot, error) {
	return s.acquire(ctx, projectID, look, false)
}

// AcquirePage is Acquire for a page of a list. It goes before other looks: it may
// tell of a hundred jobs.
func (s *Slots) AcquirePage(ctx context.Context, projectID string) (*Slot, error) {
	return s.acquire(ctx, projectID, true, true)
}

func (s *Slots) acquire(ctx context.Context, projectID string, look, first bool) (*Slot, error) {
	ready, kind := make(chan struct{}), kindOf(look)
	s.mu.Lock()
	s.seen[projectID] = time.Now()
	if s.waiting[projectID] == nil {
		s.waiting[projectID] = new(queues)
	}
	q := s.waiting[projectID]
	if first { // but pages keep their order
		q.of[kind] = slices.Insert(q.of[kind], q.pages, ready)
		q.pages++
	} else {
		q.of[kind] = append(q.of[kind], ready)
	}
	s.give()
	s.mu.Unlock()
	select {
	case <-ready:
		return &Slot{sync.OnceFunc(func() { s.release(projectID, look) })}, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(q.of[kind], ready); i >= 0 {
		q.remove(kind, i)
		if q.len() == 0 && s.waiting[projectID] == q {
			delete(s.waiting, projectID)
		}
		return nil, ctx.Err()
	}
	s.free(projectID, look) // it came in this moment
	return nil, ctx.Err()
}

func (s *Slots) release(projectID string, look bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free(projectID, look)
}

// Wake looks again whether somebody who waits may have a slot: it is known now
// that the credential is accepted.
func (s *Slots) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.give()
}

// Used is how many calls are under way.
func (s *Slots) Used() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Waiting is how many calls wait for a slot.
func (s *Slots) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, q := range s.waiting {
		n += q.len()
	}
	return n
}

func (s *Slots) free(projectID string, look bool) {
	s.used--
	if look {
		s.looks--
	}
	if s.held[projectID]--; s.held[projectID] == 0 {
		delete(s.held, projectID)
	}
	s.give()
}

// give gives free slots to those who wait.
func (s *Slots) give() {
	all, each, few := s.all, s.all, 0
	if s.few != nil {
		few = s.few()
	}
	switch {
	case few > 0:
		all = min(all, few)
		each = max(1, all-1)
	case s.company():
		each = max(1, all-all/4)
	}
	for s.used < all && len(s.waiting) > 0 {
		project, kind := s.next(all, each)
		if project == "" {
			return
		}
		q := s.waiting[project]
		ready := q.of[kind][0]
		q.remove(kind, 0)
		if q.len() == 0 {
			delete(s.waiting, project)
		}
		s.used++
		s.held[project]++
		s.looks += kind
		close(ready)
	}
}

// next is the project that is next, where each may have so many of all slots, and
// the kind of its call; "" for none.
func (s *Slots) next(all, each int) (project string, kind int) {
	turn := kindOf(s.looks < all/5)
	best := 0
	for p, q := range s.waiting {
		if s.held[p] >= each {
			continue
		}
		k := turn
		if len(q.of[k]) == 0 {
			k = 1 - turn
		}
		rank := 2 * s.held[p]
		if k != turn {
			rank++ // among equals, the kind whose turn it is
		}
		if project == "" || rank < best || rank == best && p < project {
			project, kind, best = p, k, rank
		}
	}
	return project, kind
}

// company reports whether several projects have wanted slots lately.
func (s *Slots) company() bool {
	if len(s.seen) < 2 {
		return false
	}
	for id, at := range s.seen {
		if time.Since(at) > time.Minute && s.held[id] == 0 {
			delete(s.seen, id)
		}
	}
	return len(s.seen) > 1
}
