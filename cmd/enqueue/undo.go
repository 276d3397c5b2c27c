package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"vizstop/internal/actions"
	"vizstop/internal/control"
	"vizstop/internal/ledger"
	"vizstop/internal/report"
	"vizstop/internal/undo"
)

// undoCmd is the settings of "enqueue undo".
type undoCmd struct {
	store
	limits
	about
	api     access
	streams streams
	dryRun  bool
	json    bool
}

func undoCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &undoCmd{streams: streams}
	c.store.declare()
	c.limits.declare(&c.Set, "restart")
	c.declareWhy(&c.Set)
	c.Bool(&c.dryRun, "dry-run", "", "show what would be restarted, and restart nothing")
	c.Bool(&c.json, "json", "", "print one JSON object")
	c.api.Declare(&c.Set, true)
	return &cli.Command{
		Name:      "undo",
		Usage:     "restart the jobs that a batch has stopped",
		ArgsUsage: "BATCH",
		Description: `Restarts the jobs that this batch has stopped: their stop call was accepted, they stand
as the stop left them, nobody has asked to stop them again since, no other batch wants
them stopped, and no undo of this batch has restarted them before. All others stay as
they are. Running it again is harmless. The calls keep to the rate of the workers.
The v2 API has no call that starts a job again: jobs of such projects are left, and a
batch that has no others is refused.

exit codes: 0 all run again or were left as they are, 1 error, 2 some could not be restarted`,
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.batchAction(getenv, func(ctx context.Context, desk *control.Desk, batch *control.Batch) error {
			return c.run(ctx, desk, batch, getenv)
		}),
	}
}

func (c *undoCmd) run(ctx context.Context, desk *control.Desk, batch *control.Batch, getenv func(string) string) error {
	if batch.Shadow() {
		return fmt.Errorf("batch %s is a shadow batch, for which nothing was stopped: there is nothing to undo", batch.ID)
	}
	var stops []*ledger.Stop
	for s, err := range batch.Stops(ctx, string(ledger.Stopped)) {
		if err != nil {
			return err
		}
		stops = append(stops, s)
	}
	if len(stops) == 0 {
		return fmt.Errorf("batch %s has stopped no job (yet): there is nothing to undo", batch.ID)
	}
	calls, err := c.api.calls(desk, batch.Projects)
	if err == nil {
		err = undo.Possible(calls, stops)
	}
	if err != nil {
		return err
	}
	ahead := undo.New(batch.Ledger, calls, batch.ID)
	if err := ahead.Pretend(ctx, stops); err != nil {
		return err
	}
	refusal := c.checkMax(ahead.Restarted)
	if c.dryRun { // shows what is refused, too
		ahead.DryRun = true
		return errors.Join(c.conclude(&ahead.Report), refusal)
	}
	if refusal != nil {
		return refusal
	}
	if _, err := c.confirm(c.streams, ahead.Restarted, "restart", c.Given("max")); err != nil {
		return err
	}
	if err := c.record(ctx, desk, getenv, "undo", actions.Of("batch", batch.ID), ahead.Restarted); err != nil {
		return err
	}
	u := undo.New(batch.Ledger, calls, batch.ID)
	if err := u.RestartAll(ctx, stops); err != nil {
		return fmt.Errorf("%d of %d jobs were restarted, then: %w", u.Restarted, ahead.Restarted, err)
	}
	return c.conclude(&u.Report)
}

func (c *undoCmd) conclude(u *undo.Report) error {
	var err error
	if c.json {
		err = report.WriteJSON(c.streams.out, u)
	} else {
		err = c.print(u)
	}
	if err != nil && u.DryRun {
		return err
	}
	if err != nil {
		return untold(fmt.Sprintf("%d jobs of batch %s were restarted, and %d could not be", u.Restarted, u.Batch, u.Failed), err)
	}
	if u.Failed > 0 {
		return exitCode{exitBad, fmt.Sprintf("%d jobs of batch %s could not be restarted", u.Failed, u.Batch)}
	}
	return nil
}

func (c *undoCmd) print(u *undo.Report) error {
	t := newTable(c.streams.out)
	for _, j := range u.Jobs {
		if j.Result == "failed" || j.Result == "left" || u.DryRun {
			t.row(j.ProjectID, j.JobID, j.Result, j.Reason)
		}
	}
	if u.DryRun {
		t.row(fmt.Sprintf("%d jobs would be restarted; this was a dry run, nothing was", u.Restarted))
	} else {
		t.row("restarted", u.Restarted)
		t.row("running already", u.Running)
		t.row("left as they are", u.Left)
		t.row("failed", u.Failed)
	}
	return t.flush()
}
