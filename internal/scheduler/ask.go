package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/notify"
	"vizstop/internal/plain"
	"vizstop/internal/schedules"
	"vizstop/internal/when"
)

// ask asks for the stops of what was chosen. Doing it twice is harmless: the tick's batch
// has one id.
func (s *Scheduler) ask(ctx context.Context, one *schedules.Schedule, c claim) (Result, error) {
	tick, picked := timeOf(c.Tick), c.Chosen
	r := Result{Tick: tick, Outcome: Done, Worker: s.me, Reason: picked.Note, Chosen: picked.Jobs, Unlisted: append([]string{}, picked.Unlisted...),
		Left: picked.Left, Tries: c.Try, Shadow: c.shadow(one), By: c.By}
	if picked.Jobs > 0 {
		r.Batch = schedules.BatchID(one.Name, tick)
		if err := s.askAll(ctx, one, c, &r); err != nil {
			return r, err
		}
	}
	if r.Outcome == Done && (len(r.Unlisted) > 0 || r.Refused > 0) {
		r.Outcome = Partial
	}
	r.At = s.Fleet.Now()
	return r, nil
}

func (s *Scheduler) askAll(ctx context.Context, one *schedules.Schedule, c claim, r *Result) error {
	meta := ledger.Meta{Requester: "schedule " + one.Name, Reason: one.Reason, Shadow: r.Shadow}
	if c.By != "" {
		meta.Requester = c.By
	}
	plan := when.Plan{First: timeOf(c.Chosen.First), Spread: time.Duration(c.Chosen.Spread) * time.Millisecond,
		Deadline: time.Duration(c.Chosen.Deadline) * time.Millisecond}
	b := &brake{s: s, name: one.Name, c: c, batch: r.Batch, books: s.books(r.Shadow), canceledIn: map[string]bool{}}
	i := 0
	for part, err := range s.chunks(ctx, one.Name, c) {
		if err != nil {
			return err
		}
		here, err := b.pulled(ctx, part.ProjectID)
		if err != nil {
			return err
		}
		if b.why != "" {
			break
		}
		var asks []ledger.Ask
		for _, job := range part.Jobs {
			due := plan.Due(i, c.Chosen.Jobs)
			asks = append(asks, ledger.Ask{JobID: job, Due: due, Deadline: plan.DeadlineOf(due), Listed: true, Shadow: r.Shadow})
			i++
		}
		if here {
			continue
		}
		if err := s.askFor(ctx, one, part, asks, meta, b.books, r); err != nil {
			return err
		}
	}
	if b.why == "" {
		if i != c.Chosen.Jobs {
			return fmt.Errorf("only %d of the %d jobs that were written down are in Redis", i, c.Chosen.Jobs)
		}
		if _, err := b.pulled(ctx, ""); err != nil { // during the last chunk
			return err
		}
	}
	r.tellLate(s.Fleet.Now(), one.Name)
	if err := b.tell(ctx, r); err != nil {
		return err
	}
	if one.Notify == "" || r.Accepted+r.Joined+r.Known == 0 {
		return nil
	}
	return notify.Arm(ctx, s.rdb, r.Batch, one.Notify)
}

// books are those of shadow stops or of real ones.
func (s *Scheduler) books(shadow bool) *ledger.Ledger {
	if shadow {
		return s.Ledger.Shadow()
	}
	return s.Ledger
}

// askFor asks for the stops of one chunk.
func (s *Scheduler) askFor(ctx context.Context, one *schedules.Schedule, part chunk, asks []ledger.Ask, meta ledger.Meta, books *ledger.Ledger, r *Result) error {
	if of := part.Size; of != nil {
		err := s.Ledger.Describe(ctx, part.ProjectID, r.Batch, meta)
		if err == nil {
			err = books.StateSize(ctx, part.ProjectID, r.Batch, of.Stops, of.Held)
		}
		if of.Held != "" && !r.Shadow {
			r.Held = of.Held
		}
		if err != nil {
			return err
		}
	}
	asks, err := s.inTime(ctx, books, part.ProjectID, asks, r)
	if err != nil || len(asks) == 0 {
		return err
	}
	openings, err := s.Producer.Ask(ctx, part.ProjectID, r.Batch, asks)
	r.count(openings)
	if elsewhere, ok := errors.AsType[*ledger.ElsewhereError](err); ok { // of this project alone
		r.Refused += len(asks)
		r.Reason = plain.Line(elsewhere.Error(), maxSaid)
		return nil
	}
	return err
}

// inTime leaves out what would be asked for past its deadline, as the tick is gone on with
// late: a stop of which no call may go out any more. What was asked for before stays.
func (s *Scheduler) inTime(ctx context.Context, books *ledger.Ledger, project string, asks []ledger.Ask, r *Result) ([]ledger.Ask, error) {
	now := s.Fleet.Now()
	late := func(a ledger.Ask) bool { return !now.Before(a.Deadline) }
	var ids []string
	for _, a := range asks {
		if late(a) {
			ids = append(ids, a.JobID)
		}
	}
	if len(ids) == 0 {
		return asks, nil
	}
	asked, err := books.Asked(ctx, project, r.Batch, ids)
	if err != nil {
		return nil, err
	}
	left := slices.DeleteFunc(asks, func(a ledger.Ask) bool { return late(a) && !asked[a.JobID] })
	r.late += len(ids) - len(asked)
	return left, nil
}

// count adds what became of asks.
func (r *Result) count(openings []ledger.Opening) {
	for _, o := range openings {
		switch o.Result {
		case ledger.Opened:
			r.Accepted++
		case ledger.Joined:
			r.Joined++
		case ledger.Full:
			r.Refused++
			r.Reason = fmt.Sprintf("job %s: its stop serves %d batches already, as many as it may", o.JobID, ledger.MaxWishes)
		default:
			r.Known++
		}
	}
}

// tellLate says in the result what was not asked for as it was too late.
func (r *Result) tellLate(now time.Time, name string) {
	if r.late == 0 {
		return
	}
	r.Outcome = Partial
	if r.Accepted+r.Joined+r.Known == 0 {
		r.Outcome = Failed
	}
	r.Refused += r.late
	r.Reason = fmt.Sprintf("%d of the %d jobs that were chosen were not asked for: it was gone on with at %s, after the deadline of their stops; to stop them now: enqueue schedules run %s",
		r.late, r.Chosen, now.Format(time.RFC3339), name)
}
