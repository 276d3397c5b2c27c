package control

import (
	"context"
	"errors"
	"slices"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/release"
)

// BatchRow is one batch in one project, as "enqueue batches --json" and the HTTP API
// show it.
type BatchRow struct {
	Batch     string            `json:"batch"`
	ProjectID string            `json:"project_id"`
	Created   time.Time         `json:"created"`
	Requester string            `json:"requester"`
	Reason    string            `json:"reason"`
	Shadow    bool              `json:"shadow"` // nothing is stopped for it
	Labels    map[string]string `json:"labels"`
	Stops     int               `json:"stops"`
	InFlight  int               `json:"in_flight"`
	Good      int               `json:"good"`      // stopped, already_stopped or gone; would_stop or would_already
	Bad       int               `json:"bad"`       // all that ended otherwise
	Undone    int               `json:"undone"`    // of those that were stopped: an undo has restarted their job
	UndoneAt  *time.Time        `json:"undone_at"` // when the last restart of them was accepted; null: none was
	Held      string            `json:"held"`      // the limit that holds its stops back: a reason of a hold; "": none does
	Hold      string            `json:"hold"`      // what else holds its calls back, such as a pause: a reason of a hold; "": nothing does

	confirmed bool
	pending   int // stops whose call has not gone out
}

// NewestBatches lists the newest batches of real and of shadow stops, the newest first:
// at most so many, and one row for each of their projects. why is what keeps those with stops in flight from moving, in
// words, as Batch.Why tells it.
func (d *Desk) NewestBatches(ctx context.Context, most int) (rows []BatchRow, why []string, err error) {
	rows, err = listBatches(ctx, d.Ledger.Real(), most)
	if err != nil {
		return nil, nil, err
	}
	shadow, err := listBatches(ctx, d.Ledger.Shadow(), most)
	if err != nil {
		return nil, nil, err
	}
	if len(shadow) > 0 {
		rows = append(rows, shadow...)
		slices.SortStableFunc(rows, func(a, b BatchRow) int { return b.Created.Compare(a.Created) })
		rows = cut(rows, most)
	}
	if !slices.ContainsFunc(rows, func(r BatchRow) bool { return r.InFlight > 0 }) {
		return rows, nil, nil
	}
	if why, err = d.stands(ctx); err != nil {
		return nil, nil, err
	}
	held, err := d.markHeld(ctx, rows)
	return rows, append(why, held...), err
}

// cut leaves the rows of the first batches, so many.
func cut(rows []BatchRow, most int) []BatchRow {
	seen := map[string]bool{}
	for i, r := range rows {
		if seen[r.Batch] = true; len(seen) > most {
			return rows[:i]
		}
	}
	return rows
}

func listBatches(ctx context.Context, l *ledger.Ledger, most int) ([]BatchRow, error) {
	ids, err := l.Batches(ctx, most)
	if err != nil {
		return nil, err
	}
	rows := []BatchRow{}
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
			rows = append(rows, NewBatchRow(b))
		}
	}
	return rows, nil
}

// markHeld says of each batch with stops in flight what holds it back, and returns these holds in words. Where the
// account of a project is not known, the hold of a credential marks nothing there, and its words say so.
func (d *Desk) markHeld(ctx context.Context, rows []BatchRow) (words []string, err error) {
	holds, err := d.Release.Holds(ctx)
	for _, h := range release.Told(holds) {
		marked, doubt := false, false
		for i := range rows {
			if d.doubts(h, rows[i].ProjectID) {
				doubt = doubt || rows[i].InFlight > 0
				continue
			}
			marked = d.mark(&rows[i], h) || marked
		}
		switch {
		case doubt:
			words = append(words, h.String()+"; which batches that concerns is not known: "+
				"the accounts file (VIZSTOP_ACCOUNTS) says which projects the account has")
		case marked:
			words = append(words, h.String())
		}
	}
	return words, err
}

// doubts reports whether nobody here knows if a hold of a credential concerns a project, as the account of the project
// is not known. There is no doubt about release.DefaultAccount: without an accounts file it has every project, and in
// a file no account has that name.
func (d *Desk) doubts(h release.Hold, projectID string) bool {
	return h.Scope == release.ScopeCredential && h.Account != release.DefaultAccount &&
		(d.Served == nil || d.Served(projectID).Account == "")
}

// mark notes that a hold holds a batch back, if it does.
func (d *Desk) mark(r *BatchRow, h release.Hold) bool {
	switch {
	case r.InFlight == 0 || !d.Concerns(h, r.ProjectID):
		return false
	case h.ByLimit():
		if r.Shadow || h.Batch != r.Batch && (h.Batch != "" || r.confirmed) {
			return false
		}
		r.Held = string(h.Reason)
	case h.Reason == release.Paused && (r.Shadow || r.pending == 0): // looks go on
		return false
	case r.Hold == "":
		r.Hold = string(h.Reason)
	}
	return true
}

// NewBatchRow is the row of a batch in one project. Whether a limit holds it is not known yet.
func NewBatchRow(b *ledger.Batch) BatchRow {
	r := BatchRow{Batch: b.ID, ProjectID: b.ProjectID, Created: b.Created, Requester: b.Meta.Requester, Reason: b.Meta.Reason, Shadow: b.Meta.Shadow,
		Labels: b.Meta.Labels, Stops: b.Total, InFlight: b.InFlight(), confirmed: b.Confirmed, pending: b.Counts[ledger.Pending],
		Undone: b.Undone, UndoneAt: b.LastUndone()}
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
