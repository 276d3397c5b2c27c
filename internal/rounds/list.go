package rounds

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/release"
)

// Lists is the part of the API that list checks call.
type Lists interface {
	ListVisualizationJobs(ctx context.Context, projectID string, q modelarts.ListQuery) (*modelarts.JobPage, error)
}

const (
	perPage = 100
	// maxPages bounds a list: with more stopping jobs than this it is of no use.
	maxPages = 1000
	// pagesAtOnce is how many pages of one list are read at the same time.
	pagesAtOnce = 8
	// A page has a short time, and a second one if it fails: nobody waits for a slow
	// list, because each watched stop has a look of its own in the end.
	pageTime, pageTimeAgain = time.Second, 2 * time.Second
)

// listCheck reads the list of a project's stopping jobs. What it shows is noted as
// seen; what it does not show is looked at in the next rounds. ill says that calls
// of the project have failed lately.
func (l *Loop) listCheck(ctx context.Context, projectID string, ill bool) {
	check := release.ListCheck{Began: l.Member.Now(), Result: release.ListRead}
	jobs, pages, err := l.readList(ctx, projectID, check.Began)
	check.Pages, check.Jobs, check.Next = pages, jobs, l.interval(ctx, projectID, jobs, pages)
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
		_, rerr = l.Release.Report(ctx, release.Call{ProjectID: projectID, At: check.Began, Ill: true}, nil)
	}
	useless, cerr := l.Release.ListChecked(ctx, projectID, check)
	rerr = errors.Join(rerr, cerr)
	if useless {
		check.Result = release.ListUseless
	}
	l.Recorder.ListChecked(string(check.Result))
	switch {
	case rerr != nil:
		l.Logger.WarnContext(ctx, "a list check was not noted", "project", projectID, "error", rerr)
	case check.Result != release.ListRead:
		l.Logger.WarnContext(ctx, "list check "+string(check.Result), "project", projectID, "pages", pages, "reason", check.Why)
	default:
		l.Logger.DebugContext(ctx, "list check read", "project", projectID, "jobs", jobs, "pages", pages, "next", check.Next)
	}
	l.Pull(projectID, 0)
}

// readList reads every page of the list. A list that shrinks while it is read
// moves jobs to earlier pages; so pages are read from the last to the first, and
// such a job is seen twice rather than never.
func (l *Loop) readList(ctx context.Context, projectID string, began time.Time) (jobs, pages int, err error) {
	l.mu.Lock()
	pages = max(1, l.lists[projectID])
	l.mu.Unlock()
	total, err := l.readPages(ctx, projectID, began, 1, pages)
	if more := (total + perPage - 1) / perPage; err == nil && more > pages { // it has grown
		if more > maxPages {
			return total, pages, fmt.Errorf("%w: %d pages, more than %d", errUnfiltered, more, maxPages)
		}
		_, err = l.readPages(ctx, projectID, began, pages+1, more)
		pages = more
	}
	l.mu.Lock()
	l.lists[projectID] = max(1, (total+perPage-1)/perPage)
	if total == 0 {
		delete(l.lists, projectID)
	}
	l.mu.Unlock()
	return total, pages, err
}

// readPages reads some pages, the last first, and returns how many jobs the list
// has in all.
func (l *Loop) readPages(ctx context.Context, projectID string, began time.Time, first, last int) (total int, err error) {
	var mu sync.Mutex
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(pagesAtOnce)
	for n := last; n >= first; n-- {
		group.Go(func() error {
			page, err := l.readPage(groupCtx, projectID, n)
			if err != nil {
				return err
			}
			mu.Lock()
			total = max(total, page.TotalCount, (n-1)*perPage*min(1, len(page.Jobs))+len(page.Jobs))
			mu.Unlock()
			return l.seen(groupCtx, projectID, page, began)
		})
	}
	err = group.Wait()
	return total, err
}

var errUnfiltered = errors.New("the list does not keep to the status that was asked for")

// seen notes the jobs of a page.
func (l *Loop) seen(ctx context.Context, projectID string, page *modelarts.JobPage, began time.Time) error {
	ids, strays := make([]string, 0, len(page.Jobs)), 0
	for _, job := range page.Jobs {
		if job.Status == modelarts.StatusKilling {
			ids = append(ids, job.ID)
		} else {
			strays++
		}
	}
	if strays > len(page.Jobs)/10 {
		return errUnfiltered
	}
	return l.Release.Seen(ctx, projectID, ids, began)
}

