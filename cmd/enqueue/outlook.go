package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"vizstop/internal/control"
	"vizstop/internal/estimate"
	"vizstop/internal/plain"
	"vizstop/internal/when"
)

// outlook is what is expected of a batch before it is recorded.
type outlook struct {
	Deadline         float64    `json:"deadline_seconds"`           // of each stop, from when it is due
	LastCall         *time.Time `json:"expected_last_call"`         // nil: no rate is known
	LastConfirmation *time.Time `json:"expected_last_confirmation"` // nil: no rate is known

	OverWindow int `json:"over_window"` // stops that would wait for the window limit if all were due now

	sentence string
	tight    string // a warning that the deadline is hardly long enough; "": it is
}

// lookAhead compares batch, rate and deadline. It gives plan a deadline that fits the batch if nobody has named one, and
// refuses one that can't hold.
func (c *stopCmd) lookAhead(picked *chosen, plan *when.Plan, rate estimate.Rate) (outlook, error) {
	shares := picked.shares(*plan)
	for i := range shares {
		shares[i].Rate = c.api.rate(shares[i].ProjectID, rate)
	}
	batch := estimate.Of(c.now(), rate, shares)
	said := "a --deadline of " + estimate.Flag(when.MaxDeadline) + ", the longest,"
	if c.spec.Deadline == "" {
		plan.Deadline = batch.Deadline()
	} else {
		said = "--deadline " + c.spec.Deadline + " (VIZSTOP_DEADLINE)"
	}
	o := outlook{Deadline: plan.Deadline.Seconds(), sentence: batch.Sentence(plan.Deadline)}
	if batch.Known {
		call, confirmation := batch.LastCall.UTC().Round(time.Millisecond), batch.LastConfirmation.UTC().Round(time.Millisecond)
		o.LastCall, o.LastConfirmation = &call, &confirmation
	}
	if err := batch.Refuse(plan.Deadline, said); err != nil {
		return o, err
	}
	o.tight = batch.Tight(plan.Deadline)
	return o, nil
}

// shares is how many of the jobs each project has, and when they are due.
func (c *chosen) shares(plan when.Plan) []estimate.Share {
	var all []estimate.Share
	for _, project := range c.projects {
		if n := c.each[project]; n > 0 {
			at := c.places[project]
			all = append(all, estimate.Share{ProjectID: project, Stops: n, First: plan.Due(at.first, c.count), Last: plan.Due(at.last, c.count)})
		}
	}
	return all
}

// dryRunWait is how long a dry run waits for Redis, which it can do without.
const dryRunWait = 3 * time.Second

// openOrNot opens the desk. For a dry run without a Redis it is nil.
func (c *stopCmd) openOrNot(ctx context.Context) (*control.Desk, func(), error) {
	if !c.dryRun {
		return c.open(ctx)
	}
	waitCtx, cancel := context.WithTimeout(ctx, dryRunWait)
	defer cancel()
	desk, done, err := c.open(waitCtx)
	if err != nil {
		fmt.Fprintln(c.streams.err, plain.Line("note: how long this would take is not known: "+err.Error(), maxErrorLine))
		return nil, func() {}, nil
	}
	return desk, done, nil
}

// print writes it for people.
func (o *outlook) print(out io.Writer) {
	if o.sentence != "" {
		fmt.Fprintln(out, o.sentence)
	}
}

// lookAtWindow compares what nobody confirms of a selection with what the window limit leaves. Nothing of it is used up.
func (c *stopCmd) lookAtWindow(ctx context.Context, desk *control.Desk, picked *chosen, o *outlook) error {
	if desk == nil || c.isConfirmed(picked.count, c.Given("max")) {
		return nil
	}
	windows, err := desk.Release.Windows(ctx, picked.projects...)
	if err != nil {
		return err
	}
	for i, project := range picked.projects {
		w, n := windows[i], picked.each[project]
		if w.Limit <= 0 || n+w.Waiting <= w.Left() {
			continue
		}
		over := min(n, n+w.Waiting-w.Left())
		o.OverWindow += over
		c.note(fmt.Sprintf("%d of %d stops of project %s will wait: %d of the %d stop calls that nobody confirmed (--window-limit of the workers) were made within an hour, and %d stops wait already. "+
			"One whose job somebody has confirmed waits for that time at most. What is confirmed at the prompt, or by --yes with --max, does not wait; enqueue allow lets more through",
			over, n, project, w.Used, w.Limit+w.Allowed, w.Waiting))
	}
	return nil
}
