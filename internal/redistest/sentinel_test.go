package redistest

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

// Data that the replica has got outlives the death of the master.
func TestSentinelsFailOver(t *testing.T) {
	t.Parallel()
	s := StartSentinels(t)
	first, second := s.Servers[0], s.Servers[1]
	if s.Master() != first {
		t.Fatalf("the master is %v, want %s", s.Master(), first.Addr)
	}
	ctx := t.Context()
	client := first.Client(t)
	if err := client.Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := client.Wait(ctx, 1, settleTimeout).Result(); n != 1 {
		t.Fatalf("%d replicas have the write, %v", n, err)
	}
	first.Kill()
	s.AwaitMaster(second)
	found := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: masterName, SentinelAddrs: s.addrs})
	defer found.Close()
	if got, err := found.Get(ctx, "k").Result(); got != "v" {
		t.Errorf("after the failover k = %q, %v", got, err)
	}
	if err := found.Set(ctx, "k", "w", 0).Err(); err != nil {
		t.Errorf("the new master takes no write: %v", err)
	}
}
