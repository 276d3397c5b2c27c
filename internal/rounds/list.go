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
)

// Lists is the part of the API that list checks call.
type Lists interface {
	List(ctx context.Context, projectID string, q jobs.Query) (*jobs.Page, error)
	PageSize(projectID string) int
}

const (
	// maxPages bounds a list: with more stopping jobs than this it is of no use.
	maxPages = 1000
	// pagesAtOnce is how many pages of one list are read at the same time.
	pagesAtOnce = 16
	// A page has a short time, and a second one if it fails: nobody waits for a slow
	// list, because each watched stop has a look of its own in the end.
	pageTime, pageTimeAgain = time.Second, 2 * time.Second
)

// listCheck finds out which watched jobs have left the list of a project's stopping
// jobs. What the list shows is noted as seen; what it does not show is looked at in
// the next rounds. ill says that calls of the project have failed lately.
func (l *Loop) listCheck(ctx context.Context, projectID string, known release.ListState, ill bool) {
	account := l.Release.Account(projectID)
	l.setChecking(projectID, true)
	defer l.setChecking(projectID, false)
	check, err := l.check(ctx, projectID, known)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		check.Result, check.Why = release.ListFailed, err.Error()
		if listRefused(err) {
			check.Result = release.ListUseless
		}
	}
	var rerr error
	if err == nil && ill { // the API answers
		_, rerr = l.Release.Report(ctx, release.Call{ProjectID: projectID, At: check.Began, Account: account, Ill: true}, nil)
	}
	check, cerr := l.Release.ListChecked(ctx, projectID, check)
	rerr = errors.Join(rerr, cerr)
	l.Recorder.ListChecked(string(check.Result))
	switch {
	case rerr != nil:
		l.Logger.WarnContext(ctx, "a list check was not noted", "project", projectID, "error", rerr)
	case check.Result == release.ListFailed || check.Result == release.ListUseless:
		l.Logger.WarnContext(ctx, "list check "+string(check.Result), "project", projectID, "pages", check.Pages, "reason", check.Why)
	default:
		l.Logger.DebugContext(ctx, "list check "+string(check.Result), "project", projectID, "jobs", check.Jobs, "left", check.Left,
			"pages", check.Pages, "next", check.Next)
	}
	l.Pull(projectID, 0)
}

func (l *Loop) setChecking(projectID string, checking bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if checking {
		l.checking[projectID] = true
	} else {
		delete(l.checking, projectID)
	}
}

// check reads the list, unless its length alone says that this is not worth the
// calls yet.
func (l *Loop) check(ctx context.Context, projectID string, known release.ListState) (release.ListCheck, error) {
	c := release.ListCheck{Check: known.Check, Began: l.Member.Now(), Result: release.ListPeeked, Peek: true,
		Pages: known.Pages}
	p := pace{usual: l.Handlers.Usual(ctx, projectID), rate: l.Release.Rate(projectID)}
	c.Next, c.Unpaid = p.quiet(known, 0, c.Began), -known.Paid()
	if p.mayPeek(known, c.Began, l.unseen()) {
		c.Unpaid++
		page, err := l.readPage(ctx, projectID, known.Check, 1, 1)
		if err != nil {
			return c, err
		}
		c.Jobs, c.Left = page.Total, min(max(0, known.Watched-(page.Total-known.Others)), known.Watched)
		if next, peek := p.peeked(known, c.Left, c.Jobs, c.Began); next > 0 {
			c.Next, c.Peek = next, peek
			return c, nil
		}
	}
	c.Result = release.ListRead
	list, err := l.readList(ctx, projectID, c.Began, known)
	c.Pages, c.Jobs = list.pages, list.total
	c.Unpaid += max(known.Pages, list.pages)
	// While a list grows some jobs change pages unseen, but its length tells.
	c.Left = max(0, known.Watched-max(list.watched, list.total-known.Others))
	known.Pages = c.Pages
	if c.Next = p.quiet(known, c.Jobs, c.Began); err == nil {
		c.Next, c.Peek = p.read(known, c.Left, c.Jobs, c.Began)
	}
	return c, err
}

// unseen is for how long the list may not show a watched job until it is looked at
// by itself.
func (l *Loop) unseen() time.Duration { return max(l.Schedule.PollFirst, time.Second) + 2*mostInterval }

