package rounds

import (
	"math"
	"sync"
	"time"
)

// share is how much of the worker and of the queue a round may give to its project.
type share struct {
	room, most, inline, backlog int           // as release.Need has them
	busy                        bool          // likewise
	kept                        int           // looks that are kept for the round
	full                        bool          // the free ones are kept for other rounds
	wait                        time.Duration // until the next round, at least
	rest                        time.Duration // until the next round if the project has no room
	doubted                     string        // the project's account, if its credential may be refused; else ""
}

const (
	// ahead is how much work a worker takes beside the looks that have a slot: its slots must not wait for the next
	// round, nor for the ledger. If it dies, these jobs are looked at only when it is taken for dead.
	ahead = 40 * time.Millisecond
	// leastAheadOf and mostAhead bound the looks of that time: the leastAheadOf-th part of the slots, and so many for
	// each.
	leastAheadOf, mostAhead = 4, 2
	// backlogPerSlot is how many jobs may wait for a look, for each slot of the worker, when the list is read: they
	// keep it busy until then.
	backlogPerSlot = 2
)

// doubtWait is the least time between two rounds that release steps of an account
// whose credential may be refused.
const doubtWait = 4 * busyWait

// mostRest bounds how long a project without room waits for its next round.
const mostRest = 250 * time.Millisecond

// share returns the share of a project, where so many tasks may be added to the queue, and so many rounds are made at
// once. As long as the credential of its account may be refused, it is just what the few slots can do that the account
// has then: what waits for them must not keep others from working.
func (l *Loop) share(projectID string, budget, rounds int) share {
	may := l.Slots.May(projectID)
	s := share{room: room(max(1, l.slots()*may/l.Parallel), l.Release.Rate(projectID)), most: budget,
		backlog: backlogPerSlot * l.Parallel}
	s.kept, s.busy, s.full = l.inline.keep(projectID, l.withLooksAhead(l.Parallel), l.withLooksAhead(may), rounds)
	s.inline = s.kept
	s.rest = min(max(l.Slots.CallTimeOf(projectID), busyWait), mostRest) // roomPerSlot calls of each slot wait meanwhile
	if budget == 0 {
		s.wait = l.crowdedWait()
	}
	l.mu.Lock()
	if l.checking[projectID] { // its pages may wait for slots for longer than the lease
		s.backlog = -1
	}
	l.mu.Unlock()
	account := l.Release.Account(projectID)
	few := l.Release.Few(account)
	if few == 0 {
		return s
	}
	each, waiting := max(1, few-1), l.Slots.WaitingOf(account)
	s.doubted, s.most = account, min(s.most, each)
	s.room = min(s.room, each*max(1, len(l.Member.Census().Alive)))
	s.inline, s.backlog = min(s.inline, max(0, few-waiting)), min(s.backlog, 0)
	l.mu.Lock()
	defer l.mu.Unlock()
	if waiting >= few || time.Since(l.doubted[account]) < doubtWait {
		s.room, s.inline, s.backlog, s.wait = 0, 0, -1, max(s.wait, doubtWait)
		return s
	}
	l.doubted[account] = time.Now()
	return s
}

// room is how many steps of a project may be released where it may have so many slots of the fleet. With a rate (calls
// a second; 0: none) they are no more than a second's beside those at work: steps that have paid for their calls and
// wait while others hang all go out when these end.
func room(slots int, rate float64) int {
	most := roomPerSlot * slots
	if rate <= 0 {
		return most
	}
	return min(most, slots+int(math.Ceil(min(rate, float64(most)))))
}

// withLooksAhead is for how many looks a worker with so many slots finds work.
func (l *Loop) withLooksAhead(slots int) int { return slots + looksAhead(slots, l.Slots.LookTime()) }

// looksAhead is how many looks a worker with so many slots takes beside those that have one,
// where a look holds its slot for that long; 0: nobody knows yet.
func looksAhead(slots int, lookTime time.Duration) int {
	least := slots / leastAheadOf
	if lookTime <= 0 {
		return least
	}
	return min(max(int(ahead*time.Duration(slots)/lookTime), least), mostAhead*slots)
}

// used notes how many steps and looks a round has given out of its share.
func (l *Loop) used(s share, given int) {
	if s.doubted == "" || s.room == 0 || given > 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.doubted, s.doubted) // another project may have the turn
}

// inline are the looks without a task that are under way, wait for a slot, or are kept for a round. It is safe for
// concurrent use; the zero value is ready.
type inline struct {
	mu   sync.Mutex
	all  int
	kept int            // of all
	of   map[string]int // of all, by project
}

// keep keeps looks for one of so many rounds that are made at once, where there may be so many of all, and of each
// project: calls of one that hang leave some to others. busy says that so many are given out, and none is free for
// anybody; full, that those that are free are kept for other rounds.
func (i *inline) keep(projectID string, all, each, rounds int) (n int, busy, full bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	free := max(0, all-i.all)
	part := (all - (i.all - i.kept) + rounds - 1) / rounds // whatever the others keep
	n = max(0, min(free, part, each-i.of[projectID]))
	i.add(projectID, n)
	i.kept += n
	busy = i.all-i.kept >= all
	return n, busy, free == 0 && !busy
}

// give gives out so many of those that were kept for a round, which is over.
func (i *inline) give(projectID string, kept, given int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.kept -= kept
	i.add(projectID, given-kept)
}

// end notes that so many are over.
func (i *inline) end(projectID string, n int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.add(projectID, -n)
}

// add notes that there are so many more, or fewer. The lock must be held.
func (i *inline) add(projectID string, n int) {
	i.all += n
	if i.of == nil {
		i.of = make(map[string]int)
	}
	if i.of[projectID] += n; i.of[projectID] == 0 {
		delete(i.of, projectID)
	}
}

// free is how many more may be given out, where there may be so many of all.
func (i *inline) free(all int) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return max(0, all-i.all)
}
