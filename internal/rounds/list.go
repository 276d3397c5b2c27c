package rounds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/release"
)

// Lists is the part of the API that list checks call.
type Lists interface {
	List(ctx context.Context, projectID string, q jobs.Query) (*jobs.Page, error)
	PageSize(projectID string) int
}

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
		if check.Starved {
			err = fmt.Errorf("no page got a slot: %w", err)
			check.Next = min(check.Next, starvedWait)
		}
		check.Result, check.Why = failure(err, check.Pages), err.Error()
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
	case check.Result == release.ListLong:
		l.Logger.InfoContext(ctx, "list check long", "project", projectID, "reason", check.Why)
	case check.Result == release.ListFailed || check.Result == release.ListUseless:
		l.Logger.WarnContext(ctx, "list check "+string(check.Result), "project", projectID, "calls", check.Unpaid+known.Paid(), "reason", check.Why)
	default:
		l.Logger.DebugContext(ctx, "list check "+string(check.Result), "project", projectID, "jobs", check.Jobs, "left", check.Left,
			"calls", check.Unpaid+known.Paid(), "next", check.Next)
	}
	l.Pull(projectID, 0)
}

// starvedWait is how soon a list is checked again of which no page got a slot: that told nothing.
const starvedWait = time.Second

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
	r := reading{loop: l, projectID: projectID, check: known.Check, perPage: l.Lists.PageSize(projectID), began: c.Began}
	err := l.peekOrRead(ctx, &r, known, &c)
	if err == nil { // pace counts from one check's beginning to that of the next, less the time that others had slots
		c.Next = max(c.Next-max(0, l.Member.Now().Sub(c.Began)-r.waited), leastPause)
	}
	c.Unpaid = r.calls - known.Paid()
	c.Starved = errors.Is(err, errSlow) && r.pageCalls == 0
	return c, err
}

func (l *Loop) peekOrRead(ctx context.Context, r *reading, known release.ListState, c *release.ListCheck) error {
	p := pace{usual: l.Handlers.Usual(ctx, r.projectID), rate: known.Rate}
	c.Next = p.quiet(known, 0, c.Began)
	if p.mayPeek(known, r.pagesOf(known.Watched), c.Began, l.unseen()) {
		page, err := r.page(ctx, 1, 1)
		if err != nil {
			return err
		}
		known.Pages = r.pagesOf(page.Total)
		c.Pages = known.Pages
		c.Jobs, c.Left = page.Total, min(max(0, known.Watched-(page.Total-known.Others)), known.Watched)
		if next, peek := p.peeked(known, c.Left, c.Jobs, c.Began); next > 0 {
			c.Next, c.Peek = next, peek
			c.Pages = r.pagesOf(c.Jobs - following(known, *c))
			return nil
		}
	}
	c.Result = release.ListRead
	pages, err := r.all(ctx, known)
	c.Pages, c.Jobs = pages, r.total
	shown := r.watched
	if pages > 1 { // a few may have changed pages unseen, but the length tells. Of more, others have joined
		shown = max(shown, min(r.total-known.Others, shown+whileGrowing))
	}
	c.Left = max(0, known.Watched-shown)
	known.Pages = pages
	if c.Next = p.quiet(known, c.Jobs, c.Began); err == nil {
		c.Next, c.Peek = p.read(known, c.Left, c.Jobs, c.Began)
		c.Pages = r.pagesOf(c.Jobs - following(known, *c))
	}
	return err
}

// unseen is for how long the list may not show a watched job until it is looked at
// by itself.
func (l *Loop) unseen() time.Duration { return max(l.Schedule.PollFirst, time.Second) + 2*mostInterval }

// failure is how a check of a list of so many pages has ended that failed with err.
func failure(err error, pages int) release.ListResult {
	switch {
	case errors.Is(err, errLong) && pages <= maxPages:
		return release.ListLong
	case errors.Is(err, errLong), listRefused(err):
		return release.ListUseless
	default:
		return release.ListFailed
	}
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
