package scheduler

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vizstop/internal/fleet"
	"vizstop/internal/schedules"
)

func parse(t testing.TB, text string) *schedules.File {
	t.Helper()
	f, err := schedules.Parse("schedules.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse("01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return v.AddDate(2026, 0, 0)
}

const evening = "revision: 1\nschedules: [{name: evening, at: '20:00', timezone: UTC, catch_up: 1h, rule: {project: p, all: true}}]"

// What a look of worker "me" comes to, of a schedule at 20:00 with an hour to catch up.
func TestDecide(t *testing.T) {
	schedule := parse(t, evening).Schedules[0]
	print := schedule.Fingerprint()
	ms := func(text string) int64 { return at(t, text).UnixMilli() }
	claimed := func(worker string, c claim) state {
		c.Tick, c.Worker, c.Try = ms("11-26 20:00"), worker, 1
		return state{Timing: print, Settled: ms("11-25 20:00"), Claim: &c}
	}
	away := suspension{From: ms("11-24 12:00"), Until: ms("11-26 12:00"), By: "ann", Reason: "holidays"}
	for _, tt := range []struct {
		name    string
		since   string // default 11-01 00:00
		now     string
		was     state
		dead    bool     // worker "other" is
		results []string // day, outcome and the beginning of the reason
		mine    bool
		claim   string // its tick; "": none
		next    string
	}{
		{name: "nothing is due", now: "11-26 19:59", was: state{Timing: print, Settled: ms("11-25 20:00")}, next: "11-26 20:00"},
		{name: "due", now: "11-26 20:00", was: state{Timing: print, Settled: ms("11-25 20:00")}, mine: true, claim: "11-26 20:00", next: "11-26 20:00"},
		{name: "first seen after it", since: "11-26 20:01", now: "11-26 20:02", next: "11-27 20:00"},
		{name: "caught up", now: "11-26 21:00", was: state{Timing: print, Settled: ms("11-25 20:00")}, mine: true, claim: "11-26 20:00", next: "11-26 20:00"},
		{name: "too late", now: "11-26 21:01", was: state{Timing: print, Settled: ms("11-25 20:00"), Looked: ms("11-26 19:00")},
			results: []string{"26 missed from 2026-11-26T19:00:00Z to 2026-11-26T21:01:00Z no worker"}, next: "11-27 20:00"},
		{name: "the newest only, each older one by name", now: "11-26 20:30", was: state{Timing: print, Settled: ms("11-23 20:00"), Looked: ms("11-24 19:00")},
			results: []string{"24 missed from", "25 missed from"}, mine: true, claim: "11-26 20:00", next: "11-26 20:00"},
		{name: "none of a suspension is caught up", now: "11-26 20:30", was: state{Timing: print, Settled: ms("11-23 20:00"), Suspensions: []suspension{away}},
			results: []string{"24 suspended suspended from 2026-11-24T12:00:00Z until 2026-11-26T12:00:00Z by ann: holidays", "25 suspended"}, mine: true, claim: "11-26 20:00", next: "11-26 20:00"},
		{name: "suspended since", now: "11-26 20:30", was: state{Timing: print, Settled: ms("11-25 20:00"),
			Suspensions: []suspension{{From: ms("11-26 20:05"), Until: ms("11-27 12:00"), By: "ann"}}}, results: []string{"26 suspended"}, next: "11-27 20:00"},
		{name: "another has it", now: "11-26 20:10", was: claimed("other", claim{}), claim: "11-26 20:00", next: "11-26 20:00"},
		{name: "another had it", now: "11-26 20:10", dead: true, was: claimed("other", claim{}), mine: true, claim: "11-26 20:00", next: "11-26 20:00"},
		{name: "its notice got lost", now: "11-26 20:10", was: claimed("me", claim{}), mine: true, claim: "11-26 20:00", next: "11-26 20:00"},
		{name: "rests", now: "11-26 20:10", was: claimed("", claim{RetryAt: ms("11-26 20:11")}), claim: "11-26 20:00", next: "11-26 20:00"},
		{name: "tried again", now: "11-26 20:11", was: claimed("", claim{RetryAt: ms("11-26 20:11")}), mine: true, claim: "11-26 20:00", next: "11-26 20:00"},
		{name: "given up", now: "11-26 21:01", was: claimed("", claim{RetryAt: ms("11-26 20:59"), Error: "no list"}),
			results: []string{"26 failed given up 1h0m0s after its time: no list"}, next: "11-27 20:00"},
		{name: "gone on with too late", now: "11-26 21:01", dead: true, was: claimed("other", claim{Chosen: &chosen{Jobs: 3}}),
			results: []string{"26 failed given up 1h0m0s after its time: the worker that carried it out is gone"}, next: "11-27 20:00"},
		{name: "suspended before its jobs were chosen", now: "11-26 20:11", was: func() state {
			s := claimed("", claim{})
			s.Suspensions = []suspension{{From: ms("11-26 20:05"), Until: ms("11-27 12:00"), By: "ann"}}
			return s
		}(), results: []string{"26 suspended"}, next: "11-27 20:00"},
		{name: "begun before the suspension", now: "11-26 20:11", dead: true, was: func() state {
			s := claimed("other", claim{Chosen: &chosen{Jobs: 3}})
			s.Suspensions = []suspension{{From: ms("11-26 20:05"), Until: ms("11-27 12:00"), By: "ann"}}
			return s
		}(), mine: true, claim: "11-26 20:00", next: "11-26 20:00"},
		{name: "never begun", now: "11-26 21:01", was: state{Timing: print, Settled: ms("11-25 20:00"), Claim: &claim{Tick: ms("11-26 20:00")}},
			results: []string{"26 missed no worker was free to begin with it within 1h0m0s"}, next: "11-27 20:00"},
		{name: "a run by hand, suspended since", now: "11-26 11:59", was: state{Timing: print, Settled: ms("11-25 20:00"), Run: &request{Tick: ms("11-26 11:59"), By: "ann"},
			Suspensions: []suspension{away}}, results: []string{"26 suspended suspended from 2026-11-24T12:00:00Z until 2026-11-26T12:00:00Z by ann: holidays"}, next: "11-26 20:00"},
		{name: "suspended for a while since, and resumed", now: "11-26 20:30", was: state{Timing: print, Settled: ms("11-25 20:00"),
			Suspensions: []suspension{{From: ms("11-26 20:05"), Until: ms("11-26 20:06"), By: "ann"}}}, results: []string{"26 suspended suspended from 2026-11-26T20:05:00Z"}, next: "11-27 20:00"},
		{name: "missed, and suspended for a while later", now: "11-27 08:00", was: state{Timing: print, Settled: ms("11-25 20:00"), Looked: ms("11-26 19:00"),
			Suspensions: []suspension{{From: ms("11-26 22:00"), Until: ms("11-26 23:00"), By: "ann"}}}, results: []string{"26 missed from 2026-11-26T19:00:00Z"}, next: "11-27 20:00"},
		{name: "suspended for a while between two tries", now: "11-26 20:11", was: func() state {
			s := claimed("", claim{RetryAt: ms("11-26 20:20"), Error: "no list"})
			s.Suspensions = []suspension{{From: ms("11-26 20:05"), Until: ms("11-26 20:06"), By: "ann"}}
			return s
		}(), results: []string{"26 suspended suspended from 2026-11-26T20:05:00Z until 2026-11-26T20:06:00Z by ann; the try before: no list"}, next: "11-27 20:00"},
		{name: "a run that was asked for after a suspension in its second", now: "11-26 12:00", was: state{Timing: print, Settled: ms("11-25 20:00"),
			Run: &request{Tick: ms("11-26 11:59"), Asked: ms("11-26 11:59") + 500, By: "ann"}, Suspensions: []suspension{{From: ms("11-26 11:58"), Until: ms("11-26 11:59") + 400}}},
			mine: true, claim: "11-26 11:59", next: "11-26 20:00"},
		{name: "canceled before anybody began", now: "11-26 20:00", was: state{Timing: print, Settled: ms("11-25 20:00"), Canceled: []cancellation{{ms("11-26 20:00"), "by ann"}}},
			results: []string{"26 canceled by ann"}, next: "11-27 20:00"},
		{name: "canceled between two tries", now: "11-26 20:10", was: func() state {
			s := claimed("", claim{RetryAt: ms("11-26 20:11"), Error: "no list"})
			s.Canceled = []cancellation{{s.Claim.Tick, "by ann"}}
			return s
		}(), results: []string{"26 canceled by ann"}, next: "11-27 20:00"},
		{name: "canceled while another lists jobs for it", now: "11-26 20:10", was: func() state {
			s := claimed("other", claim{})
			s.Canceled = []cancellation{{s.Claim.Tick, "by ann"}}
			return s
		}(), results: []string{"26 canceled by ann"}, next: "11-27 20:00"},
		{name: "canceled once its jobs are chosen", now: "11-26 20:10", dead: true, was: func() state { // whoever has it withdraws what it has asked for
			s := claimed("other", claim{Chosen: &chosen{Jobs: 3}})
			s.Canceled = []cancellation{{s.Claim.Tick, "by ann"}}
			return s
		}(), mine: true, claim: "11-26 20:00", next: "11-26 20:00"},
		{name: "a run that waits behind a tick is canceled", now: "11-26 20:10", was: func() state {
			s := claimed("other", claim{})
			s.Run = &request{Tick: ms("11-26 20:09"), By: "bob"}
			s.Canceled = []cancellation{{s.Run.Tick, "by ann"}}
			return s
		}(), results: []string{"26 canceled by ann"}, claim: "11-26 20:00", next: "11-26 20:00"},
		{name: "suspended for some ticks", now: "11-26 21:00", was: state{Timing: print, Settled: ms("11-26 20:00"),
			Suspensions: []suspension{{From: ms("11-26 20:30"), Until: ms("11-28 20:00"), By: "ann"}}}, next: "11-28 20:00"},
		{name: "other times", now: "11-26 20:30", since: "11-26 20:29", was: state{Timing: "old", Next: ms("11-26 19:00"), Settled: ms("11-25 19:00")},
			results: []string{"26 missed the times of the schedule were changed before it was carried out"}, next: "11-27 20:00"},
		{name: "a run by hand", now: "11-26 12:00", was: state{Timing: print, Settled: ms("11-25 20:00"), Run: &request{Tick: ms("11-26 11:59"), By: "ann"}},
			mine: true, claim: "11-26 11:59", next: "11-26 20:00"},
		{name: "a run by hand that nobody began", now: "11-26 13:00", was: state{Timing: print, Settled: ms("11-25 20:00"), Run: &request{Tick: ms("11-26 11:59"), By: "ann"}},
			results: []string{"26 missed"}, next: "11-26 20:00"},
		{name: "a run by hand behind one that took too long", now: "11-26 13:00", was: state{Timing: print, Settled: ms("11-25 20:00"), Looked: ms("11-26 12:59"),
			Claim: &claim{Tick: ms("11-26 11:58"), Try: 9, By: "bob", Error: "no list"}, Run: &request{Tick: ms("11-26 11:59"), By: "ann"}},
			results: []string{"26 failed given up 1h0m0s after its time: no list", "26 missed a tick before it, or a run by hand, was still being carried out"}, next: "11-26 20:00"},
		{name: "a tick behind a run by hand that took too long", now: "11-26 21:01", was: state{Timing: print, Settled: ms("11-25 20:00"), Looked: ms("11-26 21:00"),
			Claim: &claim{Tick: ms("11-26 19:59"), Try: 9, By: "bob", Error: "no list"}},
			results: []string{"26 failed given up 1h0m0s after its time: no list", "26 missed a tick before it, or a run by hand, was still being carried out"}, next: "11-27 20:00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := view{schedule: schedule, since: at(t, "11-01 00:00"), now: at(t, tt.now), me: "me", census: fleet.Census{Reliable: true}}
			if tt.since != "" {
				v.since = at(t, tt.since)
			} else if tt.was.Settled == 0 {
				v.since = at(t, "11-25 21:00")
			}
			if !tt.dead {
				v.census.Alive = []fleet.Worker{{ID: "other"}}
			}
			s := tt.was
			results, mine, changed := v.decide(&s)
			var got []string
			for _, r := range results {
				got = append(got, fmt.Sprint(r.Tick.Day(), " ", r.Outcome, " ", r.Reason))
			}
			if !slices.EqualFunc(got, tt.results, strings.HasPrefix) {
				t.Errorf("results are %q, want %q", got, tt.results)
			}
			tick := ""
			if s.Claim != nil {
				tick = timeOf(s.Claim.Tick).Format("01-02 15:04")
			}
			if mine != tt.mine || tick != tt.claim || mine && (s.Claim.Worker != "me" || !changed) {
				t.Errorf("mine %v, changed %v, claim %q %+v; want %v and %q", mine, changed, tick, s.Claim, tt.mine, tt.claim)
			}
			if next := timeOf(s.Next).Format("01-02 15:04"); next != tt.next {
				t.Errorf("the next tick is %s, want %s", next, tt.next)
			}
			if s.Looked = v.now.UnixMilli(); mine {
				v.busy = true
			}
			if again, mine, changed := v.decide(&s); len(again) > 0 || mine || changed {
				t.Errorf("a second look changes it: %v, %v, %v", again, mine, changed)
			}
		})
	}
}

