package httpapi

import (
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
	"vizstop/internal/control"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/principals"
)

// The limits of lists and of waiting.
const (
	defaultBatches = 50
	mostBatches    = 1000 // that are looked through
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
	if err := a.refresh(r.Context()); err != nil {
		return err
	}
	most := limit
	if project != "" || state != "" || !p.All() {
		most = mostBatches
	}
	rows, err := a.Desk.NewestBatches(r.Context(), most)
	if err != nil {
		return err
	}
	rows = slices.DeleteFunc(rows, func(b control.BatchRow) bool {
		return !p.Sees(b.ProjectID) || project != "" && b.ProjectID != project || !inState(b, state)
	})
	return write(w, http.StatusOK, batchList{"batches", first(rows, limit)})
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

// first is the rows of so many batches: each has a row for each of its projects.
func first(rows []control.BatchRow, most int) []control.BatchRow {
	seen := map[string]bool{}
	for i, r := range rows {
		if seen[r.Batch] = true; len(seen) > most {
			return rows[:i]
		}
	}
	return rows
}

// batch finds the batch of a request, as far as the principal sees its projects.
func (a *api) batch(r *http.Request) (*control.Batch, error) {
	id := r.PathValue("batch")
	unknown := problem.New(problem.NotFound, "The ledger knows no batch of this id: it is wrong, nothing was recorded, or the batch ended longer ago than the workers' --retention.")
	if ledger.ValidateBatch(id) != nil {
		return nil, unknown
	}
	b, err := a.Desk.Batch(r.Context(), id)
	if _, is := errors.AsType[*control.UnknownError](err); is {
		return nil, unknown
	}
	if err != nil {
		return nil, err
	}
	p := principals.FromContext(r.Context())
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
	b, err := a.batch(r)
	if err != nil {
		return err
	}
	tag, err := a.await(r.Context(), b, r.Header.Get("If-None-Match"), wait)
	if err != nil {
		return err
	}
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache") // to be kept, and asked for again each time
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	status, err := b.Status(r.Context())
	if err != nil {
		return err
	}
	return write(w, http.StatusOK, status)
}

// await waits until a batch has ended or does not stand as known says, or has changed since the first look if nothing
// is known. It returns the tag of how it stands.
func (a *api) await(ctx context.Context, b *control.Batch, known string, wait time.Duration) (tag string, err error) {
	over := time.NewTimer(wait)
	defer over.Stop()
	step := time.NewTicker(waitStep)
	defer step.Stop()
	for {
		if err := a.refresh(ctx); err != nil {
			return "", err
		}
		now, ended, err := a.tag(ctx, b)
		if err != nil {
			return "", err
		}
		if known == "" {
			known = now
		}
		if ended || !matches(known, now) || wait == 0 {
			return now, nil
		}
		select {
		case <-step.C:
		case <-over.C:
			return now, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// tag names how a batch stands. It is weak: when the batch is expected to end changes with time alone.
func (a *api) tag(ctx context.Context, b *control.Batch) (tag string, ended bool, err error) {
	sum := sha256.New()
	ended = true
	for _, project := range b.Projects {
		counts, err := b.Ledger.Batch(ctx, project, b.ID)
		if err != nil {
			return "", false, err
		}
		ended = ended && counts.InFlight() == 0
		fmt.Fprintln(sum, project, counts.Counts, counts.Joined, counts.Ended.UnixMilli(), counts.Confirmed, counts.Meta)
	}
	if !ended {
		why, err := b.Why(ctx)
		if err != nil {
			return "", false, err
		}
		fmt.Fprintf(sum, "%q", why)
	}
	return `W/"` + hex.EncodeToString(sum.Sum(nil)[:12]) + `"`, ended, nil
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
