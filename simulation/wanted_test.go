package simulation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/release"
)

// withdrawal is what a person who canceled was told, and when.
type withdrawal struct {
	at     time.Time
	answer ledger.Withdrawal
}

// withdrawn is what became of the wish of a batch; the zero value if nobody
// canceled it in time, or another task of its day has asked for the job since.
func (d *day) withdrawn(s *ledger.Stop, batch string) withdrawal {
	if w := wish(s, batch); w != nil && ofTasks(batch) && w.Withdrawn.IsZero() && !w.Late && s.State != ledger.Canceled {
		return withdrawal{}
	}
	return d.canceled[batch+" "+s.ID]
}

// ofTasks reports whether a batch is one of foreign tasks.
func ofTasks(batch string) bool { return strings.HasPrefix(batch, "queue-") }

// cancel withdraws what a batch wants of some of its stops, or of all.
func (d *day) cancel() {
	whole := d.random.IntN(4) == 0
	d.withdraw(d.batch(), func(*ledger.Stop) bool { return whole || d.random.IntN(4) == 0 })
}

// cancelAll withdraws every wish for some jobs, or for all.
func (d *day) cancelAll() {
	batches, err := d.ledger.Batches(context.Background(), 1000)
	if err != nil {
		d.t.Fatal(err)
	}
	only := ""
	if d.random.IntN(4) > 0 {
		only = d.job()
	}
	for _, batch := range batches {
		d.withdraw(batch, func(s *ledger.Stop) bool { return only == "" || s.JobID == only })
	}
}

// withdraw withdraws what a batch wants of the chosen ones of its stops.
func (d *day) withdraw(batch string, chosen func(*ledger.Stop) bool) {
	for _, s := range d.stops(project, batch) {
		if !chosen(s) || d.withdrawn(s, batch).answer != "" {
			continue
		}
		answer, err := d.ledger.Withdraw(context.Background(), project, s.ID, batch, "seed")
		if err != nil {
			d.t.Fatal(err)
		}
		if answer == ledger.Withdrew || answer == ledger.TooLate {
			d.canceled[batch+" "+s.ID] = withdrawal{time.Now(), answer}
		}
	}
	if err := release.Ask(context.Background(), d.rdb, project); err != nil {
		d.t.Fatal(err)
	}
}

// checkTimes: a stop in flight is due at the earliest of the wishes that stand, unless its time is over and another
// one's is not, and has the latest of their deadlines.
func (d *day) checkTimes(s *ledger.Stop) {
	var live, deadline time.Time
	standing, asked := false, false
	for _, w := range s.Wishes {
		if d.withdrawn(s, w.Batch).answer != "" {
			continue
		}
		standing, asked = true, asked || w.Due.Equal(s.Due)
		if w.Deadline.After(time.Now().Add(early)) && (live.IsZero() || w.Due.Before(live)) {
			live = w.Due
		}
		if w.Deadline.After(deadline) {
			deadline = w.Deadline
		}
	}
	if standing && (!asked || !live.IsZero() && s.Due.After(live) || !s.Deadline.Equal(deadline)) {
		d.t.Errorf("stop %s is due from %v to %v; the wishes that stand: %q", s.ID, s.Due, s.Deadline, brief(s.Wishes))
	}
}

// brief is wishes without what is empty in them.
func brief(wishes []ledger.Wish) (lines []string) {
	for _, w := range wishes {
		lines = append(lines, fmt.Sprintf("%s asked %s: %s to %s", w.Batch, clock(w.Asked), clock(w.Due), clock(w.Deadline)))
	}
	return lines
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }

// checkOutcome: an outcome is for ever, but for the cancel of a foreign task, if another one asks for the job while its
// stop goes on. Who was told that a stop is canceled finds it canceled, and who has not canceled it does not.
func (d *day) checkOutcome(batch string, s *ledger.Stop) {
	key := batch + " " + s.ID
	again := ofTasks(batch) && d.seen[key] == string(ledger.Canceled)
	if before := d.seen[key]; before != "" && before != string(s.State) && !again {
		d.t.Errorf("stop %s of batch %s is %s, it was %s before", s.ID, batch, s.State, before)
	}
	if s.State.Ended() {
		d.seen[key] = string(s.State)
	}
	told := d.withdrawn(s, batch).answer
	if told == ledger.Withdrew && s.State != ledger.Canceled || told == "" && s.State == ledger.Canceled {
		d.t.Errorf("stop %s of batch %s is %s; said when it was canceled: %q", s.ID, batch, s.State, told)
	}
}

// How long after a cancel a call may still go out that was claimed before, and how
// much earlier than it is due or asked for: of a Redis that had just been away, and answered after up to a second,
// nobody knows when in that second it told the time.
const (
	claimHolds = 4 * time.Second
	early      = 1050 * time.Millisecond
)

// checkWanted: a stop call goes out only while somebody wants it: a wish stands that is due, and whose deadline has not
// passed.
func (d *day) checkWanted(s *ledger.Stop, c recordedCall) {
	var canceled []string
	wanted, tooLate := false, false
	for _, w := range s.Wishes {
		back := d.withdrawn(s, w.Batch)
		if tooLate = tooLate || back.answer == ledger.TooLate; back.answer != "" {
			canceled = append(canceled, w.Batch+" "+clock(back.at)+" "+string(back.answer))
		}
		asked := time.Millisecond // how much later it may be noted
		if ofTasks(w.Batch) {
			asked = early // a worker has noted it, by the fleet's time as it knew that
		}
		if w.Asked.After(c.at.Add(asked)) || back.answer != "" && c.at.After(back.at.Add(claimHolds)) {
			continue
		}
		wanted = wanted || !c.at.Before(w.Due.Add(-early)) && !c.at.After(w.Deadline.Add(claimHolds))
	}
	if !wanted {
		d.t.Errorf("job %s: stop call at %v, when nobody wanted it; canceled %q: %q", s.JobID, c.at, canceled, brief(s.Wishes))
	}
	if s.State == ledger.Canceled && !tooLate && mayHaveStopped(c.err) {
		d.t.Errorf("job %s: stop call at %v (%v) for a stop that was canceled at %v", s.JobID, c.at, c.err, s.Ended)
	}
}
