package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/control"
	"vizstop/internal/plain"
	"vizstop/internal/report"
	"vizstop/internal/settings"
	"vizstop/internal/when"
)

func statusCommand(getenv func(string) string, streams streams) *cli.Command {
	var c store
	var json, watch, allowNotFound bool
	c.declare()
	c.Bool(&watch, "watch", "", "go on until every stop has an outcome")
	c.Bool(&allowNotFound, "allow-not-found", "", "with --watch: a job that the API does not know is as good as stopped")
	c.Bool(&json, "json", "", "print one JSON object")
	c.Check(func() error {
		if allowNotFound && !watch {
			return errors.New("--allow-not-found goes with --watch")
		}
		return nil
	})
	return &cli.Command{
		Name:         "status",
		Usage:        "show how a batch stands",
		Description:  "exit codes: with --watch as those of enqueue stop --wait, else 0, or 1 for an error",
		ArgsUsage:    "BATCH",
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.batchAction(getenv, func(ctx context.Context, _ *control.Desk, batch *control.Batch) error {
			if watch {
				progress := report.NewProgress(streams.err, settings.IsTerminal(streams.err), json)
				err := report.Wait(ctx, batch.Watch(progress))
				switch {
				case ctx.Err() != nil:
					return interrupted(batch.ID)
				case err != nil:
					return err
				}
			}
			s, err := batch.Status(ctx)
			if err != nil {
				return err
			}
			if err := writeStatus(streams.out, s, json); err != nil {
				return err
			}
			if !watch {
				if !json {
					tellGivenUp(streams.out, s)
				}
				return nil
			}
			return verdict(&answer{Batch: batch.ID, Result: s.Projects}, allowNotFound)
		}),
	}
}

// writeStatus tells how a batch stands. What people have to know besides the counts is
// why it does not move or, if it does, what is paused.
func writeStatus(out io.Writer, s *control.Status, json bool) error {
	if json {
		return report.WriteJSON(out, s)
	}
	lines := s.Held
	if len(lines) == 0 {
		lines = s.Paused
	}
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
	if err := writeSummaries(out, s.Projects); err != nil || s.End == nil {
		return err
	}
	_, err := fmt.Fprintln(out, report.ExpectedEnd(*s.End, time.Now()))
	return err
}

// tellGivenUp tells how many jobs are billed, it may be, although nobody goes on trying to stop them.
func tellGivenUp(out io.Writer, s *control.Status) {
	n, shadow := 0, false
	for _, p := range s.Projects {
		n += p.GivenUp
		shadow = shadow || p.Shadow
	}
	if n == 0 || shadow {
		return
	}
	fmt.Fprintf(out, "%d jobs may still run, and be billed: enqueue stops %s --outcome expired,rejected lists them; "+
		"enqueue retry %s asks again\n", n, s.Batch, s.Batch)
}

// maxTitle is room for who asked, why, and all labels, in characters.
const maxTitle = 16 << 10

// writeSummaries writes a batch for people, project by project.
func writeSummaries(out io.Writer, summaries []*report.Summary) error {
	for _, s := range summaries {
		title := fmt.Sprintf("%s, project %s, asked for at %s%s", batchName(s.Batch, s.Shadow), s.ProjectID, when.Stamp(s.Created), by(s))
		fmt.Fprintln(out, plain.Line(title, maxTitle))
		if err := s.WriteTable(out); err != nil {
			return err
		}
	}
	return nil
}

func by(s *report.Summary) string {
	var b strings.Builder
	if s.Requester != "" {
		b.WriteString(" by " + s.Requester)
	}
	if s.Reason != "" {
		b.WriteString(": " + s.Reason)
	}
	for _, key := range slices.Sorted(maps.Keys(s.Labels)) {
		b.WriteString(" [" + key + "=" + s.Labels[key] + "]")
	}
	return b.String()
}
