package tasks

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
)

// rollCall finds out, page by page, which watched jobs a project's list of
// stopping jobs no longer holds.
//
// A list that shrinks while it is read moves jobs from the page to come to the
// page just read, where nobody sees them. Pages are in the order of ids, so such
// a job lies between the last id of one page and the first of the next. What
// lies there and was not seen is in doubt, and left to the next screen.
type rollCall struct {
	watched []ledger.Watched
	missing map[string]bool // jobs to be looked for now, and not seen yet

	pages, jobs, strays int // strays: jobs with another status than was asked for
	total               int
	lastID              int64
	gaps                []idGap
	ordered             bool
	done                bool
}

// idGap is what lies between two pages, both ends excluded.
type idGap struct{ from, to int64 }

// newRollCall looks for the jobs that are to be looked for at now.
func newRollCall(watched []ledger.Watched, now time.Time) *rollCall {
	r := &rollCall{watched: watched, missing: make(map[string]bool), ordered: true}
	for _, w := range watched {
		if w.From.After(now) {
			break // in the order of From
		}
		r.missing[w.JobID] = true
	}
	r.done = len(r.missing) == 0
	return r
}

const perPage = 100

// maxPages bounds a list: more stopping jobs than this are not screened.
const maxPages = 2000

func (r *rollCall) complete() bool { return r.done }

// query is that of the page to read next.
func (r *rollCall) query() modelarts.ListQuery {
	status := modelarts.StatusKilling
	return modelarts.ListQuery{Status: &status, Page: r.pages + 1, PerPage: perPage, SortBy: "job_id", Order: "asc"}
}

// take goes through one page.
func (r *rollCall) take(page *modelarts.JobPage) {
	for i, job := range page.Jobs {
		id, err := strconv.ParseInt(job.ID, 10, 64)
		if err != nil || id <= r.lastID {
			r.ordered = false
		}
		if i == 0 && r.pages > 0 {
			r.gaps = append(r.gaps, idGap{r.lastID, id})
		}
		r.lastID = id
		if job.Status == modelarts.StatusKilling {
			delete(r.missing, job.ID)
		} else {
			r.strays++
		}
	}
	r.pages++
	r.jobs += len(page.Jobs)
	r.total = page.TotalCount
	r.done = len(page.Jobs) < perPage || r.total > 0 && r.jobs >= r.total || r.pages >= maxPages
}

var errUnfiltered = errors.New("the list does not keep to the status that was asked for")

// trouble says why the list can't be used; nil if it can.
func (r *rollCall) trouble() error {
	switch {
	case r.strays > r.jobs/10:
		return errUnfiltered
	case r.pages >= maxPages:
		return fmt.Errorf("%w: more than %d pages", errUnfiltered, maxPages)
	default:
		return nil
	}
}

// result parts what has left from what has not.
func (r *rollCall) result() sighting {
	seen := sighting{pages: r.pages}
	for _, w := range r.watched {
		if r.missing[w.JobID] && !r.inDoubt(w.JobID) {
			seen.left = append(seen.left, w)
		} else {
			seen.stopping = append(seen.stopping, w)
		}
	}
	return seen
}

func (r *rollCall) inDoubt(job string) bool {
	if !r.ordered {
		return false // nothing is known of where it would stand: a detail call tells
	}
	id, err := strconv.ParseInt(job, 10, 64)
	return err == nil && slices.ContainsFunc(r.gaps, func(g idGap) bool { return g.from < id && id < g.to })
}

// listRefused reports whether the project's list is of no use although other
// calls may be: it is forbidden, not offered, or not what was asked for.
func listRefused(err error) bool {
	if errors.Is(err, errUnfiltered) {
		return true
	}
	switch modelarts.KindOf(err) {
	case modelarts.KindPermission, modelarts.KindNoAPI, modelarts.KindNotFound, modelarts.KindInvalid, modelarts.KindNotAllowed:
		return true
	default:
		return false
	}
}
