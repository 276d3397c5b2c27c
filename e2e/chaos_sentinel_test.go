package e2e

import (
	"context"
	"testing"

	"vizstop/internal/redistest"
)

// The master dies in the middle of a batch and Sentinels make its replica the
// master. What was asked for had reached the replica; of what came later, the
// last moments may be lost, and are done again.
func TestChaosSentinelFailover(t *testing.T) {
	t.Parallel()
	chaos(t, "Sentinel failover: the master killed with -9", func(t *testing.T) score {
		s := redistest.StartSentinels(t, durable()...)
		f := newFleet(t, redisLoad(s.URL))
		f.forgetful = true // replication is not waited for
		f.ask()
		master, replica := s.Servers[0], s.Servers[1]
		if n, err := master.Client(t).Wait(context.Background(), 1, patience).Result(); n != 1 {
			t.Fatalf("%d replicas have the batch, %v", n, err)
		}
		f.awaitWork(0.4)
		master.Kill()
		s.AwaitMaster(replica)
		f.mark()
		score := f.settle("stopped", "already_stopped")
		wantRecovery(t, score, redisLimit)
		return score
	})
}
