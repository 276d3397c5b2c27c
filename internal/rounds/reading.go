package rounds

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"vizstop/internal/jobs"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

const (
	// pagesAtOnce is how many pages of one list are read at the same time.
	pagesAtOnce = 16
	// maxPages bounds a list: with more stopping jobs than this it is of no use.
	maxPages = 1000
	// leastPages are read however few jobs are watched.
	leastPages = 3
	// extensions is how often a reading goes on with the pages by which a list has grown.
	extensions = 2
	// longWait: who may have left a list so long ago is not passed over for the next one.
	longWait = 7 * time.Second
)

var (
	errUnfiltered = errors.New("the list does not keep to the status that was asked for")
	errLong       = errors.New("the list is so long that looks at single jobs cost fewer calls")
	errSlow       = errors.New("the list takes too long to read")
)

// reading is a list that is being read.
type reading struct {
	loop      *Loop
	projectID string
	check     int64 // its number
	perPage   int
	began     time.Time

	mu        sync.Mutex
	asked     bool          // a call has asked for a slot
	waited    time.Duration // how long the first one waited for it: others had the slots
	calls     int           // list calls that were made
	pageCalls int           // those of them for pages, rather than for the length
	total     int           // jobs in all
	watched   int           // jobs shown that are watched
	read      []shown
}

// readTime is how long a list may take in all: while it is read nobody is looked at for
// being unseen. Tests set it.
var readTime = 10 * time.Second

// all reads every page of the list, of which so many are expected, and returns how many
// there are. A list that shrinks while it is read moves jobs to earlier pages; so pages
// are read from the last to the first. Several are read at the same time, though, and a
// list may grow: where a job may have moved unseen is a seam. It is an error if looks at
// the watched jobs would cost fewer calls.
func (r *reading) all(ctx context.Context, known release.ListState) (pages int, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, readTime, errSlow)
	defer cancel()
	expected := min(known.Pages, r.pagesOf(known.Watched+known.Others)) // it may have shrunk since
	for range 1 + extensions {
		more := max(expected, r.pagesOf(r.total))
		if err != nil || more <= pages {
			break
		}
		if most := min(maxPages, max(known.Watched, r.watched, leastPages)); more > most {
			return more, fmt.Errorf("%w: it has %d pages, and %d jobs are watched", errLong, more, known.Watched)
		}
		err = r.pages(ctx, pages+1, more)
		pages = more
	}
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errSlow) {
		err = cause
	}
	if err == nil {
		r.loop.keepSeams(r.projectID, r.began, r.seams(known))
	}
	return r.pagesOf(r.total), err
}

// seams are the gaps between the pages, unless nobody knows for so long who has left the list
// that nobody who is missed may wait for the next one.
func (r *reading) seams(known release.ListState) []*gap {
	last := known.Since
	if r.began.Sub(known.Joined) < joining { // looks at its length may have missed who left it
		last = known.Read
	}
	if !last.IsZero() && r.began.Sub(last) > longWait {
		return nil
	}
	return findSeams(r.read, r.began.Sub(known.Joined) < joining)
}

// pagesOf is how many pages so many jobs have; at least one, and no more than one too many.
func (r *reading) pagesOf(total int) int {
	return max(1, (min(total, maxPages*r.perPage+1)+r.perPage-1)/r.perPage)
}

// pages reads some pages, the last first.
func (r *reading) pages(ctx context.Context, first, last int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(pagesAtOnce)
	for n := last; n >= first; n-- {
		group.Go(func() error {
			page, err := r.page(ctx, n, r.perPage)
			if err != nil {
				return err
			}
			watched, err := r.seen(ctx, page)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.total = max(r.total, page.Total, (n-1)*r.perPage*min(1, len(page.Jobs))+len(page.Jobs))
			r.watched += watched
			r.read = append(r.read, showing(n, page, r.perPage))
			return err
		})
	}
	return group.Wait()
}

// seen notes the jobs of a page, and returns how many of them are watched.
func (r *reading) seen(ctx context.Context, page *jobs.Page) (watched int, err error) {
	ids, strays := make([]string, 0, len(page.Jobs)), 0
	for _, job := range page.Jobs {
		if job.Status.State == jobs.Stopping {
			ids = append(ids, job.ID)
		} else {
			strays++
		}
	}
	if strays > len(page.Jobs)/10 {
		return 0, errUnfiltered
	}
	return r.loop.Release.Seen(ctx, r.projectID, ids, r.began)
}

// page reads one page of that many jobs. Nobody waits for a slow list, because each
// watched stop has a look of its own in the end.
func (r *reading) page(ctx context.Context, n, perPage int) (*jobs.Page, error) {
	query := jobs.Query{Stopping: true, Page: n, PerPage: perPage}
	patience, times := r.loop.listTimes.patience(r.projectID, r.loop.Slots.LookTimeOf(r.projectID))
	return hedged(ctx, patience, times, func(ctx context.Context, limit time.Duration, begun func()) (*jobs.Page, error) {
		page, err := r.try(ctx, query, limit, begun)
		if err != nil && (listRefused(err) || jobs.KindOf(err) == jobs.KindThrottled) {
			err = finalError{err}
		}
		return page, err
	})
}

// slot waits for the slot of a call. The first one's wait is noted: later ones may wait for the same list's other
// pages.
func (r *reading) slot(ctx context.Context) (*tasks.Slot, error) {
	began := time.Now()
	r.mu.Lock()
	first := !r.asked
	r.asked = true
	r.mu.Unlock()
	slot, err := r.loop.Slots.AcquirePage(ctx, r.projectID)
	if first && err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waited = time.Since(began)
	}
	return slot, err
}

// try makes one list call with a time limit, once it has a slot.
func (r *reading) try(ctx context.Context, query jobs.Query, limit time.Duration, begun func()) (*jobs.Page, error) {
	l := r.loop
	slot, err := r.slot(ctx)
	if err != nil {
		return nil, err
	}
	defer slot.Free()
	if err := l.Release.Listing(ctx, r.projectID, r.check, limit); err != nil {
		return nil, finalError{err}
	}
	begun()
	r.mu.Lock()
	r.calls++
	if query.PerPage > 1 {
		r.pageCalls++
	}
	r.mu.Unlock()
	began, at, account := time.Now(), l.Member.Now(), l.Release.Account(r.projectID)
	callCtx, cancel := context.WithTimeout(ctx, limit)
	page, err := l.Lists.List(callCtx, r.projectID, query)
	cancel()
	switch jobs.KindOf(err) {
	case jobs.KindCredentials:
		l.Release.Doubt(account)
	case jobs.KindThrottled: // that says something about other calls, too
		slot.Free()
		if _, rerr := l.Release.Report(ctx, release.Call{ProjectID: r.projectID, At: at, Account: account}, err); rerr != nil {
			return nil, finalError{rerr}
		}
	}
	if err == nil && query.PerPage > 1 { // a look at its length takes less than a page
		l.listTimes.took(r.projectID, time.Since(began))
	}
	return page, err
}
