package tasks

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"vizstop/internal/release"
)

// Slots are the API calls that this worker may make at once. Stop calls go before
// looks, which are sure of a fifth, of each project and of all. Among several projects
// the one with the fewest calls under way is next, and among equals the one whose latest
// call began first. None takes the last eighth, nor more than an eighth and as many as
// were answered quickly of late. A project that is alone may have an eighth, or as many
// as tell of an outage, until a call of it is answered, and then all. So calls that hang
// don't take everything. Accounts whose credential may be refused get a few slots each,
// and together never the last quarter. It is safe for concurrent use.
type Slots struct {
	mu          sync.Mutex
	all         int
	credentials Credentials
	used        int
	looks       int // of those used
	doubtful    int // of those used, by accounts whose credential may be refused
	grants      int // how many slots were given
	stopsInRow  int // stop calls given since the latest look of any project
	times       times
	projects    map[string]*standing // those that have wanted a slot lately
	forgot      time.Time            // when the others were forgotten last
	waiting     map[string]*queues   // by project; those for which somebody waits
	accounts    map[string]*share    // by account; those that have ever wanted a slot
}

// Credentials tell how far the credentials of accounts may be used.
type Credentials interface {
	Account(projectID string) string
	Few(account string) int // how many calls of an account may be made at once for now; 0: any number
}

// standing is what is known of a project that has wanted a slot lately.
type standing struct {
	seen       time.Time // when it last wanted one
	held       int       // how many it has
	latest     int       // of all grants, the number of its latest
	stopsInRow int       // stop calls since its latest look
	pace       pace
	times      times
}

// times are about how long calls take, by kind.
type times [2]time.Duration

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

// ended notes a call that ended by itself.
func (p *pace) ended(at time.Time, took time.Duration) {
	p.answered = at
	if took < quick {
		p.earned(at, 1)
	}
}

// queues are the calls of one project that wait, by kind and in their order: stop
// calls, looks.
type queues struct {
	project *standing
	account *share // the project's, as last known
	of      [2][]*waiter
	pages   int // how many of the looks, the first, are pages of a list
}

// waiter is a call that waits.
type waiter struct {
	ready   chan struct{} // closed when it has a slot
	account *share        // of which that is
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
	return &Slots{all: n, credentials: c, projects: make(map[string]*standing), waiting: make(map[string]*queues),
		accounts: make(map[string]*share)}
}

// Slot is one call's, from Acquire until it is freed, once: whatever frees it again changes
// nothing.
type Slot struct {
	once sync.Once
	free func(note func(*Slots))
	p    *standing
	kind int
}

// Free gives the slot back after a call that got no answer in its time, or without one.
func (s *Slot) Free() { s.give(func(*Slots) {}) }

// Ended gives it back after a call that ended by itself within took, which earns the
// project slots if that was quick.
func (s *Slot) Ended(took time.Duration) {
	s.give(func(all *Slots) { s.p.pace.ended(time.Now(), took) })
}

// Answered gives it back after a call that told something of a job: how long it took, from
// when it was made last, tells how long calls take, too.
func (s *Slot) Answered(took time.Duration) {
	s.give(func(all *Slots) {
		s.p.pace.ended(time.Now(), took)
		all.times.took(s.kind, took)
		s.p.times.took(s.kind, took)
	})
}

func (s *Slot) give(note func(*Slots)) { s.once.Do(func() { s.free(note) }) }

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
	w, kind := &waiter{ready: make(chan struct{})}, kindOf(look)
	s.mu.Lock()
	p := s.standing(projectID)
	p.seen = time.Now()
	q := s.waiting[projectID]
	if q == nil {
		q = &queues{project: p}
		s.waiting[projectID] = q
	}
	q.account = s.account(projectID)
	if first { // but pages keep their order
		q.of[kind] = slices.Insert(q.of[kind], q.pages, w)
		q.pages++
	} else {
		q.of[kind] = append(q.of[kind], w)
	}
	s.give()
	s.mu.Unlock()
	select {
	case <-w.ready:
		return &Slot{p: p, kind: kind, free: func(note func(*Slots)) {
			s.mu.Lock()
			defer s.mu.Unlock()
			note(s)
			s.free(p, w.account, look)
		}}, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(q.of[kind], w); i >= 0 {
		q.remove(kind, i)
		if q.len() == 0 && s.waiting[projectID] == q {
			delete(s.waiting, projectID)
		}
		return nil, ctx.Err()
	}
	s.free(p, w.account, look) // it came in this moment
	return nil, ctx.Err()
}

// took notes how long a call of a kind took.
func (t *times) took(kind int, took time.Duration) {
	switch usual := &t[kind]; {
	case *usual == 0:
		*usual = took
	case took > *usual:
		*usual += *usual / timeStep
	default:
		*usual -= *usual / timeStep
	}
}

// LookTimeOf is about how long a look of a project takes. Before one was answered lately it
// is what its stop calls take, and before these what LookTime says.
func (s *Slots) LookTimeOf(projectID string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	var own times
	if p := s.projects[projectID]; p != nil {
		own = p.times
	}
	return cmp.Or(own[kindOf(true)], own[kindOf(false)], s.times[kindOf(true)], s.times[kindOf(false)])
}

// CallTimeOf is about how long calls of a project take, of the kind that takes less: its slots are free again so soon.
// Before one was answered lately it is what calls of all projects take; 0 if there was none.
func (s *Slots) CallTimeOf(projectID string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.projects[projectID]; p != nil && p.times.least() > 0 {
		return p.times.least()
	}
	return s.times.least()
}

// CallTime is the same for calls of all projects together.
func (s *Slots) CallTime() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.times.least()
}

