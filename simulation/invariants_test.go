package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/tasks"
)

// checkNow checks, in the middle of a day, what must hold at any time. Nobody
// else is at work meanwhile.
func (d *day) checkNow() {
	synctest.Wait()
	for _, s := range d.inFlight() {
		d.checkPlace(s)
		d.checkTimes(s)
	}
	d.checkBatches()
	d.checkHolds()
}

// checkPlace: a stop in flight is in exactly one of the sets that say what it waits
// for, and has a time when it is looked after whatever happens.
func (d *day) checkPlace(s *ledger.Stop) {
	k, found := ledger.Keys(s.ProjectID), []string{}
	for _, set := range []string{k.Small(), k.Large(), k.Limited(), k.Held(), k.Look(), k.Released()} {
		if d.rdb.ZScore(context.Background(), set, s.Member().String()).Err() == nil {
			found = append(found, set)
		}
	}
	if d.rdb.ZScore(context.Background(), k.Watched(), s.JobID).Err() == nil {
		found = append(found, k.Watched())
	}
	if len(found) != 1 {
		d.t.Errorf("stop %s at hop %d, %s, is in %v, want exactly one set", s.ID, s.Hop, s.Kind, found)
	}
	latest, err := d.rdb.ZScore(context.Background(), k.Latest(), s.ID).Result()
	if err != nil || time.Now().Before(s.Deadline) && int64(latest) > s.Deadline.UnixMilli() {
		d.t.Errorf("nobody looks after stop %s when its time is up: %v, %v; its deadline is %v", s.ID, latest, err, s.Deadline)
	}
}

// projects are those that the day's stops may be of.
var projects = []string{project, neighbour, tasks.NoProject}

// checkAll checks what must hold after any day, and tells how stops ended.
func (d *day) checkAll() map[ledger.State]int {
	ended := map[ledger.State]int{}
	byJob := map[string][]recordedCall{}
	for _, c := range d.recorded() {
		if c.job != "" { // a list is no job's; a task that couldn't be read has a stop without a job
			byJob[c.job] = append(byJob[c.job], c)
		}
	}
	foreigns := 0
	lost := 0 // at most so many outcomes that nobody could count
	spans := map[string][]span{}
	d.checkBatches()
	var stops []*ledger.Stop
	for _, p := range projects {
		stops = append(stops, d.all(p)...)
	}
	d.precede(stops)
	for _, s := range stops {
		ended[s.State]++
		if strings.HasPrefix(s.Batch, "queue-") {
			foreigns++
		}
		if d.troubled(span{s.Ended.Add(-time.Second), s.Ended.Add(5 * time.Second)}) {
			lost++
		}
		spans[s.JobID] = append(spans[s.JobID], span{s.Asked.Add(-early), s.Ended.Add(noted)})
		d.checkStop(s, byJob[s.JobID])
	}
	most := d.foreigns
	if d.nights > 0 { // long enough to forget that a task has been seen
		most += d.echoes
	}
	if foreigns > most {
		d.t.Errorf("%d stops for %d tasks of other producers", foreigns, d.foreigns)
	}
	d.checkRestarts(stops, byJob)
	d.checkTrainings()
	d.checkShadows()
	d.checkStrayCalls(spans)
	d.checkCounts(ended, lost)
	d.checkRate()
	d.checkScripts()
	d.checkWindow(stops)
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

// checkBatches checks that the counts of every batch are those of its stops, as
// it sees them, and that no outcome has changed.
func (d *day) checkBatches() {
	batches, err := d.ledger.Batches(context.Background(), 1000)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, p := range projects {
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
				d.checkOutcome(batch, s)
			}
			for state, n := range b.Counts {
				if counts[state] != n {
					d.t.Errorf("batch %s counts %d as %s, its stops say %d", batch, n, state, counts[state])
				}
			}
		}
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
	d.checkAbsent(s, calls)
	d.checkOwnWord(s, calls)
	var accepted time.Time
	confirmed, ours := false, false
	for _, c := range calls {
		if !d.within(c, s) {
			continue
		}
		if c.operation == jobs.OperationDetail {
			if c.err == nil && c.status.State == jobs.Ended {
				confirmed = true
			}
			if c.err == nil && c.status.State == jobs.Active {
				accepted = time.Time{}
			}
			continue
		}
		d.checkStopCall(s, c)
		if !accepted.IsZero() && c.at.After(accepted) {
			t.Errorf("job %s: stop call at %v though accepted at %v, and not seen active since", s.JobID, c.at, accepted)
		}
		ours = ours || mayHaveStopped(c.err)
		if c.err == nil && !d.troubled(span{c.at, c.end.Add(time.Minute)}) {
			accepted = c.end
		}
	}
	if s.State == ledger.Stopped && !ours && !d.troubled(span{s.Asked, s.Ended}) { // a worker that died may have been about to call
		t.Errorf("job %s is said to be stopped without a stop call that may have been accepted:\n%+v", s.JobID, calls)
	}
	if s.State == ledger.Stopped && !confirmed {
		t.Errorf("job %s is said to be stopped at %v without a word of the detail endpoint:\n%+v", s.JobID, s.Ended, calls)
	}
}

