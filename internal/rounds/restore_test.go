package rounds

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/redisconn"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
)

// Whichever of two nodes has lost its data, the rounds or the register of projects with work, the other one tells: a
// project is visited again when all have been looked at.
func TestRestore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rdb, admin, ctx := server.Limited(t), server.Client(t), t.Context()
	for _, shadow := range []bool{false, true} {
		books, gate := ledger.New(rdb, time.Now), release.New(rdb, "w", time.Now, release.Config{})
		l := &Loop{Config: Config{Ledger: books, Release: gate, Logger: slog.New(slog.DiscardHandler)}}
		all, register, due := l.restorers(), "vizstop:work", "vizstop:{-}:rounds"
		if shadow {
			register, due = "vizstop:shadow:work", "vizstop:{-}:rounds:shadow"
		}
		var want []string
		for i := range 50 {
			p := fmt.Sprintf("p%02d", i)
			want = append(want, p)
			ask := ledger.Ask{JobID: "1", Deadline: time.Now().Add(time.Hour), Shadow: shadow}
			if _, err := books.Open(ctx, p, fmt.Sprint("b", shadow), []ledger.Ask{ask}); err != nil {
				t.Fatal(err)
			}
		}
		for _, lost := range []string{due, register, due} {
			admin.Del(ctx, lost)
			for range 2 * (50/12 + 1) { // once for what is known, once more with what the other node knew
				if err := restore(ctx, all); err != nil {
					t.Fatal(err)
				}
			}
			for _, key := range []string{due, register} {
				got := admin.ZRange(ctx, key, 0, -1).Val()
				if slices.Sort(got); !slices.Equal(got, want) {
					t.Errorf("%s was lost: %s has %d projects, want %d", lost, key, len(got), len(want))
				}
			}
		}
	}
}

// Where the nodes of a Redis Cluster share the slots evenly, the register is on another one than the rounds. If that
// one loses all its data, stops of which others have the records go on.
func TestRestoreInACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3)
	options, err := redisconn.Parse(cluster.URL)
	if err != nil {
		t.Fatal(err)
	}
	rdb, ctx := options.Client(), t.Context()
	defer rdb.Close()
	lost := cluster.Nodes[2].Client(t)
	slotOf := func(key string) int64 { return lost.ClusterKeySlot(ctx, key).Val() }
	for nodes := int64(2); nodes <= 12; nodes++ {
		node := func(key string) int64 { return slotOf(key) * nodes / 16384 }
		for _, key := range []string{"vizstop:work", "vizstop:shadow:work"} {
			if node(key) == node("vizstop:{-}:rounds") {
				t.Errorf("of %d nodes one has both the rounds and %s", nodes, key)
			}
		}
	}
	books, gate := ledger.New(rdb, time.Now), release.New(rdb, "w", time.Now, release.Config{})
	var want []string
	for i := range 30 {
		p := fmt.Sprintf("p%02d", i)
		if err := gate.Expect(ctx, p); err != nil {
			t.Fatal(err)
		}
		if _, err := books.Open(ctx, p, "b", []ledger.Ask{{JobID: "1", Deadline: time.Now().Add(time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		if slotOf(ledger.Keys(p).In(ledger.Pending))*3/16384 != 2 {
			want = append(want, p)
		}
	}
	if err := lost.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	all := (&Loop{Config: Config{Ledger: books, Release: gate, Logger: slog.New(slog.DiscardHandler)}}).restorers()
	for range 30/12 + 1 {
		if err := restore(ctx, all); err != nil {
			t.Fatal(err)
		}
	}
	got, err := gate.Projects(ctx)
	if slices.Sort(got); err != nil || !slices.Equal(got, want) || len(want) == 0 {
		t.Errorf("rounds of %v, %v, want those of %v", got, err, want)
	}
}

// A node of a Redis Cluster is down, and the others serve. The rounds of all projects on these are restored.
func TestRestoreWithoutANode(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, "--cluster-require-full-coverage", "no")
	options, err := redisconn.Parse(cluster.URL)
	if err != nil {
		t.Fatal(err)
	}
	rdb, admin, ctx := options.Client(), cluster.Nodes[2].Client(t), t.Context()
	defer rdb.Close()
	books, gate := ledger.New(rdb, time.Now), release.New(rdb, "w", time.Now, release.Config{})
	var want []string
	for i := range 30 {
		p := fmt.Sprintf("p%02d", i)
		if _, err := books.Open(ctx, p, "b", []ledger.Ask{{JobID: "1", Deadline: time.Now().Add(time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		if admin.ClusterKeySlot(ctx, ledger.Keys(p).In(ledger.Pending)).Val()*3/16384 != 1 {
			want = append(want, p)
		}
	}
	if err := admin.Del(ctx, "vizstop:{-}:rounds").Err(); err != nil {
		t.Fatal(err)
	}
	cluster.Nodes[1].Kill() // it has neither the rounds nor the register
	all := (&Loop{Config: Config{Ledger: books, Release: gate, Logger: slog.New(slog.DiscardHandler)}}).restorers()[:1]
	for range 30/12 + 1 {
		if err := restore(ctx, all); err == nil {
			t.Error("nobody says that some projects can't be looked at")
		}
	}
	got, err := gate.Projects(ctx)
	if slices.Sort(got); err != nil || !slices.Equal(got, want) || len(want) == 0 || len(want) == 30 {
		t.Errorf("rounds of %v, %v, want those of %v", got, err, want)
	}
}
