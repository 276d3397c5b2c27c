package rounds

import (
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redisconn"
)

// trouble is what Redis has refused of late. An error without an answer of Redis is not noted: whoever wants to know
// whether Redis answers asks it. It is safe for concurrent use.
type trouble struct {
	mu     sync.Mutex
	beat   error // of the latest beat that Redis has answered; nil: all was well
	rounds map[part]failing
}

// part is a part of the rounds of a project.
type part struct {
	projectID string
	carry     bool // putting tasks into the queue; else: the round itself
}

// failing is a part that has failed, and not gone well since.
type failing struct {
	since, last time.Time
	err         error
}

const (
	// failsFor is how long a part must have failed before that is told: once is no trouble.
	failsFor = 3 * time.Second
	// apart is how long after another one a failure is one for itself.
	apart = 10 * time.Second
	// failedUntil is when a failure is forgotten: another worker may have made the next round.
	failedUntil = 30 * time.Second
)

// beaten notes how a beat went.
func (t *trouble) beaten(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && redisconn.WritesRefused(t.beat) != "" { // so is not what these met, most likely
		for p, f := range t.rounds {
			if redisconn.WritesRefused(f.err) != "" {
				delete(t.rounds, p)
			}
		}
	}
	if err == nil || answered(err) {
		t.beat = err
	}
}

// made notes how a part of a round went.
func (t *trouble) made(p part, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for known, f := range t.rounds {
		if now.Sub(f.last) > failedUntil {
			delete(t.rounds, known)
		}
	}
	switch {
	case err == nil:
		delete(t.rounds, p)
	case answered(err):
		if t.rounds == nil {
			t.rounds = make(map[part]failing)
		}
		f, known := t.rounds[p]
		if !known || now.Sub(f.last) > apart { // others may have made its rounds meanwhile, and well
			f.since = now
		}
		f.last, f.err = now, err
		t.rounds[p] = f
	}
}

// answered tells an answer of Redis from none.
func answered(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// Failing is a project whose rounds fail.
type Failing struct {
	Since time.Time
	Err   error // an answer of Redis
}

// Refused is what Redis refuses this worker: the projects whose rounds, of those that this worker makes, have failed
// for some seconds, the answer to its latest beat, nil if that was well, and why the queue, which all projects have in
// common, takes no tasks, nil if it does as far as this worker has met. In a Redis Cluster it may be on another node
// than beats.
func (l *Loop) Refused() (projects map[string]Failing, beat, queue error) {
	t := &l.trouble
	t.mu.Lock()
	defer t.mu.Unlock()
	projects = make(map[string]Failing)
	for p, f := range t.rounds {
		if known, ok := projects[p.projectID]; f.last.Sub(f.since) >= failsFor && time.Since(f.last) <= failedUntil && (!ok || f.since.Before(known.Since)) {
			projects[p.projectID] = Failing{f.since, f.err}
		}
		if p.carry && redisconn.WritesRefused(f.err) != "" && time.Since(f.last) <= failedUntil {
			queue = f.err
		}
	}
	return projects, t.beat, queue
}

// RefusesWrites reports whether Redis refuses writes, as far as the latest beat and rounds tell.
func (l *Loop) RefusesWrites() bool {
	t := &l.trouble
	t.mu.Lock()
	defer t.mu.Unlock()
	if redisconn.WritesRefused(t.beat) != "" {
		return true
	}
	for _, f := range t.rounds {
		if redisconn.WritesRefused(f.err) != "" && time.Since(f.last) <= failedUntil {
			return true
		}
	}
	return false
}
