package scheduler

import (
	"context"
	"errors"
	"fmt"

	"vizstop/internal/ledger"
	"vizstop/internal/plain"
	"vizstop/internal/release"
	"vizstop/internal/schedules"
)

// brake is what people may have done to a tick while its jobs are asked for: they have
// suspended its schedule, canceled its batch, or canceled the tick before it had one. It is looked at between chunks.
type brake struct {
	s     *Scheduler
	name  string // of the schedule
	c     claim
	batch string
	books *ledger.Ledger

	why       string // nothing more is asked for; "": go on
	suspended bool

	canceled    string          // why the batch was canceled in some project
	canceledIn  map[string]bool // those projects
	first, last string          // the first project, which has every mark for all projects, and the one before
}

// pulled looks whether the tick may go on with a project; "": there is none to come. It
// reports whether the batch is canceled there alone; if nothing more may be asked for
// anywhere, why says so. Of a batch that is canceled it withdraws what was asked for
// before the tick could know, by this try or by one before it.
func (b *brake) pulled(ctx context.Context, project string) (here bool, err error) {
	r, err := b.s.state(ctx, b.name)
	if err != nil {
		return false, err
	}
	if !b.s.has(&r, b.c) {
		return false, errLost
	}
	if why := r.canceled(b.c.Tick); why != "" {
		return false, b.cancel(ctx, why)
	}
	if words := r.suspension(b.c.since(), b.s.Fleet.Now()); words != "" {
		b.why, b.suspended = words, true
		return false, nil
	}
	if b.first == "" {
		b.first, b.last = project, project
	}
	for _, p := range []string{b.first, b.last, project} {
		if p == "" || b.canceledIn[p] {
			continue
		}
		why, whole, err := b.books.Canceled(ctx, p, b.batch)
		switch {
		case err != nil:
			return false, err
		case why == "":
			continue
		}
		if whole {
			return false, b.cancel(ctx, why)
		}
		b.canceled = why
		if err := b.withdraw(ctx, why, p); err != nil {
			return false, err
		}
		b.canceledIn[p] = true
	}
	b.last = project
	return b.canceledIn[project], nil
}

// cancel ends the tick, and withdraws all that it has asked for.
func (b *brake) cancel(ctx context.Context, why string) error {
	b.why = why
	projects, err := b.books.BatchProjects(ctx, b.batch)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.withdraw(ctx, why, projects...)
}

// withdrawCanceled withdraws what canceled ticks have asked for that end here: whoever carried them out may have died,
// or run out of time, before it did.
func (s *Scheduler) withdrawCanceled(ctx context.Context, st *state, results []Result) error {
	for _, r := range results {
		why := st.canceled(r.Tick.UnixMilli())
		if why == "" || r.Batch == "" {
			continue
		}
		if err := (&brake{s: s, batch: r.Batch, books: s.books(r.Shadow)}).cancel(ctx, why); err != nil {
			return err
		}
	}
	return nil
}

// withdrawLost withdraws what was asked for of a tick that is no longer this worker's, where people have canceled it:
// whoever has settled it does not know what this worker has asked for since, or was at.
func (s *Scheduler) withdrawLost(ctx context.Context, one *schedules.Schedule, c claim) error {
	if c.Chosen == nil || c.Chosen.Jobs == 0 {
		return nil
	}
	r, err := s.state(ctx, one.Name)
	if err != nil {
		return err
	}
	b := &brake{s: s, batch: schedules.BatchID(one.Name, timeOf(c.Tick)), books: s.books(c.shadow(one))}
	if why := r.canceled(c.Tick); why != "" {
		return b.cancel(ctx, why)
	}
	projects, err := b.books.BatchProjects(ctx, b.batch)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	for _, p := range projects {
		why, whole, readErr := b.books.Canceled(ctx, p, b.batch)
		switch {
		case readErr != nil:
			err = errors.Join(err, readErr)
		case whole:
			return b.withdraw(ctx, why, projects...)
		case why != "":
			err = errors.Join(err, b.withdraw(ctx, why, p))
		}
	}
	return err
}

// withdraw withdraws what the batch has in some projects. A key that holds no stop is told of, and keeps nothing back.
func (b *brake) withdraw(ctx context.Context, why string, projects ...string) error {
	for _, p := range projects {
		some := false
		err := b.books.WithdrawAll(ctx, p, b.batch, why, func(answer ledger.Withdrawal) { some = some || answer == ledger.Withdrew })
		if broken := ledger.Unreadable(err); broken != nil {
			b.s.Logger.ErrorContext(ctx, "a stop is lost: its job may run on", "project", p, "error", broken)
			err = nil
		}
		switch {
		case err != nil || !some:
		case b.books.OfShadow():
			err = b.s.release.Shadow().Ask(ctx, p)
		default:
			err = release.Ask(ctx, b.s.rdb, p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tell says in a result what was not asked for, and why.
func (b *brake) tell(ctx context.Context, r *Result) error {
	if b.why == "" && b.canceled == "" {
		return nil
	}
	asked, err := b.asked(ctx)
	if err != nil {
		return err
	}
	why, left := b.why, r.Chosen-asked-r.Refused
	if why == "" {
		why = b.canceled + " (in some projects)"
	}
	r.Known = max(r.Known, asked-r.Accepted-r.Joined)
	switch {
	case left <= 0:
	case asked == 0 && b.suspended:
		r.Outcome = Suspended
	case asked == 0 && b.why != "":
		r.Outcome = Canceled
	default:
		r.Outcome = Partial
	}
	r.Reason = fmt.Sprintf("%s: %d of the %d jobs that were chosen were not asked for", why, max(left, 0), r.Chosen)
	if b.suspended && asked > 0 {
		r.Reason += "; to withdraw the others: enqueue cancel " + b.batch
	}
	r.Reason = plain.Line(r.Reason, maxSaid)
	if asked == 0 {
		r.Batch = ""
	}
	return nil
}

// asked is how many stops the batch has.
func (b *brake) asked(ctx context.Context) (n int, err error) {
	projects, err := b.books.BatchProjects(ctx, b.batch)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return 0, err
	}
	for _, p := range projects {
		switch one, err := b.books.Batch(ctx, p, b.batch); {
		case errors.Is(err, ledger.ErrNotFound):
		case err != nil:
			return 0, err
		default:
			n += one.Total
		}
	}
	return n, nil
}