// list is what reading one has shown.
type list struct {
	total, pages int
	watched      int // jobs shown that are watched
}

// readList reads every page of the list, of which so many are expected. A list that
// shrinks while it is read moves jobs to earlier pages; so pages are read from the
// last to the first. Several are read at the same time, though, and a list may grow:
// where a job may have moved unseen is a seam.
func (l *Loop) readList(ctx context.Context, projectID string, began time.Time, known release.ListState) (list, error) {
	pages := known.Pages
	r := reading{loop: l, projectID: projectID, check: known.Check, perPage: l.Lists.PageSize(projectID), began: began}
	err := r.pages(ctx, 1, pages)
	if more := (r.total + r.perPage - 1) / r.perPage; err == nil && more > pages { // it has grown
		if more > maxPages {
			return list{r.total, pages, r.watched}, fmt.Errorf("%w: %d pages, more than %d", errUnfiltered, more, maxPages)
		}
		err = r.pages(ctx, pages+1, more)
	}
	if err == nil && (known.Read.IsZero() || began.Sub(known.Read) <= mostInterval) { // or it has waited long enough
		l.keepSeams(projectID, began, r.read, began.Sub(known.Joined) < joining)
	}
	return list{r.total, max(1, (r.total+r.perPage-1)/r.perPage), r.watched}, err
}

// reading is a list that is being read.
type reading struct {
	loop      *Loop
	projectID string
	check     int64 // its number
	perPage   int
	began     time.Time

	mu      sync.Mutex
	total   int // jobs in all
	watched int // jobs shown that are watched
	read    []shown
}

// pages reads some pages, the last first.
func (r *reading) pages(ctx context.Context, first, last int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(pagesAtOnce)
	for n := last; n >= first; n-- {
		group.Go(func() error {
			page, err := r.loop.readPage(ctx, r.projectID, r.check, n, r.perPage)
			if err != nil {
				return err
			}
			watched, err := r.loop.seen(ctx, r.projectID, page, r.began)
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

var errUnfiltered = errors.New("the list does not keep to the status that was asked for")

// seen notes the jobs of a page, and returns how many of them are watched.
func (l *Loop) seen(ctx context.Context, projectID string, page *jobs.Page, began time.Time) (watched int, err error) {
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
	return l.Release.Seen(ctx, projectID, ids, began)
}

// readPage reads one page of that many jobs for the check of that number, with a second try.
func (l *Loop) readPage(ctx context.Context, projectID string, check int64, n, perPage int) (page *jobs.Page, err error) {
	query := jobs.Query{Stopping: true, Page: n, PerPage: perPage}
	for _, limit := range []time.Duration{pageTime, pageTimeAgain} {
		slot, noSlot := l.Slots.AcquirePage(ctx, projectID)
		if noSlot != nil {
			return nil, noSlot
		}
		if lerr := l.Release.Listing(ctx, projectID, check, limit); lerr != nil {
			slot.Free()
			return nil, lerr
		}
		at, account := l.Member.Now(), l.Release.Account(projectID)
		callCtx, cancel := context.WithTimeout(ctx, limit)
		page, err = l.Lists.List(callCtx, projectID, query)
		cancel()
		if jobs.KindOf(err) == jobs.KindCredentials {
			l.Release.Doubt(account)
		}
		slot.Free()
		if jobs.KindOf(err) == jobs.KindThrottled { // that says something about other calls, too
			if _, rerr := l.Release.Report(ctx, release.Call{ProjectID: projectID, At: at, Account: account}, err); rerr != nil {
				return nil, rerr
			}
			return nil, err
		}
		if err == nil || listRefused(err) || ctx.Err() != nil {
			return page, err
		}
	}
	return page, err
}

// listRefused reports whether the project's list is of no use although other
// calls may be: it is forbidden, not offered, or not what was asked for. After a
// refused credential it is left alone, or it would lock an access key.
func listRefused(err error) bool {
	if errors.Is(err, errUnfiltered) {
		return true
	}
	switch jobs.KindOf(err) {
	case jobs.KindCredentials, jobs.KindPermission, jobs.KindNoAPI, jobs.KindNotFound, jobs.KindInvalid, jobs.KindNotAllowed:
		return true
	default:
		return false
	}
}
