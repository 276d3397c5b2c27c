package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

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
	wait    bool
	timeout time.Duration
}

func undoCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &undoCmd{streams: streams}
	c.store.declare()
	c.limits.declare(&c.Set, "restart")
	c.declareWhy(&c.Set)
	c.Bool(&c.dryRun, "dry-run", "", "show what would be restarted, and restart nothing")
	c.Bool(&c.wait, "wait", "", "wait for the stops in flight whose call has gone out, and restart their jobs as they end")
	c.Duration(&c.timeout, "timeout", "", 10*time.Minute, "with --wait: give up waiting after this long", time.Second, 24*time.Hour)
	c.Bool(&c.json, "json", "", "print one JSON object")
	c.Check(func() error {
		if c.Given("timeout") && !c.wait {
			return errors.New("--timeout goes with --wait")
		}
		return nil
	})
	c.api.Declare(&c.Set, true)
	return &cli.Command{
		Name:      "undo",
		Usage:     "restart the jobs that a batch has stopped",
		ArgsUsage: "BATCH",
		Description: `Restarts the jobs that this batch has stopped: their stop call was accepted, they stand
as the stop left them, nobody has asked to stop them again since, no other batch wants
them stopped, and no undo has restarted them before. All others stay as
they are. Running it again is harmless. The calls keep to the rate of the workers.

It takes back what this batch wants only. A job whose stop another batch has joined, or
had asked for before, runs again when that batch is undone, too. What can be restarted
only since the jobs were counted is left for the next undo.

A job that is still stopping can't be restarted yet. After enqueue cancel, --wait waits
for such jobs, and restarts them as they end. Without it they are counted as not stopped
yet, and undo has to be run again. A batch that is not canceled stops more jobs.

It does not wait until a job runs. Another undo of the batch restarts no job a second time:
it counts those that run as running already, and names those that don't.

The v2 API has no call that starts a job again: jobs of such projects are left, and a
batch that has no others is refused.

exit codes: 0 all are restarted, run already or were left as they are, 1 error, 2 some don't
run again: they could not be restarted, the call got no answer and may have worked, another undo
is restarting them, was killed while it did or got no answer, they are not stopped yet, or
another batch wants them stopped, too; or some run again that were asked to stop meanwhile,
3 --timeout passed with jobs that are not stopped yet`,
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
	for s, err := range batch.Stops(ctx, undo.States()...) {
		if err != nil {
			return err
		}
		stops = append(stops, s)
	}
	if len(stops) == 0 {
		counts, err := batch.Counts(ctx)
		if err != nil {
			return err
		}
		return errors.New(undo.Nothing(batch.ID, counts))
	}
	calls, err := c.api.calls(desk, batch.Projects)
	if err == nil {
		err = undo.Possible(calls, stops)
	}
	if err != nil {
		return err
	}
	u := undo.New(batch.Ledger, calls, batch.ID)
	if err := u.Pretend(ctx, stops); err != nil {
		return err
	}
	count, wait := u.Restarted, time.Duration(0)
	if c.wait {
		count, wait = count+u.Awaited(), c.timeout
	}
	refusal := c.checkMax(count)
	if c.dryRun { // shows what is refused, too
		u.DryRun = true
		return errors.Join(c.conclude(&u.Report), refusal)
	}
	if refusal != nil {
		return refusal
	}
	if _, err := c.confirm(c.streams, count, "restart", c.Given("max")); err != nil {
		return err
	}
	if err := c.record(ctx, desk, getenv, "undo", actions.Of("batch", batch.ID), count); err != nil {
		return err
	}
	if c.wait && u.Awaited() > 0 {
		fmt.Fprintf(c.streams.err, "%d jobs are not stopped yet: waiting for that, up to %v\n", u.Awaited(), c.timeout)
	}
	if err := u.RestartAll(ctx, stops, wait); err != nil {
		return fmt.Errorf("the restart of %d of %d jobs was accepted, then: %w", u.Restarted, count, err)
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
	switch unfinished := strings.Join(u.Unfinished(), "\n"); {
	case u.DryRun:
		return err
	case err != nil:
		return untold(fmt.Sprintf("the restart of %d jobs of batch %s was accepted, and %d could not be restarted",
			u.Restarted, u.Batch, u.Failed+u.InFlight+u.Wanted), err)
	case c.wait && u.Awaited() > 0:
		return exitCode{exitTimeout, unfinished}
	case unfinished != "":
		return exitCode{exitBad, unfinished}
	}
	return nil
}

func (c *undoCmd) print(u *undo.Report) error {
	t := newTable(c.streams.out)
	for _, j := range u.Jobs {
		if j.Result != "restarted" && j.Result != "running" {
			t.row(j.ProjectID, j.JobID, j.Result, j.Reason)
		}
	}
	if u.DryRun {
		t.row(fmt.Sprintf("%d jobs would be restarted; this was a dry run, nothing was", u.Restarted))
		for _, line := range u.Unfinished() {
			t.row(line)
		}
	} else {
		t.row("restart accepted", u.Restarted)
		t.row("running already", u.Running)
		t.row("not stopped yet", u.InFlight)
		t.row("wanted stopped by others", u.Wanted)
		t.row("left as they are", u.Left)
		t.row("failed", u.Failed)
	}
	return t.flush()
}
