package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Load is what waits, over all projects.
type Load struct {
	Count  map[State]int       // stops in flight by state
	Oldest map[State]time.Time // when the oldest of them was due; absent when there is none

	Projects map[string]int // stops in flight by project; only projects that have some
}

// Load counts the stops in flight. Every state of InFlight is present.
func (l *Ledger) Load(ctx context.Context) (Load, error) {
	load := Load{Count: make(map[State]int), Oldest: make(map[State]time.Time), Projects: make(map[string]int)}
	projects, err := l.Projects(ctx)
	if err != nil {
		return Load{}, err
	}
	for _, s := range InFlight() {
		load.Count[s] = 0
		pipe := l.rdb.Pipeline()
		for _, p := range projects {
			pipe.ZCard(ctx, keys(p).in(s))
			pipe.ZRangeWithScores(ctx, keys(p).in(s), 0, 0)
		}
		answers, err := pipe.Exec(ctx)
		if err != nil {
			return Load{}, fmt.Errorf("count stops in flight: %w", err)
		}
		for i, p := range projects {
			n := int(answers[2*i].(*redis.IntCmd).Val())
			if n == 0 {
				continue
			}
			load.Count[s] += n
			load.Projects[p] += n
			for _, z := range answers[2*i+1].(*redis.ZSliceCmd).Val() {
				due := time.UnixMilli(int64(z.Score)).UTC()
				if old, ok := load.Oldest[s]; !ok || due.Before(old) {
					load.Oldest[s] = due
				}
			}
		}
	}
	return load, nil
}

// Overdue reads up to n stops in flight of one project whose next task was due
// before the given time, the longest overdue first.
func (l *Ledger) Overdue(ctx context.Context, projectID string, before time.Time, n int) ([]*Stop, error) {
	ids, err := l.rdb.ZRangeByScore(ctx, keys(projectID).next(), &redis.ZRangeBy{
		Min: "-inf", Max: "(" + strconv.FormatInt(before.UnixMilli(), 10), Count: int64(n),
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("look for overdue stops of project %s: %w", projectID, err)
	}
	stops, err := l.readAll(ctx, projectID, ids)
	if err != nil || len(stops) == len(ids) {
		return stops, err
	}
	return stops, l.forget(ctx, projectID, ids, stops)
}

// forget takes out of the index what has no record any more (a Redis that
// evicts), so that it can't stand in front of the others for ever.
func (l *Ledger) forget(ctx context.Context, projectID string, ids []string, known []*Stop) error {
	lost := slices.DeleteFunc(ids, func(id string) bool {
		return slices.ContainsFunc(known, func(s *Stop) bool { return s.ID == id })
	})
	if err := l.rdb.ZRem(ctx, keys(projectID).next(), lost).Err(); err != nil {
		return fmt.Errorf("forget %d stops without a record: %w", len(lost), err)
	}
	return nil
}

// PutBack puts a stop that was found overdue, but alive in the queue, behind the
// others of Overdue. When its next task is due stays what it was.
func (l *Ledger) PutBack(ctx context.Context, s *Stop) error {
	err := l.rdb.ZAddXX(ctx, keys(s.ProjectID).next(), redis.Z{Score: float64(l.now().UnixMilli()), Member: s.ID}).Err()
	if err != nil {
		return fmt.Errorf("put back stop %s in the ledger: %w", s.ID, err)
	}
	return nil
}
