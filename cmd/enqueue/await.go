package main

import (
	"context"
	"errors"
	"fmt"

	"vizstop/internal/control"
	"vizstop/internal/ledger"
	"vizstop/internal/plain"
	"vizstop/internal/report"
	"vizstop/internal/settings"
)

// conclude prints an answer and, with --wait, waits for the end of the batch
// and turns its outcomes into an exit code.
func (c *stopCmd) conclude(ctx context.Context, desk *control.Desk, a *answer) error {
	if !c.json || !c.wait {
		if err := c.tell(a); err != nil || !c.wait {
			if err == nil {
				c.noteWhy(ctx, desk, a)
			}
			return errors.Join(err, a.refused())
		}
	}
	err := c.await(ctx, desk, a)
	if err != nil {
		return errors.Join(err, a.refused())
	}
	if c.json {
		err = c.tell(a)
	} else if !c.quiet {
		err = writeSummaries(c.streams.out, a.Result)
	}
	if err != nil {
		return err
	}
	if refused := a.refused(); refused != nil {
		return refused
	}
	return verdict(a, c.allowNotFound)
}

// noteWhy tells people what keeps the stops that were asked for from moving. They are recorded, whatever becomes of
// this.
func (c *stopCmd) noteWhy(ctx context.Context, desk *control.Desk, a *answer) {
	if c.quiet || len(a.Projects) == 0 {
		return
	}
	_ = c.api.introduce(desk) // the file was read with the settings; without it any hold may be of the batch
	why, err := whyOf(ctx, desk, a)
	if err != nil {
		why = append(why, fmt.Sprintf("whether anything keeps batch %s from moving is not known: %v", a.Batch, err))
	}
	for _, line := range why {
		c.note(plain.Line(line, maxErrorLine))
	}
}

func whyOf(ctx context.Context, desk *control.Desk, a *answer) ([]string, error) {
	batch, err := desk.Batch(ctx, a.Batch)
	if err != nil {
		return nil, err
	}
	batch = batch.In(a.Projects)
	if n, err := batch.InFlight(ctx); n == 0 || err != nil {
		return nil, err
	}
	return batch.Why(ctx)
}

// interrupted is the error of a command that was ended while it waited for a batch.
func interrupted(batch string) error {
	return fmt.Errorf("no longer waiting: batch %s goes on without this command (see: enqueue status %s)", batch, batch)
}

// await fills in the result of a batch when it has ended, or --timeout passed.
func (c *stopCmd) await(ctx context.Context, desk *control.Desk, a *answer) error {
	waitCtx := ctx
	a.Result = []*report.Summary{}
	if len(a.Projects) == 0 {
		return nil
	}
	if c.timeout > 0 {
		var cancel context.CancelFunc
		waitCtx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	_ = c.api.introduce(desk) // as noteWhy
	out := c.streams.err
	progress := report.NewProgress(out, settings.IsTerminal(out), c.quiet)
	batch, err := desk.Batch(ctx, a.Batch)
	if err == nil {
		batch = batch.In(a.Projects)
		err = report.Wait(waitCtx, batch.Watch(progress))
	}
	switch {
	case ctx.Err() != nil:
		return interrupted(a.Batch)
	case errors.Is(err, context.DeadlineExceeded):
		a.TimedOut = true
	case err != nil:
		return fmt.Errorf("wait for batch %s, which goes on without this command: %w", a.Batch, err)
	}
	for _, p := range a.Projects {
		s, err := report.Summarize(ctx, desk.Ledger, p, a.Batch)
		if err != nil {
			return err
		}
		a.Result = append(a.Result, s)
	}
	return nil
}

// verdict is the exit code of a batch.
func verdict(a *answer, allowNotFound bool) error {
	var also []ledger.State
	if allowNotFound {
		also = append(also, ledger.NotFound, ledger.WouldNotFound)
	}
	requested, left, notFound, good, shadow := 0, 0, 0, true, false
	for _, s := range a.Result {
		requested += s.Requested
		left += s.Requested - s.Done()
		notFound += s.Outcomes[string(ledger.NotFound)] + s.Outcomes[string(ledger.WouldNotFound)]
		shadow = shadow || s.Shadow
		good = good && s.Good(also...)
	}
	switch {
	case a.TimedOut && left > 0:
		return exitCode{exitTimeout, fmt.Sprintf("%d of %d stops are still in flight; the batch goes on (see: enqueue status %s)", left, requested, a.Batch)}
	case left == 0 && !good:
		text := fmt.Sprintf("some jobs of batch %s may still run: see enqueue stops %s --outcome not_found,rejected,expired,canceled", a.Batch, a.Batch)
		if shadow {
			text = fmt.Sprintf("stop calls would not stop some jobs of shadow batch %s: see enqueue stops %s --outcome would_not_found,would_hold,rejected,expired,canceled", a.Batch, a.Batch)
		}
		if notFound > 0 && !allowNotFound {
			text = fmt.Sprintf("%d jobs were not found: check the project, the region and the ids (--allow-not-found accepts them); %s", notFound, text)
		}
		return exitCode{exitBad, text}
	}
	return nil
}
