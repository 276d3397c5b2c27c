package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"vizstop/internal/joblist"
	"vizstop/internal/ledger"
	"vizstop/internal/report"
	"vizstop/internal/scheduler"
)

// Batch is one batch of the ledger, real or shadow, in all of its projects.
type Batch struct {
	ID       string
	Projects []string // in which it has stops, sorted
	Ledger   *ledger.Ledger

	desk *Desk
	part bool // only some of its projects are meant
}

// UnknownError says that there is no such batch, or that it has no stops.
type UnknownError struct {
	Batch string
	Empty bool            // its id is known, and nothing was recorded of it
	Tick  *scheduler.Tick // of a schedule, whose batch it is or would be; nil: none is known
}

// Error says what to check.
func (e *UnknownError) Error() string {
	switch {
	case e.Tick != nil && e.Tick.Open && !e.Tick.Canceled:
		return fmt.Sprintf("batch %q has no stops yet: %s", e.Batch, e.Tick.Words)
	case e.Tick != nil:
		return fmt.Sprintf("batch %q has no stops: %s", e.Batch, e.Tick.Words)
	case e.Empty:
		return fmt.Sprintf("batch %q has no stops: nothing was recorded of it", e.Batch)
	}
	return fmt.Sprintf("batch %q is not in the ledger: the id is wrong, or the batch ended longer ago than the worker's --retention", e.Batch)
}

// Batch finds a batch. Without one of that id, or if it has no stops, the error is an *UnknownError, which tells of the
// tick that is to have it, or had no stop. Projects in which it has nothing are left out: every job of it was refused
// there, or its producer died too soon.
func (d *Desk) Batch(ctx context.Context, id string) (*Batch, error) {
	if err := ledger.ValidateBatch(id); err != nil {
		return nil, err
	}
	l, err := d.Ledger.Of(ctx, id)
	if err != nil {
		return nil, err
	}
	projects, err := l.BatchProjects(ctx, id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, d.unknown(ctx, &UnknownError{Batch: id})
	}
	if err != nil {
		return nil, err
	}
	b := &Batch{ID: id, Ledger: l, desk: d}
	for _, p := range projects {
		switch _, err := l.Batch(ctx, p, id); {
		case err == nil:
			b.Projects = append(b.Projects, p)
		case !errors.Is(err, ledger.ErrNotFound):
			return nil, err
		}
	}
	if len(b.Projects) == 0 {
		return nil, d.unknown(ctx, &UnknownError{Batch: id, Empty: true})
	}
	return b, nil
}

// unknown adds what schedules know of a batch without stops.
func (d *Desk) unknown(ctx context.Context, e *UnknownError) error {
	tick, known, err := d.Schedules.Tick(ctx, e.Batch)
	if err != nil {
		return err
	}
	if known {
		e.Tick = &tick
	}
	return e
}

// In is the batch in some of its projects.
func (b *Batch) In(projects []string) *Batch {
	part := *b
	part.Projects, part.part = projects, true
	return &part
}

// Shadow reports whether nothing is stopped for it.
func (b *Batch) Shadow() bool { return b.Ledger.OfShadow() }

// Counts is its stops by state and outcome.
func (b *Batch) Counts(ctx context.Context) (map[ledger.State]int, error) {
	all := map[ledger.State]int{}
	for _, p := range b.Projects {
		one, err := b.Ledger.Batch(ctx, p, b.ID)
		if err != nil {
			return nil, err
		}
		for state, n := range one.Counts {
			all[state] += n
		}
	}
	return all, nil
}

// InFlight is how many of its stops have no outcome yet.
func (b *Batch) InFlight(ctx context.Context) (int, error) {
	counts, err := b.Counts(ctx)
	return counts[ledger.Pending] + counts[ledger.Stopping], err
}

// Stops goes through its stops, those in one of the given states if any is given. A *ledger.UnreadableError comes last.
func (b *Batch) Stops(ctx context.Context, states ...string) iter.Seq2[*ledger.Stop, error] {
	const page = 1000
	return func(yield func(*ledger.Stop, error) bool) {
		var unreadable error
		for _, p := range b.Projects {
			for offset := 0; ; {
				stops, next, err := b.Ledger.BatchStops(ctx, p, b.ID, offset, page)
				if broken := ledger.Unreadable(err); broken != nil {
					unreadable = cmp.Or(unreadable, broken)
				} else if err != nil {
					yield(nil, err)
					return
				}
				for _, s := range stops {
					if (len(states) == 0 || slices.Contains(states, string(s.State))) && !yield(s, nil) {
						return
					}
				}
				if next == 0 {
					break
				}
				offset = next
			}
		}
		if unreadable != nil {
			yield(nil, unreadable)
		}
	}
}

// Failed are the outcomes after which a job is asked for again, where nobody names
// others.
func (b *Batch) Failed() []string {
	if b.Shadow() {
		return []string{string(ledger.WouldNotFound), string(ledger.WouldHold), string(ledger.Rejected), string(ledger.Expired)}
	}
	return []string{string(ledger.NotFound), string(ledger.Rejected), string(ledger.Expired)}
}

// Jobs are the jobs of its stops in the given states, at most so many, to be asked for
// again.
func (b *Batch) Jobs(ctx context.Context, most int, states ...string) iter.Seq2[joblist.Item, error] {
	return func(yield func(joblist.Item, error) bool) {
		left := most
		for s, err := range b.Stops(ctx, states...) {
			if err != nil {
				yield(joblist.Item{}, err)
				return
			}
			if s.JobID == "" { // a malformed task has none
				continue
			}
			if left--; left < 0 || !yield(joblist.Item{ProjectID: s.ProjectID, JobID: s.JobID, Labels: s.Labels}, nil) {
				return
			}
		}
	}
}

