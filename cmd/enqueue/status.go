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

	"vizstop/internal/ledger"
	"vizstop/internal/plain"
	"vizstop/internal/report"
	"vizstop/internal/settings"
	"vizstop/internal/when"
)

// batchStatus is what "enqueue status" prints as JSON.
type batchStatus struct {
	Kind     string            `json:"kind"` // "status"
	Batch    string            `json:"batch"`
	Projects []*report.Summary `json:"projects"`
	Paused   []string          `json:"paused"`       // pauses that hold its stop calls back, in words
	Held     []string          `json:"held"`         // whatever keeps what is in flight from moving, in words
	End      *time.Time        `json:"expected_end"` // about; null: that can't be told
}

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
		Action: c.batchAction(getenv, func(ctx context.Context, books *books, batch string, projects []string) error {
			if watch {
				progress := report.NewProgress(streams.err, settings.IsTerminal(streams.err), json)
				if err := report.Wait(ctx, books.watch(batch, projects, progress)); err != nil {
					return err
				}
			}
			s, err := status(ctx, books, batch, projects)
			if err != nil {
				return err
			}
			if err := s.write(streams.out, json); err != nil || !watch {
				return err
			}
			return verdict(&answer{Batch: batch, Result: s.Projects}, allowNotFound)
		}),
	}
}

// batchProjects lists the projects of a batch with a valid id; the error says what to check.
func batchProjects(ctx context.Context, l *ledger.Ledger, batch string) ([]string, error) {
	projects, err := l.BatchProjects(ctx, batch)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, fmt.Errorf("batch %q is not in the ledger: the id is wrong, or the batch ended longer ago than the worker's --retention", batch)
	}
	if err != nil {
		return nil, err
	}
	return withStops(ctx, l, batch, projects)
}

// withStops leaves out the projects in which the batch has nothing: every job of
// it was refused there, or its producer died too soon.
func withStops(ctx context.Context, l *ledger.Ledger, batch string, projects []string) ([]string, error) {
	var some []string
	for _, p := range projects {
		switch _, err := l.Batch(ctx, p, batch); {
		case err == nil:
			some = append(some, p)
		case !errors.Is(err, ledger.ErrNotFound):
			return nil, err
		}
	}
	if len(some) == 0 {
		return nil, fmt.Errorf("batch %q has no stops: nothing was recorded of it", batch)
	}
	return some, nil
}

func status(ctx context.Context, books *books, batch string, projects []string) (*batchStatus, error) {
	s := &batchStatus{Kind: "status", Batch: batch, Paused: []string{}, Held: []string{}}
	for _, p := range projects {
		summary, err := report.Summarize(ctx, books.ledger, p, batch)
		if err != nil {
			return nil, err
		}
		s.Projects = append(s.Projects, summary)
	}
	var err error
	if s.Paused, err = books.paused(ctx, batch, projects); err != nil {
		return nil, err
	}
	if s.inFlight() {
		if s.Held, err = books.why(batch, projects)(ctx); err != nil {
			return nil, err
		}
	}
	if end, ok := report.End(books.rate, s.Projects); ok && len(s.Held) == 0 {
		end = end.UTC().Round(time.Second)
		s.End = &end
	}
	return s, nil
}

// inFlight reports whether a stop of the batch has no outcome yet.
func (s *batchStatus) inFlight() bool {
	return slices.ContainsFunc(s.Projects, func(p *report.Summary) bool { return p.Done() < p.Requested })
}

// lines are what people have to know besides the counts.
func (s *batchStatus) lines() []string {
	if len(s.Held) > 0 {
		return s.Held
	}
	return s.Paused
}

func (s *batchStatus) write(out io.Writer, json bool) error {
	if json {
		return report.WriteJSON(out, s)
	}
	for _, reason := range s.lines() {
		fmt.Fprintln(out, reason)
	}
	if err := writeSummaries(out, s.Projects); err != nil || s.End == nil {
		return err
	}
	_, err := fmt.Fprintln(out, report.ExpectedEnd(*s.End, time.Now()))
	return err
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
