package scheduler

import (
	"context"
	"errors"
	"strings"
	"testing"

	"vizstop/internal/ledger"
	"vizstop/internal/schedules"
	"vizstop/internal/tasks"
)

// interrupted is a producer that Redis leaves after so many chunks, or before whose next
// chunk something happens.
type interrupted struct {
	Producer
	left   int // chunks; then it fails
	before func(chunk int)
	after  func(chunk int)
	lost   int // the chunk whose answer is lost; 0: none
	n      int
}

func (p *interrupted) Ask(ctx context.Context, projectID, batch string, asks []ledger.Ask) ([]ledger.Opening, error) {
	p.n++
	n := p.n
	if n > p.left {
		return nil, errors.New("redis is away")
	}
	if p.before != nil {
		p.before(n)
	}
	openings, err := p.Producer.Ask(ctx, projectID, batch, asks)
	if p.after != nil {
		p.after(n)
	}
	if n == p.lost {
		return nil, errors.New("redis is away")
	}
	return openings, err
}

// interrupt puts such a producer between.
func (b *bench) interrupt(p *interrupted) {
	p.Producer = tasks.NewProducer(b.Ledger, b.rdb)
	b.Producer = p
}

// stops are those of a batch, by state.
func (b *bench) stops(batch string) map[ledger.State]int {
	b.t.Helper()
	counts := map[ledger.State]int{}
	for _, p := range []string{"a1", "a2", "b1", "b2"} {
		stops, _, err := b.Ledger.BatchStops(b.t.Context(), p, batch, 0, 100)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, s := range stops {
			counts[s.State]++
		}
	}
	return counts
}

const eveningBatch = "sched-s-20261126T200000Z"

// cancel does to a batch that has stops what "enqueue cancel" does, in some projects or, without any, in all.
func (b *bench) cancel(projects ...string) {
	b.t.Helper()
	ctx, whole := b.t.Context(), len(projects) == 0
	all, err := b.Ledger.BatchProjects(ctx, eveningBatch)
	if whole {
		projects = all
	}
	for _, p := range projects {
		err = errors.Join(err, b.Ledger.MarkCanceled(ctx, p, eveningBatch, "canceled by ann", whole))
	}
	for _, p := range projects {
		err = errors.Join(err, b.Ledger.WithdrawAll(ctx, p, eveningBatch, "canceled by ann", func(ledger.Withdrawal) {}))
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

// A batch that somebody cancels gets no more stops by its tick, whether the tick is at
// work, or gone on with by another worker; what was asked for in that very moment is
// withdrawn, too.
func TestCanceledTickAsksForNoMore(t *testing.T) {
	for name, tt := range map[string]struct {
		interrupted interrupted
		projects    []string
		resumed     bool
		canceled    int
		pending     int
		reason      string
	}{
		"gone on with": {interrupted: interrupted{left: 2}, resumed: true, canceled: 4, reason: "canceled by ann: 4 of the 8 jobs"},
		"at work":      {interrupted: interrupted{left: 9}, canceled: 4, reason: "canceled by ann: 4 of the 8 jobs"},
		"in one project, gone on with": {interrupted: interrupted{left: 2}, projects: []string{"a2"}, resumed: true, canceled: 2, pending: 6,
			reason: "canceled by ann (in some projects): 0 of the 8 jobs"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, strings.Replace(several, ", x1", "", 1), "11-26 19:00")
			p := tt.interrupted
			if !tt.resumed {
				p.before = func(chunk int) { // the brake was looked at, and then it is pulled
					if chunk == 2 {
						b.cancel(tt.projects...)
					}
				}
			}
			b.interrupt(&p)
			b.at("11-26 19:00")
			b.at("11-26 20:05")
			if tt.resumed {
				b.cancel(tt.projects...)
				p.left = 100
				b.at("11-26 20:07")
			}
			r := b.last("s")
			got := b.stops(eveningBatch)
			if got[ledger.Canceled] != tt.canceled || got[ledger.Pending] != tt.pending {
				t.Errorf("the batch has %v", got)
			}
			if !strings.HasPrefix(r.Reason, tt.reason) || (r.Outcome != Partial) != strings.Contains(r.Reason, ": 0 of") {
				t.Errorf("%s: %s", r.Outcome, r.Reason)
			}
		})
	}
}

