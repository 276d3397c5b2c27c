package rounds

import (
	"testing"
	"testing/synctest"
	"time"
)

// A project that needs a round at once wakes the loop, once, also if it was known to need
// one later.
func TestPullWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Loop{pulls: newPulls()}
		expect := func(woken bool) {
			t.Helper()
			select {
			case <-l.bell:
				if !woken {
					t.Error("the loop is woken")
				}
			default:
				if woken {
					t.Error("the loop is not woken")
				}
			}
		}
		l.Pull("p", 300*time.Millisecond)
		expect(false)
		l.Pull("p", 0)
		expect(true)
		time.Sleep(time.Millisecond)
		l.Pull("p", 0)
		l.Pull("p", time.Second)
		expect(false)
		l.Pull("another", 0)
		expect(true)
		if due := l.drain(); len(due) != 2 || due[0].Next != 0 || due[1].Next != 0 {
			t.Errorf("due: %v", due)
		}
		l.Pull("p", 0)
		expect(true)
	})
}
