package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// workPage is how many projects InFlight looks at: a request each, of the ten or so that an idle worker makes a second.
	workPage = 12
	// askTakes is how long an ask may take between its register and its stops.
	askTakes = 10 * time.Minute
)

// workKey is a sorted set of the projects that may have stops in flight, by when stops
// were last asked for. The keys with the tag {-} are in slot 13775 of a Redis Cluster, these two
// in 2179 and 6110: where nodes have equal shares of the slots, on another node. So they
// tell which projects have work if that node has lost it.
func (l *Ledger) workKey() string {
	if l.ofShadow {
		return shadowWorkKey
	}
	return workKey
}

// NoteWork adds projects that may have stops in flight, for whoever knows of some.
func (l *Ledger) NoteWork(ctx context.Context, projectIDs []string) error {
	if len(projectIDs) == 0 {
		return nil
	}
	members, now := make([]redis.Z, len(projectIDs)), float64(l.now().UnixMilli())
	for i, p := range projectIDs {
		members[i] = redis.Z{Score: now, Member: p}
	}
	if err := l.rdb.ZAddNX(ctx, l.workKey(), members...).Err(); err != nil {
		return fmt.Errorf("note %d projects with work: %w", len(projectIDs), err)
	}
	return nil
}

// InFlight looks at a few of the projects that may have work, from an offset on, and
// returns those that have stops in flight or stops that are to be counted, and the offset of the
// next ones; 0: these were the last. Projects without work that nobody has asked for in the
// last ten minutes are not looked at again.
func (l *Ledger) InFlight(ctx context.Context, from int64) (projects []string, next int64, err error) {
	projects, next, err = l.inFlight(ctx, from)
	if err != nil {
		return nil, 0, fmt.Errorf("look which projects have stops in flight: %w", err)
	}
	return projects, next, nil
}

func (l *Ledger) inFlight(ctx context.Context, from int64) (projects []string, next int64, err error) {
	page, err := l.rdb.ZRangeWithScores(ctx, l.workKey(), from, from+workPage-1).Result()
	if err != nil || len(page) == 0 {
		return nil, 0, err
	}
	pipe := l.rdb.Pipeline()
	found := make([]*redis.IntCmd, len(page))
	for i, z := range page {
		k := l.keys(z.Member.(string))
		found[i] = pipe.Exists(ctx, k.In(Pending), k.In(Stopping), k.Uncounted())
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, 0, err
	}
	since := l.now().Add(-askTakes).UnixMilli()
	idle := []any{since}
	for i, z := range page {
		switch p := z.Member.(string); {
		case found[i].Val() > 0:
			projects = append(projects, p)
		case int64(z.Score) < since:
			idle = append(idle, p)
		}
	}
	next = from + int64(len(page))
	if len(page) < workPage {
		next = 0
	}
	if len(idle) == 1 {
		return projects, next, nil
	}
	gone, err := restScript.Run(ctx, l.rdb, []string{l.workKey()}, idle...).Int64()
	return projects, max(0, next-gone), err
}
