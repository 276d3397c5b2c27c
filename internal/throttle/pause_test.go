package throttle

import (
	"testing"

	"vizstop/internal/modelarts"
)

func TestPauseHoldsStopsAndLetsPollsGo(t *testing.T) {
	for _, scope := range []string{project, ""} {
		b := newBench(t, Config{})
		mustChange := func(changed bool, err error) {
			t.Helper()
			if err != nil || !changed {
				t.Fatalf("changed %v, %v", changed, err)
			}
		}
		mustChange(b.Pause(t.Context(), scope, "alice", "wrong list"))
		if again, err := b.Pause(t.Context(), scope, "bob", ""); again || err != nil {
			t.Errorf("paused twice: %v, %v", again, err)
		}
		if _, w := b.mustAsk(Stop, true); w.Reason != Paused || w.For < pauseWait || w.Detail != "by alice: wrong list" {
			t.Errorf("a stop: %+v, want paused", w)
		}
		if _, w := b.mustAsk(Poll, false); w.For != 0 {
			t.Errorf("a poll waits: %+v", w)
		}
		_, w, err := b.ask(t.Context(), "other", Stop, asNew, false)
		if fleetWide := scope == ""; err != nil || (w.Reason == Paused) != fleetWide {
			t.Errorf("pause of %q, another project: %+v, %v", scope, w, err)
		}
		pauses, err := b.Pauses(t.Context(), []string{"other", project})
		if err != nil || len(pauses) != 1 || pauses[0].ProjectID != scope || pauses[0].By != "alice" {
			t.Errorf("pauses %+v, %v", pauses, err)
		}
		mustChange(b.Resume(t.Context(), scope))
		if _, w := b.mustAsk(Stop, false); w.For != 0 {
			t.Errorf("a stop after the pause: %+v", w)
		}
		if again, err := b.Resume(t.Context(), scope); again || err != nil {
			t.Errorf("resumed twice: %v, %v", again, err)
		}
	}
}

// A stop is never the probe of a halt while stops are paused.
func TestPauseHoldsProbesThatAreStops(t *testing.T) {
	b := newBench(t, Config{FirstProbe: 1})
	p, _ := b.mustAsk(Stop, false)
	b.report(p, failure(modelarts.KindCredentials))
	if _, err := b.Pause(t.Context(), "", "alice", ""); err != nil {
		t.Fatal(err)
	}
	b.advance(probeLife)
	if p, w := b.mustAsk(Stop, false); p.Probe() || w.Reason != Paused {
		t.Errorf("a stop probes while paused: %+v", w)
	}
	if p, _ := b.mustAsk(Poll, false); !p.Probe() {
		t.Error("a poll doesn't probe")
	}
}
