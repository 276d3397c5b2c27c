// Package undotest has a fake of the API for tests of undo.
package undotest

import (
	"context"
	"sync"

	"vizstop/internal/jobs"
)

// The statuses of its jobs.
var (
	Killed  = jobs.Status{Code: "12", Name: "killed", State: jobs.Ended}
	Running = jobs.Status{Code: "8", Name: "running", State: jobs.Active}
)

// API has jobs that are killed until they are restarted, in every project. It is safe for concurrent use; its fields are
// while nobody calls it.
type API struct {
	Restarted map[string]int // how often each job was restarted
	First     func()         // done at the first look, if set

	mu sync.Mutex
}

// New returns an API of which no job was restarted.
func New() *API { return &API{Restarted: map[string]int{}} }

// List returns an empty page.
func (f *API) List(context.Context, string, jobs.Query) (*jobs.Page, error) { return &jobs.Page{}, nil }

// Get returns a job, whatever its id.
func (f *API) Get(_ context.Context, _, jobID string) (*jobs.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if do := f.First; do != nil {
		f.First = nil
		do()
	}
	if f.Restarted[jobID] > 0 {
		return &jobs.Job{ID: jobID, Status: Running}, nil
	}
	return &jobs.Job{ID: jobID, Status: Killed}, nil
}

// Restart restarts a job.
func (f *API) Restart(_ context.Context, _, jobID string) (requestID string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Restarted[jobID]++
	return "", nil
}

// Restarts is true of every project.
func (f *API) Restarts(string) bool { return true }
