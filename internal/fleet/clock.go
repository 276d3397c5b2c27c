package fleet

import (
	"sync"
	"time"
)

// Clock tells the fleet's time: Redis' clock, as it was last heard of, and what
// has passed since by this machine's. So it does not matter whether this
// machine's clock is right, or is set meanwhile. While a machine is suspended, the
// time that it tells stands still until it hears of the fleet again; then nothing
// is done too early. The zero value tells this machine's time. It is safe
// for concurrent use.
type Clock struct {
	mu    sync.Mutex
	fleet time.Time // the fleet's time
	local time.Time // and this machine's at the same moment
}

// Now is the fleet's time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fleet.IsZero() {
		return time.Now().UTC().Round(0)
	}
	return c.fleet.Add(time.Since(c.local))
}

// heard is what the fleet's time was when it was last heard of, and this machine's; zero times: never.
func (c *Clock) heard() (fleet, local time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fleet, c.local
}

// set makes the fleet's time at the local time what was heard.
func (c *Clock) set(local, fleet time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fleet, c.local = fleet.UTC(), local
}

// Passed is the time since t, which time.Now returned, by the wall clock or by
// the monotonic one, whichever says more: one does not run while a machine is
// suspended, the other can be set back.
func Passed(t time.Time) time.Duration { return between(t, time.Now()) }

func between(t, now time.Time) time.Duration {
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}

// drift is how far two clocks that nobody sets may differ after so long: NTP slows or hastens them by 0.05 % at most.
func drift(after time.Duration) time.Duration { return after / 2000 }

// steady reports whether this machine's clocks agree on what has passed since t:
// it was not suspended, and nobody has set its clock.
func steady(t time.Time) bool {
	now := time.Now()
	passed := now.Sub(t)
	return (passed - now.Round(0).Sub(t.Round(0))).Abs() < time.Second+drift(passed)
}
