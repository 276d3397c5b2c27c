package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/luascript"
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
		batch := z.Member.(string)
		last, err := l.lastEnd(ctx, projectID, batch, now)
		if err == nil && !last.Before(old) { // it goes on elsewhere, or ended there later
			err = l.rdb.ZAddXX(ctx, k.ended(), redis.Z{Score: float64(last.UnixMilli()), Member: batch}).Err()
		} else if err == nil {
			err = l.sweepBatch(ctx, projectID, batch, old)
		}
		if err != nil {
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

// lastEnd is when a batch has ended in all projects but the given one; now, while it has stops in flight there. Zero:
// it has no stops there.
func (l *Ledger) lastEnd(ctx context.Context, projectID, batch string, now time.Time) (last time.Time, err error) {
	projects, err := l.rdb.SMembers(ctx, l.batchProjectsKey(batch)).Result()
	if err != nil {
		return time.Time{}, err
	}
	for some := range slices.Chunk(projects, sweepStops) {
		pipe := l.rdb.Pipeline()
		for _, p := range some {
			if p != projectID {
				pipe.HMGet(ctx, l.keys(p).batch(batch), string(Pending), string(Stopping), "ended")
			}
		}
		answers, err := pipe.Exec(ctx)
		for _, a := range answers {
			if luascript.NoHash(a) {
				continue
			}
			if a.Err() != nil {
				return time.Time{}, err
			}
			var n [3]int64
			for i, v := range a.(*redis.SliceCmd).Val() {
				text, _ := v.(string)
				n[i] = integer(text)
			}
			if n[0]+n[1] > 0 {
				return now, nil
			}
			if at := timeOf(n[2]); at.After(last) {
				last = at
			}
		}
	}
	return last, nil
}

// sweepBatch forgets one batch, some stops at a time, then the batch in the indexes and, last, what stands for it in
// the project: so a sweep that is cut short is made again.
func (l *Ledger) sweepBatch(ctx context.Context, projectID, batch string, old time.Time) error {
	k := l.keys(projectID)
	for indexed := true; ; {
		ids, err := l.rdb.LRange(ctx, k.stops(batch), 0, sweepStops-1).Result()
		if err != nil {
			return err
		}
		records, err := l.hashes(ctx, projectID, ids)
		if len(records) < len(ids) {
			return err
		}
		keys := []string{k.Active(), k.Last(), k.ended(), k.batch(batch), k.stops(batch), k.Limits()}
		args := []any{batch, old.UnixMilli(), flag(!indexed)}
		prevs, err := l.before(ctx, projectID, ids, records)
		if err != nil {
			return err
		}
		for i, id := range ids {
			served := cmp.Or(records[i]["served"], id)
			after, err := l.after(ctx, projectID, served, records[i]["job"], prevs[i])
			if err != nil {
				return err
			}
			keys = append(keys, k.Stop(id), k.Stop(served), k.Stop(cmp.Or(prevs[i], served)), k.Stop(cmp.Or(after, served)))
			args = append(args, id, served, records[i]["job"], prevs[i])
		}
		left, err := sweepScript.Run(ctx, l.rdb, keys, args...).Int()
		switch {
		case err != nil:
			return err
		case left != 1 && !indexed: // asked for anew meanwhile
			return l.indexAgain(ctx, projectID, batch)
		case left < 0 || !indexed:
			return nil
		case left == 1:
			if err := l.forgetBatch(ctx, projectID, batch); err != nil {
				return err
			}
			indexed = false
		}
	}
}

// after is the id of the stop of the same job that ended after a stop, if one ended before it, too; "": there is none.
func (l *Ledger) after(ctx context.Context, projectID, id, job, prev string) (string, error) {
	if prev == "" {
		return "", nil
	}
	stops, err := l.JobStops(ctx, projectID, job)
	for _, s := range stops {
		if s.prev == id {
			return s.ID, nil
		}
	}
	if Unreadable(err) != nil { // it can't be led past a key that holds no stop
		return "", nil
	}
	return "", err
}

// before is the id of the stop of the same job that ended before each stop; "": there is none any more.
func (l *Ledger) before(ctx context.Context, projectID string, ids []string,
	records []map[string]string) ([]string, error) {
	k, prevs := l.keys(projectID), make([]string, len(ids))
	some := func(key func(i int) string, field string, found func(i int, value string)) error {
		pipe, answers := l.rdb.Pipeline(), make(map[int]*redis.SliceCmd)
		for i := range ids {
			if key(i) != "" {
				answers[i] = pipe.HMGet(ctx, k.Stop(key(i)), field)
			}
		}
		_, err := pipe.Exec(ctx)
		for i, a := range answers {
			switch {
			case luascript.NoHash(a):
				found(i, "")
			case a.Err() != nil:
				return err
			default:
				found(i, luascript.FieldOf(a))
			}
		}
		return nil
	}
	err := some(func(i int) string { return cmp.Or(records[i]["served"], ids[i]) }, "prev",
		func(i int, prev string) { prevs[i] = prev })
	if err == nil {
		err = some(func(i int) string { return prevs[i] }, "state", func(i int, state string) {
			if state == "" {
				prevs[i] = ""
			}
		})
	}
	return prevs, err
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
	if left.Val() == 0 {
		if err := l.rdb.ZRem(ctx, l.batchesKey(), batch).Err(); err != nil {
			return err
		}
	}
	return nil
}

// indexAgain puts a batch back into the indexes that somebody has asked for anew while it was taken out of them.
func (l *Ledger) indexAgain(ctx context.Context, projectID, batch string) error {
	pipe := l.rdb.Pipeline()
	pipe.SAdd(ctx, l.batchProjectsKey(batch), projectID)
	pipe.ZAddNX(ctx, l.batchesKey(), redis.Z{Score: float64(l.now().UnixMilli()), Member: batch})
	_, err := pipe.Exec(ctx)
	return err
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
