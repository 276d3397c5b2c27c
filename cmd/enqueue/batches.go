package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/urfave/cli/v3"

	"vizstop/internal/control"
	"vizstop/internal/plain"
	"vizstop/internal/report"
	"vizstop/internal/settings"
	"vizstop/internal/when"
)

// batchList is what "enqueue batches" prints as JSON.
type batchList struct {
	Kind    string             `json:"kind"` // "batches"
	Batches []control.BatchRow `json:"batches"`
}

func batchesCommand(getenv func(string) string, streams streams) *cli.Command {
	var c store
	var api access
	var json bool
	var last int
	c.declare()
	c.String(&api.Accounts, "accounts", "VIZSTOP_ACCOUNTS", "",
		"file of accounts: says which batches the refused credential of an account holds", nil)
	c.Int(&last, "last", "", 20, "how many, the newest first", 1, 10000)
	c.Bool(&json, "json", "", "print one JSON object")
	return &cli.Command{
		Name:         "batches",
		Usage:        "list the newest batches",
		Description:  "What keeps those with stops in flight from moving is told on standard error.",
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, desk *control.Desk) error {
			if err := settings.NoArguments(cmd); err != nil {
				return err
			}
			unread := api.introduce(desk) // batches are listed all the same
			rows, why, err := desk.NewestBatches(ctx, last)
			if err != nil {
				return err
			}
			write := func() error { return writeBatches(streams.out, rows) }
			if json {
				write = func() error { return report.WriteJSON(streams.out, batchList{"batches", rows}) }
			}
			if err := write(); err != nil {
				return err
			}
			if unread != nil {
				why = append(why, "which project is of which account is not known: "+unread.Error())
			}
			for _, line := range why {
				fmt.Fprintln(streams.err, plain.Line("note: "+line, maxErrorLine))
			}
			return nil
		}),
	}
}

// undone is how many jobs an undo has restarted, and when; "" if none.
func undone(r control.BatchRow) string {
	switch {
	case r.Undone == 0:
		return ""
	case r.UndoneAt == nil: // the first restart is under way
		return strconv.Itoa(r.Undone)
	}
	return fmt.Sprintf("%d at %s", r.Undone, when.Stamp(*r.UndoneAt))
}

// writeBatches writes a table for people.
func writeBatches(out io.Writer, rows []control.BatchRow) error {
	t := newTable(out)
	t.row("batch", "project", "asked for at", "by", "stops", "in flight", "good", "bad", "undone", "held", "reason")
	for _, r := range rows {
		name := r.Batch
		if r.Shadow {
			name += " (shadow)"
		}
		t.row(name, r.ProjectID, when.Stamp(r.Created),
			r.Requester, r.Stops, r.InFlight, r.Good, r.Bad, undone(r), cmp.Or(r.Held, r.Hold), r.Reason)
	}
	return t.flush()
}