// readPage reads one page, with a second try.
func (l *Loop) readPage(ctx context.Context, projectID string, n int) (page *modelarts.JobPage, err error) {
	status := modelarts.StatusKilling
	query := modelarts.ListQuery{Status: &status, Page: n, PerPage: perPage, SortBy: "job_id", Order: "asc"}
	for _, limit := range []time.Duration{pageTime, pageTimeAgain} {
		slot, noSlot := l.Slots.Acquire(ctx, projectID, true)
		if noSlot != nil {
			return nil, noSlot
		}
		at := l.Member.Now()
		callCtx, cancel := context.WithTimeout(ctx, limit)
		page, err = l.Lists.ListVisualizationJobs(callCtx, projectID, query)
		cancel()
		slot.Free()
		if modelarts.KindOf(err) == modelarts.KindThrottled { // that says something about other calls, too
			if _, rerr := l.Release.Report(ctx, release.Call{ProjectID: projectID, At: at}, err); rerr != nil {
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
// calls may be: it is forbidden, not offered, or not what was asked for. A refused
// credential is not told to the fleet: the calls of stops say whether it is that
// or the list. But the list is left alone, or it would lock an access key.
func listRefused(err error) bool {
	if errors.Is(err, errUnfiltered) {
		return true
	}
	switch modelarts.KindOf(err) {
	case modelarts.KindCredentials, modelarts.KindPermission, modelarts.KindNoAPI, modelarts.KindNotFound, modelarts.KindInvalid, modelarts.KindNotAllowed:
		return true
	default:
		return false
	}
}

// List checks come so often that each call finds several jobs that have stopped.
const (
	// listCost is how many list calls may be spent on a job that is about to stop.
	listCost      = 0.08
	leastInterval = 250 * time.Millisecond
	mostInterval  = 2500 * time.Millisecond
	// listShare is the part of a known rate that list calls may take.
	listShare = 0.2
)

// interval is how long to wait for the next list check: until the jobs that are
// expected to stop meanwhile are worth the calls, within limits.
func (l *Loop) interval(ctx context.Context, projectID string, jobs, pages int) time.Duration {
	usual := l.Handlers.Usual(ctx, projectID)
	if jobs == 0 {
		return min(max(usual/2, leastInterval), time.Second)
	}
	worth := time.Duration(float64(pages) / (listCost * float64(jobs)) * float64(usual))
	next := min(max(worth, leastInterval), mostInterval)
	if rate := l.Release.Rate(); rate > 0 {
		next = max(next, time.Duration(float64(pages)/(listShare*rate)*float64(time.Second)))
	}
	return next
}

// take takes stops without a task. Each that it returns, also with an error, is at
// work until the caller ends that.
func (l *Loop) take(ctx context.Context, projectID string, stops []ledger.Member) ([]release.Claimed, error) {
	for _, s := range stops {
		l.Handlers.AtWork.Begin(s.StopID)
	}
	claimed, err := l.Release.Take(ctx, projectID, stops)
	for _, c := range claimed {
		l.Handlers.AtWork.Begin(c.Stop.ID)
	}
	for _, s := range stops {
		l.Handlers.AtWork.End(s.StopID)
	}
	return claimed, err
}

// lookAt looks at jobs that the list has not shown.
func (l *Loop) lookAt(ctx context.Context, projectID string, left []release.Sighting) {
	jobs, seen := make([]string, len(left)), make(map[string]release.Sighting, len(left))
	for i, s := range left {
		jobs[i], seen[s.JobID] = s.JobID, s
	}
	l.inline.Add(int64(len(jobs)))
	waiting := len(jobs) // that count as inline
	defer func() { l.inline.Add(int64(-waiting)) }()
	ids, err := l.Ledger.Active(ctx, projectID, jobs)
	if err != nil {
		l.Logger.WarnContext(ctx, "jobs that have left the list are looked at later", "project", projectID, "error", err)
		return
	}
	watched := make([]ledger.Member, len(jobs))
	for i, job := range jobs {
		watched[i] = ledger.Member{StopID: ids[i], JobID: job}
	}
	claimed, err := l.take(ctx, projectID, watched)
	if err != nil {
		l.Logger.WarnContext(ctx, "jobs that have left the list are looked at later", "project", projectID, "error", err)
	}
	waiting -= len(claimed)
	var group errgroup.Group
	for _, c := range claimed {
		group.Go(func() error {
			defer l.inline.Add(-1)
			defer l.Handlers.AtWork.End(c.Stop.ID)
			return l.Handlers.Looker.Left(ctx, c, seen[c.Stop.JobID])
		})
	}
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		l.Logger.WarnContext(ctx, "a job that has left the list was not looked at", "project", projectID, "error", err)
	}
}
