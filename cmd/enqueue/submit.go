package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vizstop/internal/control"
	"vizstop/internal/ledger"
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
	control.Outlook
	control.Asked
	Repeated int       `json:"repeated"` // named more than once in this ask
	Headers  int       `json:"headers"`  // lines of the list that name columns, passed over
	Invalid  int       `json:"invalid"`  // left out by --skip-invalid
	Left     []leftOut `json:"left_out"` // by a rule

	InvalidNames []control.BadName `json:"invalid_names"`       // the first few
	Result       []*report.Summary `json:"result,omitempty"`    // with --wait, one for each project
	TimedOut     bool              `json:"timed_out,omitempty"` // --timeout passed

	missing error // projects that were left out
}

// submit records and enqueues the stops. On error it says how many are safe.
func (c *stopCmd) submit(ctx context.Context, desk *control.Desk, picked *chosen, plan when.Plan, meta ledger.Meta, confirmed bool,
	getenv func(string) string) (*answer, error) {

	mustTell()
	tracer, flush := startTraces(ctx, getenv, c.streams.err)
	defer flush()
	a := newAnswer(picked)
	a.Batch, a.Shadow, a.Due = cmp.Or(c.batch, ledger.NewBatchID(c.now())), c.shadow, plan.Due(0, max(1, picked.Count)).UTC()
	meta.Shadow = c.shadow
	asked, err := desk.Ask(ctx, tasks.NewProducer(desk.Ledger, desk.Redis).Traced(tracer).At(c.endpoint), control.Ask{
		Batch: a.Batch, Projects: picked.Projects, Total: picked.Count, Plan: plan, Meta: meta, Confirmed: confirmed, Notify: c.notify,
		Jobs: picked.Items(), Listed: func(project, job string) bool { _, listed := picked.details[project][job]; return listed },
	})
	if canceled, ok := errors.AsType[*control.CanceledError](err); ok {
		return nil, canceled
	}
	if part, ok := errors.AsType[*control.PartError](err); ok && part.Tried {
		return nil, fmt.Errorf("%d of %d stops are safely recorded and will be carried out, the others may not be; the same command with --batch %s completes the batch: %w",
			part.Safe, part.Total, part.Batch, part.Err)
	}
	if err != nil {
		return nil, err
	}
	a.Asked = *asked
	// Where every job was refused there is nothing to wait for.
	a.Projects = slices.DeleteFunc(slices.Clone(a.Projects), func(p string) bool { return !asked.Served[p] })
	return a, nil
}

// newAnswer is what is known of an ask before anything is recorded.
func newAnswer(picked *chosen) *answer {
	a := &answer{Kind: "stop", Projects: picked.Projects, Repeated: picked.Repeated, Headers: picked.Headers, Invalid: picked.Bad,
		Left: append([]leftOut{}, picked.left...), InvalidNames: append([]control.BadName{}, picked.Invalid...),
		Asked: control.Asked{JoinedJobs: []control.StopRef{}, FullJobs: []control.StopRef{}}}
	if a.Projects == nil {
		a.Projects = []string{}
	}
	return a
}

// refused is the error of jobs and projects that were not taken; nil if all were.
func (a *answer) refused() error {
	full := a.Refused()
	if full == nil || a.missing == nil {
		return cmp.Or(full, a.missing)
	}
	return errors.Join(a.missing, full)
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
	if a.Known > 0 && a.Accepted+a.Joined == 0 {
		fmt.Fprintf(c.streams.err, "warning: nothing new was asked for: batch %s has had these jobs before; "+
			"another --batch stops them again\n", a.Batch)
	}
	return untold("batch "+a.Batch+" is recorded", err)
}

// untold is the error for what was done and could not be written because of err; nil without err.
func untold(done string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s, but that could not be told: %w", done, err)
	}
	return err
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
	if a.Due.Sub(c.now()) > time.Minute {
		fmt.Fprintf(c.streams.out, "  due       %s\n", when.Stamp(a.Due))
	}
	printOutlook(c.streams.out, a.Outlook)
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
