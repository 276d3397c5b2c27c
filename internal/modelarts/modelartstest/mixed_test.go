package modelartstest

import (
	"math"
	"testing"
	"time"
)

func TestMixedFaultsAreEquallyLikely(t *testing.T) {
	const calls, share = 40_000, 0.2
	s, _ := fixedSimulator(Config{})
	var all []*Injected
	for _, f := range MixedFaults(share, 15*time.Second, 7) {
		all = append(all, s.Inject(f))
	}
	for range calls {
		s.meet(&exchange{target: target{op: OpDetail}})
	}
	want := calls * share / float64(len(all))
	for i, f := range all {
		if got := float64(f.Hits()); math.Abs(got-want) > want/5 {
			t.Errorf("fault %d met %.0f of %d calls, want about %.0f", i, got, calls, want)
		}
	}
}

func TestMixedFaultsMayMeetEveryCall(t *testing.T) {
	s, _ := fixedSimulator(Config{})
	for _, f := range MixedFaults(1, time.Second, 1) {
		s.Inject(f)
	}
	for range 1000 {
		if s.meet(&exchange{target: target{op: OpStop}}) == nil {
			t.Fatal("a call met no fault")
		}
	}
}

// A late answer is about what was so when the call came.
func TestMixedFaultsAnswerLateAfterTheEffect(t *testing.T) {
	c := newClock()
	r := start(t, sleepOn(c))
	r.AddJob("p1", Job{ID: "1", StopTime: time.Minute})
	begin := c.now()
	faults := MixedFaults(1, 15*time.Second, 1)
	r.Inject(faults[len(faults)-1])
	r.call("POST", jobsPath+"/1/stop", "").expect(t, 200, "")
	if took := c.now().Sub(begin); took != 15*time.Second {
		t.Errorf("answered after %v", took)
	}
	c.advance(time.Hour)
	if j, _ := r.Job("p1", "1"); !j.EndedAt.Equal(begin.Add(time.Minute)) {
		t.Errorf("ended at %v, want %v", j.EndedAt, begin.Add(time.Minute))
	}
}
