package httpapi

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"vizstop/internal/console/problem"
	"vizstop/internal/console/snapshot"
	"vizstop/internal/control"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/principals"
	"vizstop/internal/report"
)

// The limits of lists and of waiting.
const (
	defaultBatches = 50
	mostBatches    = 1000
	maxWait        = 60 * time.Second
	waitStep       = time.Second // between two looks
)

// batchList is what GET /v1/batches answers with.
type batchList struct {
	Kind    string             `json:"kind"` // "batches"
	Batches []control.BatchRow `json:"batches"`
}

func projectID(text string) error { return jobs.ValidateID("project", text) }

func (a *api) getBatches(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	limit := q.number("limit", defaultBatches, 1, mostBatches)
	project := q.checked("project_id", projectID)
	state := q.oneOf("state", "in_flight", "ended", "held")
	if err := q.done(); err != nil {
		return err
	}
	if _, err := accepted(r, typeJSON); err != nil {
		return err
	}
	p := principals.FromContext(r.Context())
	if project != "" && !p.Sees(project) {
		return denied(project)
	}
	rows := []control.BatchRow{}
	wanted := func(b control.BatchRow) bool { return (project == "" || b.ProjectID == project) && inState(b, state) }
	chosen := func(b *snapshot.Batch) bool {
		return slices.ContainsFunc(b.Parts, func(part *ledger.Batch) bool { return wanted(newRow(b, part)) })
	}
	kept, err := a.Snapshot.Newest(r.Context(), p, limit, chosen)
	if err != nil {
		return err
	}
	if err := outdated(kept); err != nil {
		return err
	}
	for i := range kept.Value[:min(limit, len(kept.Value))] {
		b := &kept.Value[i]
		for _, part := range b.Parts {
			if row := newRow(b, part); wanted(row) {
				rows = append(rows, row)
			}
		}
	}
	return write(w, http.StatusOK, batchList{"batches", rows})
}

func newRow(b *snapshot.Batch, part *ledger.Batch) control.BatchRow {
	row := control.NewBatchRow(part)
	row.Held, row.Hold = b.HeldIn[part.ProjectID], string(b.StandsIn[part.ProjectID])
	return row
}

// mostOutdated is how old an answer may be when Redis gives no newer one.
const mostOutdated = 15 * time.Second

// outdated refuses what was read too long ago.
func outdated[V any](kept snapshot.Kept[V]) error {
	if kept.Trouble != nil && time.Since(kept.Read) > mostOutdated {
		return &problem.Problem{Type: problem.Unavailable, RetryAfter: 5 * time.Second, Detail: "Redis does not answer the console. Try again; /readyz tells when it is well."}
	}
	return nil
}

func inState(b control.BatchRow, state string) bool {
	switch state {
	case "in_flight":
		return b.InFlight > 0
	case "ended":
		return b.InFlight == 0
	case "held":
		return b.Held != ""
	}
	return true
}

// errUnknownBatch tells a principal who sees all projects what schedules know of a batch without stops.
func errUnknownBatch(p *principals.Principal, unknown *control.UnknownError) error {
	if p.All() && unknown != nil && unknown.Tick != nil {
		return problem.New(problem.NotFound, unknown.Error())
	}
	return problem.New(problem.NotFound, "The ledger knows no batch of this id: it is wrong, nothing was recorded, or the batch ended longer ago than the workers' --retention.")
}

// batch finds the batch of a request, as far as the principal sees its projects.
func (a *api) batch(r *http.Request) (*control.Batch, error) {
	id, p := r.PathValue("batch"), principals.FromContext(r.Context())
	unknown := errUnknownBatch(p, nil)
	if ledger.ValidateBatch(id) != nil {
		return nil, unknown
	}
	b, err := a.Desk.Batch(r.Context(), id)
	if none, is := errors.AsType[*control.UnknownError](err); is {
		return nil, errUnknownBatch(p, none)
	}
	if err != nil {
		return nil, err
	}
	seen := slices.DeleteFunc(slices.Clone(b.Projects), func(id string) bool { return !p.Sees(id) })
	if len(seen) == 0 {
		return nil, unknown // nor does it tell that there is one
	}
	return b.In(seen), nil
}

