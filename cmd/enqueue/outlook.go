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

// lookAhead compares batch, rate and deadline. It gives plan a deadline that fits the batch if nobody has named
// one, and refuses one that can't hold.
func (c *stopCmd) lookAhead(picked *chosen, plan *when.Plan, rate estimate.Rate) (control.Outlook, error) {
	deadline := control.Deadline{Given: c.spec.Deadline != "", Words: "a --deadline of " + estimate.Flag(when.MaxDeadline) + ", the longest,"}
	if deadline.Given {
		deadline.Words = "--deadline " + c.spec.Deadline + " (VIZSTOP_DEADLINE)"
	}
	return picked.LookAhead(c.now(), plan, rate, func(project string) estimate.Rate { return c.api.rate(project, rate) }, deadline)
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

// printOutlook writes it for people.
func printOutlook(out io.Writer, o control.Outlook) {
	if o.Sentence != "" {
		fmt.Fprintln(out, o.Sentence)
	}
}

// lookAtWindow compares what nobody confirms of a selection with what the window limit leaves. Nothing of it is
// used up.
func (c *stopCmd) lookAtWindow(ctx context.Context, desk *control.Desk, picked *chosen, o *control.Outlook) error {
	if desk == nil || c.isConfirmed(picked.Count, c.Given("max")) {
		return nil
	}
	waiting, err := desk.LookAtWindows(ctx, picked.Survey)
	if err != nil {
		return err
	}
	for _, w := range waiting {
		o.OverWindow += w.Over
		c.note(fmt.Sprintf("%d of %d stops of project %s will wait: %d of the %d stop calls that nobody confirmed (--window-limit of the workers) were made within an hour, and %d stops wait already. "+
			"One whose job somebody has confirmed waits for that time at most. What is confirmed at the prompt, or by --yes with --max, does not wait; enqueue allow lets more through",
			w.Over, w.Stops, w.ProjectID, w.Window.Used, w.Window.Limit+w.Window.Allowed, w.Window.Waiting))
	}
	return nil
}
