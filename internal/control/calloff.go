package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
)

// recorded is what an ask has recorded in a project.
type recorded struct {
	cancels int      // how often the batch was canceled there before the ask
	off     string   // why it was canceled there since; "": it was not
	safe    int      // stops that are recorded for certain
	stops   []string // ids of those of them that serve the batch since this ask
}

// CanceledError says that somebody has canceled a batch while it was recorded: it was recorded no further, and what was
// recorded is withdrawn.
type CanceledError struct {
	Batch, Why string
	Projects   []string // where it was canceled, if it was not in all: in the others it is recorded
	Refused    error    // of jobs in the others that were not taken; nil: all were
	Err        error    // that was not withdrawn; nil: it was
}

// Error tells by whom.
func (e *CanceledError) Error() string {
	where := ""
	if len(e.Projects) > 0 {
		where = " in project " + strings.Join(e.Projects, ", ")
	}
	if e.Err != nil {
		return fmt.Sprintf("batch %s was %s%s, while it was recorded, but what was recorded could not all be withdrawn: "+
			"cancel it once more (enqueue cancel %s): %v", e.Batch, e.Why, where, e.Batch, e.Err)
	}
	what := "what was recorded is withdrawn, unless its stop call has gone out"
	switch {
	case where != "" && e.Refused != nil:
		what = "there, " + what + "; of the others " + e.Refused.Error()
	case where != "":
		what = "there, " + what + "; all others are recorded"
	}
	return fmt.Sprintf("batch %s was %s%s, while it was recorded: %s (see: enqueue status %s)",
		e.Batch, e.Why, where, what, e.Batch)
}

// of is what is recorded in a project. The lock must be held while parts are recorded.
func (a *asking) of(project string) *recorded {
	in := a.in[project]
	if in == nil {
		in = &recorded{}
		a.in[project] = in
	}
	return in
}

// safe is how many stops are recorded for certain, and not withdrawn.
func (a *asking) safe() (n int) {
	for _, in := range a.in {
		if in.off == "" {
			n += in.safe
		}
	}
	return n
}

// look notes whether somebody has canceled the batch in a project since the ask began.
func (a *asking) look(ctx context.Context, project string) error {
	n, err := a.ledger.Cancels(ctx, project, a.Batch)
	a.mu.Lock()
	before := a.of(project).cancels
	a.mu.Unlock()
	if err != nil || n == before {
		return err
	}
	why, _, err := a.ledger.Canceled(ctx, project, a.Batch)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of(project).off = cmp.Or(why, "canceled")
	return nil
}

// callOff withdraws what the ask has recorded where somebody has canceled the batch meanwhile: the cancel may have come
// before it. It looks once more, if the ask was cut short. nil: nobody has canceled it.
func (a *asking) callOff(ctx context.Context, d *Desk, cutShort bool) *CanceledError {
	e := &CanceledError{Batch: a.Batch}
	var off []string
	for _, p := range a.Projects {
		if cutShort && a.tried && a.of(p).off == "" {
			e.Err = errors.Join(e.Err, a.look(ctx, p))
		}
		in := a.of(p)
		if in.off == "" {
			continue
		}
		e.Why, off = in.off, append(off, p)
		for _, id := range in.stops {
			if _, err := a.ledger.Withdraw(ctx, p, id, a.Batch, in.off); err != nil {
				e.Err = errors.Join(e.Err, err)
				break
			}
		}
		b := &Batch{ID: a.Batch, Ledger: a.ledger, desk: d}
		e.Err = errors.Join(e.Err, b.ask(ctx, p)) // workers count what has ended
	}
	switch {
	case len(off) == 0:
		return nil
	case len(off) < len(a.Projects):
		e.Projects, e.Refused = off, a.asked.Refused()
	}
	return e
}
