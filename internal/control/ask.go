package control

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"golang.org/x/sync/errgroup"

	"vizstop/internal/joblist"
	"vizstop/internal/ledger"
	"vizstop/internal/notify"
	"vizstop/internal/tasks"
	"vizstop/internal/when"
)

// Ask is stops to be recorded in one batch.
type Ask struct {
	Batch    string   // its id
	Projects []string // those of the jobs
	Total    int      // how many jobs there are
	Plan     when.Plan
	Meta     ledger.Meta

	// Confirmed says that a person has confirmed this number of stops.
	Confirmed bool
	// Notify is the URL that gets the report when the last stop has ended; "": none does.
	Notify string

	// Sizes are what a batch that nobody confirmed states beforehand, by project; one that
	// is not there states nothing.
	Sizes map[string]Size

	// Jobs goes through the jobs, each once. An error of it ends the ask.
	Jobs iter.Seq2[joblist.Item, error]
	// Listed reports whether a job was seen in a list of the API; nil: none was.
	Listed func(projectID, jobID string) bool
	// Each, if it is there, is told what became of each job, one at a time, in any order.
	Each func(projectID string, o ledger.Opening)
}

// Size is how many stops a batch may have in a project without being held.
type Size struct {
	Stops int
	Held  string // why it is held from the start, in words; "": it is not
}

// Asked is what became of an ask.
type Asked struct {
	Accepted   int       `json:"accepted"`    // new stops
	Joined     int       `json:"joined"`      // jobs with an active stop already
	Known      int       `json:"known"`       // asked for in this batch before
	Full       int       `json:"full"`        // refused: the job's stop serves as many batches as it may
	JoinedJobs []StopRef `json:"joined_jobs"` // the first few
	FullJobs   []StopRef `json:"full_jobs"`   // the first few

	Served map[string]bool `json:"-"` // projects in which something was recorded
}

// StopRef names a stop and its job.
type StopRef struct {
	ProjectID string `json:"project_id"`
	JobID     string `json:"job_id"`
	StopID    string `json:"stop_id"` // the stop that serves this ask too or, of a full one, can't
}

// Refused is the error of jobs that were not taken; nil if all were.
func (a *Asked) Refused() error {
	if a.Full == 0 {
		return nil
	}
	return fmt.Errorf("%d jobs were refused, such as job %s: its stop serves %d batches already, as many as it may; everything else is carried out",
		a.Full, a.FullJobs[0].JobID, ledger.MaxWishes)
}

// PartError says how far an ask came that failed. Asking again with the same batch
// completes it and doubles nothing.
type PartError struct {
	Batch string
	Tried bool // something may have been recorded
	Safe  int  // stops recorded for certain
	Total int
	Err   error
}

// Error tells what is safe.
func (e *PartError) Error() string {
	if _, canceled := errors.AsType[*CanceledError](e.Err); canceled {
		return e.Err.Error()
	}
	if !e.Tried {
		return "nothing was enqueued: " + e.Err.Error()
	}
	return fmt.Sprintf("%d of %d stops are safely recorded and will be carried out, the others may not be: %s", e.Safe, e.Total, e.Err)
}

// Unwrap is what went wrong.
func (e *PartError) Unwrap() error { return e.Err }

const (
	// shownRefs is how many joined jobs, and how many full ones, are kept to be shown.
	shownRefs = 100
	// parallelChunks is how many chunks of stops are recorded at once.
	parallelChunks = 8
)

// asking is an ask that is being carried out.
type asking struct {
	Ask
	producer *tasks.Producer
	ledger   *ledger.Ledger // of its kind of stops

	mu    sync.Mutex
	tried bool
	asked Asked
	in    map[string]*recorded // by project
}

