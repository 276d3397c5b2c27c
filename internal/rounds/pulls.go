package rounds

import (
	"sync"
	"time"

	"vizstop/internal/release"
)

// pulls are the projects that need a round, by when, and the bell that has a loop look
// at them. It is safe for concurrent use.
type pulls struct {
	bell chan struct{}

	mu sync.Mutex
	by map[string]time.Time
}

func newPulls() *pulls {
	return &pulls{bell: make(chan struct{}, 1), by: make(map[string]time.Time)}
}

// add says that a project needs a round after that long, at the latest. It reports
// whether the project was not known to need one so soon.
func (p *pulls) add(projectID string, after time.Duration) bool {
	at := time.Now().Add(max(0, after))
	p.mu.Lock()
	defer p.mu.Unlock()
	old, known := p.by[projectID]
	if known && !at.Before(old) {
		return false
	}
	p.by[projectID] = at
	return true
}

// drain takes them all.
func (p *pulls) drain() []release.Settled {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []release.Settled
	for project, at := range p.by {
		all = append(all, release.Pull(project, time.Until(at)))
	}
	clear(p.by)
	return all
}

// Wake has the rounds looked at now.
func (p *pulls) Wake() {
	select {
	case p.bell <- struct{}{}:
	default:
	}
}
