package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/plain"
	"vizstop/internal/report"
	"vizstop/internal/when"
)

// stopList is what "enqueue stops" and "enqueue show" print as JSON.
type stopList struct {
	Kind  string    `json:"kind"` // "stops" or "show"
	Stops []stopRow `json:"stops"`
}

// stopRow is everything a report says of one stop. Times are null until they
// have come.
type stopRow struct {
	StopID    string            `json:"stop_id"`
	Batch     string            `json:"batch"`
	ProjectID string            `json:"project_id"`
	JobID     string            `json:"job_id"`
	State     string            `json:"state"` // pending, stopping, or the outcome
	Reason    string            `json:"reason"`
	Asked     *time.Time        `json:"asked"`
	Due       *time.Time        `json:"due"`
	Called    *time.Time        `json:"called"`
	Accepted  *time.Time        `json:"accepted"`
	Ended     *time.Time        `json:"ended"`
	Deadline  *time.Time        `json:"deadline"`
	Attempts  int               `json:"attempts"`
	Calls     int               `json:"calls"`
	Polls     int               `json:"polls"`
	Status    *string           `json:"last_status"`
	RequestID string            `json:"request_id"`
	Labels    map[string]string `json:"labels"`
	Shadow    bool              `json:"shadow"` // no stop call is made for it
}

func newStopRow(s *ledger.Stop) stopRow {
	r := stopRow{
		StopID: s.ID, Batch: s.Batch, ProjectID: s.ProjectID, JobID: s.JobID, State: string(s.State), Reason: s.Reason,
		Asked: known(s.Asked), Due: known(s.Due), Called: known(s.Called), Accepted: known(s.Accepted), Ended: known(s.Ended),
		Deadline: known(s.Deadline), Attempts: s.Attempts, Calls: s.Calls, Polls: s.Polls, RequestID: s.RequestID, Labels: s.Labels, Shadow: s.Shadow,
	}
	if s.Status != "" {
		r.Status = &s.Status
	}
	if r.Labels == nil {
		r.Labels = map[string]string{}
	}
	return r
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// stopsCmd is the settings of "enqueue stops" and "enqueue show".
type stopsCmd struct {
	store
	streams  streams
	outcomes []string
	csv      bool
	json     bool
}

func stopsCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &stopsCmd{streams: streams}
	c.declare()
	c.Strings(&c.outcomes, "outcome", "", "only stops in this state: an outcome, pending or stopping; several by comma", checkState)
	c.Bool(&c.csv, "csv", "", "print CSV with a header")
	c.Bool(&c.json, "json", "", "print one JSON object")
	return &cli.Command{
		Name:                      "stops",
		Usage:                     "list the stops of a batch, one a line",
		ArgsUsage:                 "BATCH",
		Flags:                     c.Flags(),
		OnUsageError:              usageError,
		DisableSliceFlagSeparator: true,
		Action: c.batchAction(getenv, func(ctx context.Context, books *books, batch string, projects []string) error {
			return c.write("stops", batchStops(ctx, books.ledger, projects, batch, c.outcomes))
		}),
	}
}

func showCommand(getenv func(string) string, streams streams) *cli.Command {
	c := &stopsCmd{streams: streams}
	var project string
	c.declare()
	c.String(&project, "project", "HW_PROJECT_ID", "", "id of the project that the job is in", func(v string) error {
		if v == "" {
			return nil
		}
		return jobs.ValidateID("project", v)
	})
	c.Bool(&c.csv, "csv", "", "print CSV with a header")
	c.Bool(&c.json, "json", "", "print one JSON object")
	return &cli.Command{
		Name:         "show",
		Usage:        "list the stops of one job, newest first",
		ArgsUsage:    "JOB",
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, books *books) error {
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
			stops, err := jobStops(ctx, books.ledger, project, job)
			if err == nil && len(stops) == 0 {
				err = fmt.Errorf("the ledger knows of no stop of job %q in project %s", job, project)
			}
			if err != nil {
				return err
			}
			if err := books.explain(ctx, stops); err != nil {
				return err
			}
			return c.write("show", func(yield func(*ledger.Stop, error) bool) {
				for _, s := range stops {
					if !yield(s, nil) {
						return
					}
				}
			})
		}),
	}
}

