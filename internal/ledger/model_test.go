package ledger

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vizstop/internal/redistest"
)

// model is the ledger in plain Go: what the scripts must agree with.
type model struct {
	stops  map[string]*modelStop      // by stop id
	active map[string]string          // job to stop id
	joined map[string]map[string]bool // batch to the stops that it joined
}

type modelStop struct {
	job, batch string
	state      State
	kind       Kind
	hop        int
	calling    int  // hop whose stop call may be on its way
	unsure     bool // a call may have gone out
}

func (m *model) open(batch, job string) (Result, string) {
	id := StopID(batch, project, job)
	if s, ok := m.stops[id]; ok {
		if s.state == Pending && s.hop == 1 {
			return Waiting, id
		}
		return Known, id
	}
	if other, ok := m.active[job]; ok {
		if m.joined[batch] == nil {
			m.joined[batch] = map[string]bool{}
		}
		m.joined[batch][other] = true
		return Joined, other
	}
	m.stops[id] = &modelStop{job: job, batch: batch, state: Pending, kind: KindStop, hop: 1}
	m.active[job] = id
	return Opened, id
}

// stopping counts the stops that are stopping, with the given one among them.
func (m *model) stopping(with string) int {
	n := 0
	for id, s := range m.stops {
		if s.state == Stopping || id == with {
			n++
		}
	}
	return n
}

func (m *model) counts(batch string) (counts map[State]int, total int) {
	counts = map[State]int{}
	for _, s := range append(InFlight(), Outcomes()...) {
		counts[s] = 0
	}
	for _, s := range m.stops {
		if s.batch == batch {
			counts[s.state]++
			total++
		}
	}
	return counts, total
}

// TestModel runs random interleavings of calls, some from tasks that hold a
// stop as it was a while ago, and compares each answer and all counts with the
// model. Few jobs and batches make collisions frequent.
func TestModel(t *testing.T) {
	server := redistest.Start(t)
	rdb, admin := server.Limited(t), server.Client(t)
	ctx := t.Context()
	jobs, batches := rapid.SampledFrom([]string{"1", "2", "3", "4"}), rapid.SampledFrom([]string{"a", "b", "c"})

	rapid.Check(t, func(t *rapid.T) {
		if err := admin.FlushAll(ctx).Err(); err != nil {
			t.Fatal(err)
		}
		c := newClock()
		l := New(rdb, Config{Now: c.now})
		m := &model{stops: map[string]*modelStop{}, active: map[string]string{}, joined: map[string]map[string]bool{}}
		held := []*Stop{} // what tasks have claimed and not yet used

		t.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				batch, wanted := batches.Draw(t, "batch"), rapid.SliceOfNDistinct(jobs, 1, 4, rapid.ID).Draw(t, "jobs")
				var asks []Ask
				for _, j := range wanted {
					asks = append(asks, Ask{JobID: j, Deadline: c.now().Add(time.Hour)})
				}
				got, err := l.Open(ctx, project, batch, asks)
				if err != nil {
					t.Fatal(err)
				}
				for i, j := range wanted {
					result, id := m.open(batch, j)
					if got[i].Result != result || got[i].StopID != id {
						t.Fatalf("open %s/%s: got %v, want %v of %s", batch, j, got[i], result, id)
					}
				}
			},
			"claim": func(t *rapid.T) {
				id := StopID(batches.Draw(t, "batch"), project, jobs.Draw(t, "job"))
				want, ok := m.stops[id]
				if !ok {
					t.Skip("no such stop")
				}
				hop := max(1, want.hop-rapid.IntRange(0, 1).Draw(t, "behind"))
				s, err := l.Claim(ctx, project, id, hop, want.kind)
				if err != nil {
					t.Fatal(err)
				}
				if s.State != want.state || s.Hop != want.hop || s.JobID != want.job || s.Batch != want.batch {
					t.Fatalf("claimed %+v, want %+v", s, want)
				}
				if !want.state.Ended() && hop == want.hop && want.kind == KindStop {
					want.unsure = want.unsure || want.calling == hop
					want.calling = hop
				}
				if s.Unsure != want.unsure {
					t.Fatalf("unsure %v, want %v", s.Unsure, want.unsure)
				}
				held = append(held, s)
			},
			"advance": func(t *rapid.T) {
				if len(held) == 0 {
					t.Skip("nothing claimed")
				}
				s := *rapid.SampledFrom(held).Draw(t, "held")
				want := m.stops[s.ID]
				mayMove := !want.state.Ended() && want.hop == s.Hop
				kind := rapid.SampledFrom([]Kind{KindStop, KindPoll}).Draw(t, "kind")
				if !s.State.Ended() && rapid.Bool().Draw(t, "accept") {
					s.State = Stopping
				}
				state := s.State
				lost := rapid.Bool().Draw(t, "lost")
				c.advance(time.Second)
				least := rapid.IntRange(0, 3).Draw(t, "watched from")
				var moved bool
				var err error
				switch {
				case lost:
					if kind = s.Kind; kind == KindWatch {
						kind = KindPoll
					}
					moved, err = l.Replace(ctx, &s, c.now())
				case kind == KindPoll && state == Stopping:
					moved, _, err = l.Follow(ctx, &s, c.now(), WatchRule{Least: least, From: c.now(), Latest: c.now()})
					if mayMove && least > 0 && m.stopping(s.ID) >= least {
						kind = KindWatch
					}
				default:
					moved, err = l.Advance(ctx, &s, kind, c.now())
				}
				if err != nil || moved != mayMove || moved && s.Kind != kind {
					t.Fatalf("advance %+v: %v, %v; want %v, to %s", s, moved, err, mayMove, kind)
				}
				if moved {
					want.unsure = want.unsure || lost && want.calling == want.hop
					want.hop, want.kind, want.state = want.hop+1, kind, state
				}
			},
			"finish": func(t *rapid.T) {
				if len(held) == 0 {
					t.Skip("nothing claimed")
				}
				s := *rapid.SampledFrom(held).Draw(t, "held")
				want := m.stops[s.ID]
				mayMove := !want.state.Ended() && want.hop == s.Hop
				outcome := rapid.SampledFrom(Outcomes()).Draw(t, "outcome")
				moved, err := l.Finish(ctx, &s, outcome, "why", 0)
				if err != nil || moved != mayMove {
					t.Fatalf("finish %+v: %v, %v; want %v", s, moved, err, mayMove)
				}
				if moved {
					want.state = outcome
					delete(m.active, want.job)
				}
			},
			"cancel": func(t *rapid.T) {
				id := StopID(batches.Draw(t, "batch"), project, jobs.Draw(t, "job"))
				want, ok := m.stops[id]
				if !ok {
					t.Skip("no such stop")
				}
				s, err := l.Get(ctx, project, id)
				if err != nil {
					t.Fatal(err)
				}
				mayMove := want.state == Pending && want.calling != want.hop && !want.unsure
				moved, err := l.Cancel(ctx, s, "why")
				if err != nil || moved != mayMove {
					t.Fatalf("cancel %+v: %v, %v; want %v", s, moved, err, mayMove)
				}
				if moved {
					want.state = Canceled
					delete(m.active, want.job)
				}
			},
			"": func(t *rapid.T) { compare(t, l, m) },
		})
	})
}

