package tasks

import (
	"sync"

	"vizstop/internal/ledger"
)

// AtWork is the ids of the stops of which this worker has claimed a step, or is
// about to, and has not finished it. A step that Redis says is this worker's, and
// whose stop is not here, has nobody: Redis has forgotten how it ended. It also knows
// the steps whose task waits for a slot: nobody else can tell which worker has it. It is
// safe for concurrent use.
type AtWork struct {
	mu      sync.Mutex
	stops   map[string]int
	waiting map[waitingStep]int
}

type waitingStep struct {
	projectID string
	ledger.Member
}

// NewAtWork returns an empty one.
func NewAtWork() *AtWork {
	return &AtWork{stops: make(map[string]int), waiting: make(map[waitingStep]int)}
}

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

// wait notes that the task of a step waits for a slot and its claim; done undoes it, once.
func (a *AtWork) wait(projectID string, step ledger.Member) (done func()) {
	key := waitingStep{projectID, step}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[key]++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.waiting[key]--; a.waiting[key] <= 0 {
			delete(a.waiting, key)
		}
	}
}

// Waits reports whether the task of a step waits for a slot.
func (a *AtWork) Waits(projectID string, step ledger.Member) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.waiting[waitingStep{projectID, step}] > 0
}

// Waiting are the steps whose tasks wait for a slot, by project.
func (a *AtWork) Waiting() map[string][]ledger.Member {
	a.mu.Lock()
	defer a.mu.Unlock()
	steps := make(map[string][]ledger.Member)
	for w := range a.waiting {
		steps[w.projectID] = append(steps[w.projectID], w.Member)
	}
	return steps
}
