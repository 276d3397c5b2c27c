package rounds

import "time"

// share is how much of the worker and of the queue a round may give to its project.
type share struct {
	room, most, inline, backlog int           // as release.Need has them
	wait                        time.Duration // until the next round, at least
	doubted                     string        // the project's account, if its credential may be refused; else ""
}

const (
	// aheadOf: beside the looks that have a slot, a worker takes as many as the aheadOf-th part of its slots. If it dies,
	// these jobs are looked at only when it is taken for dead.
	aheadOf = 4
	// backlogPerSlot is how many jobs may wait for a look, for each slot of the worker, when the list is read: they
	// keep it busy until then.
	backlogPerSlot = 2
)

// doubtWait is the least time between two rounds that release steps of an account
// whose credential may be refused.
const doubtWait = 4 * busyWait

// share returns the share of a project, where so many tasks may be added to the
// queue. As long as the credential of its account may be refused, it is just what the
// few slots can do that the account has then: what waits for them must not keep
// others from working.
func (l *Loop) share(projectID string, budget int) share {
	s := share{room: roomPerSlot * l.slots(), most: budget, backlog: backlogPerSlot * l.Parallel,
		inline: max(0, l.Parallel+l.Parallel/aheadOf-int(l.inline.Load()))}
	if budget == 0 {
		s.wait = 2 * busyWait
	}
	account := l.Release.Account(projectID)
	few := l.Release.Few(account)
	if few == 0 {
		return s
	}
	each, waiting := max(1, few-1), l.Slots.WaitingOf(account)
	s.doubted, s.most = account, min(s.most, each)
	s.room = min(s.room, each*max(1, len(l.Member.Census().Alive)))
	s.inline, s.backlog = min(s.inline, max(0, few-waiting)), 0
	l.mu.Lock()
	defer l.mu.Unlock()
	if waiting >= few || time.Since(l.doubted[account]) < doubtWait {
		s.room, s.inline, s.backlog, s.wait = 0, 0, -1, max(s.wait, doubtWait)
		return s
	}
	l.doubted[account] = time.Now()
	return s
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
