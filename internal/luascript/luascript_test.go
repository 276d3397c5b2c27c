package luascript

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

// A script is its files in their order; one that is not there is found out at the start.
func TestLoad(t *testing.T) {
	t.Parallel()
	gather, err := common.ReadFile("gather.lua")
	if err != nil {
		t.Fatal(err)
	}
	window, err := common.ReadFile("window.lua")
	if err != nil {
		t.Fatal(err)
	}
	want := redis.NewScript(string(gather) + string(window)).Hash()
	script := Load(common, "gather", "window")
	for range 2 {
		if got := script.whole().Hash(); got != want {
			t.Errorf("the script's hash is %s, want %s, that of both files", got, want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a script without its file was loaded")
		}
	}()
	Load(common, "gather", "no such file")
}

// While a cluster moves a slot, each call of a script is carried out once, and what is read is what it has
// written. Whoever repeats parts of a write counts some twice.
func TestRunAndReadWhileSlotsMove(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{cluster.Nodes[0].Addr}})
	defer rdb.Close()
	counting := redis.NewScript(`for _, k in ipairs(KEYS) do redis.call('HINCRBY', k, 'n', 1) redis.call('HSET', k, 'by', ARGV[1]) end return {1}`)
	count := &Script{func() *redis.Script { return counting }}
	hashes := make([]string, 60) // a slot moves some keys at a time
	for i := range hashes {
		hashes[i] = fmt.Sprintf("{p}:%d", i)
	}
	var calls, refused atomic.Int64
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			nonce := strconv.FormatInt(calls.Add(1), 10)
			_, read, err := RunAndRead(context.Background(), rdb, count, hashes, []any{nonce}, hashes)
			for redirected(err) { // more often than the client follows: nothing was done
				refused.Add(1)
				_, read, err = RunAndRead(context.Background(), rdb, count, hashes, []any{nonce}, hashes)
			}
			if err != nil {
				done <- err
				return
			}
			for i, f := range read {
				if f["by"] != nonce || f["n"] != nonce {
					done <- fmt.Errorf("call %s has read %v of hash %d", nonce, f, i)
					return
				}
			}
		}
		done <- nil
	}()
	for range 4 {
		from := cluster.Owner(t, hashes[0])
		to := cluster.Nodes[(slices.Index(cluster.Nodes, from)+1)%len(cluster.Nodes)]
		seen := calls.Load()
		redistest.Await(t, "calls between two moves", func() bool { return calls.Load() > seen+2 })
		tries := func() int64 { return calls.Load() + refused.Load() }
		cluster.MoveSlot(t, hashes[0], to, func() {
			before := tries()
			redistest.Await(t, "a call while the slot moves", func() bool { return tries() > before })
		})
	}
	end()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// redirected reports whether a cluster has refused a command because its slot is moving.
func redirected(err error) bool {
	return slices.ContainsFunc([]string{"TRYAGAIN", "MOVED", "ASK", "EXECABORT"}, func(prefix string) bool { return redis.HasErrorPrefix(err, prefix) })
}
