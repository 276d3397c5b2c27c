package e2e

import (
	"flag"
	"testing"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

// The fault tests (TestChaos…) break what a fleet stands on while it works: its
// workers, Redis, the API. Each is played small by "make test", and at full size
// by "make chaos", which prints a table.
var (
	chaosFull = flag.Bool("chaos", false, "play the fault tests at full size")
	chaosRuns = flag.Int("runs", 1, "how often each fault is played")
)

// chaos plays a fault as often as asked and adds a row to the table.
func chaos(t *testing.T, fault string, play func(t *testing.T) score) {
	t.Helper()
	total := row{fault: fault}
	for range *chaosRuns {
		total.add(play(t))
	}
	t.Logf("%+v", total)
	chaosTable.add(total)
}

// longChaos is chaos for a fault that can't be played within seconds.
func longChaos(t *testing.T, fault string, play func(t *testing.T) score) {
	t.Helper()
	if !*chaosFull {
		t.Skip("takes minutes: played by make chaos")
	}
	chaos(t, fault, play)
}

// size is how much of something a fault test does: small for make test, full
// for make chaos.
func size[T int | time.Duration | modelartstest.Generation](small, full T) T {
	if *chaosFull {
		return full
	}
	return small
}

// hold lets a fault last. Its length is the fault, so there is nothing else to
// wait for.
func hold(d time.Duration) { <-time.After(d) }

// How long a stop may stand still once a fault is over. A silent worker is taken
// for dead after five seconds, and what it held is looked for every two; an API
// that was away is tried every 1.5 seconds.
const (
	workerLimit = 15 * time.Second // a worker died
	redisLimit  = 10 * time.Second // Redis was away, or has lost something
	outageLimit = 5 * time.Second  // the API was away, or nothing was but time
)

// wantRecovery holds a score against a limit, at full size only: the small tests
// share their machine with others.
func wantRecovery(t *testing.T, s score, limit time.Duration) {
	t.Helper()
	if *chaosFull && s.recovery > limit {
		t.Errorf("a stop stood still for %v after a fault was over, want %v at most", s.recovery, limit)
	}
}
