package release

import (
	"context"
	"strconv"
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
)

// benchReleaser is a releaser, and a ledger with n stops that are due.
func benchReleaser(b *testing.B, n int) (*Releaser, []ledger.Member) {
	b.Helper()
	b.ReportAllocs()
	rdb, now := redistest.Start(b).Client(b), time.Now()
	l := ledger.New(rdb, func() time.Time { return now.Add(-time.Minute) })
	var members []ledger.Member
	for len(members) < n {
		asks := make([]ledger.Ask, min(ledger.OpenChunk, n-len(members)))
		for i := range asks {
			asks[i] = ledger.Ask{JobID: strconv.Itoa(1 + len(members) + i), Deadline: now.Add(time.Hour), Confirmed: true}
		}
		openings, err := l.Open(context.Background(), project, "b", asks)
		if err != nil {
			b.Fatal(err)
		}
		for _, o := range openings {
			members = append(members, ledger.Member{StopID: o.StopID, Hop: 1, JobID: o.JobID})
		}
	}
	return New(rdb, "worker-1", func() time.Time { return now }, Config{}), members
}

// releaseAll makes rounds until n steps are released.
func releaseAll(b *testing.B, r *Releaser, n int) {
	b.Helper()
	for done := 0; done < n; {
		round, err := r.Round(context.Background(), project, Need{Room: 1 << 30, Most: min(releasedAtOnce, n-done), Unlisted: time.Hour, Unwatched: time.Hour, Silence: time.Hour})
		if err != nil {
			b.Fatal(err)
		}
		done += len(round.Stops)
	}
}

// BenchmarkRound releases stops; one operation is one stop.
func BenchmarkRound(b *testing.B) {
	r, _ := benchReleaser(b, b.N)
	b.ResetTimer()
	releaseAll(b, r, b.N)
}

// BenchmarkClaim claims released steps by many tasks at once, which share scripts.
func BenchmarkClaim(b *testing.B) {
	r, members := benchReleaser(b, b.N)
	releaseAll(b, r, b.N)
	next := make(chan ledger.Member, b.N)
	for _, m := range members {
		next <- m
	}
	b.SetParallelism(32)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if c, err := r.NewClaim(project, <-next, ledger.KindStop).Do(); err != nil || c.Stop == nil {
				b.Errorf("claimed %+v, %v", c, err)
				return
			}
		}
	})
}

// BenchmarkIdleTurns is what each worker does many times a second.
func BenchmarkIdleTurns(b *testing.B) {
	r, _ := benchReleaser(b, 1)
	b.ResetTimer()
	for range b.N {
		if _, err := r.Turns(context.Background(), nil, Room{}); err != nil {
			b.Fatal(err)
		}
	}
}
