package control

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
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

// CanceledError says that somebody has canceled a batch while it was recorded: it was recorded no further, and what was
// recorded is withdrawn.
type CanceledError struct {
	Batch, Why string
	Projects   []string // where it was canceled, if it was not in all: in the others it is recorded
	Err        error    // that was not withdrawn; nil: it was
	Refused    error    // of jobs in the others that were not taken; nil: all were
}

// Error tells by whom.
func (e *CanceledError) Error() string {
	where := ""
	if len(e.Projects) > 0 {
		where = " in project " + strings.Join(e.Projects, ", ")
	}
	if e.Err != nil {
		return fmt.Sprintf("batch %s was %s%s, while it was recorded, but what was recorded could not all be withdrawn: "+
			"cancel it once more (enqueue cancel %s): %v", e.Batch, e.Why, where, e.Batch, e.Err)
	}
	what := "what was recorded is withdrawn, unless its stop call has gone out"
	switch {
	case where != "" && e.Refused != nil:
		what = "there, " + what + "; of the others " + e.Refused.Error()
	case where != "":
		what = "there, " + what + "; all others are recorded"
	}
	return fmt.Sprintf("batch %s was %s%s, while it was recorded: %s (see: enqueue status %s)",
		e.Batch, e.Why, where, what, e.Batch)
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
	if canceled, ok := errors.AsType[*CanceledError](e.Err); ok {
		return canceled.Error()
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
	cancels  map[string]int // by project: how often the batch was canceled before the ask

	mu    sync.Mutex
	tried bool
	safe  int
	asked Asked
	part  map[string]string // by project: why the batch was canceled there alone meanwhile
}

// Ask records the stops through a producer. An error is a *PartError.
func (d *Desk) Ask(ctx context.Context, producer *tasks.Producer, ask Ask) (*Asked, error) {
	books := d.Ledger
	if ask.Meta.Shadow {
		books = books.Shadow()
	}
	a := &asking{Ask: ask, producer: producer, ledger: books, cancels: map[string]int{}, part: map[string]string{},
		asked: Asked{JoinedJobs: []StopRef{}, FullJobs: []StopRef{}, Served: map[string]bool{}}}
	err := a.describe(ctx, d.Ledger)
	if err == nil {
		err = a.carryOut(ctx)
	}
	if canceled, ok := errors.AsType[*CanceledError](err); ok {
		canceled.Err = a.withdraw(context.WithoutCancel(ctx), d, canceled.Why, a.Projects)
	}
	if err == nil && ask.Notify != "" && len(a.asked.Served) > 0 {
		err = notify.Arm(ctx, d.Redis, ask.Batch, ask.Notify)
	}
	if part := slices.Sorted(maps.Keys(a.part)); len(part) > 0 {
		canceled := &CanceledError{Batch: ask.Batch, Why: a.part[part[0]], Projects: part, Refused: a.asked.Refused(),
			Err: a.withdraw(context.WithoutCancel(ctx), d, a.part[part[0]], part)}
		if err == nil {
			err = canceled
		} else if canceled.Err != nil { // what else went wrong is told first: not all others are recorded
			err = fmt.Errorf("%w; project %s was %s meanwhile, but not all of it could be withdrawn: cancel it once more: %w",
				err, strings.Join(part, ", "), canceled.Why, canceled.Err)
		}
	}
	if err != nil { // an answer that got lost leaves open what was recorded
		return nil, &PartError{Batch: ask.Batch, Tried: a.tried, Safe: a.safe, Total: ask.Total, Err: err}
	}
	return &a.asked, nil
}

// withdraw withdraws what was recorded of a batch that somebody has canceled meanwhile: after his own cancel, perhaps.
func (a *asking) withdraw(ctx context.Context, d *Desk, why string, projects []string) error {
	b := &Batch{ID: a.Batch, Projects: projects, Ledger: a.ledger, desk: d}
	return b.withdraw(ctx, why, &Canceled{})
}

func (a *asking) describe(ctx context.Context, l *ledger.Ledger) error {
	for _, p := range a.Projects {
		n, err := a.ledger.Cancels(ctx, p, a.Batch)
		if err != nil {
			return err
		}
		a.cancels[p] = n
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

func (a *asking) send(ctx context.Context, project string, asks []ledger.Ask) error {
	a.mu.Lock()
	a.tried = true
	_, off := a.part[project]
	a.mu.Unlock()
	if off {
		return nil
	}
	openings, err := a.producer.Ask(ctx, project, a.Batch, asks)
	why, whole, n := "", false, a.cancels[project]
	if err == nil { // a cancel that has set its mark later withdraws these, too
		if n, err = a.ledger.Cancels(ctx, project, a.Batch); err == nil && n != a.cancels[project] {
			why, whole, err = a.ledger.Canceled(ctx, project, a.Batch)
		}
		if err == nil && whole {
			err = &CanceledError{Batch: a.Batch, Why: why}
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil && n != a.cancels[project] {
		a.part[project] = why
	}
	for _, o := range openings {
		a.count(project, o)
		if a.Each != nil {
			a.Each(project, o)
		}
	}
	return err
}

func (a *asking) count(project string, o ledger.Opening) {
	ref := StopRef{project, o.JobID, o.StopID}
	if o.Result == ledger.Full {
		a.asked.Full++
		a.asked.FullJobs = appendShown(a.asked.FullJobs, ref)
		return
	}
	a.safe++
	a.asked.Served[project] = true
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
