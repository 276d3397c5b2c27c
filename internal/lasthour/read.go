package lasthour

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Reader reads what the fleet has done in the last hour. It is safe for concurrent use:
// calls wait for one another.
type Reader struct {
	rdb redis.UniversalClient
	now func() time.Time

	mu      sync.Mutex
	minutes map[int64]reading
}

// reading is a minute as it was read.
type reading struct {
	Minute
	at time.Time // when, by the fleet's time
}

// NewReader returns a reader. now is the fleet's time, as fleet.Member tells it.
func NewReader(rdb redis.UniversalClient, now func() time.Time) *Reader {
	return &Reader{rdb: rdb, now: now, minutes: make(map[int64]reading)}
}

const (
	// settled is how long after its end a minute changes no more.
	settled = (kept + 1) * time.Minute
	// lookAgain is how often a minute is read that has ended and may change still: only a
	// worker that Redis was away for writes it so late.
	lookAgain = 30 * time.Second
)

// Read returns the last 60 minutes in their order; the last one still runs. Minutes in
// which nothing happened are there, empty. They are shared between callers: don't alter
// them. Read once a second, it costs two commands of Redis each time and some more every
// 30 seconds; the first time 60.
func (r *Reader) Read(ctx context.Context) ([]Minute, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	last := minuteOf(now)
	first := last - Shown + 1
	maps.DeleteFunc(r.minutes, func(minute int64, _ reading) bool { return minute < first || minute > last })
	if err := r.readAgain(ctx, now, first, last); err != nil {
		return nil, err
	}
	all := make([]Minute, 0, Shown)
	for minute := first; minute <= last; minute++ {
		all = append(all, r.minutes[minute].Minute)
	}
	return all, nil
}

// readAgain reads the minutes from first to last that may have changed since they were
// read.
func (r *Reader) readAgain(ctx context.Context, now time.Time, first, last int64) error {
	answers, pipe := make(map[int64]*redis.MapStringStringCmd), r.rdb.Pipeline()
	for minute := first; minute <= last; minute++ {
		if r.stale(minute, last, now) {
			answers[minute] = pipe.HGetAll(ctx, minuteKey(minute))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("read what happened in the last hour: %w", err)
	}
	for minute, answer := range answers {
		sum := newMinute()
		for _, text := range answer.Val() {
			sum.add(decode(text))
		}
		sum.Start = time.Unix(60*minute, 0).UTC()
		r.minutes[minute] = reading{sum, now}
	}
	return nil
}

// stale reports whether a minute may have changed since it was read.
func (r *Reader) stale(minute, last int64, now time.Time) bool {
	known, ok := r.minutes[minute]
	end := time.Unix(60*(minute+1), 0)
	switch {
	case !ok || minute >= last-1:
		return true
	case !known.at.Before(end.Add(settled)):
		return false
	}
	return now.Sub(known.at) >= lookAgain || now.Before(known.at)
}
