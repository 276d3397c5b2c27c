package main

import (
	"context"
	"fmt"
	"text/tabwriter"

	"github.com/urfave/cli/v3"

	"vizstop/internal/actions"
	"vizstop/internal/ledger"
	"vizstop/internal/report"
)

// canceled is what "enqueue cancel" prints as JSON.
type canceled struct {
	Kind     string `json:"kind"` // "cancel"
	Batch    string `json:"batch"`
	Canceled int    `json:"canceled"` // withdrawn before a stop call took effect
	Sent     int    `json:"sent"`     // too late: the stop call has gone out, or may have; no other one goes out
	Ended    int    `json:"ended"`    // had an outcome before
}

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
		Action: c.batchAction(getenv, func(ctx context.Context, books *books, batch string, projects []string) error {
			why := "canceled by " + c.who(getenv)
			if c.reason != "" {
				why += ": " + c.reason
			}
			inFlight, err := stopsInFlight(ctx, books.ledger, projects, batch)
			if err == nil {
				err = c.record(ctx, books, getenv, "cancel", actions.Of("batch", batch), inFlight)
			}
			if err != nil {
				return err
			}
			result, err := cancelBatch(ctx, books, projects, batch, why)
			if err != nil {
				return fmt.Errorf("%d stops were canceled, then: %w", result.Canceled, err)
			}
			return c.conclude(result)
		}),
	}
}

// stopsInFlight is how many stops of a batch have no outcome yet.
func stopsInFlight(ctx context.Context, l *ledger.Ledger, projects []string, batch string) (n int, err error) {
	for _, p := range projects {
		b, err := l.Batch(ctx, p, batch)
		if err != nil {
			return 0, err
		}
		n += b.InFlight()
	}
	return n, nil
}

func cancelBatch(ctx context.Context, books *books, projects []string, batch, why string) (*canceled, error) {
	result := &canceled{Kind: "cancel", Batch: batch}
	for s, err := range batchStops(ctx, books.ledger, projects, batch, nil) {
		if err != nil {
			return result, err
		}
		if s.State.Ended() {
			result.Ended++
			continue
		}
		answer, err := books.ledger.Withdraw(ctx, s.ProjectID, s.ID, batch, why)
		switch {
		case err != nil:
			return result, err
		case answer == ledger.Withdrew:
			result.Canceled++
		case answer == ledger.TooLate:
			result.Sent++
		default:
			result.Ended++
		}
	}
	// Workers count what has ended, and look at what is left.
	for _, p := range projects {
		if err := books.ask(ctx, p); err != nil {
			return result, err
		}
	}
	return result, nil
}

func (c *cancelCmd) conclude(r *canceled) error {
	if c.json {
		if err := report.WriteJSON(c.streams.out, r); err != nil {
			return err
		}
	} else {
		t := tabwriter.NewWriter(c.streams.out, 0, 0, 2, ' ', 0)
		fmt.Fprintf(t, "canceled\t%d\t\nsent\t%d\ttoo late: the stop call has gone out\nended\t%d\thad an outcome before\n", r.Canceled, r.Sent, r.Ended)
		if err := t.Flush(); err != nil {
			return err
		}
	}
	if r.Sent > 0 {
		return exitCode{exitBad, fmt.Sprintf("%d stops of batch %s could not be canceled: their call has gone out (see: enqueue status %s)", r.Sent, r.Batch, r.Batch)}
	}
	return nil
}
