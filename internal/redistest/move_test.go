package redistest

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestMovedSlotLosesNothing(t *testing.T) {
	t.Parallel()
	c := StartCluster(t, 3)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{c.Nodes[0].Addr}})
	defer client.Close()
	ctx := t.Context()
	const keys = 3*movedAtOnce + 1
	name := func(i int) string { return fmt.Sprint("{tag}", i) }
	for i := range keys {
		if err := client.Set(ctx, name(i), i, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		from := c.Owner(t, "{tag}")
		to := c.Nodes[0]
		if from == to {
			to = c.Nodes[1]
		}
		looks := 0
		moved := c.MoveSlot(t, "{tag}", to, func() {
			looks++
			for i := range keys {
				if got, err := client.Get(ctx, name(i)).Int(); got != i || err != nil {
					t.Errorf("half way: %s is %d, %v", name(i), got, err)
				}
			}
		})
		if moved != keys || looks < 3 || c.Owner(t, "{tag}") != to || from.Client(t).DBSize(ctx).Val() != 0 {
			t.Errorf("moved %d keys, looked %d times", moved, looks)
		}
	}
}
