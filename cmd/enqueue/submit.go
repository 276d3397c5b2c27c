package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"vizstop/internal/ledger"
	"vizstop/internal/notify"
	"vizstop/internal/plain"
	"vizstop/internal/report"
	"vizstop/internal/tasks"
	"vizstop/internal/when"
)

// answer is what became of an ask.
type answer struct {
	Kind     string    `json:"kind"` // "stop"
	Batch    string    `json:"batch"`
	Shadow   bool      `json:"shadow"` // nothing is stopped
	Projects []string  `json:"projects"`
	Due      time.Time `json:"due"` // of the first stop
	outlook
	Accepted int       `json:"accepted"` // new stops
	Joined   int       `json:"joined"`   // jobs with an active stop already
	Known    int       `json:"known"`    // asked for in this batch before
	Full     int       `json:"full"`     // refused: the job's stop serves as many batches as it may
	Repeated int       `json:"repeated"` // named more than once in this ask
	Headers  int       `json:"headers"`  // lines of the list that name columns, passed over
	Invalid  int       `json:"invalid"`  // left out by --skip-invalid
	Left     []leftOut `json:"left_out"` // by a rule

	InvalidNames []badName         `json:"invalid_names"`       // the first few
	JoinedJobs   []joinedStop      `json:"joined_jobs"`         // the first few
	FullJobs     []joinedStop      `json:"full_jobs"`           // the first few
	Result       []*report.Summary `json:"result,omitempty"`    // with --wait, one for each project
	TimedOut     bool              `json:"timed_out,omitempty"` // --timeout passed

	missing error // projects that were left out
}

type joinedStop struct {
	ProjectID string `json:"project_id"`
	JobID     string `json:"job_id"`
	StopID    string `json:"stop_id"` // the stop that serves this ask too or, of a full one, can't
}

// shownJoined is how many joined jobs, and how many full ones, are kept to be shown.
const shownJoined = 100

// parallelChunks is how many chunks of stops are recorded at once.
const parallelChunks = 8

// submission is an ask that is being carried out.
type submission struct {
	*answer
	producer *tasks.Producer
	plan     when.Plan
	total    int
	shadow   bool
	// confirmed says that a person has confirmed this number of stops.
	confirmed bool

	mu     sync.Mutex
	tried  bool            // something may have been recorded
	safe   int             // stops recorded for certain
	served map[string]bool // projects in which something was
}

// submit records and enqueues the stops. On error it says how many are safe.
func (c *stopCmd) submit(ctx context.Context, books *books, picked *chosen, plan when.Plan, meta ledger.Meta, confirmed bool,
	getenv func(string) string) (*answer, error) {

	s := &submission{
		answer: &answer{
			Kind: "stop", Batch: c.batch, Shadow: c.shadow, Projects: picked.projects, Due: plan.Due(0, max(1, picked.count)).UTC(), Repeated: picked.repeated, Headers: picked.headers,
			Invalid: picked.bad, Left: append([]leftOut{}, picked.left...), InvalidNames: append([]badName{}, picked.invalid...),
			JoinedJobs: []joinedStop{}, FullJobs: []joinedStop{},
		},
		plan: plan, total: picked.count, shadow: c.shadow, confirmed: confirmed, served: map[string]bool{},
	}
	tracer, flush := startTraces(ctx, getenv, c.streams.err)
	defer flush()
	s.producer = tasks.NewProducer(books.ledger, books.rdb).Traced(tracer).At(c.endpoint)
	if s.Batch == "" {
		s.Batch = ledger.NewBatchID(c.now())
	}
	if s.Projects == nil {
		s.Projects = []string{}
	}
	meta.Shadow = c.shadow
	err := s.describe(ctx, books, meta)
	if err == nil {
		err = s.carryOut(ctx, picked)
	}
	if err == nil { // where every job was refused there is nothing to wait for
		s.Projects = slices.DeleteFunc(slices.Clone(s.Projects), func(p string) bool { return !s.served[p] })
	}
	if err == nil && c.notify != "" && len(s.Projects) > 0 {
		err = notify.Arm(ctx, books.rdb, s.Batch, c.notify)
	}
	switch {
	case err != nil && !s.tried:
		return nil, fmt.Errorf("nothing was enqueued: %w", err)
	case err != nil: // an answer that got lost leaves open what was recorded
		return nil, fmt.Errorf("%d of %d stops are safely recorded and will be carried out, the others may not be; the same command with --batch %s completes the batch: %w",
			s.safe, s.total, s.Batch, err)
	}
	return s.answer, nil
}

func (s *submission) describe(ctx context.Context, books *books, meta ledger.Meta) error {
	for _, p := range s.Projects {
		if err := books.ledger.Describe(ctx, p, s.Batch, meta); err != nil {
			return err
		}
	}
	return nil
}