// compare holds every count that the ledger keeps against the model.
func compare(t *rapid.T, l *Ledger, m *model) {
	ctx := t.Context()
	inFlight := map[State]int{Pending: 0, Stopping: 0}
	for _, s := range m.stops {
		if !s.state.Ended() {
			inFlight[s.state]++
		}
	}
	load, err := l.Load(ctx)
	if err != nil || !maps.Equal(load.Count, inFlight) {
		t.Fatalf("in flight: %v, %v; want %v", load.Count, err, inFlight)
	}
	overdue, err := l.Overdue(ctx, project, l.now().Add(24*time.Hour), 100)
	if err != nil || len(overdue) != len(m.active) {
		t.Fatalf("%d stops have a next task, %v; want %d", len(overdue), err, len(m.active))
	}
	var watched []string
	for _, s := range m.stops {
		if !s.state.Ended() && s.kind == KindWatch {
			watched = append(watched, s.job)
		}
	}
	index, err := l.Watched(ctx, project)
	if err != nil || len(index) != len(watched) {
		t.Fatalf("watched: %v, %v; want %v", index, err, watched)
	}
	if screen, err := l.Screen(ctx, project); err != nil || len(watched) > 0 && !screen.On {
		t.Fatalf("%v are watched by no screen: %+v, %v", watched, screen, err)
	}
	for _, batch := range []string{"a", "b", "c"} {
		counts, total := m.counts(batch)
		b, err := l.Batch(ctx, project, batch)
		if total == 0 && len(m.joined[batch]) == 0 {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got, want := fmt.Sprint(b.Total, b.Joined, b.Counts), fmt.Sprint(total, len(m.joined[batch]), counts)
		if got != want {
			t.Fatalf("batch %s: %s, want %s", batch, got, want)
		}
		stops, err := l.BatchStops(ctx, project, batch, 0, 100)
		if err != nil || len(stops) != total {
			t.Fatalf("batch %s lists %d stops, %v; want %d", batch, len(stops), err, total)
		}
	}
}
