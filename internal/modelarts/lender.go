package modelarts

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"vizstop/internal/jobs"
)

const (
	// minUse keeps a wrong clock, by which all that IAM lends has expired, from
	// turning each call into a login.
	minUse = time.Minute
	// refusalMemory is how long a refused login is not tried again.
	refusalMemory = 30 * time.Second
	// spare is for how long after it should have been renewed what was lent is used while IAM does not answer. The
	// API tells if it has ended.
	spare = renewBefore
	// spareWait is how long a call that has it in hand waits for a login: IAM may hang.
	spareWait = time.Second
	// loginTimeout bounds a login, which must outlive the call that began it.
	loginTimeout = 30 * time.Second
)

// allProjects is where a refusal is remembered that is about who we are, and
// where that is kept which is for no one project.
const allProjects = ""

// lender keeps what IAM lends for a time, one thing for each project. Concurrent
// calls share one login, and a call that gives up does not end it for the others.
// A login that is refused is answered from memory for a while.
type lender[T any] struct {
	// fetch asks IAM once. It also returns when to renew what it got.
	fetch   func(ctx context.Context, c *Client, project string) (value T, renewAt time.Time, err error)
	flights singleflight.Group // by project: who needs something waits for the login under way
	turn    sync.Mutex         // one login at a time, so that a wrong password is tried once

	mu       sync.Mutex
	loans    map[string]loan[T] // by project
	refusals map[string]refusal // by project, or allProjects
}

type loan[T any] struct {
	value   T
	renewAt time.Time
	endsAt  time.Time // until when it is used in need
}

type refusal struct {
	err   *jobs.Error
	until time.Time
}

func newLender[T any](fetch func(context.Context, *Client, string) (T, time.Time, error)) *lender[T] {
	return &lender[T]{fetch: fetch, loans: map[string]loan[T]{}, refusals: map[string]refusal{}}
}

// get waits for a login if need be, but no longer than ctx.
func (l *lender[T]) get(ctx context.Context, c *Client, project string) (T, error) {
	if value, known, err := l.remembered(project, c.now()); known {
		return value, err
	}
	login := l.flights.DoChan(project, func() (any, error) {
		return l.login(context.WithoutCancel(ctx), c, project)
	})
	inHand, late := l.inHand(project, c.now())
	select {
	case <-late:
		l.defers(project, c.now())
		return inHand, nil
	case <-ctx.Done():
		var none T
		return none, interrupted(ctx, jobs.OperationToken, false)
	case result := <-login:
		value, _ := result.Val.(T)
		return value, copyOf(result.Err)
	}
}

// login fetches something and remembers how that went.
func (l *lender[T]) login(ctx context.Context, c *Client, project string) (T, error) {
	l.turn.Lock()
	defer l.turn.Unlock()
	if value, known, err := l.remembered(project, c.now()); known {
		return value, err
	}
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	value, renewAt, err := l.fetch(ctx, c, project)
	if err != nil {
		if spared, ok := l.spared(project, err, c.now()); ok {
			return spared, nil
		}
		l.refused(project, err, c.now())
		return value, err
	}
	l.keep(project, value, renewAt, c.now())
	return value, nil
}

// remembered is the answer that needs no login, if known.
func (l *lender[T]) remembered(project string, now time.Time) (value T, known bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one, ok := l.loans[project]; ok && now.Before(one.renewAt) {
		return one.value, true, nil
	}
	for _, key := range []string{project, allProjects} {
		if r, ok := l.refusals[key]; ok && now.Before(r.until) {
			return value, true, copyOf(r.err)
		}
	}
	return value, false, nil
}

// spared is what is in hand, where IAM did not answer whether there is another one: for a while it is not asked again.
func (l *lender[T]) spared(project string, err error, now time.Time) (value T, ok bool) {
	switch jobs.KindOf(err) {
	case jobs.KindThrottled, jobs.KindUnavailable, jobs.KindUnreachable, jobs.KindTimeout, jobs.KindDisconnected:
	default:
		return value, false
	}
	return l.defers(project, now)
}

// inHand is what was lent and lives, and when to use it rather than to wait for a login; never, if there is none.
func (l *lender[T]) inHand(project string, now time.Time) (value T, late <-chan time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one, ok := l.loans[project]; ok && now.Before(one.endsAt) {
		return one.value, time.After(spareWait)
	}
	return value, nil
}

// defers has what is in hand used for a while, if it lives.
func (l *lender[T]) defers(project string, now time.Time) (value T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one, ok := l.loans[project]
	if !ok || !now.Before(one.endsAt) {
		return value, false
	}
	if soon := now.Add(refusalMemory); one.renewAt.Before(soon) {
		one.renewAt = soon
	}
	l.loans[project] = one
	return one.value, true
}

func (l *lender[T]) keep(project string, value T, renewAt, now time.Time) {
	if soonest := now.Add(minUse); renewAt.Before(soonest) {
		renewAt = soonest
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgetOld(now)
	l.loans[project] = loan[T]{value, renewAt, renewAt.Add(spare)}
}

// forget drops what is kept for a project if it is still the one that is meant.
func (l *lender[T]) forget(project string, meant func(T) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if one, ok := l.loans[project]; ok && meant(one.value) {
		delete(l.loans, project)
	}
}

// refused remembers err if IAM refused us: for one project, or for all if it is
// about who we are. Tasks may name any project, and a bad one must not shut out
// the others.
func (l *lender[T]) refused(project string, err error, now time.Time) {
	apiErr, ok := errors.AsType[*jobs.Error](err)
	switch {
	case !ok || apiErr.Kind != jobs.KindCredentials && apiErr.Kind != jobs.KindPermission:
		return
	case apiErr.Kind == jobs.KindCredentials:
		project = allProjects
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.forgetOld(now)
	l.refusals[project] = refusal{apiErr, now.Add(refusalMemory)}
}

// forgetOld keeps the maps as small as the projects in use.
func (l *lender[T]) forgetOld(now time.Time) {
	for project, one := range l.loans {
		if !now.Before(one.endsAt) {
			delete(l.loans, project)
		}
	}
	for project, r := range l.refusals {
		if !now.Before(r.until) {
			delete(l.refusals, project)
		}
	}
}

// copyOf gives each caller an error of its own.
func copyOf(err error) error {
	if apiErr, ok := errors.AsType[*jobs.Error](err); ok {
		own := *apiErr
		return &own
	}
	return err
}
