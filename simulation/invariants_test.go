package simulation

import (
	"context"
	"errors"
	"strings"
	"testing/synctest"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/tasks"
)

// checkNow checks, in the middle of a day, what must hold at any time. Nobody
// else is at work meanwhile.
func (d *day) checkNow() {
	synctest.Wait()
	now := time.Now()
	for _, s := range d.inFlight() {
		if now.Before(s.Deadline) && s.Next.After(s.Deadline) {
			d.t.Errorf("%v: nobody looks at stop %s before %v, its deadline is %v", now, s.ID, s.Next, s.Deadline)
		}
	}
	d.checkBatches()
}

// checkAll checks what must hold after any day, and tells how stops ended.
func (d *day) checkAll() map[ledger.State]int {
	ended := map[ledger.State]int{}
	byJob := map[string][]recordedCall{}
	for _, c := range d.all() {
		if c.job != "" { // a list is no job's; a task that couldn't be read has a stop without a job
			byJob[c.job] = append(byJob[c.job], c)
		}
	}
	foreigns := 0
	lost := 0 // at most so many outcomes that nobody could count
	spans := map[string][]span{}
	for _, s := range d.checkBatches() {
		ended[s.State]++
		if strings.HasPrefix(s.Batch, "queue-") {
			foreigns++
		}
		if d.troubled(span{s.Ended.Add(-time.Second), s.Ended.Add(5 * time.Second)}) {
			lost++
		}
		spans[s.JobID] = append(spans[s.JobID], span{s.Asked, s.Ended.Add(time.Millisecond)}) // the ledger keeps milliseconds
		d.checkStop(s, byJob[s.JobID])
	}
	most := d.foreigns
	if d.nights > 0 { // long enough to forget that a task has been seen
		most += d.echoes
	}
	if foreigns > most {
		d.t.Errorf("%d stops for %d tasks of other producers", foreigns, d.foreigns)
	}
	d.checkStrayCalls(spans)
	d.checkCounts(ended, lost)
	d.checkRate()
	d.checkProbes()
	return ended
}

// troubled reports whether something kept any worker, or Redis, from its work
// at some time of s.
func (d *day) troubled(s span) bool {
	for _, f := range d.workers {
		if f.hurt(s) {
			return true
		}
	}
	return d.line.hurt(s)
}

// checkBatches checks that the counts of every batch are those of its stops and
// that no outcome has changed. It returns all stops.
func (d *day) checkBatches() []*ledger.Stop {
	var all []*ledger.Stop
	batches, err := d.ledger.Batches(context.Background(), 1000)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, p := range []string{project, tasks.NoProject} {
		for _, batch := range batches {
			b, err := d.ledger.Batch(context.Background(), p, batch)
			if errors.Is(err, ledger.ErrNotFound) {
				continue
			}
			if err != nil {
				d.t.Fatal(err)
			}
			stops := d.stops(p, batch)
			if len(stops) != b.Total {
				d.t.Errorf("batch %s counts %d stops and lists %d", batch, b.Total, len(stops))
			}
			counts := map[ledger.State]int{}
			for _, s := range stops {
				counts[s.State]++
				d.checkOutcome(s)
			}
			for state, n := range b.Counts {
				if counts[state] != n {
					d.t.Errorf("batch %s counts %d as %s, its stops say %d", batch, n, state, counts[state])
				}
			}
			all = append(all, stops...)
		}
	}
	return all
}

// checkOutcome: an outcome is for ever, and who was told that a stop is canceled
// finds it canceled.
func (d *day) checkOutcome(s *ledger.Stop) {
	if before := d.seen[s.ID]; before != "" && before != string(s.State) {
		d.t.Errorf("stop %s is %s, it was %s before", s.ID, s.State, before)
	}
	if s.State.Ended() {
		d.seen[s.ID] = string(s.State)
	}
	if d.canceled[s.ID] != (s.State == ledger.Canceled) {
		d.t.Errorf("stop %s is %s, said to be canceled: %v", s.ID, s.State, d.canceled[s.ID])
	}
}

// checkStop checks one stop against the calls for its job, of all times.
func (d *day) checkStop(s *ledger.Stop, calls []recordedCall) {
	t := d.t
	if !s.State.Ended() {
		t.Errorf("stop %s of job %s has no outcome: %+v", s.ID, s.JobID, s)
		return
	}
	if s.State == ledger.Expired && s.Ended.Before(s.Deadline) {
		t.Errorf("job %s expired at %v, before its deadline %v", s.JobID, s.Ended, s.Deadline)
	}
	var accepted time.Time
	confirmed := false
	for _, c := range calls {
		if c.at.Before(s.Asked) || c.at.After(s.Ended.Add(time.Millisecond)) {
			continue
		}
		if c.operation == modelarts.OperationDetail {
			if c.err == nil && c.status.Class() == modelarts.ClassEnded {
				confirmed = true
			}
			if c.err == nil && c.status.Class() == modelarts.ClassActive {
				accepted = time.Time{}
			}
			continue
		}
		d.checkStopCall(s, c)
		if !accepted.IsZero() && c.at.After(accepted) {
			t.Errorf("job %s: stop call at %v though accepted at %v, and not seen active since", s.JobID, c.at, accepted)
		}
		if c.err == nil && !d.troubled(span{c.at, c.end.Add(time.Minute)}) {
			accepted = c.end
		}
	}
	if s.State == ledger.Stopped && !confirmed {
		t.Errorf("job %s is said to be stopped without a word of the detail endpoint", s.JobID)
	}
}

