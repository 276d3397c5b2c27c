package tasks

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

// Slots are the API calls that this worker may make at once. Stop calls go before
// looks, which are sure of a fifth. Among several projects the one with the fewest
// calls under way is next, and among equals the one whose latest call began first. None
// takes the last eighth, nor more than an eighth and as many as were answered quickly
// of late. A project that is alone may have an eighth until a call of it is answered,
// and then all. So calls that hang don't take everything. Accounts whose credential may
// be refused get a few slots each, and together never the last quarter. It is safe for
// concurrent use.
type Slots struct {
	mu          sync.Mutex
	all         int
	credentials Credentials
	used        int
	looks       int                  // of those used
	doubtful    int                  // of those used, by accounts whose credential may be refused
	held        map[string]int       // by project
	grants      int                  // how many slots were given
	latest      map[string]int       // by project: of those grants, the number of its latest
	stopsInRow  int                  // stop calls given since the latest look
	waiting     map[string]*queues   // by project; those for which somebody waits
	seen        map[string]time.Time // when each project last wanted a slot
	accounts    map[string]*share    // by account; those that have ever wanted a slot
	times       [2]time.Duration     // by kind, about how long calls hold their slots
	paces       map[string]*pace     // by project; those of which calls were answered of late
}

// Credentials tell how far the credentials of accounts may be used.
type Credentials interface {
	Account(projectID string) string
	Few(account string) int // how many calls of an account may be made at once for now; 0: any number
}

// share is what an account has of the slots.
type share struct {
	used int
	few  int // how many it may have for now; 0: any number
}

// quick is how long a call of a project may take to earn it another slot, and for how long
// it counts, at least. An answer, quick or not, counts for twice that.
const quick = 10 * time.Second

// pace is how many calls of a project were answered quickly of late.
type pace struct {
	answered    time.Time // when one was answered last, quickly or not
	since       time.Time // when the time began in which now counts
	now, before int
}

// earned is how many calls count at a time. One that has just ended quickly is one more.
func (p *pace) earned(at time.Time, one int) int {
	switch past := at.Sub(p.since); {
	case past >= 2*quick:
		p.since, p.now, p.before = at, 0, 0
	case past >= quick:
		p.since, p.now, p.before = at, 0, p.now
	}
	p.now += one
	return p.now + p.before
}

// queues are the calls of one project that wait, by kind and in their order: stop
// calls, looks.
type queues struct {
	account *share
	of      [2][]chan struct{}
	pages   int // how many of the looks, the first, are pages of a list
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

// NewSlots returns n slots. An account that may only have a few gives one project
// one less, so that another one can show that the credential is accepted.
func NewSlots(n int, c Credentials) *Slots {
	return &Slots{all: n, credentials: c, held: make(map[string]int), latest: make(map[string]int), waiting: make(map[string]*queues),
		paces: make(map[string]*pace), seen: make(map[string]time.Time), accounts: make(map[string]*share)}
}

// Slot is one call's, from Acquire until it is freed, once: whatever frees it again changes
// nothing.
type Slot struct {
	once sync.Once
	free func(answered bool)
}

// Free gives the slot back after a call that got no answer in its time, or without one.
func (s *Slot) Free() { s.once.Do(func() { s.free(false) }) }

// Answered gives it back after a call that did: that earns the project slots.
func (s *Slot) Answered() { s.once.Do(func() { s.free(true) }) }

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
	ready, kind, name := make(chan struct{}), kindOf(look), s.credentials.Account(projectID)
	s.mu.Lock()
	s.seen[projectID] = time.Now()
	q := s.waiting[projectID]
	if q == nil {
		q = &queues{account: s.account(name)}
		s.waiting[projectID] = q
	}
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
		began := time.Now()
		return &Slot{free: func(answered bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if answered {
				s.ended(projectID, look, time.Since(began))
			}
			s.free(projectID, q.account, look)
		}}, nil
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
	s.free(projectID, q.account, look) // it came in this moment
	return nil, ctx.Err()
}

// ended notes for how long a call has held its slot.
func (s *Slots) ended(projectID string, look bool, held time.Duration) {
	p := s.paces[projectID]
	if p == nil {
		p = new(pace)
		s.paces[projectID] = p
	}
	if p.answered = time.Now(); held < quick {
		p.earned(p.answered, 1)
	}
	usual := &s.times[kindOf(look)]
	if *usual == 0 {
		*usual = held
	}
	*usual += (held - *usual) / timeWeight
}

