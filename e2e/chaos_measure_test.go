package e2e

import (
	"fmt"
	"testing"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

// repeats counts the stop calls of one job that came after the API had accepted
// one. Known are those that the ledger should have prevented, since an
// acceptance stood in it: it was recorded before the call came, or more than one
// answer was recorded. The others repeat a call whose acceptance died with a
// worker or with Redis before it was recorded.
func repeats(s reported, calls []modelartstest.Call) (known, unknown int) {
	accepted, before := false, 0
	for _, c := range calls {
		switch {
		case c.Operation != modelartstest.OpStop:
		case accepted && !s.Accepted.IsZero() && s.Accepted.Before(c.At):
			known++
		case accepted:
			unknown++
		case c.HTTPStatus/100 == 2:
			accepted = true
		default:
			before++ // refused, or never answered
		}
	}
	if more := min(s.Calls-before-1-known, unknown); more > 0 {
		known, unknown = known+more, unknown-more
	}
	return known, unknown
}

// recovery is the longest that any stop in flight had something to do and stood
// still after one of the moments, and its job: until its next call reached the
// API, or it ended. There is something to do when it is due and, once a stop call
// was accepted, when its job has truly stopped. Until then the project's list is
// looked at, which is no call of the stop's. The next times at which Redis is away
// do not count. It is negative without a moment at which a stop was in flight.
func recovery(moments []time.Time, stops []reported, calls map[string][]modelartstest.Call, stopped map[string]time.Time, away []window) (longest time.Duration, job string) {
	longest = -1
	for _, m := range moments {
		for _, s := range stops {
			if s.Asked.After(m) || !s.Ended.After(m) { // one without an end has no measure
				continue
			}
			from, next := m, s.Ended
			if s.Due.After(m) {
				from = s.Due
			}
			for _, c := range calls[s.JobID] {
				if c.At.After(m) {
					next = c.At
					break
				}
				if c.Operation == modelartstest.OpStop && c.HTTPStatus/100 == 2 && stopped[s.JobID].After(from) {
					from = stopped[s.JobID]
				}
			}
			d := max(0, next.Sub(from))
			for _, w := range away {
				d -= w.within(from, next)
			}
			if d > longest {
				longest, job = d, s.JobID
			}
		}
	}
	return longest, job
}

// window is a time from one moment to another.
type window struct{ from, to time.Time }

// within is how much of a window lies between two moments.
func (w window) within(from, to time.Time) time.Duration {
	if w.from.After(from) {
		from = w.from
	}
	if w.to.Before(to) {
		to = w.to
	}
	return max(0, to.Sub(from))
}

func TestRepeats(t *testing.T) {
	t.Parallel()
	began := time.Now()
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	stop := func(s, status int) modelartstest.Call {
		return modelartstest.Call{Operation: modelartstest.OpStop, At: at(s), HTTPStatus: status}
	}
	poll := modelartstest.Call{Operation: modelartstest.OpDetail, At: at(9), HTTPStatus: 200}
	for name, c := range map[string]struct {
		stop           reported
		calls          []modelartstest.Call
		known, unknown int
	}{
		"one call":              {reported{Accepted: at(1), Calls: 1}, []modelartstest.Call{stop(0, 200), poll}, 0, 0},
		"refused first":         {reported{Accepted: at(2), Calls: 2}, []modelartstest.Call{stop(0, 503), stop(1, 200), poll}, 0, 0},
		"acceptance lost":       {reported{Accepted: at(3), Calls: 1}, []modelartstest.Call{stop(0, 200), stop(2, 400), poll}, 0, 1},
		"both recorded":         {reported{Accepted: at(3), Calls: 2}, []modelartstest.Call{stop(0, 200), stop(2, 400), poll}, 1, 0},
		"recorded before":       {reported{Accepted: at(1), Calls: 1}, []modelartstest.Call{stop(0, 200), stop(2, 400), poll}, 1, 0},
		"lost, seen to be over": {reported{Calls: 1}, []modelartstest.Call{stop(0, 200), stop(2, 400), poll}, 0, 1},
	} {
		if known, unknown := repeats(c.stop, c.calls); known != c.known || unknown != c.unknown {
			t.Errorf("%s: %d known, %d unknown, want %d and %d", name, known, unknown, c.known, c.unknown)
		}
	}
}

func TestRecovery(t *testing.T) {
	t.Parallel()
	began := time.Now()
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	stops := []reported{
		{JobID: "over", Asked: at(0), Ended: at(3)},
		{JobID: "later", Asked: at(6), Ended: at(99)},
		{JobID: "called", Asked: at(0), Ended: at(50)},
		{JobID: "ended", Asked: at(0), Ended: at(12)},
		{JobID: "not due", Asked: at(0), Due: at(45), Ended: at(50)},
		{JobID: "accepted", Asked: at(150), Ended: at(241)},
		{JobID: "refused", Asked: at(250), Ended: at(300)},
	}
	calls := map[string][]modelartstest.Call{
		"called":   {{At: at(1)}, {At: at(9)}, {At: at(40)}},
		"ended":    {{At: at(4)}},
		"accepted": {{Operation: modelartstest.OpStop, At: at(150), HTTPStatus: 200}, {At: at(240)}},
		"refused":  {{Operation: modelartstest.OpStop, At: at(250), HTTPStatus: 500}, {At: at(280)}},
	}
	stopped := map[string]time.Time{"accepted": at(237), "refused": at(279)}
	away := []window{{at(4), at(5)}, {at(270), at(278)}}
	for m, want := range map[int]string{5: "7s ended", 10: "1m29s later", 200: "3s accepted", 260: "12s refused", 400: "-1ns "} {
		if longest, job := recovery([]time.Time{at(m)}, stops, calls, stopped, away); fmt.Sprint(longest, " ", job) != want {
			t.Errorf("after %d s: %v %s, want %s", m, longest, job, want)
		}
	}
}
