package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
)

// Query selects jobs of a project: those of the default workspace, in an order that
// does not change, by id or by creation. The zero value is the first page of all of them.
type Query struct {
	Stopping bool // only those that are being stopped
	Page     int  // counts from 1; 0 means 1
	PerPage  int  // 1 to the API's page size; 0 means that
}

// Within is q with its defaults, for an API whose pages hold so many jobs. It refuses
// what that has no page for, with the error of Unasked.
func (q Query) Within(pageSize int) (Query, error) {
	var fault error
	switch {
	case q.PerPage < 0 || q.PerPage > pageSize:
		fault = fmt.Errorf("jobs per page must be 1 to %d, not %d", pageSize, q.PerPage)
	case q.Page < 0:
		fault = fmt.Errorf("page must be 1 or more, not %d", q.Page)
	}
	if fault != nil {
		return q, Unasked(OperationList, fault)
	}
	q.Page, q.PerPage = max(q.Page, 1), cmp.Or(q.PerPage, pageSize)
	return q, nil
}

// Page is one page of a list.
type Page struct {
	Jobs []Job // empty past the last page
	// Others are the ids of jobs of the page that are left out, because they are no
	// visualization jobs.
	Others []string
	// Kindless is of how many jobs of the page, others included, the API does not tell
	// the kind, though it has several.
	Kindless int
	// Total is how many jobs match on all pages, others included; 0 if the API does
	// not say.
	Total     int
	RequestID string
}

// Lister reads a list page by page. Every API is one.
type Lister interface {
	List(ctx context.Context, projectID string, q Query) (*Page, error)
}

// mostListed is after how many jobs of one project, others included, All reads no
// further page.
const mostListed = 100_000

var (
	errEndless = errors.New("the list has more than 100,000 jobs, or does not end")
	errNone    = errors.New("the list says how many jobs there are, and shows none of them: ask again later")
)

// All goes through all pages of a project's jobs, one call each, and yields each
// job once, even if the list shifts meanwhile. It ends when it has seen as many
// jobs as match or a page brings no new one. An error is yielded once, as the last
// element, with a zero job. So is a list of more than 100,000 jobs: one that does
// not end must not fill the memory. So is one that shows nothing of what it counts: that
// there is nothing to stop would be a guess.
func All(ctx context.Context, list Lister, projectID string) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		seen := map[string]bool{} // others, too
		for q := (Query{Page: 1}); ; q.Page++ {
			page, err := list.List(ctx, projectID, q)
			if err != nil {
				yield(Job{}, err)
				return
			}
			before := len(seen)
			for _, id := range page.Others {
				seen[id] = true
			}
			for _, job := range page.Jobs {
				if seen[job.ID] {
					continue
				}
				seen[job.ID] = true
				if !yield(job, nil) {
					return
				}
			}
			fail := func(why error) {
				yield(Job{}, &Error{Operation: OperationList, Kind: KindUnavailable, RequestID: page.RequestID, Err: why})
			}
			complete := page.Total > 0 && len(seen) >= page.Total
			switch {
			case len(seen) == 0 && page.Total > 0:
				fail(errNone)
				return
			case complete || len(seen) == before:
				return
			case len(seen) >= mostListed:
				fail(errEndless)
				return
			}
		}
	}
}