// Ask records the stops through a producer. An error is a *PartError.
func (d *Desk) Ask(ctx context.Context, producer *tasks.Producer, ask Ask) (*Asked, error) {
	books := d.Ledger
	if ask.Meta.Shadow {
		books = books.Shadow()
	}
	a := &asking{Ask: ask, producer: producer, ledger: books, in: map[string]*recorded{},
		asked: Asked{JoinedJobs: []StopRef{}, FullJobs: []StopRef{}, Served: map[string]bool{}}}
	err := a.describe(ctx, d.Ledger)
	if err == nil {
		err = a.carryOut(ctx)
	}
	canceled := a.callOff(context.WithoutCancel(ctx), d, err != nil)
	if err == nil && ask.Notify != "" && len(a.asked.Served) > 0 {
		err = notify.Arm(ctx, d.Redis, ask.Batch, ask.Notify)
	}
	switch {
	case canceled == nil:
	case err == nil:
		err = canceled
	default: // what else went wrong is told first: not all others are recorded
		err = fmt.Errorf("%w; besides, %s", err, canceled.Error())
	}
	if err != nil { // an answer that got lost leaves open what was recorded
		return nil, &PartError{Batch: ask.Batch, Tried: a.tried, Safe: a.safe(), Total: ask.Total, Err: err}
	}
	return &a.asked, nil
}

func (a *asking) describe(ctx context.Context, l *ledger.Ledger) error {
	for _, p := range a.Projects {
		n, err := a.ledger.Cancels(ctx, p, a.Batch)
		if err != nil {
			return err
		}
		a.of(p).cancels = n
		if err := l.Describe(ctx, p, a.Batch, a.Meta); err != nil {
			return err
		}
		size, ok := a.Sizes[p]
		if !ok {
			continue
		}
		books := l
		if a.Meta.Shadow {
			books = l.Shadow()
		}
		if err := books.StateSize(ctx, p, a.Batch, size.Stops, size.Held); err != nil {
			return err
		}
	}
	return nil
}

// carryOut goes through the jobs once, in chunks of one project each.
func (a *asking) carryOut(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallelChunks)
	waiting := map[string][]ledger.Ask{}
	send := func(project string) {
		asks := waiting[project]
		waiting[project] = nil
		group.Go(func() error { return a.send(groupCtx, project, asks) })
	}
	i := 0
	var fault error
	for item, err := range a.Jobs {
		if err != nil {
			fault = fmt.Errorf("the list changed while it was read: %w", err)
			break
		}
		due := a.Plan.Due(i, a.Total)
		i++
		waiting[item.ProjectID] = append(waiting[item.ProjectID],
			ledger.Ask{JobID: item.JobID, Due: due, Deadline: a.Plan.DeadlineOf(due), Labels: item.Labels,
				Listed: a.Listed != nil && a.Listed(item.ProjectID, item.JobID), Shadow: a.Meta.Shadow, Confirmed: a.Confirmed})
		if len(waiting[item.ProjectID]) == ledger.OpenChunk {
			send(item.ProjectID)
		}
		if groupCtx.Err() != nil {
			break
		}
	}
	for project, asks := range waiting {
		if len(asks) > 0 && fault == nil {
			send(project)
		}
	}
	return errors.Join(fault, group.Wait())
}

// send records some stops of a project, unless the batch is canceled there meanwhile. What has begun is ended: nobody
// would know how far it came.
func (a *asking) send(ctx context.Context, project string, asks []ledger.Ask) error {
	a.mu.Lock()
	off := a.of(project).off
	a.tried = true
	a.mu.Unlock()
	if off != "" || ctx.Err() != nil {
		return ctx.Err()
	}
	ctx = context.WithoutCancel(ctx)
	openings, err := a.producer.Ask(ctx, project, a.Batch, asks)
	a.mu.Lock()
	for _, o := range openings {
		a.count(project, o)
		if a.Each != nil {
			a.Each(project, o)
		}
	}
	a.mu.Unlock()
	if err != nil {
		return err
	}
	return a.look(ctx, project)
}

func (a *asking) count(project string, o ledger.Opening) {
	ref := StopRef{project, o.JobID, o.StopID}
	if o.Result == ledger.Full {
		a.asked.Full++
		a.asked.FullJobs = appendShown(a.asked.FullJobs, ref)
		return
	}
	in := a.of(project)
	in.safe++
	a.asked.Served[project] = true
	if o.Result != ledger.Known {
		in.stops = append(in.stops, o.StopID)
	}
	switch o.Result {
	case ledger.Joined:
		a.asked.Joined++
		a.asked.JoinedJobs = appendShown(a.asked.JoinedJobs, ref)
	case ledger.Opened:
		a.asked.Accepted++
	default:
		a.asked.Known++
	}
}

func appendShown(list []StopRef, r StopRef) []StopRef {
	if len(list) < shownRefs {
		list = append(list, r)
	}
	return list
}
