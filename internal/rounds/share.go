package rounds

import "time"

// share is how much of the worker and of the queue a round may give to its project.
type share struct {
	room, most, inline int           // as release.Need has them
	wait               time.Duration // until the next round, at least
	doubted            string        // the project's account, if its credential may be refused; else ""
}

// doubtWait is the least time between two rounds that release steps of an account
// whose credential may be refused.
const doubtWait = 4 * busyWait

// share returns the share of a project, where so many tasks may be added to the
// queue. As long as the credential of its account may be refused, it is just what the
// few slots can do that the account has then: what waits for them must not keep
// others from working.
func (l *Loop) share(projectID string, budget int) share {
	s := share{room: roomPerSlot * l.slots(), most: budget, inline: max(0, 2*l.Parallel-int(l.inline.Load()))}
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
	s.inline = min(s.inline, max(0, few-waiting))
	l.mu.Lock()
	defer l.mu.Unlock()
	if waiting >= few || time.Since(l.doubted[account]) < doubtWait {
		s.room, s.inline, s.wait = 0, 0, max(s.wait, doubtWait)
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
