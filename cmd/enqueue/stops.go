package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/control"
	"vizstop/internal/joblist"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/plain"
	"vizstop/internal/report"
	"vizstop/internal/when"
)

// stopList is what "enqueue stops" prints as JSON.
type stopList struct {
	Kind  string            `json:"kind"` // "stops"
	Stops []control.StopRow `json:"stops"`
}

// stopsCmd is the settings of "enqueue stops" and "enqueue show".
type stopsCmd struct {
	store
	streams  streams
	outcomes []string
	several  bool // the stops are of several projects
	csv      bool
	json     bool
}

func stopsCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &stopsCmd{streams: streams}
	c.declare()
	c.Strings(&c.outcomes, "outcome", "", "only stops in this state: an outcome, pending or stopping; several by comma", control.CheckState)
	c.Bool(&c.csv, "csv", "", "print CSV with a header")
	c.Bool(&c.json, "json", "", "print one JSON object")
	return &cli.Command{
		Name:                      "stops",
		Usage:                     "list the stops of a batch, one a line",
		ArgsUsage:                 "BATCH",
		Flags:                     c.Flags(),
		OnUsageError:              usageError,
		DisableSliceFlagSeparator: true,
		Action: c.batchAction(getenv, func(ctx context.Context, _ *control.Desk, batch *control.Batch) error {
			c.several = len(batch.Projects) > 1
			inFlight := false
			err := c.write(func(yield func(*ledger.Stop, error) bool) {
				for s, err := range batch.Stops(ctx, c.outcomes...) {
					inFlight = inFlight || err == nil && !s.State.Ended()
					if !yield(s, err) {
						return
					}
				}
			})
			if err != nil || !inFlight {
				return err
			}
			return c.noteRefused(ctx, batch)
		}),
	}
}

func showCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &stopsCmd{streams: streams}
	var project string
	c.declare()
	c.String(&project, "project", "HW_PROJECT_ID", "", "id of the project that the job is in", func(v string) error {
		switch {
		case v == "":
			return nil
		case strings.Contains(v, ","):
			return errors.New("a job is in one project: name only that")
		}
		return joblist.ValidateID("project", v)
	})
	c.Bool(&c.csv, "csv", "", "print CSV with a header")
	c.Bool(&c.json, "json", "", "print one JSON object")
	return &cli.Command{
		Name:         "show",
		Usage:        "list the stops of one job, newest first, each with its history",
		ArgsUsage:    "JOB",
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, desk *control.Desk) error {
			job, err := oneArgument(cmd, "the id of one job")
			if err != nil {
				return err
			}
			if err := jobs.ValidateID("job", job); err != nil {
				return err
			}
			if project == "" {
				return errors.New("--project (HW_PROJECT_ID): name the project that the job is in: " + whereProjectIs)
			}
			stops, err := desk.JobStops(ctx, project, job)
			if err == nil && len(stops) == 0 {
				err = fmt.Errorf("the ledger knows of no stop of job %q in project %s", job, project)
			}
			if err != nil {
				return err
			}
			if err := c.show(stops); err != nil || stops[0].State.Ended() {
				return err
			}
			id := stops[0].Batch
			if w := stops[0].Wishes; len(w) > 0 { // the batch that opened it may be forgotten
				id = w[0].Batch
			}
			batch, err := desk.Batch(ctx, id)
			if err != nil {
				return err
			}
			return c.noteRefused(ctx, batch.In([]string{project}))
		}),
	}
}

// noteRefused tells people of refused credentials, for which stops wait.
func (c *stopsCmd) noteRefused(ctx context.Context, batch *control.Batch) error {
	if c.csv || c.json {
		return nil
	}
	lines, err := batch.Refused(ctx)
	for _, line := range lines {
		fmt.Fprintln(c.streams.err, plain.Line("note: "+line, maxErrorLine))
	}
	return err
}

// write lists stops in the form that was asked for.
func (c *stopsCmd) write(stops iter.Seq2[*ledger.Stop, error]) error {
	switch {
	case c.csv && c.json:
		return errors.New("--csv and --json exclude each other")
	case c.csv:
		return control.WriteCSV(c.streams.out, stops)
	case c.json:
		list := stopList{Kind: "stops", Stops: []control.StopRow{}}
		for s, err := range stops {
			if err != nil {
				return err
			}
			list.Stops = append(list.Stops, control.NewStopRow(s))
		}
		return report.WriteJSON(c.streams.out, list)
	}
	t := newTable(c.streams.out)
	row := func(project string, cells ...any) {
		if c.several {
			cells = append([]any{project}, cells...)
		}
		t.row(cells...)
	}
	row("project", "job", "state", "due", "took", "calls", "polls", "status", "request id", "reason")
	for s, err := range stops {
		if err != nil {
			return errors.Join(t.flush(), err)
		}
		took := "-"
		if s.State.Ended() {
			took = max(0, s.Ended.Sub(s.Due)).Round(100 * time.Millisecond).String()
		}
		row(s.ProjectID, s.JobID, stateOf(s), when.Stamp(s.Due), took,
			s.Calls, s.Polls, orDash(control.NewStopRow(s).Status), s.RequestID, s.Reason)
	}
	return t.flush()
}

// stateOf is the state of a stop for people: what is in flight for a shadow stop stops
// nothing, and what it ends with may be a real stop's, too.
func stateOf(s *ledger.Stop) string {
	if s.Shadow && !s.State.Would() {
		return string(s.State) + " (shadow)"
	}
	return string(s.State)
}
