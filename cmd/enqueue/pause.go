package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/actions"
	"vizstop/internal/jobs"
	"vizstop/internal/release"
	"vizstop/internal/report"
	"vizstop/internal/settings"
)

// brake is what "enqueue pause" and "enqueue resume" print as JSON.
type brake struct {
	Kind    string   `json:"kind"`    // "pause" or "resume"
	Changed bool     `json:"changed"` // false: it was so already
	Paused  []string `json:"paused"`  // the pauses that are on now, in words
}

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
		return jobs.ValidateID("project", v)
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
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, books *books) error {
			if err := settings.NoArguments(cmd); err != nil {
				return err
			}
			if err := c.record(ctx, books, getenv, "pause", actions.Of("project", c.project), 0); err != nil {
				return err
			}
			changed, err := books.release.Pause(ctx, c.project, c.who(getenv), c.reason)
			if err == nil && changed && c.project == "" {
				err = c.heard(ctx)
			}
			if err != nil {
				return err
			}
			return c.conclude(ctx, books, "pause", changed)
		}),
	}
}

// heard waits until every worker has heard of a pause of everything, or lets
// nothing out: whoever pulls the brake is told when it holds.
func (c *brakeCmd) heard(ctx context.Context) error {
	timer := time.NewTimer(release.FleetDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("all stop calls are paused, but workers may not have heard of it yet: %w", context.Cause(ctx))
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
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, books *books) error {
			if err := settings.NoArguments(cmd); err != nil {
				return err
			}
			if err := c.record(ctx, books, getenv, "resume", actions.Of("project", c.project), 0); err != nil {
				return err
			}
			changed, err := books.release.Resume(ctx, c.project)
			if err != nil {
				return err
			}
			return c.conclude(ctx, books, "resume", changed)
		}),
	}
}

// conclude tells what is paused now: a project's pause outlives the fleet's, and
// that of asynq's queue outlives both.
func (c *brakeCmd) conclude(ctx context.Context, books *books, kind string, changed bool) error {
	holds, err := books.release.Holds(ctx)
	if err != nil {
		return err
	}
	b := brake{Kind: kind, Changed: changed, Paused: []string{}}
	for _, h := range holds {
		if h.ByPerson() {
			b.Paused = append(b.Paused, h.String())
		}
	}
	if c.json {
		return report.WriteJSON(c.streams.out, b)
	}
	if !changed {
		fmt.Fprintln(c.streams.out, "it was so already")
	}
	for _, p := range b.Paused {
		fmt.Fprintln(c.streams.out, p)
	}
	if len(b.Paused) == 0 {
		fmt.Fprintln(c.streams.out, "nothing is paused")
	}
	return nil
}
