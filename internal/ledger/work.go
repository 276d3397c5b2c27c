package ledger

import (
	"context"
	"errors"
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
// last ten minutes are not looked at again. What else it returns is right also with an error: that is of projects that
// could not be looked at, or taken out. If not even their names could be read, the next offset is the same.
func (l *Ledger) InFlight(ctx context.Context, from int64) (projects []string, next int64, err error) {
	projects, next, err = l.inFlight(ctx, from)
	if err != nil {
		err = fmt.Errorf("look which projects have stops in flight: %w", err)
	}
	return projects, next, err
}

func (l *Ledger) inFlight(ctx context.Context, from int64) (projects []string, next int64, err error) {
	page, err := l.rdb.ZRangeWithScores(ctx, l.workKey(), from, from+workPage-1).Result()
	if err != nil {
		return nil, from, err
	}
	if len(page) == 0 {
		return nil, 0, nil
	}
	found, errs := l.haveWork(ctx, page)
	since := l.now().Add(-askTakes).UnixMilli()
	idle := []any{since}
	for i, z := range page {
		switch p := z.Member.(string); {
		case found[i].Err() != nil: // its node may be down: nobody knows whether it has work
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
		return projects, next, errs
	}
	gone, err := restScript.Run(ctx, l.rdb, []string{l.workKey()}, idle...).Int64()
	return projects, max(0, next-gone), errors.Join(errs, err)
}

// haveWork counts the keys of each project that are there if it has work. The error is that of all that failed, by
// project.
func (l *Ledger) haveWork(ctx context.Context, page []redis.Z) (found []*redis.IntCmd, errs error) {
	pipe := l.rdb.Pipeline()
	for _, z := range page {
		k := l.keys(z.Member.(string))
		found = append(found, pipe.Exists(ctx, k.In(Pending), k.In(Stopping), k.Uncounted()))
	}
	_, err := pipe.Exec(ctx) // that of the first that failed
	for i, cmd := range found {
		if cmd.Err() != nil {
			errs = errors.Join(errs, fmt.Errorf("project %s: %w", page[i].Member, cmd.Err()))
		}
	}
	if err != nil && errs == nil { // it says of none that it failed: then all have
		for _, cmd := range found {
			cmd.SetErr(err)
		}
		errs = err
	}
	return found, errs
}
