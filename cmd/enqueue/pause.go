package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"vizstop/internal/modelarts"
	"vizstop/internal/report"
	"vizstop/internal/throttle"
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
		return modelarts.ValidateID("project", v)
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
		Action: c.action(getenv, func(ctx context.Context, _ *cli.Command, books *books) error {
			gate := throttle.New(books.rdb, throttle.Config{})
			changed, err := gate.Pause(ctx, c.project, c.who(getenv), c.reason)
			if err != nil {
				return err
			}
			return c.conclude(ctx, books, gate, "pause", changed)
		}),
	}
}

func resumeCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &brakeCmd{streams: streams}
	c.declareAll()
	return &cli.Command{
		Name:         "resume",
		Usage:        "let stop calls out again, within about 15 seconds",
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.action(getenv, func(ctx context.Context, _ *cli.Command, books *books) error {
			gate := throttle.New(books.rdb, throttle.Config{})
			changed, err := gate.Resume(ctx, c.project)
			if err != nil {
				return err
			}
			return c.conclude(ctx, books, gate, "resume", changed)
		}),
	}
}

// conclude tells what is paused now: a project's pause outlives the fleet's.
func (c *brakeCmd) conclude(ctx context.Context, books *books, gate *throttle.Throttle, kind string, changed bool) error {
	projects, err := books.ledger.Projects(ctx)
	if err != nil {
		return err
	}
	if c.project != "" {
		projects = append(projects, c.project)
	}
	pauses, err := gate.Pauses(ctx, distinct(projects))
	if err != nil {
		return err
	}
	b := brake{Kind: kind, Changed: changed, Paused: []string{}}
	for _, p := range pauses {
		b.Paused = append(b.Paused, p.String())
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
