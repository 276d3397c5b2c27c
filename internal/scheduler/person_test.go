package scheduler

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vizstop/internal/schedules"
)

// Each run by hand has a batch of its own, however soon one follows the other, and none is
// that of a tick by the clock.
func TestRunsHaveBatchesOfTheirOwn(t *testing.T) {
	b := newBench(t, several, "11-26 19:00")
	b.at("11-26 19:00")
	b.at("11-26 19:10")
	seen := map[string]bool{}
	desk := NewDesk(b.rdb, b)
	for _, second := range []time.Duration{0, 1, 1, 1, 57, 58, 59, 60} {
		b.mu.Lock()
		b.now = at(t, "11-26 19:10").Add(second * time.Second)
		b.mu.Unlock()
		batch, _, err := desk.Run(t.Context(), "s", "ann", second%2 == 0)
		if err != nil || seen[batch] || strings.HasSuffix(batch, "00Z") {
			t.Errorf("at second %d: %s, %v; seen %v", second, batch, err, seen)
		}
		seen[batch] = true
		if _, err := b.look(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.work.Wait()
		if r := b.last("s"); r.Batch != batch || r.Known > 0 || r.Shadow != (second%2 == 0) {
			t.Errorf("the result is %+v", r)
		}
	}
}

// A tick, a run by hand and a time to come each have a result if their schedule leaves
// the file; what is being carried out is brought to its end.
func TestScheduleLeavesTheFile(t *testing.T) {
	b := newBench(t, several, "11-26 19:00")
	p := interrupted{left: 2}
	b.interrupt(&p)
	b.at("11-26 19:00")
	b.at("11-26 20:05")
	if _, _, err := NewDesk(b.rdb, b).Run(t.Context(), "s", "ann", false); err != nil {
		t.Fatal(err)
	}
	p.left = 100
	other := strings.NewReplacer("revision: 1", "revision: 2", "name: s", "name: other").Replace(several)
	b.Set(parse(t, other))
	b.at("11-26 20:10")
	b.at("11-26 22:10")
	all, err := b.results(t.Context(), "s", 5)
	if err != nil || len(all) != 2 {
		t.Fatalf("results %+v, %v", all, err)
	}
	const words = "revision 2 of the schedules file does not have the schedule any more"
	if r := all[1]; r.Outcome != Failed || r.Batch != eveningBatch || !strings.HasPrefix(r.Reason, words+": redis is away") {
		t.Errorf("the tick: %s %s", r.Outcome, r.Reason)
	}
	if r := all[0]; r.Outcome != Missed || r.By != "ann" || r.Reason != words {
		t.Errorf("the run: %s %s", r.Outcome, r.Reason)
	}
	before := b.rdb.HGet(t.Context(), stateKey("s"), recordField).Val()
	b.at("11-26 22:11")
	if after := b.rdb.HGet(t.Context(), stateKey("s"), recordField).Val(); after != before {
		t.Errorf("a look at what left changed it from %s to %s", before, after)
	}
	b.Set(parse(t, strings.Replace(several, "revision: 1", "revision: 3", 1)))
	b.at("11-26 22:12")
	if f, _, err := b.force(t.Context()); err != nil || len(f.Left) != 1 || f.Left[0].Name != "other" {
		t.Errorf("in force is %+v, %v", f, err)
	}
	if r := b.last("s"); r.By != "ann" {
		t.Errorf("it is back, and has the result %+v", r)
	}
}

// A run that waits for a worker is shown, and its batch.
func TestRunThatWaits(t *testing.T) {
	b := newBench(t, several, "11-26 19:00")
	b.at("11-26 19:00")
	desk := NewDesk(b.rdb, b)
	batch, _, err := desk.Run(t.Context(), "s", "ann", true)
	if err != nil {
		t.Fatal(err)
	}
	o, err := desk.Overview(t.Context(), 1)
	if err != nil || o.Schedules[0].Requested == nil || *o.Schedules[0].Requested != (Requested{Batch: batch, By: "ann", Shadow: true}) {
		t.Fatalf("%+v, %v", o.Schedules, err)
	}
	if _, err := b.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.work.Wait()
	if o, err = desk.Overview(t.Context(), 1); err != nil || o.Schedules[0].Requested != nil {
		t.Errorf("%+v, %v", o.Schedules, err)
	}
}

// A worker tells which rules choose no project.
func TestUnfit(t *testing.T) {
	b := newBench(t, several, "11-26 19:00")
	if notes := b.Unfit(); len(notes) > 0 {
		t.Errorf("noted %q", notes)
	}
	b.Projects = func(schedules.Rule) ([]string, error) { return nil, errors.New("start workers with --accounts") }
	if notes := b.Unfit(); len(notes) != 1 || notes[0] != "schedule s can't be carried out as things stand: start workers with --accounts" {
		t.Errorf("noted %q", notes)
	}
}

// A shadow run of a schedule that stops jobs moves neither its last tick that is done nor the count of ticks; one of a
// schedule in the shadow does.
func TestShadowRunCountsForNothing(t *testing.T) {
	for name, row := range map[string]struct {
		file string
		done int
	}{
		"stops jobs":    {several, 0},
		"in the shadow": {strings.Replace(several, "catch_up", "shadow: true, catch_up", 1), 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, row.file, "11-26 19:00")
			b.at("11-26 19:00")
			if _, _, err := NewDesk(b.rdb, b).Run(t.Context(), "s", "ann", true); err != nil {
				t.Fatal(err)
			}
			b.at("11-26 19:01")
			b.at("11-26 19:02")
			r := b.last("s")
			_, done, err := b.Times(t.Context())
			if !r.Shadow || r.By != "ann" || err != nil || len(done) != row.done || b.counted[string(r.Outcome)] != row.done {
				t.Errorf("the result is %+v; done %v, counted %v, %v", r, done, b.counted, err)
			}
		})
	}
}

// The last result is the newest one that is no shadow run of a schedule that stops jobs, however many of those there
// were since; without another one it is such a run.
func TestLastResult(t *testing.T) {
	b := newBench(t, several, "11-26 19:00")
	b.at("11-26 19:00")
	desk := NewDesk(b.rdb, b)
	show := func(n int) Standing {
		t.Helper()
		o, err := desk.Overview(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		return o.Schedules[0]
	}
	if s := show(1); s.Last != nil || len(s.Results) != 0 {
		t.Errorf("without a result: %+v", s)
	}
	trial := func(text string) {
		t.Helper()
		if _, _, err := desk.Run(t.Context(), "s", "ann", true); err != nil {
			t.Fatal(err)
		}
		b.at(text)
	}
	trial("11-26 19:01")
	if s := show(1); s.Last == nil || !s.Last.Shadow {
		t.Errorf("after a trial: %+v", s)
	}
	b.at("11-26 20:00")
	trial("11-26 20:01")
	trial("11-26 20:02")
	for n, want := range map[int]int{1: 2, 2: 3, 3: 3} {
		s := show(n)
		if len(s.Results) != want || s.Last != &s.Results[want-1] || s.Last.Shadow || !s.Last.Tick.Equal(at(t, "11-26 20:00")) {
			t.Errorf("of %d results the last of %+v is %+v", n, s.Results, s.Last)
		}
	}
	if s := show(0); s.Last != nil || len(s.Results) != 0 {
		t.Errorf("no results were asked for: %+v", s)
	}
}