// checkStopCall checks the time of a stop call for s.
func (d *day) checkStopCall(s *ledger.Stop, c recordedCall) {
	d.checkWanted(s, c)
	for _, p := range d.paused {
		if c.at.After(p.from.Add(5*time.Second)) && c.at.Before(p.to) {
			d.t.Errorf("job %s: stop call from %v to %v, paused from %v to %v: %v", s.JobID, c.at, c.end, p.from, p.to, c.err)
		}
	}
}

// mayHaveWorked tells a call that was, perhaps, carried out from one that was
// turned away at the door, or never got beyond what goes before it: the login, or a look
// at the job.
func mayHaveWorked(err error) bool {
	if apiErr, ok := errors.AsType[*jobs.Error](err); ok && (apiErr.Operation != jobs.OperationStop || apiErr.HTTPStatus == 0 && !apiErr.MaybeSent) {
		return false
	}
	switch jobs.KindOf(err) {
	case jobs.KindCredentials, jobs.KindPermission, jobs.KindThrottled, jobs.KindNoAPI, jobs.KindUnreachable:
		return false
	}
	return true
}

// mayHaveStopped tells a call that was, perhaps, accepted from one that was refused.
func mayHaveStopped(err error) bool {
	kind := jobs.KindOf(err)
	return mayHaveWorked(err) && kind != jobs.KindNotAllowed && kind != jobs.KindInvalid && kind != jobs.KindNotFound
}

