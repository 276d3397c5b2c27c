package tasks

import (
	"sync"

	"vizstop/internal/ledger"
)

// AtWork is the steps that this worker has claimed, or is about to claim, and has
// not finished. A step that Redis says is this worker's, and that is not here, has
// nobody: Redis has forgotten how it ended. It is safe for concurrent use.
type AtWork struct {
	mu    sync.Mutex
	steps map[ledger.Member]int
}

// NewAtWork returns an empty one.
func NewAtWork() *AtWork { return &AtWork{steps: make(map[ledger.Member]int)} }

// Begin notes a step, before it is claimed.
func (a *AtWork) Begin(step ledger.Member) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.steps[step]++
}

// End undoes one Begin.
func (a *AtWork) End(step ledger.Member) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.steps[step]--; a.steps[step] <= 0 {
		delete(a.steps, step)
	}
}

// Has reports whether this worker works on a step.
func (a *AtWork) Has(step ledger.Member) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.steps[step] > 0
}