func (a *api) getBatch(w http.ResponseWriter, r *http.Request) error {
	q := newQuery(r)
	wait := time.Duration(q.number("wait", 0, 0, int(maxWait/time.Second))) * time.Second
	if err := q.done(); err != nil {
		return err
	}
	if _, err := accepted(r, typeJSON); err != nil {
		return err
	}
	known := r.Header.Get("If-None-Match")
	d, tag, err := a.await(r, known, wait)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache") // to be kept, and asked for again each time
	if matches(known, tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	status, err := a.status(r.Context(), d)
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, status)
}

// await waits until a batch has ended or does not stand as known says, or has changed since the first look if nothing
// is known. It returns how it stands, with its tag. However many wait, one look a second is taken.
func (a *api) await(r *http.Request, known string, wait time.Duration) (d *snapshot.Detail, tag string, err error) {
	ctx := r.Context()
	over := time.NewTimer(wait)
	defer over.Stop()
	step := time.NewTicker(waitStep)
	defer step.Stop()
	for {
		p := principals.FromContext(ctx)
		kept, err := a.Snapshot.Batch(ctx, r.PathValue("batch"), p)
		if none, is := errors.AsType[*control.UnknownError](cmp.Or(err, kept.Trouble)); is {
			return nil, "", errUnknownBatch(p, none)
		}
		if err == nil {
			err = outdated(kept)
		}
		if err != nil {
			return nil, "", err
		}
		d = kept.Value
		now := tagOf(d)
		if known == "" {
			known = now
		}
		if d.InFlight() == 0 || !matches(known, now) || wait == 0 {
			return d, now, nil
		}
		select {
		case <-step.C:
		case <-over.C:
			return d, now, nil
		case <-ctx.Done():
			return nil, "", ctx.Err()
		}
	}
}

// tagOf names how a batch stands. It is weak: when the batch is expected to end changes with time alone.
func tagOf(d *snapshot.Detail) string {
	sum := sha256.New()
	for _, b := range d.Parts {
		fmt.Fprintln(sum, b.ProjectID, b.Counts, b.Joined, b.Ended.UnixMilli(), b.Confirmed,
			b.Undone, b.UndoneAt.UnixMilli(), b.Meta)
	}
	fmt.Fprintf(sum, "%q", why(d))
	return `W/"` + hex.EncodeToString(sum.Sum(nil)[:12]) + `"`
}

// why is what keeps a batch from moving, in words.
func why(d *snapshot.Detail) []string {
	lines := []string{}
	if d.Fleet != "" {
		lines = append(lines, d.Fleet)
	}
	for _, h := range d.Holds {
		lines = append(lines, h.String())
	}
	return lines
}

// status is how a batch stands by its counters. Its durations are those of its newest stops.
func (a *api) status(ctx context.Context, d *snapshot.Detail) (*control.Status, error) {
	s := &control.Status{Kind: "status", Batch: d.ID, Paused: []string{}, Held: why(d)}
	var digests map[string]*snapshot.Digest
	if d.Counts()[ledger.Stopped] > 0 {
		kept, err := a.Snapshot.Digests(ctx, d)
		if err != nil {
			return nil, err
		}
		digests = kept.Value
	}
	for _, h := range d.Holds {
		if h.ByPerson() {
			s.Paused = append(s.Paused, h.String())
		}
	}
	if !d.End.IsZero() {
		end := d.End.UTC().Round(time.Second)
		s.End = &end
	}
	for _, b := range d.Parts {
		s.Projects = append(s.Projects, newSummary(b, digests[b.ProjectID]))
	}
	return s, nil
}

func newSummary(b *ledger.Batch, digest *snapshot.Digest) *report.Summary {
	s := &report.Summary{Batch: b.ID, ProjectID: b.ProjectID, Created: b.Created, Ended: orNull(b.Ended), Requester: b.Meta.Requester, Reason: b.Meta.Reason,
		Labels: b.Meta.Labels, Shadow: b.Meta.Shadow, Requested: b.Total, Joined: b.Joined,
		Undone: b.Undone, UndoneAt: b.LastUndone(), InFlight: map[string]int{}, Outcomes: map[string]int{}}
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	for _, state := range ledger.InFlight() {
		s.InFlight[string(state)] = b.Counts[state]
	}
	for _, outcome := range ledger.AllOutcomes() {
		s.Outcomes[string(outcome)] = b.Counts[outcome]
	}
	if digest != nil {
		seconds := func(q float64) float64 { return digest.Lag(q).Round(time.Millisecond).Seconds() }
		s.Duration = report.Quantiles{P50: seconds(0.5), P95: seconds(0.95), Max: seconds(1)}
	}
	return s
}

// matches reports whether If-None-Match names a tag.
func matches(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}