// checkStrayCalls: every stop call belongs to a stop in flight. That of a worker which froze with it in its hands goes out
// when it goes on: others have taken it for dead, and may have found the job ended.
func (d *day) checkStrayCalls(spans map[string][]span) {
	for _, c := range d.recorded() {
		if c.operation != jobs.OperationStop {
			continue
		}
		wanted := c.by.hurt(span{c.at.Add(-time.Second), c.at})
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

// checkRate: in no project did a second or ten seconds have more calls than the
// rate, the burst, the smaller one of polls, which a stop never waits for, and a
// probe or two, which don't stand in line.
func (d *day) checkRate() {
	byProject := map[string][]recordedCall{}
	for _, c := range d.recorded() {
		byProject[c.project] = append(byProject[c.project], c)
	}
	for _, calls := range byProject {
		for _, window := range []time.Duration{time.Second, 10 * time.Second} {
			burst := d.cfg.Release.Burst
			most := int(d.cfg.Release.Rate*window.Seconds()) + burst + burst/2 + 3
			first := 0
			for i, c := range calls {
				for c.at.Sub(calls[first].at) >= window {
					first++
				}
				n := i - first + 1
				if n > most {
					n -= waited(calls[first:i+1], calls) + triedAgain(calls[first:i+1], calls)
				}
				if n > most {
					d.t.Errorf("%d calls within %v before %v, the limit is %d with %.2f a second and a burst of %d:\n%s",
						n, window, c.at, most, d.cfg.Release.Rate, burst, listCalls(calls[max(0, first-5):i+1]))
					return
				}
			}
		}
	}
}

// listCalls is a line for each of some calls, the first of which may stand before those
// in question.
func listCalls(calls []recordedCall) string {
	var lines []string
	for _, c := range calls {
		by := "an undo"
		if c.by != nil {
			by = fmt.Sprintf("worker %p", c.by)
		}
		lines = append(lines, fmt.Sprintf("%s to %s %s of job %q by %s: %v", clock(c.at), clock(c.end), c.operation, c.job, by, c.err))
	}
	return strings.Join(lines, "\n")
}

// waited counts those of some calls that had leave to go out before, and waited until a
// long call of their worker was over and gave its slot free, or several calls of which
// each began when the one before ended.
func waited(some, calls []recordedCall) (n int) {
	for _, c := range some {
		for since, gap := c.at, 100*time.Millisecond; ; gap = 10 * time.Millisecond {
			if c.at.Sub(since) >= time.Second {
				n++
				break
			}
			before := slices.IndexFunc(calls, func(b recordedCall) bool {
				freed := since.Sub(b.end)
				return b.by == c.by && b.at.Before(since) && freed >= 0 && freed < gap && b.end.Sub(b.at) >= gap
			})
			if before < 0 {
				break
			}
			since = calls[before].at
		}
	}
	return n
}

func TestWaited(t *testing.T) {
	at := func(from, to int) recordedCall {
		return recordedCall{at: time.UnixMilli(int64(from)), end: time.UnixMilli(int64(to))}
	}
	long, soon, late := at(0, 1000), at(1005, 1010), at(1200, 1210)
	row := []recordedCall{at(0, 400), at(401, 800), at(801, 1000)}
	gaps := []recordedCall{at(0, 400), at(450, 800), at(850, 1000)}
	for name, tt := range map[string]struct {
		calls []recordedCall
		c     recordedCall
		want  int
	}{
		"after a long call":          {[]recordedCall{long, soon}, soon, 1},
		"long after a long call":     {[]recordedCall{long, late}, late, 0},
		"after a short call":         {[]recordedCall{at(500, 1000), soon}, soon, 0},
		"after several without gaps": {append(row, soon), soon, 1},
		"after several with gaps":    {append(gaps, soon), soon, 0},
	} {
		if got := waited([]recordedCall{tt.c}, tt.calls); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}

// triedAgain counts those of some calls that ask for a page again, which has failed or hangs: they go out at once, and
// are paid for when the list has been read.
func triedAgain(some, calls []recordedCall) (n int) {
	for _, c := range some {
		if c.operation == jobs.OperationList && slices.ContainsFunc(calls, func(first recordedCall) bool {
			failed := first.err != nil && !c.at.Before(first.end) && c.at.Sub(first.end) < 5*time.Second
			hangs := first.end.After(c.at) && c.at.Sub(first.at) >= 250*time.Millisecond
			return first.operation == c.operation && first.by == c.by && (failed || hangs)
		}) {
			n++
		}
	}
	return n
}

// checkProbes: an access key locks after more than five refusals within five
// minutes. Calls that were under way when the credentials turned bad can't be
// called back; a worker that is new makes three at most before it knows.
func (d *day) checkProbes() {
	var refused []time.Time // of calls that went out a second or more after the first refusal
	var known time.Time
	for _, c := range d.recorded() {
		if c.by == nil { // of an undo
			continue
		}
		switch bad := jobs.KindOf(c.err) == jobs.KindCredentials; {
		case !bad && c.end.After(known):
			known, refused = time.Time{}, nil
		case bad && known.IsZero():
			known = c.end
		case bad && c.at.After(known.Add(time.Second)):
			refused = append(refused, c.at)
		}
		for len(refused) > 0 && c.at.Sub(refused[0]) > 5*time.Minute {
			refused = refused[1:]
		}
		most := 5
		for _, h := range d.hired {
			if len(refused) > 0 && !h.Before(refused[0].Add(-time.Minute)) && h.Before(c.at) {
				most += 3
			}
		}
		if len(refused) > most && !d.troubled(span{refused[0].Add(-time.Minute), c.at}) {
			d.t.Errorf("%d calls with refused credentials within 5 minutes before %v, want %d at most", len(refused), c.at, most)
			return
		}
	}
}

// checkScripts: workers ask Redis no more than what there is to do needs. One round after the
// other that finds nothing takes thousands of scripts in a scriptsWindow; days have at most 400.
func (d *day) checkScripts() {
	calls := map[int64]int{}
	for _, c := range d.recorded() {
		calls[c.at.UnixNano()/int64(scriptsWindow)]++
	}
	for window, ran := range d.scripts.in {
		if most := 1000 + 20*calls[window]; ran > most {
			d.t.Errorf("workers had Redis run %d scripts within %v from %v on, want at most %d for %d calls",
				ran, scriptsWindow, time.Unix(0, window*int64(scriptsWindow)).UTC(), most, calls[window])
		}
	}
}
