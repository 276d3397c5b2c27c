package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"vizstop/internal/caller"
)

// toldAfter is how long calls are answered 429 until people are told what is waited for: longer than the rest after a
// single one.
const toldAfter = 4 * time.Second

// toldRate tells once that calls wait because the API answers 429. It is safe for concurrent use.
type toldRate struct {
	caller.Rate
	tell func(text string)

	once sync.Once
	mu   sync.Mutex
	met  map[string]time.Time // by project: since when each call of it was answered 429
	next map[string]bool      // by project: the latest call was
}

// Throttled notes since when.
func (r *toldRate) Throttled(ctx context.Context, projectID string, err error) error {
	r.mu.Lock()
	if r.met[projectID].IsZero() {
		r.met[projectID] = time.Now()
	}
	r.next[projectID] = true
	r.mu.Unlock()
	return r.Rate.Throttled(ctx, projectID, err)
}

// Spend waits for the next call of a project.
func (r *toldRate) Spend(ctx context.Context, projectID string) error {
	r.mu.Lock()
	if !r.next[projectID] { // the call before it was answered otherwise
		delete(r.met, projectID)
	}
	delete(r.next, projectID)
	since := r.met[projectID]
	r.mu.Unlock()
	if !since.IsZero() {
		timer := time.AfterFunc(time.Until(since.Add(toldAfter)), func() {
			r.once.Do(func() {
				r.tell(fmt.Sprintf("the API answers 429 (too many calls) for project %s: waiting until it lets calls out again",
					projectID))
			})
		})
		defer timer.Stop()
	}
	return r.Rate.Spend(ctx, projectID)
}
