package ledger

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

// benchLedger is a ledger on a real redis-server of its own.
func benchLedger(b *testing.B) (*Ledger, *redis.Client) {
	b.Helper()
	b.ReportAllocs()
	rdb := redistest.Start(b).Client(b)
	return New(rdb, Config{}), rdb
}

// reportRedis reports the microseconds that scripts took within Redis, for each
// operation since the statistics were reset.
func reportRedis(b *testing.B, rdb *redis.Client) {
	b.Helper()
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

// opened records n stops in one batch and returns them as a worker claims them.
func opened(b *testing.B, l *Ledger, n int) []*Stop {
	b.Helper()
	ctx, stops := context.Background(), make([]*Stop, 0, n)
	for len(stops) < n {
		asks := make([]Ask, min(OpenChunk, n-len(stops)))
		for i := range asks {
			asks[i] = Ask{JobID: strconv.Itoa(1 + len(stops) + i), Deadline: time.Now().Add(time.Hour)}
		}
		openings, err := l.Open(ctx, project, "b", asks)
		if err != nil {
			b.Fatal(err)
		}
		for _, o := range openings {
			s, err := l.Claim(ctx, project, o.StopID, 1, KindStop)
			if err != nil {
				b.Fatal(err)
			}
			stops = append(stops, s)
		}
	}
	return stops
}

// BenchmarkOpen records whole chunks; one operation is one stop.
func BenchmarkOpen(b *testing.B) {
	l, rdb := benchLedger(b)
	opened(b, l, 1) // loads the script
	reset(b, rdb)
	for done := 0; done < b.N; {
		asks := make([]Ask, min(OpenChunk, b.N-done))
		for i := range asks {
			asks[i] = Ask{JobID: strconv.Itoa(10 + done + i), Deadline: time.Now().Add(time.Hour)}
		}
		if _, err := l.Open(context.Background(), project, "b", asks); err != nil {
			b.Fatal(err)
		}
		done += len(asks)
	}
	b.StopTimer()
	reportRedis(b, rdb)
}

func BenchmarkClaim(b *testing.B) {
	l, rdb := benchLedger(b)
	s := opened(b, l, 1)[0]
	reset(b, rdb)
	for range b.N {
		if _, err := l.Claim(context.Background(), project, s.ID, s.Hop, s.Kind); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	reportRedis(b, rdb)
}

// BenchmarkAdvance accepts stops: from pending to stopping, with a poll next.
func BenchmarkAdvance(b *testing.B) {
	l, rdb := benchLedger(b)
	stops := opened(b, l, b.N)
	if _, err := advanceScript.Load(context.Background(), rdb).Result(); err != nil {
		b.Fatal(err)
	}
	reset(b, rdb)
	accept(b, l, stops)
	b.StopTimer()
	reportRedis(b, rdb)
}

func accept(b *testing.B, l *Ledger, stops []*Stop) {
	b.Helper()
	now := time.Now()
	for _, s := range stops {
		s.State, s.Called, s.Accepted, s.Calls, s.RequestID = Stopping, now, now, 1, "0123456789abcdef0123456789abcdef"
		if ok, err := l.Advance(context.Background(), s, KindPoll, now.Add(5*time.Second)); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}

// BenchmarkFinish ends accepted stops.
func BenchmarkFinish(b *testing.B) {
	l, rdb := benchLedger(b)
	stops := opened(b, l, b.N)
	accept(b, l, stops)
	if _, err := finishScript.Load(context.Background(), rdb).Result(); err != nil {
		b.Fatal(err)
	}
	reset(b, rdb)
	for _, s := range stops {
		s.Polls, s.Status = 1, 12
		if ok, err := l.Finish(context.Background(), s, Stopped, "job status 12", 0); err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
	b.StopTimer()
	reportRedis(b, rdb)
}
