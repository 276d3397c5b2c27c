package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/ledger"
	"vizstop/internal/report"
	"vizstop/internal/settings"
	"vizstop/internal/when"
)

// batchList is what "enqueue batches" prints as JSON.
type batchList struct {
	Kind    string     `json:"kind"` // "batches"
	Batches []batchRow `json:"batches"`
}

// batchRow is one batch in one project.
type batchRow struct {
	Batch     string            `json:"batch"`
	ProjectID string            `json:"project_id"`
	Created   time.Time         `json:"created"`
	Requester string            `json:"requester"`
	Reason    string            `json:"reason"`
	Shadow    bool              `json:"shadow"` // nothing is stopped for it
	Labels    map[string]string `json:"labels"`
	Stops     int               `json:"stops"`
	InFlight  int               `json:"in_flight"`
	Good      int               `json:"good"` // stopped, already_stopped or gone; would_stop or would_already
	Bad       int               `json:"bad"`  // all that ended otherwise
	Held      string            `json:"held"` // the limit that holds its stops back: a reason of a hold; "": none does

	confirmed bool
}

func batchesCommand(getenv func(string) string, streams streams) *cli.Command {
	var c store
	var json bool
	var last int
	c.declare()
	c.Int(&last, "last", "", 20, "how many, the newest first", 1, 10000)
	c.Bool(&json, "json", "", "print one JSON object")
	return &cli.Command{
		Name:         "batches",
		Usage:        "list the newest batches",
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: c.action(getenv, func(ctx context.Context, cmd *cli.Command, books *books) error {
			if err := settings.NoArguments(cmd); err != nil {
				return err
			}
			rows, err := newestBatches(ctx, books.ledger, last)
			if err == nil {
				err = markHeld(ctx, books, rows)
			}
			if err != nil {
				return err
			}
			if json {
				return report.WriteJSON(streams.out, batchList{"batches", rows})
			}
			t := newTable(streams.out)
			t.row("batch", "project", "asked for at", "by", "stops", "in flight", "good", "bad", "held", "reason")
			for _, r := range rows {
				name := r.Batch
				if r.Shadow {
					name += " (shadow)"
				}
				t.row(name, r.ProjectID, when.Stamp(r.Created),
					r.Requester, r.Stops, r.InFlight, r.Good, r.Bad, r.Held, r.Reason)
			}
			return t.flush()
		}),
	}
}

// newestBatches lists batches of real and of shadow stops.
func newestBatches(ctx context.Context, l *ledger.Ledger, last int) ([]batchRow, error) {
	rows, err := listBatches(ctx, l.Real(), last)
	if err != nil {
		return nil, err
	}
	shadow, err := listBatches(ctx, l.Shadow(), last)
	if len(shadow) == 0 || err != nil {
		return rows, err
	}
	rows = append(rows, shadow...)
	slices.SortStableFunc(rows, func(a, b batchRow) int { return b.Created.Compare(a.Created) })
	seen := map[string]bool{}
	for i, r := range rows {
		if seen[r.Batch] = true; len(seen) > last {
			return rows[:i], nil
		}
	}
	return rows, nil
}

func listBatches(ctx context.Context, l *ledger.Ledger, last int) ([]batchRow, error) {
	ids, err := l.Batches(ctx, last)
	if err != nil {
		return nil, err
	}
	rows := []batchRow{}
	for _, id := range ids {
		projects, err := l.BatchProjects(ctx, id)
		if errors.Is(err, ledger.ErrNotFound) {
			continue // ended longer ago than the retention
		}
		if err != nil {
			return nil, err
		}
		for _, p := range projects {
			b, err := l.Batch(ctx, p, id)
			if errors.Is(err, ledger.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			rows = append(rows, newBatchRow(b))
		}
	}
	return rows, nil
}

// markHeld says of each batch with stops in flight which limit holds it back.
func markHeld(ctx context.Context, books *books, rows []batchRow) error {
	holds, err := books.release.Holds(ctx)
	if err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		for _, h := range holds {
			if h.ByLimit() && r.InFlight > 0 && h.ProjectID == r.ProjectID && (h.Batch == r.Batch || h.Batch == "" && !r.confirmed) {
				r.Held = string(h.Reason)
			}
		}
	}
	return nil
}

func newBatchRow(b *ledger.Batch) batchRow {
	r := batchRow{Batch: b.ID, ProjectID: b.ProjectID, Created: b.Created, Requester: b.Meta.Requester, Reason: b.Meta.Reason, Shadow: b.Meta.Shadow,
		Labels: b.Meta.Labels, Stops: b.Total, InFlight: b.InFlight(), confirmed: b.Confirmed}
	if r.Labels == nil {
		r.Labels = map[string]string{}
	}
	for _, o := range ledger.AllOutcomes() {
		if o.Good() {
			r.Good += b.Counts[o]
		} else {
			r.Bad += b.Counts[o]
		}
	}
	return r
}
