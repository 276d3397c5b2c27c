package main

import (
	"context"
	"errors"
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
		Usage:        "withdraw the stops of a batch whose call has not gone out yet, or a tick of a schedule",
		ArgsUsage:    "BATCH",
		Description:  "exit codes: 0 every stop in flight was withdrawn, 1 error, 2 for some it was too late",
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, desk *control.Desk) error {
			id, err := oneBatch(cmd)
			if err != nil {
				return err
			}
			inFlight, cancel, err := c.prepare(ctx, desk, id)
			if err == nil {
				err = c.record(ctx, desk, getenv, "cancel", actions.Of("batch", id), inFlight)
			}
			if err != nil {
				return err
			}
			why := "canceled by " + c.who(getenv)
			if c.reason != "" {
				why += ": " + c.reason
			}
			result, err := cancel(ctx, why)
			if err != nil {
				return err
			}
			return c.conclude(result)
		}),
	}
}

// withdrawal cancels a batch, or the tick of one.
type withdrawal func(ctx context.Context, why string) (*control.Canceled, error)

// prepare counts what is to be canceled: the stops of a batch, or none of a schedule's tick that has not asked for any.
func (c *cancelCmd) prepare(ctx context.Context, desk *control.Desk, id string) (inFlight int, cancel withdrawal, err error) {
	batch, err := desk.Batch(ctx, id)
	unknown, ok := errors.AsType[*control.UnknownError](err)
	if ok && unknown.Tick != nil && (unknown.Tick.Open || unknown.Tick.Canceled) {
		return 0, func(ctx context.Context, why string) (*control.Canceled, error) {
			return desk.CancelTick(ctx, id, why)
		}, nil
	}
	if err != nil {
		return 0, nil, err
	}
	inFlight, err = batch.InFlight(ctx)
	return inFlight, batch.Cancel, err
}

func (c *cancelCmd) conclude(r *control.Canceled) error {
	var err error
	if c.json {
		err = report.WriteJSON(c.streams.out, r)
	} else {
		if r.Tick {
			_, err = fmt.Fprintf(c.streams.out, "batch %s is canceled: its schedule asks for no stop of it any more\n", r.Batch)
		}
		if !r.Tick || r.Canceled+r.Sent+r.Ended > 0 {
			t := tabwriter.NewWriter(c.streams.out, 0, 0, 2, ' ', 0)
			fmt.Fprintf(t, "canceled\t%d\t\nsent\t%d\ttoo late: the stop call has gone out\nended\t%d\thad an outcome before\n", r.Canceled, r.Sent, r.Ended)
			err = t.Flush()
		}
	}
	if err != nil {
		return untold(fmt.Sprintf("%d stops of batch %s were canceled, and for %d it was too late", r.Canceled, r.Batch, r.Sent), err)
	}
	if r.Sent > 0 {
		return exitCode{exitBad, fmt.Sprintf("%d stops of batch %s could not be canceled: their call has gone out (see: enqueue status %s)", r.Sent, r.Batch, r.Batch)}
	}
	return nil
}