// jobStops lists the stops of a job, real ones and shadow ones, newest first.
func jobStops(ctx context.Context, l *ledger.Ledger, project, job string) ([]*ledger.Stop, error) {
	real, err := l.Real().JobStops(ctx, project, job)
	if err != nil {
		return nil, err
	}
	shadow, err := l.Shadow().JobStops(ctx, project, job)
	all := append(real, shadow...)
	slices.SortStableFunc(all, func(a, b *ledger.Stop) int { return b.Asked.Compare(a.Asked) })
	return all, err
}

// checkState refuses a word that is not a state of a stop.
func checkState(v string) error {
	all := append(ledger.AllOutcomes(), ledger.InFlight()...)
	if slices.Contains(all, ledger.State(v)) {
		return nil
	}
	words := make([]string, len(all))
	for i, s := range all {
		words[i] = string(s)
	}
	return fmt.Errorf("%.40q is none of %s", v, strings.Join(words, ", "))
}

// batchStops goes through the stops of a batch, those in one of the given
// states if any is given.
func batchStops(ctx context.Context, l *ledger.Ledger, projects []string, batch string, states []string) iter.Seq2[*ledger.Stop, error] {
	const page = 1000
	return func(yield func(*ledger.Stop, error) bool) {
		for _, p := range projects {
			for offset := 0; ; {
				stops, next, err := l.BatchStops(ctx, p, batch, offset, page)
				if err != nil {
					yield(nil, err)
					return
				}
				for _, s := range stops {
					if (len(states) == 0 || slices.Contains(states, string(s.State))) && !yield(s, nil) {
						return
					}
				}
				if next == 0 {
					break
				}
				offset = next
			}
		}
	}
}

// write lists stops in the form that was asked for.
func (c *stopsCmd) write(kind string, stops iter.Seq2[*ledger.Stop, error]) error {
	switch {
	case c.csv && c.json:
		return errors.New("--csv and --json exclude each other")
	case c.csv:
		return writeCSV(c.streams.out, stops)
	case c.json:
		list := stopList{Kind: kind, Stops: []stopRow{}}
		for s, err := range stops {
			if err != nil {
				return err
			}
			list.Stops = append(list.Stops, newStopRow(s))
		}
		return report.WriteJSON(c.streams.out, list)
	}
	t := newTable(c.streams.out)
	t.row("job", "state", "due", "took", "attempts", "polls", "status", "request id", "reason")
	for s, err := range stops {
		if err != nil {
			return err
		}
		took := "-"
		if s.State.Ended() {
			took = max(0, s.Ended.Sub(s.Due)).Round(100 * time.Millisecond).String()
		}
		t.row(s.JobID, stateOf(s), when.Stamp(s.Due), took,
			s.Attempts, s.Polls, orDash(newStopRow(s).Status), s.RequestID, s.Reason)
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

// csvColumns are the columns of --csv. New ones are only ever added at the end.
var csvColumns = []string{"batch", "project_id", "job_id", "state", "reason", "asked", "due", "called", "accepted", "ended",
	"deadline", "attempts", "calls", "polls", "last_status", "request_id", "stop_id", "labels"}

func writeCSV(out io.Writer, stops iter.Seq2[*ledger.Stop, error]) error {
	w := csv.NewWriter(out)
	if err := w.Write(csvColumns); err != nil {
		return err
	}
	for s, err := range stops {
		if err != nil {
			return err
		}
		labels := ""
		if len(s.Labels) > 0 {
			b, err := json.Marshal(s.Labels)
			if err != nil {
				return err
			}
			labels = string(b)
		}
		err := w.Write([]string{s.Batch, s.ProjectID, s.JobID, string(s.State), cell(s.Reason), stamp(s.Asked), stamp(s.Due), stamp(s.Called),
			stamp(s.Accepted), stamp(s.Ended), stamp(s.Deadline), strconv.Itoa(s.Attempts), strconv.Itoa(s.Calls), strconv.Itoa(s.Polls),
			cell(s.Status), cell(s.RequestID), s.ID, plain.Escape(labels)})
		if err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

// cell is a text from outside as a CSV field.
func cell(text string) string { return plain.Cell(plain.Line(text, maxCell)) }

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
