package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// What a sweep does at once.
const (
	sweepProjects = 10  // projects
	sweepBatches  = 10  // batches of one project
	sweepStops    = 100 // stops of one batch
	// sweepPause is when a project is looked at again that has nothing to forget yet.
	sweepPause = time.Hour
)

// Sweep forgets batches that ended longer than the retention ago, and with each
// the stops that no other batch still knows. It visits a few projects whose time
// has come, so call it again and again. Nothing else in the ledger ends by itself.
// A project that fails keeps it from no other one, and comes again after a pause.
func (l *Ledger) Sweep(ctx context.Context, retention time.Duration) error {
	now := l.now()
	projects, err := l.rdb.ZRangeByScore(ctx, l.sweepsKey(), &redis.ZRangeBy{
		Min: "-inf", Max: strconv.FormatInt(now.UnixMilli(), 10), Count: sweepProjects,
	}).Result()
	if err != nil {
		return fmt.Errorf("look for what the ledger has to forget: %w", err)
	}
	var failed error
	for _, p := range projects {
		if err := l.sweepProject(ctx, p, now, retention); err != nil {
			later := redis.Z{Score: float64(now.Add(sweepPause).UnixMilli()), Member: p}
			failed = errors.Join(failed, fmt.Errorf("forget old batches of project %s: %w", p, err),
				l.rdb.ZAddXX(ctx, l.sweepsKey(), later).Err())
		}
	}
	return failed
}

// sweepProject forgets old batches of one project, and says when to look again.
func (l *Ledger) sweepProject(ctx context.Context, projectID string, now time.Time, retention time.Duration) error {
	k := l.keys(projectID)
	old := now.Add(-retention)
	ended, err := l.rdb.ZRangeWithScores(ctx, k.ended(), 0, sweepBatches-1).Result()
	if err != nil {
		return err
	}
	next := now.Add(sweepPause)
	for _, z := range ended {
		at := time.UnixMilli(int64(z.Score))
		if !at.Before(old) {
			if due := at.Add(retention); due.After(next) {
				next = due
			}
			break
		}
		if err := l.sweepBatch(ctx, projectID, z.Member.(string), old); err != nil {
			return err
		}
		next = now // there may be more
	}
	if len(ended) == 0 {
		gone, err := forgetScript.Run(ctx, l.rdb,
			[]string{k.In(Pending), k.In(Stopping), k.ended(), k.Uncounted(), k.times(), k.Control(), k.Limits(), k.Window()}, now.UnixMilli()).Bool()
		if err != nil {
			return err
		}
		if gone {
			return l.rdb.ZRem(ctx, l.sweepsKey(), projectID).Err()
		}
	}
	return l.rdb.ZAddXX(ctx, l.sweepsKey(), redis.Z{Score: float64(next.UnixMilli()), Member: projectID}).Err()
}

// sweepBatch forgets one batch, some stops at a time.
func (l *Ledger) sweepBatch(ctx context.Context, projectID, batch string, old time.Time) error {
	k := l.keys(projectID)
	for {
		ids, err := l.rdb.LRange(ctx, k.stops(batch), 0, sweepStops-1).Result()
		if err != nil {
			return err
		}
		records, err := l.hashes(ctx, projectID, ids)
		if len(records) < len(ids) {
			return err
		}
		keys := []string{k.Active(), k.Last(), k.ended(), k.batch(batch), k.stops(batch), k.Limits()}
		args := []any{batch, old.UnixMilli()}
		for i, id := range ids {
			served := records[i]["served"]
			if served == "" {
				served = id
			}
			keys = append(keys, k.Stop(id), k.Stop(served))
			args = append(args, id, served, records[i]["job"])
		}
		left, err := sweepScript.Run(ctx, l.rdb, keys, args...).Int()
		switch {
		case err != nil:
			return err
		case left < 0:
			return nil
		case left == 1:
			return l.forgetBatch(ctx, projectID, batch)
		}
	}
}

// forgetBatch takes a batch of which a project has nothing left from the indexes
// of all projects.
func (l *Ledger) forgetBatch(ctx context.Context, projectID, batch string) error {
	pipe := l.rdb.Pipeline()
	pipe.SRem(ctx, l.batchProjectsKey(batch), projectID)
	left := pipe.Exists(ctx, l.batchProjectsKey(batch))
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	if left.Val() > 0 {
		return nil
	}
	return l.rdb.ZRem(ctx, l.batchesKey(), batch).Err()
}

// Visit has a sweep look at a project: what a command leaves in Redis for one that
// has no batch is forgotten, too.
func (l *Ledger) Visit(ctx context.Context, projectID string) error {
	if err := l.rdb.ZAddNX(ctx, l.sweepsKey(), redis.Z{Score: float64(l.now().UnixMilli()), Member: projectID}).Err(); err != nil {
		return fmt.Errorf("note project %s in the ledger: %w", projectID, err)
	}
	return nil
}

// Remember has a batch that has ended forgotten when its time is over; for a batch
// that something else than this ledger has recorded.
func (l *Ledger) Remember(ctx context.Context, b *Batch) error {
	pipe := l.rdb.Pipeline()
	pipe.ZAddNX(ctx, l.sweepsKey(), redis.Z{Score: float64(l.now().UnixMilli()), Member: b.ProjectID})
	if b.InFlight() == 0 {
		ended := b.Ended
		if ended.IsZero() {
			ended = l.now()
		}
		pipe.ZAddNX(ctx, l.keys(b.ProjectID).ended(), redis.Z{Score: float64(ended.UnixMilli()), Member: b.ID})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("remember batch %s of project %s: %w", b.ID, b.ProjectID, err)
	}
	return nil
}
