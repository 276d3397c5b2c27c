package snapshot

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
)

// Hours are job-hours. Of very many stops only some are looked at: then it is certain only that they are between Least
// and Most. They are never guessed.
type Hours struct{ Least, Most float64 }

// Exact reports whether there is nothing between the two, as hours are shown.
func (h Hours) Exact() bool { return h.Most-h.Least < 0.05 }

func (h Hours) plus(o Hours) Hours { return Hours{h.Least + o.Least, h.Most + o.Most} }

const (
	// readWhole is up to how many stops of a project and state each is looked at.
	readWhole = 500
	// readInAll bounds how many times are read for a snapshot, of all projects together.
	readInAll = 20000
)

// readLoad reads how many stops are in flight in some projects, and for how long since they were due. Its cost is
// bounded whatever is in flight: of large sets it reads the due times at even distances, between which all others are.
func readLoad(ctx context.Context, rdb redis.UniversalClient, now time.Time, projectIDs []string) ([]Project, error) {
	all := make([]Project, len(projectIDs))
	if len(all) == 0 {
		return nil, nil
	}
	states := ledger.InFlight()
	pipe := rdb.Pipeline()
	counts := make([]*redis.IntCmd, 0, len(all)*len(states))
	for i, id := range projectIDs {
		all[i].ID = id
		for _, state := range states {
			counts = append(counts, pipe.ZCard(ctx, ledger.Keys(id).In(state)))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("count stops in flight: %w", err)
	}
	busy := 0
	for _, c := range counts {
		if c.Val() > 0 {
			busy++
		}
	}
	looks := max(2, min(readWhole, readInAll/max(1, busy)))
	pipe = rdb.Pipeline()
	samples := make([]sample, len(counts))
	for i, c := range counts {
		samples[i] = newSample(ctx, pipe, ledger.Keys(projectIDs[i/len(states)]).In(states[i%len(states)]), int(c.Val()), looks)
	}
	if busy > 0 {
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, fmt.Errorf("read since when stops are in flight: %w", err)
		}
	}
	for i := range samples {
		p := &all[i/len(states)]
		n, oldest, hours := samples[i].reckon(now)
		if !oldest.IsZero() && (p.Oldest.IsZero() || oldest.Before(p.Oldest)) {
			p.Oldest = oldest
		}
		p.Hours = p.Hours.plus(hours)
		if states[i%len(states)] == ledger.Pending {
			p.Pending, p.Waiting = n, hours
		} else {
			p.Stopping = n
		}
	}
	return all, nil
}

// sample is due times of a sorted set of stops, in order: all of them, or those at some ranks.
type sample struct {
	n     int
	ranks []int // of looks; nil: all were read
	looks []*redis.ZSliceCmd
}

// sampledRanks is how many due times of a large set are read.
const sampledRanks = 65

func newSample(ctx context.Context, pipe redis.Pipeliner, key string, n, most int) sample {
	s := sample{n: n}
	switch {
	case n == 0:
	case n <= most:
		s.looks = append(s.looks, pipe.ZRangeWithScores(ctx, key, 0, int64(n-1)))
	default:
		k := min(most, sampledRanks)
		for i := range k {
			rank := i * (n - 1) / (k - 1)
			s.ranks = append(s.ranks, rank)
			s.looks = append(s.looks, pipe.ZRangeWithScores(ctx, key, int64(rank), int64(rank)))
		}
	}
	return s
}

// reckon tells how many stops there are, when the oldest was due and how many hours ago all of them were. Stops that
// are due later count nothing.
func (s sample) reckon(now time.Time) (n int, oldest time.Time, h Hours) {
	if s.n == 0 || len(s.looks[0].Val()) == 0 { // the last one may have ended just now
		return 0, time.Time{}, h
	}
	hours := func(z redis.Z) float64 { return max(0, now.Sub(time.UnixMilli(int64(z.Score))).Hours()) }
	oldest = time.UnixMilli(int64(s.looks[0].Val()[0].Score)).UTC()
	if s.ranks == nil {
		for _, z := range s.looks[0].Val() {
			h.Least += hours(z)
		}
		h.Most = h.Least
		return len(s.looks[0].Val()), oldest, h
	}
	before := hours(s.looks[0].Val()[0])
	h = Hours{before, before}
	for i := 1; i < len(s.looks); i++ {
		between := float64(s.ranks[i] - s.ranks[i-1])
		after := 0.0 // a set that has become smaller has none there
		if found := s.looks[i].Val(); len(found) > 0 {
			after = min(before, hours(found[0]))
		}
		h.Least += between * after
		h.Most += between * before
		before = after
	}
	return s.n, oldest, h
}
