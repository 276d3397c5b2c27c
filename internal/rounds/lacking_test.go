package rounds

import (
	"testing"
	"testing/synctest"
	"time"

	"vizstop/internal/release"
)

// A worker gives rounds to those who wait for room in the queue, or for a look, as soon as there is some, and looks for
// that no more often than it may.
func TestRoomForThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rest, idle = 320 * time.Millisecond, time.Hour
		var w lacking
		free, asked := false, 0
		expect := func(what string, looks int, want release.Room, next time.Duration) {
			t.Helper()
			if got := w.room(func() bool { asked++; return free }, looks, rest); got != want {
				t.Errorf("%s: room %+v, want %+v", what, got, want)
			}
			if got := w.until(idle); got != next {
				t.Errorf("%s: looks again in %v, want %v", what, got, next)
			}
		}
		expect("nobody waits", 5, release.Room{}, idle)
		w.lack = release.LackQueue
		expect("a full queue", 5, release.Room{}, rest)
		free = true
		expect("before it is looked at again", 5, release.Room{}, rest)
		time.Sleep(rest) // virtual
		expect("room in the queue", 5, release.Room{Queue: roundsAtOnce}, 0)
		if asked != 2 {
			t.Errorf("the queue was looked at %d times, want 2", asked)
		}
		w.lack = release.LackLook
		expect("a look is free", 1, release.Room{Looks: 1}, busyWait)
		expect("many are", 100, release.Room{Looks: roundsAtOnce}, busyWait)
		expect("none is", 0, release.Room{}, busyWait)
		w.lack = release.LackQueue | release.LackLook
		expect("both", 3, release.Room{Queue: roundsAtOnce, Looks: 3}, 0)
	})
}