// checkStopCall checks the time of a stop call for s.
func (d *day) checkStopCall(s *ledger.Stop, c recordedCall) {
	if s.State == ledger.Canceled && mayHaveWorked(c.err) {
		d.t.Errorf("job %s: stop call at %v (%v) for a stop that was canceled at %v", s.JobID, c.at, c.err, s.Ended)
	}
	if c.at.Before(s.Due.Add(-time.Second)) { // the queue keeps whole seconds
		d.t.Errorf("job %s: stop call at %v, before it was due at %v", s.JobID, c.at, s.Due)
	}
	if c.at.After(s.Deadline.Add(2 * time.Second)) {
		d.t.Errorf("job %s: stop call at %v, after its deadline %v", s.JobID, c.at, s.Deadline)
	}
	for _, p := range d.paused {
		if c.at.After(p.from.Add(2*time.Second)) && c.at.Before(p.to) {
			d.t.Errorf("job %s: stop call at %v, paused from %v to %v", s.JobID, c.at, p.from, p.to)
		}
	}
}

// mayHaveWorked tells a call that was, perhaps, carried out from one that was
// turned away at the door or never got beyond the login.
func mayHaveWorked(err error) bool {
	if apiErr, ok := errors.AsType[*modelarts.APIError](err); ok && apiErr.Operation == modelarts.OperationToken {
		return false
	}
	switch modelarts.KindOf(err) {
	case modelarts.KindCredentials, modelarts.KindThrottled, modelarts.KindUnreachable:
		return false
	}
	return true
}

// checkStrayCalls: every stop call belongs to a stop in flight.
func (d *day) checkStrayCalls(spans map[string][]span) {
	for _, c := range d.all() {
		if c.operation != modelarts.OperationStop {
			continue
		}
		wanted := false
		for _, s := range spans[c.job] {
			wanted = wanted || s.touches(span{c.at, c.at})
		}
		if !wanted {
			d.t.Errorf("job %s: stop call at %v, when nobody wanted it", c.job, c.at)
		}
	}
}

// checkCounts: what the workers counted is what the ledger says. An outcome may
// stay uncounted only if its worker was lost just then.
func (d *day) checkCounts(ended map[ledger.State]int, lost int) {
	missing := 0
	for _, o := range ledger.Outcomes() {
		counted := 0
		for _, f := range d.workers {
			counted += f.counted(d.t, o)
		}
		if counted > ended[o] {
			d.t.Errorf("%s counted %d times, the ledger has %d", o, counted, ended[o])
		}
		missing += ended[o] - counted
	}
	if missing > lost {
		d.t.Errorf("%d outcomes were not counted, at most %d could be lost", missing, lost)
	}
}

// checkRate: no second and no ten seconds had more calls than the rate, the
// burst, the smaller one of polls, which a stop never waits for, and a probe or
// two, which don't stand in line.
func (d *day) checkRate() {
	calls := d.all()
	for _, window := range []time.Duration{time.Second, 10 * time.Second} {
		burst := d.cfg.Throttle.Burst
		most := int(d.cfg.Throttle.Rate*window.Seconds()) + burst + burst/2 + 3
		first := 0
		for i, c := range calls {
			for c.at.Sub(calls[first].at) >= window {
				first++
			}
			if n := i - first + 1; n > most {
				d.t.Errorf("%d calls within %v before %v, the limit is %d", n, window, c.at, most)
				return
			}
		}
	}
}

// checkProbes: once the credentials are known to be refused, calls are single
// probes. The fleet knows when the first refusal has been told; those who had
// leave by then may still call.
func (d *day) checkProbes() {
	var known time.Time
	var probes []recordedCall
	for _, c := range d.all() {
		refused := modelarts.KindOf(c.err) == modelarts.KindCredentials
		switch {
		case !refused && c.end.After(known):
			known, probes = time.Time{}, nil
		case refused && known.IsZero():
			known = c.end
		case refused && c.at.After(known.Add(time.Second)):
			d.checkProbe(c, probes)
			probes = append(probes, c)
		}
	}
}

// checkProbe checks a probe against those before it. A worker that is new may
// probe at once.
func (d *day) checkProbe(c recordedCall, before []recordedCall) {
	recent := 1
	for _, p := range before {
		if c.at.Sub(p.at) < 5*time.Minute {
			recent++
		}
	}
	for _, h := range d.hired {
		if c.at.Sub(h).Abs() < 5*time.Minute {
			recent--
		}
	}
	if recent > 5 {
		d.t.Errorf("%d probes with refused credentials within 5 minutes before %v", recent, c.at)
	}
	if len(before) == 0 {
		return
	}
	last := before[len(before)-1]
	lately := span{last.at.Add(-time.Minute), c.at}
	for _, h := range d.hired {
		if lately.touches(span{h, h}) {
			return
		}
	}
	if c.at.Sub(last.end) < 14*time.Second && !d.troubled(lately) {
		d.t.Errorf("probes with refused credentials at %v and %v", last.at, c.at)
	}
}