// least is the time of the kind that takes less; 0: of neither it is known.
func (t times) least() time.Duration {
	if slices.Contains(t[:], 0) {
		return max(t[0], t[1])
	}
	return min(t[0], t[1])
}

// timeStep: each call moves what is usual by the timeStep-th part, so that it is longer than
// half of the times. A few very long ones don't count more than others.
const timeStep = 8

// LookTime is about how long looks that were answered lately have taken, pages of lists left
// aside. Before the first one it is what stop calls take; 0 if there was none.
func (s *Slots) LookTime() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.times[kindOf(true)], s.times[kindOf(false)])
}

// standing is that of a project. The lock must be held.
func (s *Slots) standing(projectID string) *standing {
	p := s.projects[projectID]
	if p == nil {
		p = new(standing)
		s.projects[projectID] = p
	}
	return p
}

// account is the share of the account that a project has now. The lock must be held.
func (s *Slots) account(projectID string) *share {
	name := s.credentials.Account(projectID)
	a := s.accounts[name]
	if a == nil {
		a = new(share)
		s.accounts[name] = a
	}
	return a
}

// Wake looks again whether somebody who waits may have a slot: perhaps it is known now that a
// credential is accepted, or a project is alone, or has another account.
func (s *Slots) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for projectID, q := range s.waiting {
		q.account = s.account(projectID)
	}
	s.give()
}

// All is how many calls can be under way at once.
func (s *Slots) All() int { return s.all }

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

func (s *Slots) free(p *standing, account *share, look bool) {
	s.used--
	account.used--
	if look {
		s.looks--
	}
	p.held--
	s.give()
}

// May is how many slots a project may have now.
func (s *Slots) May(projectID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	company := s.company()
	p := s.projects[projectID]
	return s.may(p, company || p == nil && len(s.projects) > 0)
}

// may is how many slots a project may have, in company or alone; nil: one that has not
// wanted any.
func (s *Slots) may(p *standing, company bool) int {
	eighth, now := max(1, s.all/8), time.Now()
	switch {
	case company && p == nil:
		return eighth
	case company:
		return min(max(1, s.all-eighth), eighth+p.pace.earned(now, 0))
	case p == nil || now.Sub(p.pace.answered) >= 2*quick:
		return max(eighth, min(release.OutageAfter, s.all))
	}
	return s.all
}

// give gives free slots to those who wait.
func (s *Slots) give() {
	company := s.company()
	s.doubt()
	for s.used < s.all && len(s.waiting) > 0 {
		projectID, kind := s.next(company)
		if projectID == "" {
			return
		}
		q := s.waiting[projectID]
		if account := s.account(projectID); account != q.account { // it has another one since
			q.account = account
			s.doubt()
			continue
		}
		w := q.of[kind][0]
		q.remove(kind, 0)
		if q.len() == 0 {
			delete(s.waiting, projectID)
		}
		s.used++
		w.account = q.account
		w.account.used++
		if w.account.few > 0 {
			s.doubtful++
		}
		s.looks += kind
		s.grants++
		q.project.held++
		q.project.latest = s.grants
		s.stopsInRow++
		if q.project.stopsInRow++; kind == kindOf(true) {
			s.stopsInRow, q.project.stopsInRow = 0, 0
		}
		close(w.ready)
	}
}

// doubt learns how many calls of each account may be made at once. The lock must be held.
func (s *Slots) doubt() {
	s.doubtful = 0
	for name, a := range s.accounts {
		if a.few = s.credentials.Few(name); a.few > 0 {
			s.doubtful += a.used
		}
	}
}

// next is the project that is next, in company or alone, and the kind of its call; "" for
// none.
func (s *Slots) next(company bool) (projectID string, kind int) {
	best := 0
	for id, q := range s.waiting {
		p := q.project
		looks := len(q.of[kindOf(true)]) > 0 && max(s.stopsInRow, p.stopsInRow) >= lookPart-1
		turn := kindOf(looks || s.looks < s.all/lookPart)
		if few := q.account.few; few > 0 {
			if q.account.used >= few || s.doubtful >= max(1, s.all-max(1, s.all/4)) || p.held >= max(1, few-1) {
				continue
			}
			turn = kindOf(false) // the looks' fifth of a few is none
		}
		if p.held >= s.may(p, company) {
			if company || q.pages == 0 { // a page has a few seconds, and the list is for all
				continue
			}
			turn = kindOf(true)
		}
		k := turn
		if len(q.of[k]) == 0 {
			k = 1 - turn
		}
		rank := 2 * p.held
		if k != turn {
			rank++ // among equals, the kind whose turn it is
		}
		if projectID == "" || rank < best || rank == best && s.earlier(id, projectID) {
			projectID, kind, best = id, k, rank
		}
	}
	return projectID, kind
}

// lookPart: looks are sure of the lookPart-th part.
const lookPart = 5

// earlier reports whether of two projects the latest call of the first began earlier.
func (s *Slots) earlier(one, other string) bool {
	if a, b := s.projects[one].latest, s.projects[other].latest; a != b {
		return a < b
	}
	return one < other
}

// company reports whether several projects have wanted slots lately. It forgets the others, once a second: it is asked
// with each call, and may know thousands.
func (s *Slots) company() bool {
	if len(s.projects) < 2 {
		return false
	}
	if now := time.Now(); now.Sub(s.forgot) >= time.Second {
		s.forgot = now
		maps.DeleteFunc(s.projects, func(id string, p *standing) bool {
			return now.Sub(p.seen) > time.Minute && p.held == 0 && s.waiting[id] == nil
		})
	}
	return len(s.projects) > 1
}
