package redistest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Cluster is a Redis Cluster of masters only.
type Cluster struct {
	URL   string // redis-cluster://host:port,host:port
	Nodes []*Server
}

const slots = 16384 // of a Redis Cluster

// StartCluster starts a Redis Cluster of n masters, which share the slots
// evenly, and returns when every node serves. args are arguments of each node,
// as Start takes them.
func StartCluster(t testing.TB, n int, args ...string) *Cluster {
	t.Helper()
	ctx := context.Background()
	c := &Cluster{}
	var addrs []string
	var clients []*redis.Client
	for i := range n {
		node := Start(t, append([]string{"--cluster-enabled", "yes"}, args...)...)
		client := node.Client(t)
		err := client.ClusterAddSlotsRange(ctx, slots*i/n, slots*(i+1)/n-1).Err()
		if err == nil && i > 0 {
			host, port, _ := strings.Cut(node.Addr, ":")
			err = clients[0].ClusterMeet(ctx, host, port).Err()
		}
		if err != nil {
			t.Fatalf("redistest: node %s: %v", node.Addr, err)
		}
		c.Nodes = append(c.Nodes, node)
		clients = append(clients, client)
		addrs = append(addrs, node.Addr)
	}
	c.URL = "redis-cluster://" + strings.Join(addrs, ",")
	Await(t, "the cluster to form", func() bool {
		for _, client := range clients {
			info := client.ClusterInfo(ctx).Val()
			for _, want := range []string{"cluster_state:ok", fmt.Sprint("cluster_slots_ok:", slots), fmt.Sprint("cluster_size:", n)} {
				if !strings.Contains(info, want+"\r\n") {
					return false
				}
			}
		}
		return true
	})
	return c
}