// Allowed is what was let through limits, as "enqueue allow --json" and the HTTP API tell
// it.
type Allowed struct {
	Kind    string `json:"kind"`    // "allow"
	Batch   string `json:"batch"`   // "": stop calls of a project
	Project string `json:"project"` // "": stops of a batch
	Allowed int    `json:"allowed"` // stops of the batch that are confirmed now, or further stop calls of the project
}

// Canceled is what became of a batch that was withdrawn.
type Canceled struct {
	Kind     string `json:"kind"` // "cancel"
	Batch    string `json:"batch"`
	Canceled int    `json:"canceled"` // withdrawn before a stop call took effect
	Sent     int    `json:"sent"`     // too late: the stop call has gone out, or may have; no other one goes out
	Ended    int    `json:"ended"`    // had an outcome before
	Tick     bool   `json:"tick"`     // a tick of a schedule, or a run by hand, had no stops yet: it asks for none
}

// CancelTick cancels the tick of a schedule whose batch has no stops yet, and withdraws what it has asked for in that
// very moment; why is kept as for Batch.Cancel. If it is over, and was not canceled, it does what Batch.Cancel does, or
// the error is an *UnknownError. Doing it again gets the same answer.
func (d *Desk) CancelTick(ctx context.Context, id, why string) (*Canceled, error) {
	open, err := d.Schedules.Cancel(ctx, id, why)
	if err != nil {
		return nil, err
	}
	batch, err := d.Batch(ctx, id)
	if unknown, ok := errors.AsType[*UnknownError](err); ok && unknown.Tick != nil && unknown.Tick.Canceled {
		return &Canceled{Kind: "cancel", Batch: id, Tick: true}, nil
	}
	if err != nil {
		return nil, err
	}
	result, err := batch.Cancel(ctx, why)
	if err == nil {
		result.Tick = open
	}
	return result, err
}

// Cancel withdraws the stops whose call has not gone out; why is kept with each. The
// batch is marked first, so that a schedule's tick which is still asking for it asks for
// no more. The error says how far it came. Doing it again gets the same answer.
func (b *Batch) Cancel(ctx context.Context, why string) (*Canceled, error) {
	result := &Canceled{Kind: "cancel", Batch: b.ID}
	err := b.mark(ctx, why)
	if err == nil {
		err = b.withdraw(ctx, why, result)
	}
	switch {
	case err == nil:
		return result, nil
	case refused(err) && result.Canceled == 0:
		return nil, err
	}
	return nil, fmt.Errorf("%d stops were canceled, and others may be; cancel again: %w", result.Canceled, err)
}

func (b *Batch) withdraw(ctx context.Context, why string, result *Canceled) error {
	var unreadable error
	for _, p := range b.Projects {
		err := b.Ledger.WithdrawAll(ctx, p, b.ID, why, func(answer ledger.Withdrawal) {
			switch answer {
			case ledger.Withdrew:
				result.Canceled++
			case ledger.TooLate:
				result.Sent++
			default:
				result.Ended++
			}
		})
		if broken := ledger.Unreadable(err); broken != nil {
			unreadable = cmp.Or(unreadable, broken)
		} else if err != nil {
			return err
		}
	}
	// Workers count what has ended, and look at what is left.
	for _, p := range b.Projects {
		if err := b.ask(ctx, p); err != nil {
			return err
		}
	}
	return unreadable
}

// mark tells the producer of the batch that it is canceled.
func (b *Batch) mark(ctx context.Context, why string) error {
	projects := b.Projects
	if !b.part {
		all, err := b.Ledger.BatchProjects(ctx, b.ID) // those as well in which nothing was recorded yet
		if err != nil {
			return err
		}
		projects = all
	}
	for _, p := range projects {
		if err := b.Ledger.MarkCanceled(ctx, p, b.ID, why, !b.part); err != nil {
			return err
		}
	}
	return nil
}

// ask has workers look at what there is to do for a project now.
func (b *Batch) ask(ctx context.Context, projectID string) error {
	if b.Shadow() {
		return b.desk.Release.Shadow().Ask(ctx, projectID)
	}
	return b.desk.Release.Ask(ctx, projectID)
}

// Allow confirms up to n of its stops that nobody has confirmed, all of them if n is 0:
// no limit holds them any more. It tells how many; on error, how many were before it. A
// *ledger.UnreadableError keeps it from no other stop.
func (b *Batch) Allow(ctx context.Context, n int) (allowed int, err error) {
	if n == 0 {
		n = 1 << 30
	}
	var unreadable error
	for _, p := range b.Projects {
		// If this process dies before it can ask for a round, there is one all the same.
		expect := func() error { return b.desk.Release.Expect(ctx, p) }
		some, err := b.Ledger.ConfirmAfter(ctx, p, b.ID, n-allowed, expect)
		allowed += some
		if broken := ledger.Unreadable(err); broken != nil {
			unreadable, err = cmp.Or(unreadable, broken), nil
		}
		if err == nil {
			err = b.desk.Release.Ask(ctx, p)
		}
		if err != nil {
			return allowed, fmt.Errorf("%d stops of batch %s were allowed, then: %w", allowed, b.ID, err)
		}
	}
	if unreadable != nil {
		return allowed, fmt.Errorf("%d stops of batch %s were allowed, but: %w", allowed, b.ID, unreadable)
	}
	return allowed, nil
}

// Watch is the batch to wait for.
func (b *Batch) Watch(progress report.Progress) report.Watch {
	return report.Watch{Ledger: b.Ledger, Batch: b.ID, Projects: b.Projects, Progress: progress, Rate: b.desk.Rate(),
		RateOf: b.desk.ownRate, Why: b.Why}
}
