package redistest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

const (
	// movedAtOnce is how many keys are moved by one command.
	movedAtOnce = 20
	// movesAtMost bounds a move: clients may add keys only where the slot goes.
	movesAtMost = 10000
)

// awaitEpoch waits until every node knows the epoch in which a node has taken a slot:
// before, a message that the old owner has sent earlier gives it the slot back there.
func (c *Cluster) awaitEpoch(t testing.TB, owner *Server, id string) {
	t.Helper()
	epoch := epochOf(owner.Client(t), id)
	for _, node := range c.Nodes {
		client := node.Client(t)
		Await(t, node.Addr+" knows of the move", func() bool { return epochOf(client, id) == epoch })
	}
}

// epochOf is the configuration epoch of a node, as another one knows it.
func epochOf(client *redis.Client, id string) string {
	for line := range strings.Lines(client.ClusterNodes(context.Background()).Val()) {
		// id, address, flags, primary, ping sent, pong received, epoch, ...
		if f := strings.Fields(line); len(f) > 6 && f[0] == id {
			return f[6]
		}
	}
	return ""
}

// Owner is the node that has the slot of a key.
func (c *Cluster) Owner(t testing.TB, key string) *Server {
	t.Helper()
	ctx := context.Background()
	client := c.Nodes[0].Client(t)
	slot := client.ClusterKeySlot(ctx, key).Val()
	shards, err := client.ClusterShards(ctx).Result()
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	for _, shard := range shards {
		has := slices.ContainsFunc(shard.Slots, func(r redis.SlotRange) bool { return r.Start <= slot && slot <= r.End })
		if !has || len(shard.Nodes) == 0 {
			continue
		}
		for _, node := range c.Nodes {
			if strings.HasSuffix(node.Addr, fmt.Sprint(":", shard.Nodes[0].Port)) {
				return node
			}
		}
	}
	t.Fatalf("redistest: nobody has the slot of %s", key)
	return nil
}

// MoveSlot moves the slot of a key, with all that it holds, to another node while
// clients go on, as an operator does who resizes a cluster. between is called
// again and again while both nodes have a part of the slot. It returns how many
// keys were moved.
func (c *Cluster) MoveSlot(t testing.TB, key string, to *Server, between func()) (moved int) {
	t.Helper()
	ctx := context.Background()
	from := c.Owner(t, key)
	if from == to {
		t.Fatalf("redistest: %s has the slot of %s already", to.Addr, key)
	}
	source, target := from.Client(t), to.Client(t)
	slot := source.ClusterKeySlot(ctx, key).Val()
	fromID, toID := source.ClusterMyID(ctx).Val(), target.ClusterMyID(ctx).Val()
	setSlot(t, target, slot, "IMPORTING", fromID)
	setSlot(t, source, slot, "MIGRATING", toID)
	for range movesAtMost {
		keys, err := source.ClusterGetKeysInSlot(ctx, int(slot), movedAtOnce).Result()
		if err != nil {
			t.Fatalf("redistest: list the keys of slot %d: %v", slot, err)
		}
		if len(keys) == 0 {
			// The new owner first: if it came last, both would send clients to each other.
			for _, node := range append([]*Server{to, from}, c.Nodes...) {
				setSlot(t, node.Client(t), slot, "NODE", toID)
			}
			c.awaitEpoch(t, to, toID)
			return moved
		}
		migrate := []any{"MIGRATE", loopback, to.port, "", 0, settleTimeout.Milliseconds(), "KEYS"}
		for _, k := range keys {
			migrate = append(migrate, k)
		}
		if err := source.Do(ctx, migrate...).Err(); err != nil {
			t.Fatalf("redistest: move %d keys to %s: %v", len(keys), to.Addr, err)
		}
		moved += len(keys)
		between()
	}
	t.Fatalf("redistest: slot %d still has keys after %d moves", slot, movesAtMost)
	return moved
}

func setSlot(t testing.TB, node *redis.Client, slot int64, state, id string) {
	t.Helper()
	if err := node.Do(context.Background(), "CLUSTER", "SETSLOT", slot, state, id).Err(); err != nil {
		t.Fatalf("redistest: %s of slot %d: %v", fmt.Sprint(state, " ", id), slot, err)
	}
}