// carryOut goes through the jobs once, in chunks of one project each.
func (s *submission) carryOut(ctx context.Context, picked *chosen) error {
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(parallelChunks)
	waiting := map[string][]ledger.Ask{}
	send := func(project string) {
		asks := waiting[project]
		waiting[project] = nil
		group.Go(func() error { return s.send(groupCtx, project, asks) })
	}
	i := 0
	for item, err := range picked.items() {
		if err != nil {
			return fmt.Errorf("the list changed while it was read: %w", err)
		}
		due := s.plan.Due(i, s.total)
		_, listed := picked.details[item.ProjectID][item.JobID]
		i++
		waiting[item.ProjectID] = append(waiting[item.ProjectID],
			ledger.Ask{JobID: item.JobID, Due: due, Deadline: s.plan.DeadlineOf(due), Labels: item.Labels, Listed: listed,
				Shadow: s.shadow, Confirmed: s.confirmed})
		if len(waiting[item.ProjectID]) == ledger.OpenChunk {
			send(item.ProjectID)
		}
		if groupCtx.Err() != nil {
			break
		}
	}
	for project, asks := range waiting {
		if len(asks) > 0 {
			send(project)
		}
	}
	return group.Wait()
}

func (s *submission) send(ctx context.Context, project string, asks []ledger.Ask) error {
	s.mu.Lock()
	s.tried = true
	s.mu.Unlock()
	openings, err := s.producer.Ask(ctx, project, s.Batch, asks)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range openings {
		if o.Result == ledger.Full {
			s.Full++
			s.FullJobs = appendShown(s.FullJobs, joinedStop{project, o.JobID, o.StopID})
			continue
		}
		s.safe++
		s.served[project] = true
		switch o.Result {
		case ledger.Joined:
			s.Joined++
			s.JoinedJobs = appendShown(s.JoinedJobs, joinedStop{project, o.JobID, o.StopID})
		case ledger.Opened:
			s.Accepted++
		default:
			s.Known++
		}
	}
	return err
}

func appendShown(list []joinedStop, s joinedStop) []joinedStop {
	if len(list) < shownJoined {
		list = append(list, s)
	}
	return list
}

// refused is the error of jobs and projects that were not taken; nil if all were.
func (a *answer) refused() error {
	if a.Full == 0 {
		return a.missing
	}
	return errors.Join(a.missing, fmt.Errorf("%d jobs were refused, such as job %s: its stop serves %d batches already, as many as it may; everything else is carried out",
		a.Full, a.FullJobs[0].JobID, ledger.MaxWishes))
}

// tell writes an answer, as it was asked for. The error names the batch, which nobody can have read.
func (c *stopCmd) tell(a *answer) error {
	var err error
	switch {
	case c.json:
		err = report.WriteJSON(c.streams.out, a)
	case c.quiet:
		_, err = fmt.Fprintln(c.streams.out, a.Batch)
	default:
		err = c.print(a)
	}
	if err != nil {
		return fmt.Errorf("batch %s is recorded, but that could not be told: %w", a.Batch, err)
	}
	return nil
}

// print writes an answer for people.
func (c *stopCmd) print(a *answer) error {
	if _, err := fmt.Fprintf(c.streams.out, "%s\n", batchName(a.Batch, a.Shadow)); err != nil {
		return err
	}
	if a.Shadow {
		fmt.Fprintln(c.streams.out, "nothing will be stopped: workers tell what a stop call would meet")
	}
	c.printCounts(a)
	a.outlook.print(c.streams.out)
	return nil
}

// batchName is what people are told of a batch.
func batchName(batch string, shadow bool) string {
	if shadow {
		return "shadow batch " + batch
	}
	return "batch " + batch
}

// printCounts writes what became of the jobs of an ask, kind by kind.
func (c *stopCmd) printCounts(a *answer) {
	t := newCounts(c.streams.out)
	t.always(a.Accepted, "accepted", "")
	t.always(a.Joined, "joined", "a stop of the job is active already")
	t.row(a.Known, "known", "asked for in this batch before")
	t.row(a.Full, "full", fmt.Sprintf("refused: the job's stop serves %d batches already", ledger.MaxWishes))
	t.row(a.Repeated, "repeated", "named more than once")
	t.row(a.Headers, "headers", "passed over: lines that name columns")
	t.always(a.Invalid, "invalid", "left out")
	t.left(a.Left)
	t.flush()
	for _, b := range a.InvalidNames {
		fmt.Fprintln(c.streams.err, plain.Line("invalid: "+b.Place+": "+b.Reason, maxErrorLine))
	}
}
