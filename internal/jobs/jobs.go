// Package jobs is what vizstop knows of visualization jobs, whichever generation
// of the API serves them: a job and its states, what the API can do, and the kinds
// of failure. The generations themselves are in modelarts/v1 and modelarts/v2.
package jobs

import (
	"context"
	"time"
)

// Job is a TensorBoard or MindInsight job as the API tells of it. A field that the
// answer lacks, or that makes no sense in it, is zero. Texts are one printable line
// of at most 512 characters.
type Job struct {
	// ID is a decimal number in v1, a UUID in v2.
	ID          string
	Name        string
	Description string
	Status      Status
	// CreateTime is to the millisecond.
	CreateTime time.Time
	// Duration is how long the job has run. The API does not say whether earlier
	// runs of a restarted job count.
	Duration time.Duration
	// AutoStop is after how much time ModelArts stops the job by itself; 0 if
	// the answer tells of no such time.
	AutoStop time.Duration
	// TrainURL is the OBS path of the summary files, such as "/bucket/dir/".
	TrainURL string
	// ServiceURL opens the job in a browser; usable only while it runs.
	ServiceURL string
	// ResourceID is the id under which the job is billed.
	ResourceID string
	// Refusal says why no stop call may go out for the job, whatever its status: it is
	// of a kind that is left alone. "" if one may. Only Get tells.
	Refusal string
	// RequestID is that of the answer the job was in.
	RequestID string
}

// API is what one generation of the API can do at one endpoint. Every error is an
// *Error, or that of the context. It is safe for concurrent use. Each method makes
// one call, or some more where it says so; retries, rates and timeouts are the
// caller's.
type API interface {
	// PageSize is how many jobs of a project a page holds at most.
	PageSize(projectID string) int
	// List returns one page of a project's jobs. Jobs that change while pages are
	// read can appear twice or not at all.
	List(ctx context.Context, projectID string, q Query) (*Page, error)
	// Get returns the job as it is now, or an error that says why not. An answer
	// about another job is no answer.
	Get(ctx context.Context, projectID, jobID string) (*Job, error)
	// Stop asks for a job to be stopped. A nil error means accepted, not stopped:
	// only Get tells when it has. Repeating it does no harm. A job that is stopping
	// or has ended refuses with KindNotAllowed and its status.
	Stop(ctx context.Context, projectID, jobID string) (Accepted, error)
	// Restarts reports whether jobs of a project can be restarted at all.
	Restarts(projectID string) bool
	// Restart asks for an ended job to run again, and returns the request id. A nil
	// error means accepted, not running.
	Restart(ctx context.Context, projectID, jobID string) (requestID string, err error)
}

// Accepted is the answer to a stop call that was accepted.
type Accepted struct {
	RequestID string
	// Ended says that the answer showed the job to have ended already. It still
	// takes Get to confirm that.
	Ended bool
}
