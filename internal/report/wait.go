package report

import (
	"context"
	"time"

	"vizstop/internal/estimate"
	"vizstop/internal/ledger"
)

// Why tells what keeps a batch from moving, such as a pause: one line each, none if nothing does.
type Why func(ctx context.Context) ([]string, error)

// RateOf is the rate of a project; zero: that of all.
type RateOf func(projectID string) estimate.Rate

func (of RateOf) rate(projectID string) (r estimate.Rate) {
	if of != nil {
		r = of(projectID)
	}
	return r
}

// Watch is a batch that somebody waits for.
type Watch struct {
	Ledger   *ledger.Ledger
	Batch    string
	Projects []string
	Progress Progress
	Rate     estimate.Rate // for the expected end; zero if no rate is known
	RateOf   RateOf        // of a project with a rate of its own; nil: none has
	Why      Why           // nil: nobody knows
}

// checkInterval is how often Wait looks at the batch, whyInterval how often it asks why the batch does not move.
const (
	checkInterval = 250 * time.Millisecond
	whyInterval   = 2 * time.Second
)

// Wait returns when every stop of the batch in the given projects, joined ones
// too, has an outcome, or with ctx's error. A look costs Redis one command a
// project, however large the batch is.
func Wait(ctx context.Context, w Watch) error {
	defer w.Progress.Close()
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	f := w.Follow()
	for {
		s, err := f.Look(ctx)
		if err != nil {
			return err
		}
		w.Progress.Show(s)
		if s.Done == s.Total {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// Follow looks at the batch at the caller's own times; Progress is not needed for that. The pace of the batch, and
// so its expected end, is known after a few looks.
func (w Watch) Follow() *Follower { return &Follower{Watch: w, projects: map[string]*followed{}} }

// Follower looks at one batch again and again. It is not safe for concurrent use.
type Follower struct {
	Watch
	projects map[string]*followed
	why      []string
	asked    time.Time // when why was asked for
}

// followed is what is remembered of the batch in one project from look to look.
type followed struct {
	meter
	first, last time.Time // when its first and last own stop are due
}

// Look tells how the batch stands. What it costs does not depend on how many stops there are.
func (f *Follower) Look(ctx context.Context) (Sight, error) {
	var s Sight
	var standings []estimate.Standing
	now := f.Ledger.Now()
	for _, id := range f.Projects {
		b, done, total, err := progress(ctx, f.Ledger, id, f.Batch)
		if err != nil {
			return Sight{}, err
		}
		s.Done, s.Total = s.Done+done, s.Total+total
		standing, err := f.standing(ctx, b, now)
		if err != nil {
			return Sight{}, err
		}
		standings = append(standings, standing)
	}
	if s.Done == s.Total {
		return s, nil
	}
	if f.Why != nil && now.Sub(f.asked) >= whyInterval {
		why, err := f.Why(ctx)
		if err != nil {
			return Sight{}, err
		}
		f.why, f.asked = why, now
	}
	s.Why = f.why
	if end, ok := f.Rate.End(now, standings); ok && len(s.Why) == 0 {
		s.End = end
	}
	return s, nil
}

func (f *Follower) standing(ctx context.Context, b *ledger.Batch, now time.Time) (estimate.Standing, error) {
	at := f.projects[b.ProjectID]
	if at == nil {
		at = &followed{}
		var err error
		if at.first, at.last, err = dueFromTo(ctx, f.Ledger, b); err != nil {
			return estimate.Standing{}, err
		}
		f.projects[b.ProjectID] = at
	}
	if now.Before(at.first) || len(f.why) > 0 { // a time in which nothing could move is no part of the pace
		at.meter = meter{}
	}
	return estimate.Standing{
		Pending: b.Counts[ledger.Pending], Stopping: b.Counts[ledger.Stopping],
		Pace: at.see(now, movedOf(b.Counts)), First: at.first, Last: at.last, Rate: f.RateOf.rate(b.ProjectID),
	}, nil
}

// dueFromTo is about when the first and the last of a batch's own stops are due: they were asked for in this order,
// but a few chunks at once. Zero if there is none.
func dueFromTo(ctx context.Context, l *ledger.Ledger, b *ledger.Batch) (first, last time.Time, err error) {
	for _, offset := range []int{0, max(0, b.Total-1)} {
		stops, _, err := l.BatchStops(ctx, b.ProjectID, b.ID, offset, 1)
		if err != nil {
			return time.Time{}, time.Time{}, err
		}
		for _, s := range stops {
			if first.IsZero() {
				first = s.Due
			}
			last = s.Due
		}
	}
	return first, last, nil
}

// Over reports whether every stop of the batch, joined ones too, has an
// outcome.
func Over(ctx context.Context, l *ledger.Ledger, projectID, batch string) (bool, error) {
	_, done, total, err := progress(ctx, l, projectID, batch)
	return err == nil && done == total, err
}

func progress(ctx context.Context, l *ledger.Ledger, projectID, batch string) (b *ledger.Batch, done, total int, err error) {
	b, err = l.Batch(ctx, projectID, batch)
	if err != nil {
		return nil, 0, 0, err
	}
	return b, b.Total - b.InFlight(), b.Total, nil
}
