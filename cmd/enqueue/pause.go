package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v3"

	"vizstop/internal/actions"
	"vizstop/internal/control"
	"vizstop/internal/joblist"
	"vizstop/internal/report"
	"vizstop/internal/settings"
)

// brakeCmd is the settings of "enqueue pause" and "enqueue resume".
type brakeCmd struct {
	store
	about
	streams streams
	project string
	json    bool
}

func (c *brakeCmd) declareAll() {
	c.store.declare()
	// No variable: a brake for everything must not shrink by a forgotten one.
	c.String(&c.project, "project", "", "", "only this project (default: all of them)", func(v string) error {
		if v == "" {
			return nil
		}
		return joblist.ValidateID("project", v)
	})
	c.declareWhy(&c.Set)
	c.Bool(&c.json, "json", "", "print one JSON object")
}

func pauseCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &brakeCmd{streams: streams}
	c.declareAll()
	return &cli.Command{
		Name:  "pause",
		Usage: "the emergency brake: let no stop call out until resume",
		Description: `Polls go on, so stops that were accepted before are still confirmed. Deadlines run on:
a stop whose deadline passes while it is paused ends as expired.`,
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, desk *control.Desk) error {
			if err := settings.NoArguments(cmd); err != nil {
				return err
			}
			if err := c.record(ctx, desk, getenv, "pause", actions.Of("project", c.project), 0); err != nil {
				return err
			}
			b, err := desk.Pause(ctx, c.project, c.who(getenv), c.reason)
			if err != nil {
				return err
			}
			return c.conclude(b)
		}),
	}
}

func resumeCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &brakeCmd{streams: streams}
	c.declareAll()
	return &cli.Command{
		Name:         "resume",
		Usage:        "let stop calls out again",
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, desk *control.Desk) error {
			if err := settings.NoArguments(cmd); err != nil {
				return err
			}
			if err := c.record(ctx, desk, getenv, "resume", actions.Of("project", c.project), 0); err != nil {
				return err
			}
			b, err := desk.Resume(ctx, c.project)
			if err != nil {
				return err
			}
			return c.conclude(b)
		}),
	}
}

func (c *brakeCmd) conclude(b *control.Brake) error {
	if c.json {
		return untold("what was asked is done", report.WriteJSON(c.streams.out, b))
	}
	lines := b.Paused
	if len(lines) == 0 {
		lines = []string{"nothing is paused"}
		if b.Changed {
			lines = []string{"nothing is paused any more"}
		}
	}
	if !b.Changed {
		lines = append([]string{"it was so already"}, lines...)
	}
	_, err := fmt.Fprintln(c.streams.out, strings.Join(lines, "\n"))
	return untold("what was asked is done", err)
}
