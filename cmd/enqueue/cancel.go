package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v3"

	"vizstop/internal/actions"
	"vizstop/internal/control"
	"vizstop/internal/report"
)

// cancelCmd is the settings of "enqueue cancel".
type cancelCmd struct {
	store
	about
	streams streams
	json    bool
}

func cancelCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &cancelCmd{streams: streams}
	c.store.declare()
	c.declareWhy(&c.Set)
	c.Bool(&c.json, "json", "", "print one JSON object")
	return &cli.Command{
		Name:         "cancel",
		Usage:        "withdraw the stops of a batch whose call has not gone out yet",
		ArgsUsage:    "BATCH",
		Description:  "exit codes: 0 every stop in flight was withdrawn, 1 error, 2 for some it was too late",
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.batchAction(getenv, func(ctx context.Context, desk *control.Desk, batch *control.Batch) error {
			why := "canceled by " + c.who(getenv)
			if c.reason != "" {
				why += ": " + c.reason
			}
			inFlight, err := batch.InFlight(ctx)
			if err == nil {
				err = c.record(ctx, desk, getenv, "cancel", actions.Of("batch", batch.ID), inFlight)
			}
			if err != nil {
				return err
			}
			result, err := batch.Cancel(ctx, why)
			if err != nil {
				return err
			}
			return c.conclude(result)
		}),
	}
}

func (c *cancelCmd) conclude(r *control.Canceled) error {
	var err error
	if c.json {
		err = report.WriteJSON(c.streams.out, r)
	} else {
		t := tabwriter.NewWriter(c.streams.out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(t, "canceled\t%d\t\nsent\t%d\ttoo late: the stop call has gone out\nended\t%d\thad an outcome before\n", r.Canceled, r.Sent, r.Ended)
		err = t.Flush()
	}
	if err != nil {
		return untold(fmt.Sprintf("%d stops of batch %s were canceled, and for %d it was too late", r.Canceled, r.Batch, r.Sent), err)
	}
	if r.Sent > 0 {
		return exitCode{exitBad, fmt.Sprintf("%d stops of batch %s could not be canceled: their call has gone out (see: enqueue status %s)", r.Sent, r.Batch, r.Batch)}
	}
	return nil
}
