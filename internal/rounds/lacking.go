package rounds

import (
	"time"

	"vizstop/internal/release"
)

// lacking is what projects wait in line for, as a worker's loop knows it. The zero value is ready.
type lacking struct {
	lack  release.Lack // as the loop was told last
	again time.Time    // when it looks next whether the queue has room
}

// room is how many of the projects that wait can have a round now: queueFree says whether the queue has room, and is
// asked again only after rest if it has none; looks is how many looks are free.
func (w *lacking) room(queueFree func() bool, looks int, rest time.Duration) (room release.Room) {
	if w.lack&release.LackQueue != 0 && !time.Now().Before(w.again) {
		if queueFree() {
			room.Queue = roundsAtOnce
		} else {
			w.again = time.Now().Add(rest)
		}
	}
	if w.lack&release.LackLook != 0 {
		room.Looks = min(roundsAtOnce, looks)
	}
	return room
}

// until is when to look whether there is room, at most that long from now.
func (w *lacking) until(most time.Duration) time.Duration {
	if w.lack&release.LackLook != 0 {
		most = min(most, busyWait)
	}
	if w.lack&release.LackQueue != 0 {
		most = min(most, time.Until(w.again))
	}
	return most
}
