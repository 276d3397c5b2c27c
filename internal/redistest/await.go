package redistest

import (
	"testing"
	"time"
)

// settleTimeout bounds how long servers may take to find each other.
const settleTimeout = time.Minute

// Await waits until done is true; it gives what was waited for when it fails.
func Await(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); !done(); <-tick.C {
		if time.Since(began) > settleTimeout {
			t.Fatalf("redistest: not within %v: %s", settleTimeout, what)
		}
	}
}
