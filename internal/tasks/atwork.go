package tasks

import "sync"

// AtWork is the ids of the stops of which this worker has claimed a step, or is
// about to, and has not finished it. A step that Redis says is this worker's, and
// whose stop is not here, has nobody: Redis has forgotten how it ended. It is safe
// for concurrent use.
type AtWork struct {
	mu    sync.Mutex
	stops map[string]int
}

// NewAtWork returns an empty one.
func NewAtWork() *AtWork { return &AtWork{stops: make(map[string]int)} }

// Begin notes a stop, before a step of it is claimed.
func (a *AtWork) Begin(stopID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stops[stopID]++
}

// End undoes one Begin.
func (a *AtWork) End(stopID string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stops[stopID]--; a.stops[stopID] <= 0 {
		delete(a.stops, stopID)
	}
}

// Has reports whether this worker works on a stop.
func (a *AtWork) Has(stopID string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stops[stopID] > 0
}