// timeWeight: each call counts as the timeWeight-th part of the average.
const timeWeight = 32

// LookTime is about how long a look that was answered has held its slot lately, pages of
// lists left aside. Before the first one it is what stop calls take; 0 if there was none.
func (s *Slots) LookTime() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.times[kindOf(true)], s.times[kindOf(false)])
}

// account is the share of an account. The lock must be held.
func (s *Slots) account(name string) *share {
	a := s.accounts[name]
	if a == nil {
		a = new(share)
		s.accounts[name] = a
	}
	return a
}

// Wake looks again whether somebody who waits may have a slot: it is known now
// that a credential is accepted.
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

// WaitingOf is how many of them are of an account.
func (s *Slots) WaitingOf(account string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, of := 0, s.accounts[account]
	for _, q := range s.waiting {
		if q.account == of {
			n += q.len()
		}
	}
	return n
}

func (s *Slots) free(projectID string, account *share, look bool) {
	s.used--
	account.used--
	if look {
		s.looks--
	}
	if s.held[projectID]--; s.held[projectID] == 0 {
		delete(s.held, projectID)
	}
	s.give()
}

// May is how many slots a project may have now.
func (s *Slots) May(projectID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, wanted := s.seen[projectID]
	return s.may(projectID, s.company() || !wanted && len(s.seen) > 0)
}

// may is how many slots a project may have, in company or alone.
func (s *Slots) may(projectID string, company bool) int {
	eighth, now := max(1, s.all/8), time.Now()
	switch p := s.paces[projectID]; {
	case p == nil:
		return eighth
	case company:
		return min(max(1, s.all-eighth), eighth+p.earned(now, 0))
	case now.Sub(p.answered) >= 2*quick:
		return eighth
	}
	return s.all
}

// give gives free slots to those who wait.
func (s *Slots) give() {
	company := s.company()
	s.doubtful = 0
	for name, a := range s.accounts {
		if a.few = s.credentials.Few(name); a.few > 0 {
			s.doubtful += a.used
		}
	}
	for s.used < s.all && len(s.waiting) > 0 {
		project, kind := s.next(company)
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
		q.account.used++
		if q.account.few > 0 {
			s.doubtful++
		}
		s.held[project]++
		s.looks += kind
		s.grants++
		s.latest[project] = s.grants
		if s.stopsInRow++; kind == kindOf(true) {
			s.stopsInRow = 0
		}
		close(ready)
	}
}

// next is the project that is next, in company or alone, and the kind of its call; "" for
// none.
func (s *Slots) next(company bool) (project string, kind int) {
	looks := kindOf(s.looksTurn())
	best := 0
	for p, q := range s.waiting {
		turn := looks
		if few := q.account.few; few > 0 {
			if q.account.used >= few || s.doubtful >= max(1, s.all-s.all/4) || s.held[p] >= max(1, few-1) {
				continue
			}
			turn = kindOf(false) // the looks' fifth of a few is none
		}
		if s.held[p] >= s.may(p, company) {
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
		if project == "" || rank < best || rank == best && s.earlier(p, project) {
			project, kind, best = p, k, rank
		}
	}
	return project, kind
}

// looksTurn reports whether a look is next: each fifth of the slots is theirs, or of so few
// that they have no fifth, each fifth turn.
func (s *Slots) looksTurn() bool {
	return s.looks < s.all/lookPart || s.all < lookPart && s.stopsInRow >= lookPart-1
}

// lookPart: looks are sure of the lookPart-th part.
const lookPart = 5

// earlier reports whether of two projects the latest call of the first began earlier.
func (s *Slots) earlier(p, q string) bool {
	if s.latest[p] != s.latest[q] {
		return s.latest[p] < s.latest[q]
	}
	return p < q
}

// company reports whether several projects have wanted slots lately.
func (s *Slots) company() bool {
	if len(s.seen) < 2 {
		return false
	}
	for id, at := range s.seen {
		if time.Since(at) > time.Minute && s.held[id] == 0 && s.waiting[id] == nil {
			delete(s.seen, id)
			delete(s.paces, id)
			delete(s.latest, id)
		}
	}
	return len(s.seen) > 1
}
