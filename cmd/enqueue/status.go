package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"vizstop/internal/ledger"
	"vizstop/internal/report"
)

func statusCommand(getenv func(string) string, streams streams) *cli.Command {
	var c store
	var json bool
	c.declare()
	c.Bool(&json, "json", "", "print one JSON array with an object for each project")
	return &cli.Command{
		Name:         "status",
		Usage:        "show how a batch stands",
		ArgsUsage:    "BATCH",
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if err := c.Load(cmd, getenv); err != nil {
				return err
			}
			if cmd.Args().Len() != 1 {
				return errors.New("give the id of one batch, as enqueue printed it")
			}
			books, done, err := c.open(ctx)
			if err != nil {
				return err
			}
			defer done()
			return status(ctx, books.ledger, cmd.Args().First(), json, streams)
		},
	}
}

func status(ctx context.Context, l *ledger.Ledger, batch string, json bool, streams streams) error {
	projects, err := l.BatchProjects(ctx, batch)
	if errors.Is(err, ledger.ErrNotFound) {
		return fmt.Errorf("batch %q is not in the ledger: the id is wrong, or the batch ended longer ago than the worker's --retention", batch)
	}
	if err != nil {
		return err
	}
	var summaries []*report.Summary
	for _, p := range projects {
		s, err := report.Summarize(ctx, l, p, batch)
		if err != nil {
			return err
		}
		summaries = append(summaries, s)
	}
	if json {
		return report.WriteJSON(streams.out, summaries)
	}
	for _, s := range summaries {
		fmt.Fprintf(streams.out, "batch %s, project %s\n", s.Batch, s.ProjectID)
		if err := s.WriteTable(streams.out); err != nil {
			return err
		}
	}
	return nil
}
