package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"vizstop/internal/schedules"
)

// Tick is a tick of a schedule, or a run by hand, as far as it is known by the batch that it has or would have.
type Tick struct {
	Schedule string
	Batch    string
	By       string // who has asked for it by hand; "": it is one by the clock
	Words    string // where it stands, in a sentence without a full stop
	Open     bool   // it may ask for stops yet, and can be canceled
	Canceled bool   // it is, and asks for none
}

// Tick finds the tick of a batch. It is false if no schedule makes such an id, or nothing is known of the tick: it
// never was, or has one of the older results, which are not kept.
func (d *Desk) Tick(ctx context.Context, batch string) (Tick, bool, error) {
	name, at, ok := schedules.OfBatch(batch)
	if !ok {
		return Tick{}, false, nil
	}
	r, err := d.state(ctx, name)
	if err != nil {
		return Tick{}, false, err
	}
	t := Tick{Schedule: name, Batch: batch}
	if r.stands(&t, at, d.fleet.Now()) {
		return t, true, nil
	}
	results, err := d.results(ctx, name, keptResults) // a tick leaves the record when its result is written
	if err != nil {
		return Tick{}, false, err
	}
	i := slices.IndexFunc(results, func(r Result) bool { return r.Tick.Equal(at) })
	if i < 0 {
		return Tick{}, false, nil
	}
	t.By, t.Canceled = results[i].By, results[i].Outcome == Canceled
	t.Words = t.ended(at, results[i])
	return t, true, nil
}

// stands tells where a tick stands that has no result; false: the record has no such tick, and there can't be one.
func (st *state) stands(t *Tick, at, now time.Time) bool {
	const then = "; its batch appears when its jobs are chosen"
	const untaken = ", and no worker has taken it up yet" + then
	ms, c, doubt := at.UnixMilli(), st.Claim, ""
	switch {
	case ms == 0: // stands for no tick in the record
		return false
	case c != nil && c.Tick == ms:
		t.By, t.Open = c.By, true
		switch {
		case c.Chosen != nil && c.Chosen.Jobs == 0:
			t.Open, t.Words = false, t.what(at)+" has chosen no job"
		case c.Chosen != nil:
			t.Words = fmt.Sprintf("%s has chosen %d jobs, and asks for their stops", t.what(at), c.Chosen.Jobs)
		case c.RetryAt != 0:
			t.Words = fmt.Sprintf("%s is tried again at %s%s; the try before: %s", t.what(at), timeOf(c.RetryAt).Format(time.RFC3339), then, c.Error)
		case c.Worker == "":
			t.Words = t.what(at) + " waits for a worker" + then // one has given it back
		default:
			t.Words = t.what(at) + " is being carried out" + then
		}
	case st.Run != nil && st.Run.Tick == ms:
		t.By, t.Open = st.Run.By, true
		t.Words = t.what(at) + " is asked for" + untaken
	case st.Next == ms && at.After(now):
		t.Words = t.what(at) + " is not due yet"
		return true
	case st.Next == ms:
		t.Open, t.Words = true, t.what(at)+" is due"+untaken
	case st.mayBeDue(at, now):
		doubt = ", if there is one,"
		t.Open, t.Words = true, t.what(at)+doubt+" is due"+untaken
	default:
		return false
	}
	if why := st.canceled(ms); why != "" && t.Open {
		t.Canceled, t.Words = true, t.what(at)+doubt+" asks for no stop: "+why
	}
	return true
}

// mayBeDue reports whether there may be a tick by the clock that is due after the first one without a result. The
// record has the first one only: workers were away over several, or one of them is carried out still. What is no tick
// can be canceled then, too; that changes nothing.
func (st *state) mayBeDue(at, now time.Time) bool {
	ms := at.UnixMilli()
	return st.Next != 0 && ms > st.Next && ms > st.Settled && !at.After(now) && byClock(at)
}

// byClock reports whether a tick may be one by the clock: those are at whole minutes, and runs by hand never are.
func byClock(at time.Time) bool { return at.Second() == 0 }

// what names the tick.
func (t *Tick) what(at time.Time) string {
	if t.By != "" {
		return fmt.Sprintf("%s's run of schedule %s", t.By, t.Schedule)
	}
	return fmt.Sprintf("the tick of schedule %s at %s", t.Schedule, at.Format(time.RFC3339))
}

// ended tells how the tick ended, of which the ledger has no stop.
func (t *Tick) ended(at time.Time, r Result) string {
	text := fmt.Sprintf("%s is %s", t.what(at), r.Outcome)
	switch asked := r.Accepted + r.Joined + r.Known; {
	case t.Canceled:
		return t.what(at) + " asked for no stop: " + r.Reason
	case asked > 0:
		return fmt.Sprintf("%s, and asked for %d stops, which ended longer ago than the worker's --retention", text, asked)
	case r.Chosen == 0 && (r.Outcome == Done || r.Outcome == Partial):
		text += ", and chose no job"
	}
	if n := len(r.Unlisted) + r.Left; n > 0 {
		text += fmt.Sprintf("; left out %d projects: %s", n, r.Unlisted[0])
	}
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	return text
}

// over reports whether a canceled tick can't be open any more: what is said of it is in its result. A run by hand is
// not claimed then and does not wait; a tick by the clock is one of those that have a result.
func (st *state) over(c cancellation) bool {
	if st.Claim != nil && st.Claim.Tick == c.Tick || st.Run != nil && st.Run.Tick == c.Tick {
		return false
	}
	return c.Tick <= st.Settled || !byClock(timeOf(c.Tick))
}

// errSettled is returned for the cancellation of a tick that is not open.
var errSettled = errors.New("the tick is not open")

// Cancel has no stop of a tick asked for any more, or of a run by hand; why says who wants that, too, and is the reason
// in its result. It is for one whose batch has no stops yet: what a worker asks for in that very moment, that one
// withdraws. It is false if there is no such tick, or it has a result already. Doing it again changes nothing.
func (d *Desk) Cancel(ctx context.Context, batch, why string) (bool, error) {
	name, at, ok := schedules.OfBatch(batch)
	if !ok {
		return false, nil
	}
	err := d.update(ctx, name, func(st *state) error {
		t := Tick{Schedule: name, Batch: batch}
		if !st.stands(&t, at, d.fleet.Now()) || !t.Open {
			return errSettled
		}
		if !t.Canceled {
			st.Canceled = append(slices.DeleteFunc(slices.Clone(st.Canceled), st.over), cancellation{at.UnixMilli(), why})
		}
		return nil
	})
	if errors.Is(err, errSettled) {
		return false, nil
	}
	return err == nil, err
}
