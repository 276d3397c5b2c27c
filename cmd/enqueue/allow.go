package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"vizstop/internal/actions"
	"vizstop/internal/control"
	"vizstop/internal/joblist"
	"vizstop/internal/report"
	"vizstop/internal/settings"
)

// allowCmd is the settings of "enqueue allow".
type allowCmd struct {
	store
	about
	streams streams
	project string
	count   int
	json    bool
}

func allowCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &allowCmd{streams: streams}
	c.store.declare()
	// No variable: what is let through must be named.
	c.String(&c.project, "project", "", "", "instead of a batch: let --count more stop calls that nobody confirmed out in this project, within the next hour", func(v string) error {
		if v == "" {
			return nil
		}
		return joblist.ValidateID("project", v)
	})
	c.Int(&c.count, "count", "", 0, "how many; of a batch 0 means all of its stops that wait", 0, 10000000)
	c.declareWhy(&c.Set)
	c.Bool(&c.json, "json", "", "print one JSON object")
	return &cli.Command{
		Name:      "allow",
		Usage:     "let stops through that a limit holds, once",
		ArgsUsage: "[BATCH]",
		Description: `The stops of a batch are confirmed by it: no limit holds them any more, and they count in
no window. Look at them first: enqueue stops BATCH. What is allowed for a project and
not used within an hour is not allowed any more. --reason is needed, and recorded
(enqueue actions).`,
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, desk *control.Desk) error {
			if c.reason == "" {
				return errors.New("--reason: say why these stops may go out; it is recorded")
			}
			if c.project != "" {
				if err := settings.NoArguments(cmd); err != nil {
					return err
				}
				return c.allowProject(ctx, desk, getenv)
			}
			batch, err := oneArgument(cmd, "the id of one batch, or --project")
			if err != nil {
				return err
			}
			return c.allowBatch(ctx, desk, batch, getenv)
		}),
	}
}

// allowProject lets calls of a project out beyond the window limit.
func (c *allowCmd) allowProject(ctx context.Context, desk *control.Desk, getenv func(string) string) error {
	if c.count == 0 {
		return errors.New("--count: say how many stop calls may go out beyond the window limit")
	}
	if err := c.record(ctx, desk, getenv, "allow", actions.Of("project", c.project), c.count); err != nil {
		return err
	}
	if err := desk.Release.Allow(ctx, c.project, c.count); err != nil {
		return err
	}
	return c.tell(control.Allowed{Kind: "allow", Project: c.project, Allowed: c.count},
		fmt.Sprintf("%d more stop calls that nobody confirmed may go out in project %s within the next hour", c.count, c.project))
}

// allowBatch confirms stops of a batch.
func (c *allowCmd) allowBatch(ctx context.Context, desk *control.Desk, batch string, getenv func(string) string) error {
	b, err := desk.Batch(ctx, batch)
	if err == nil {
		err = c.record(ctx, desk, getenv, "allow", actions.Of("batch", batch), c.count)
	}
	if err != nil {
		return err
	}
	n, err := b.Allow(ctx, c.count)
	if err != nil {
		return err
	}
	if n == 0 {
		return c.tell(control.Allowed{Kind: "allow", Batch: batch}, fmt.Sprintf("no stop of batch %s waits that nobody has confirmed", batch))
	}
	return c.tell(control.Allowed{Kind: "allow", Batch: batch, Allowed: n}, fmt.Sprintf("%d stops of batch %s are confirmed: no limit holds them any more", n, batch))
}

func (c *allowCmd) tell(a control.Allowed, words string) error {
	if c.json {
		return report.WriteJSON(c.streams.out, a)
	}
	_, err := fmt.Fprintln(c.streams.out, words)
	return err
}
