package ledger_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
)

// benchLedger is a ledger on a real redis-server of its own.
func benchLedger(b *testing.B) (*ledger.Ledger, *redis.Client) {
	b.Helper()
	b.ReportAllocs()
	rdb := redistest.Start(b).Client(b)
	return ledger.New(rdb, time.Now), rdb
}

// reportRedis reports the microseconds that scripts took within Redis, for each
// operation since the statistics were reset.
func reportRedis(b *testing.B, rdb *redis.Client) {
	b.Helper()
	b.StopTimer()
	info, err := rdb.Info(context.Background(), "commandstats").Result()
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "cmdstat_evalsha:")
	_, rest, _ = strings.Cut(rest, "usec=")
	text, _, _ := strings.Cut(rest, ",")
	usec, err := strconv.ParseFloat(text, 64)
	if err != nil {
		b.Fatalf("INFO commandstats has no usec of evalsha: %v", err)
	}
	b.ReportMetric(usec/float64(b.N), "redis-µs/op")
}

func reset(b *testing.B, rdb *redis.Client) {
	b.Helper()
	if err := rdb.ConfigResetStat(context.Background()).Err(); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
}

// openMany records n stops of jobs from first on in one batch.
func openMany(b *testing.B, l *ledger.Ledger, batch string, first, n int) []*ledger.Stop {
	b.Helper()
	ctx, stops := context.Background(), make([]*ledger.Stop, 0, n)
	for len(stops) < n {
		asks := make([]ledger.Ask, min(ledger.OpenChunk, n-len(stops)))
		for i := range asks {
			asks[i] = ledger.Ask{JobID: strconv.Itoa(first + len(stops) + i), Deadline: time.Now().Add(time.Hour), Confirmed: true}
		}
		openings, err := l.Open(ctx, project, batch, asks)
		if err != nil {
			b.Fatal(err)
		}
		for _, o := range openings {
			stops = append(stops, &ledger.Stop{ID: o.StopID})
		}
	}
	return stops
}

// opened records n stops and reads them.
func opened(b *testing.B, l *ledger.Ledger, n int) []*ledger.Stop {
	b.Helper()
	stops := openMany(b, l, "b", 1, n)
	for i, s := range stops {
		var err error
		if stops[i], err = l.Get(context.Background(), project, s.ID); err != nil {
			b.Fatal(err)
		}
	}
	return stops
}

// BenchmarkOpen records whole chunks; one operation is one stop.
func BenchmarkOpen(b *testing.B) {
	l, rdb := benchLedger(b)
	openMany(b, l, "b", 1, 1) // loads the script
	reset(b, rdb)
	openMany(b, l, "b", 10, b.N)
	reportRedis(b, rdb)
}

// BenchmarkJoin joins whole chunks to stops of another batch.
func BenchmarkJoin(b *testing.B) {
	l, rdb := benchLedger(b)
	openMany(b, l, "b", 1, b.N+1)
	openMany(b, l, "other", 1, 1) // loads the script
	reset(b, rdb)
	openMany(b, l, "other", 2, b.N)
	reportRedis(b, rdb)
}

// BenchmarkAdvance accepts stops: from pending to stopping, with a poll next.
func BenchmarkAdvance(b *testing.B) {
	l, rdb := benchLedger(b)
	stops := opened(b, l, b.N+1)
	accept(b, l, stops[:1])
	reset(b, rdb)
	accept(b, l, stops[1:])
	reportRedis(b, rdb)
}

func accept(b *testing.B, l *ledger.Ledger, stops []*ledger.Stop) {
	b.Helper()
	now := time.Now()
	manyAtOnce(stops, func(s *ledger.Stop) {
		s.State, s.Called, s.Accepted, s.Calls, s.RequestID = ledger.Stopping, now, now, 1, "0123456789abcdef0123456789abcdef"
		to := ledger.Step{Kind: ledger.KindPoll, Due: now.Add(5 * time.Second)}
		if ok, err := l.Advance(context.Background(), s, to); err != nil || !ok {
			b.Error(ok, err)
		}
	})
}

// manyAtOnce does something to stops as a busy worker does, 64 at once.
func manyAtOnce(stops []*ledger.Stop, do func(*ledger.Stop)) {
	var group errgroup.Group
	group.SetLimit(64)
	for _, s := range stops {
		group.Go(func() error { do(s); return nil })
	}
	_ = group.Wait() // they return none
}

// BenchmarkFinish ends accepted stops.
func BenchmarkFinish(b *testing.B) {
	l, rdb := benchLedger(b)
	stops := opened(b, l, b.N+1)
	accept(b, l, stops)
	end := func(s *ledger.Stop) {
		s.Polls, s.Status = 1, "12 (killed)"
		if ok, err := l.Finish(context.Background(), s, ledger.Stopped, "job status 12", 0); err != nil || !ok {
			b.Error(ok, err)
		}
	}
	end(stops[0])
	reset(b, rdb)
	manyAtOnce(stops[1:], end)
	reportRedis(b, rdb)
}

// What a step of the history costs the worker that notes and saves it.
func BenchmarkNote(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var s ledger.Stop
		s.Note(ledger.HistoryStep{At: historyAt, Call: ledger.HistoryDetail, Answer: "ok", Status: "9 (stopping)", RequestID: "0123456789abcdef0123456789abcdef"})
	}
}