// Nothing is asked for once the schedule is suspended.
func TestSuspendedTickAsksForNoMore(t *testing.T) {
	for name, tt := range map[string]struct {
		before  int // chunks that are asked for before
		resumed bool
		outcome Outcome
		reason  string
	}{
		"nothing was asked for": {0, true, Suspended, "suspended from 2026-11-26T20:05:00Z until 2026-12-31T00:00:00Z by ann: tests: 8 of the 8 jobs"},
		"half of it was":        {2, true, Partial, "suspended from 2026-11-26T20:05:00Z until 2026-12-31T00:00:00Z by ann: tests: 4 of the 8 jobs"},
		"at work":               {1, false, Partial, "suspended from 2026-11-26T20:05:00Z until 2026-12-31T00:00:00Z by ann: tests: 6 of the 8 jobs"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, strings.Replace(several, ", x1", "", 1), "11-26 19:00")
			suspend := func() {
				if err := NewDesk(b.rdb, b).Suspend(t.Context(), "s", at(t, "12-31 00:00"), "ann", "tests"); err != nil {
					t.Error(err)
				}
			}
			p := interrupted{left: tt.before}
			if !tt.resumed {
				p.left, p.after = 100, func(chunk int) {
					if chunk == tt.before {
						suspend()
					}
				}
			}
			b.interrupt(&p)
			b.at("11-26 19:00")
			b.at("11-26 20:05")
			if tt.resumed {
				suspend()
				p.left = 100
				b.at("11-26 20:50")
			}
			r := b.last("s")
			if r.Outcome != tt.outcome || !strings.HasPrefix(r.Reason, tt.reason) {
				t.Errorf("%s: %s", r.Outcome, r.Reason)
			}
			if got := b.stops(eveningBatch); got[ledger.Pending] != 2*tt.before {
				t.Errorf("the batch has %v", got)
			}
			if next, _, err := b.Times(t.Context()); err != nil || next["s"].Before(at(t, "11-27 20:00")) {
				t.Errorf("the next tick is %v, %v", next, err)
			}
		})
	}
}

// A stop whose deadline has passed is not asked for; the tick says so.
func TestGoneOnWithPastTheDeadline(t *testing.T) {
	for name, tt := range map[string]struct {
		before  int // chunks that were asked for in time
		back    string
		outcome Outcome
		reason  string
		asked   int
	}{
		"nothing was asked for": {0, "11-27 08:00", Failed, "8 of the 8 jobs that were chosen were not asked for: it was gone on with at 2026-11-27T08:00:00Z, after the deadline", 0},
		"half of it was":        {2, "11-27 08:00", Partial, "4 of the 8 jobs that were chosen were not asked for", 4},
		"spread":                {0, "11-26 21:10", Partial, "5 of the 8 jobs that were chosen were not asked for", 3},
		"in time":               {0, "11-26 20:06", Done, "", 8},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, strings.NewReplacer("catch_up: 1h", "catch_up: 24h", ", x1", "").Replace(several), "11-26 19:00")
			p := interrupted{left: tt.before}
			b.interrupt(&p)
			b.at("11-26 19:00")
			b.at("11-26 20:05")
			p.left = 100
			b.at(tt.back)
			r := b.last("s")
			if r.Outcome != tt.outcome || !strings.HasPrefix(r.Reason, tt.reason) || r.Refused != 8-tt.asked {
				t.Errorf("%s: %s: %+v", r.Outcome, r.Reason, r)
			}
			if got := b.stops(eveningBatch); got[ledger.Pending] != tt.asked {
				t.Errorf("the batch has %v", got)
			}
		})
	}
}

// A worker stands still while it asks, and another one settles the tick, which is canceled meanwhile: the first one
// withdraws what it has asked for behind the other's back.
func TestCanceledBehindAWorkerThatStandsStill(t *testing.T) {
	tick, batch := func(b *bench) { b.cancelTick(eveningBatch) }, func(b *bench) { b.cancel() }
	for name, tt := range map[string]struct {
		chunk    int
		cancel   func(b *bench)
		lost     int
		canceled int
		pending  int
	}{
		"the tick":                   {chunk: 1, cancel: tick, canceled: 2},
		"the batch":                  {chunk: 2, cancel: batch, canceled: 4},
		"the batch in one project":   {chunk: 2, cancel: func(b *bench) { b.cancel("a1", "a2") }, canceled: 4, pending: 4},
		"the tick, and Redis leaves": {chunk: 1, cancel: tick, lost: 1, canceled: 2},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, whole, "11-26 19:00")
			b.at("11-26 19:00")
			b.interrupt(&interrupted{left: 100, lost: tt.lost, before: func(chunk int) {
				if chunk == tt.chunk {
					tt.cancel(b)
					b.takeOver(eveningBatch)
				}
			}})
			b.at("11-26 20:05")
			if got := b.stops(eveningBatch); got[ledger.Pending] != tt.pending || got[ledger.Canceled] != tt.canceled {
				t.Errorf("the batch has %v, want %d canceled and %d pending", got, tt.canceled, tt.pending)
			}
			if r := b.last("s"); r.Worker != "other" || !strings.HasPrefix(r.Reason, "canceled by ann") {
				t.Errorf("%s by %s: %s", r.Outcome, r.Worker, r.Reason)
			}
		})
	}
}

// takeOver has another worker take this one for dead and bring its tick to an end.
func (b *bench) takeOver(batch string) {
	b.t.Helper()
	name, _, _ := schedules.OfBatch(batch)
	r, err := b.state(b.t.Context(), name)
	if err != nil {
		b.t.Fatal(err)
	}
	other, c := New(b.Config), *r.Claim
	other.me, c.Worker, c.Try = "other", "other", c.Try+1
	r.Claim = &c
	if err := other.change(b.t.Context(), name, &r); err != nil {
		b.t.Fatal(err)
	}
	other.carry(b.t.Context(), b.file.Load().Schedules[0], c)
}
