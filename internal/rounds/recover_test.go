package rounds

import (
	"testing"
	"testing/synctest"
	"time"

	"vizstop/internal/fleet"
	"vizstop/internal/ledger"
)

// A step that another worker may have is not waited for any longer although one worker after
// the other dies.
func TestWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Config{})
		step := ledger.Member{StopID: "s", Hop: 1, JobID: "j"}
		if !l.waited(step) {
			t.Error("no worker has died, and a step that was silent for long has to wait")
		}
		began := time.Now()
		for range 10 {
			l.deaths = time.Now()
			if got, want := l.waited(step), time.Since(began) >= fleet.Silence-shortSilence; got != want {
				t.Errorf("after %v: waited %t, want %t", time.Since(began), got, want)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(afterDeath)
		if l.waited(step); len(l.early) != 0 {
			t.Errorf("%d steps are kept in mind", len(l.early))
		}
	})
}
