package main

import (
	"context"
	"errors"
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
			if err := c.record(ctx, desk, getenv, "pause", c.scope(), 0); err != nil {
				return err
			}
			b, err := desk.Pause(ctx, c.project, c.who(getenv), c.reason)
			if err != nil {
				return err
			}
			return errors.Join(c.conclude(b), c.noteUnknown(ctx, desk))
		}),
	}
}

func resumeCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &brakeCmd{streams: streams}
	c.declareAll()
	return &cli.Command{
		Name:  "resume",
		Usage: "let stop calls out again",
		Description: `It ends a pause of everything or, with --project, of that project, and tells what is still
paused. Each of them outlives the other. One that finds nothing to end is not recorded.`,
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, desk *control.Desk) error {
			if err := settings.NoArguments(cmd); err != nil {
				return err
			}
			b, err := desk.Resume(ctx, c.project, func() error {
				return c.record(ctx, desk, getenv, "resume", c.scope(), 0)
			})
			if err != nil {
				return err
			}
			return c.conclude(b)
		}),
	}
}

// scope is what the brake is for, as actions tell it.
func (c *brakeCmd) scope() string { return actions.Of("project", c.project) }

func (c *brakeCmd) conclude(b *control.Brake) error {
	if c.json {
		return untold("what was asked is done", report.WriteJSON(c.streams.out, b))
	}
	lines := append(b.Paused, "deadlines run on: stops that are not called by theirs expire")
	if b.Kind == "resume" {
		lines = c.resumed(b)
	} else if !b.Changed {
		lines = append([]string{"it was so already"}, lines...)
	}
	_, err := fmt.Fprintln(c.streams.out, strings.Join(lines, "\n"))
	return untold("what was asked is done", err)
}

// resumed says what was resumed, and what is paused all the same.
func (c *brakeCmd) resumed(b *control.Brake) []string {
	lines := []string{"the pause of " + c.scope() + " is over"}
	if !b.Changed {
		lines[0] = c.scope() + " was not paused"
	}
	if len(b.Paused) == 0 {
		lines = append(lines, "nothing is paused")
	}
	for _, paused := range b.Paused {
		lines = append(lines, "still paused: "+paused)
	}
	return lines
}

// noteUnknown tells whoever paused a project of which no stop is known: its id may be wrong.
func (c *brakeCmd) noteUnknown(ctx context.Context, desk *control.Desk) error {
	if c.project == "" {
		return nil
	}
	known, err := desk.Ledger.Knows(ctx, c.project)
	if err != nil {
		return fmt.Errorf("what was asked is done, but then: %w", err)
	}
	if !known {
		fmt.Fprintf(c.streams.err, "note: no stop of project %s is known: the pause counts for those to come; check the id\n", c.project)
	}
	return nil
}