// Nobody is taken for dead while that is not certain.
func TestNotTakenOverInDoubt(t *testing.T) {
	schedule := parse(t, evening).Schedules[0]
	s := state{Timing: schedule.Fingerprint(), Claim: &claim{Tick: at(t, "11-26 20:00").UnixMilli(), Worker: "other", Try: 1}}
	v := view{schedule: schedule, since: at(t, "11-25 21:00"), now: at(t, "11-26 20:10"), me: "me"}
	if _, mine, _ := v.decide(&s); mine || s.Claim.Worker != "other" {
		t.Errorf("taken over: %+v", s.Claim)
	}
}

// A schedule whose times stay goes on without a break in another file; one that is new
// or has other times begins with it.
func TestSucceed(t *testing.T) {
	first, later := at(t, "11-01 00:00"), at(t, "11-02 00:00")
	a := parse(t, "revision: 1\nschedules: [{name: a, at: '20:00', timezone: UTC, rule: {project: p, all: true}}, {name: b, at: '20:00', timezone: UTC, rule: {project: p, all: true}}]")
	b := parse(t, "revision: 2\nschedules: [{name: a, at: '20:00', timezone: UTC, rule: {project: q, all: true}}, {name: b, at: '21:00', timezone: UTC, rule: {project: p, all: true}},"+
		"{name: c, at: '20:00', timezone: UTC, rule: {project: p, all: true}}]")
	f := succeed(succeed(Force{}, a, first), b, later)
	got := fmt.Sprint(f.Revision, f.Schedules[0].Since.Equal(first), f.Schedules[1].Since.Equal(later), f.Schedules[2].Since.Equal(later))
	if got != "2 true true true" {
		t.Errorf("%s: %+v", got, f)
	}
	for file, want := range map[*schedules.File]string{b: "", a: "revision 2 (hash " + b.Hash + ") is in force since 2026-11-02T00:00:00Z; give this worker that file, or raise the revision of its own above 2"} {
		if got := f.refusal(file); !strings.HasSuffix(got, want) || (want == "") != (got == "") {
			t.Errorf("revision %d: %q, want %q", file.Revision, got, want)
		}
	}
	other := *b
	other.Hash = "0"
	if got := f.refusal(&other); !strings.Contains(got, "revision 2 with other content (hash "+b.Hash+")") || !strings.Contains(got, "hash 0)") {
		t.Errorf("other content of one revision: %q", got)
	}
}

// A tick that is canceled is so, too, if its schedule leaves the file before it is gone on with.
func TestLeaveCanceled(t *testing.T) {
	ms := at(t, "11-26 20:00").UnixMilli()
	for why, want := range map[string]string{
		"": "failed: revision 2 of the schedules file does not have the schedule any more: redis is away; whatever it has asked for goes on: " +
			"enqueue status " + eveningBatch,
		"canceled by ann: a slip": "canceled: canceled by ann: a slip; whatever it has asked for is withdrawn, unless its call has gone out: " +
			"enqueue status " + eveningBatch,
	} {
		v := view{schedule: &schedules.Schedule{Name: "s"}, now: at(t, "11-26 20:10"), me: "me"}
		s := state{Claim: &claim{Tick: ms, Try: 1, Error: "redis is away", Chosen: &chosen{Jobs: 3}}}
		if why != "" {
			s.Canceled = []cancellation{{ms, why}}
		}
		results := v.leave(&s, 2)
		if len(results) != 1 || fmt.Sprintf("%s: %s", results[0].Outcome, results[0].Reason) != want || s.Claim != nil {
			t.Errorf("canceled %q: %+v, want %s", why, results, want)
		}
	}
}
