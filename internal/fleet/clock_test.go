package fleet

import (
	"testing"
	"testing/synctest"
	"time"
)

// The fleet's time goes on from what was heard last, whatever this machine's clock
// says.
func TestClockOfAWrongMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Clock
		if off := time.Until(c.Now()); off != 0 {
			t.Errorf("before anything was heard the time is off by %v", off)
		}
		fleet := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		c.set(time.Now(), fleet)
		time.Sleep(time.Minute)
		if got, want := c.Now(), fleet.Add(time.Minute); !got.Equal(want) {
			t.Errorf("a minute later it is %v, want %v", got, want)
		}
		c.set(time.Now().Add(-time.Second), fleet) // the answer took a while
		if got, want := c.Now(), fleet.Add(time.Second); !got.Equal(want) {
			t.Errorf("heard a second ago it is %v, want %v", got, want)
		}
	})
}

// What has passed is told by the clock that says more.
func TestPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		time.Sleep(3 * time.Second)
		if got := Passed(began); got != 3*time.Second {
			t.Errorf("passed %v, want 3 s", got)
		}
		if got := Passed(began.Add(-time.Hour)); got != time.Hour+3*time.Second {
			t.Errorf("passed %v since an hour before", got)
		}
		if !steady(began) {
			t.Error("clocks that agree are not steady")
		}
	})
}
