package check

import (
	"context"
	"slices"
	"time"

	"vizstop/internal/control"
	"vizstop/internal/release"
)

// Workers is who carries stops out.
type Workers struct {
	Alive    *int       `json:"alive"`     // null: not known
	Seen     *time.Time `json:"last_seen"` // when one last was; null: never, or not known
	Notes    []string   `json:"notes"`
	Failures []string   `json:"failures"`
}

// Hold is something that holds calls back.
type Hold struct {
	Reason    string     `json:"reason"`
	Scope     string     `json:"scope"`
	ProjectID string     `json:"project_id"` // "": it is of no project
	Batch     string     `json:"batch"`      // "": it is of no batch
	Account   string     `json:"account"`    // "": it is of no account, or that is not known
	Since     *time.Time `json:"since"`      // null: not known
	Words     string     `json:"words"`      // with what ends it
	Failed    bool       `json:"failed"`     // false: it ends by itself soon, holds only what nobody confirmed, or a worker asks
}

// lookAtFleet looks which workers live and what holds calls back.
func (c *Command) lookAtFleet(ctx context.Context, desk *control.Desk, r *Report) error {
	census := desk.Fleet.Census()
	alive := len(census.Alive)
	if alive > 0 || !r.refuses {
		r.Workers.Alive = &alive
	}
	if !census.Seen.IsZero() {
		r.Workers.Seen = &census.Seen
	}
	switch words := control.NoWorker(census.Seen); {
	case alive > 0:
	case r.refuses: // a worker can't say that it lives
		r.Workers.Notes = append(r.Workers.Notes, "which workers live is not known, as Redis refuses writes")
	case c.producer:
		r.Workers.Failures = append(r.Workers.Failures, words+
			"; if workers run, they use another Redis or another database: compare their --redis (VIZSTOP_REDIS)")
	default:
		r.Workers.Notes = append(r.Workers.Notes, words)
	}
	holds, err := desk.Release.Holds(ctx)
	if err != nil {
		return err
	}
	r.Holds = []Hold{}
	for _, h := range release.Told(holds) {
		if c.concerns(desk, h, r) {
			r.Holds = append(r.Holds, newHold(h, c.producer))
		}
	}
	return nil
}

// concerns reports whether a hold holds a project back that is checked; where none is, each one does.
func (c *Command) concerns(desk *control.Desk, h release.Hold, r *Report) bool {
	ids := c.projects
	if len(ids) == 0 {
		for _, p := range r.Projects {
			ids = append(ids, p.ID)
		}
	}
	return len(ids) == 0 || slices.ContainsFunc(ids, func(id string) bool { return desk.Concerns(h, id) })
}

// newHold judges a hold. A worker can do its work while calls are held, and what asks for stops can't.
func newHold(h release.Hold, producer bool) Hold {
	stands := h.Reason != release.Throttled && !h.ByLimit()
	one := Hold{Reason: string(h.Reason), Scope: string(h.Scope), ProjectID: h.ProjectID, Batch: h.Batch, Account: h.Account,
		Words: h.String(), Failed: stands && producer}
	if stands && !h.ByPerson() && h.Reason != release.Credentials { // that says what to do
		one.Words += "; no command ends it: the first probe that the API answers well does"
	}
	if !h.Since.IsZero() {
		one.Since = &h.Since
	}
	return one
}
