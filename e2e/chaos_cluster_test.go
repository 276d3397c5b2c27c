package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
	"vizstop/internal/tasks"
)

// The same batch passes on a cluster, each of whose nodes dies and comes back.
func TestChaosCluster(t *testing.T) {
	t.Parallel()
	chaos(t, "three-node Redis Cluster: each node killed with -9 and restarted", func(t *testing.T) score {
		args := durable()
		if *chaosFull {
			args = append(args, "--cluster-node-timeout", "2000") // a dead node is noticed soon
		}
		c := redistest.StartCluster(t, 3, args...)
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
		wantRecovery(t, s, redisLimit)
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

// An operator moves slots from node to node while a batch is at work: again and
// again that of the project, that of the queue, and that of what belongs to no
// project. While a slot moves, scripts that need keys of both nodes are turned
// away. Nothing is lost, and nothing is called twice.
func TestChaosClusterSlotsMove(t *testing.T) {
	t.Parallel()
	chaos(t, "three-node Redis Cluster: the slots of everything moved 12 times", func(t *testing.T) score {
		c := redistest.StartCluster(t, 3, durable()...)
		f := newFleet(t, redisLoad(c.URL))
		f.ask()
		keys := []string{"{" + project + "}", "{" + tasks.Queue + "}", "{-}"}
		moves, moved := size(3, 12), 0
		for i := range moves {
			f.awaitWork(float64(i+1) / float64(moves+2))
			key := keys[i%len(keys)]
			moved += c.MoveSlot(t, key, nodeAfter(c, c.Owner(t, key)), func() { hold(20 * time.Millisecond) })
			f.mark()
		}
		if moved < f.jobs {
			t.Errorf("%d keys were moved, fewer than there are stops", moved)
		}
		return f.settle("stopped")
	})
}

// nodeAfter is the next node of a cluster.
func nodeAfter(c *redistest.Cluster, node *redistest.Server) *redistest.Server {
	return c.Nodes[(slices.Index(c.Nodes, node)+1)%len(c.Nodes)]
}
