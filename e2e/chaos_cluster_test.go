package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

// The same batch passes on a cluster, each of whose nodes dies and comes back.
func TestChaosCluster(t *testing.T) {
	t.Parallel()
	chaos(t, "three-node Redis Cluster: each node killed with -9 and restarted", func(t *testing.T) score {
		c := redistest.StartCluster(t, 3, append(durable(), "--cluster-node-timeout", "2000")...)
		f := newFleet(t, redisLoad(c.URL))
		f.ask()
		for i, node := range c.Nodes {
			if !*chaosFull {
				break // the batch alone, to take seconds
			}
			f.awaitWork(float64(i+1) / 5)
			node.Kill()
			node.StartAgain()
			f.awaitCluster()
			f.mark()
		}
		s := f.settle("stopped")
		wantCrashRecovery(t, s)
		return s
	})
}

// awaitCluster waits until each node of a cluster takes writes.
func (f *fleet) awaitCluster() {
	f.t.Helper()
	await(f.t, "the cluster", func() bool {
		err := f.rdb.(*redis.ClusterClient).ForEachMaster(context.Background(), func(ctx context.Context, node *redis.Client) error {
			if !strings.Contains(node.ClusterInfo(ctx).Val(), "cluster_state:ok") {
				return context.Canceled
			}
			return nil
		})
		return err == nil
	})
}
