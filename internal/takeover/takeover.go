// Package takeover takes over what the first version of vizstop (commit 27448ab)
// has left in Redis, so that its stops go on. It can be deleted when no such Redis
// is left.
//
// No worker of the first version may run any more. Stops in flight move to a new
// hop, so that tasks of the first version do nothing; batches that had joined
// stops get wishes. What had ended stays as it is until its time is over, and
// pauses stay. Any number of workers may do this at once, and one that dies in the
// middle leaves the rest to the next.
package takeover

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/luascript"
	"vizstop/internal/release"
)

const (
	projectsKey = "vizstop:projects" // set of project ids that ever had a stop, of the first version
	batchesKey  = "vizstop:batches"
	noProject   = "-" // stood for the project of a task that named none
	// oldQueue carried polls and screens.
	oldQueue = "visualization-poll"
	atOnce   = 100
)

//go:embed scripts/*.lua
var scripts embed.FS

var stopScript, joinedScript = luascript.Load(scripts, "stop"), luascript.Load(scripts, "joined")

// oldKey names a key of a project, in both versions.
func oldKey(projectID, rest string) string { return "vizstop:{" + projectID + "}:" + rest }

// Run takes over everything that the first version has left. It costs one command
// where there is nothing.
func Run(ctx context.Context, rdb redis.UniversalClient, l *ledger.Ledger, r *release.Releaser, log *slog.Logger) error {
	for {
		projects, err := rdb.SRandMemberN(ctx, projectsKey, atOnce).Result()
		if err != nil {
			return fmt.Errorf("look for what the first version of vizstop has left in Redis: %w", err)
		}
		if len(projects) == 0 {
			return nil
		}
		t := &taking{rdb: rdb, ledger: l, release: r}
		if t.batches, err = rdb.ZRange(ctx, batchesKey, 0, -1).Result(); err != nil {
			return fmt.Errorf("list the batches of the first version of vizstop: %w", err)
		}
		for _, p := range projects {
			if err := t.project(ctx, p); err != nil {
				return fmt.Errorf("take over project %s from the first version of vizstop: %w", p, err)
			}
		}
		if err := t.pause(ctx, noProject, ""); err != nil {
			return fmt.Errorf("take over a pause from the first version of vizstop: %w", err)
		}
		log.InfoContext(ctx, "took over from the first version of vizstop", "projects", len(projects), "stops", t.stops)
	}
}

// taking is a take-over under way.
type taking struct {
	rdb     redis.UniversalClient
	ledger  *ledger.Ledger
	release *release.Releaser
	batches []string
	stops   int
}

func (t *taking) project(ctx context.Context, p string) error {
	if p != noProject {
		steps := []func(context.Context, string) error{t.inFlight, t.ofBatches, func(ctx context.Context, p string) error { return t.pause(ctx, p, p) }}
		for _, step := range steps {
			if err := step(ctx, p); err != nil {
				return err
			}
		}
		if err := release.Ask(ctx, t.rdb, p); err != nil {
			return err
		}
	}
	pipe := t.rdb.Pipeline()
	for _, rest := range []string{"throttle", "halt", "screen"} {
		pipe.Del(ctx, oldKey(p, rest))
	}
	pipe.SRem(ctx, projectsKey, p)
	_, err := pipe.Exec(ctx)
	return err
}

// inFlight takes over the stops in flight.
func (t *taking) inFlight(ctx context.Context, p string) error {
	k := ledger.Keys(p)
	next := oldKey(p, "next")
	for {
		ids, err := t.rdb.ZRange(ctx, next, 0, atOnce-1).Result()
		if err != nil || len(ids) == 0 {
			return err
		}
		pipe := t.rdb.Pipeline()
		batches := make([]*redis.SliceCmd, len(ids))
		for i, id := range ids {
			batches[i] = pipe.HMGet(ctx, k.Stop(id), "batch")
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
		keys := []string{next, k.Large(), k.Look(), k.Watched(), k.Latest()}
		args := []any{t.ledger.Now().UnixMilli()}
		for i, id := range ids {
			keys = append(keys, k.Stop(id), oldKey(p, "batch:"+luascript.FieldOf(batches[i])))
			args = append(args, id)
		}
		n, err := stopScript.Run(ctx, t.rdb, keys, args...).Int()
		if err != nil {
			return err
		}
		t.stops += n
	}
}

// ofBatches makes the joined stops of each batch serve it, and says when batches
// that have ended are to be forgotten.
func (t *taking) ofBatches(ctx context.Context, p string) error {
	for _, b := range t.batches {
		if err := t.joined(ctx, p, b); err != nil {
			return err
		}
		batch, err := t.ledger.Batch(ctx, p, b)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := t.ledger.Remember(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

func (t *taking) joined(ctx context.Context, p, b string) error {
	k, key := ledger.Keys(p), oldKey(p, "batch:"+b+":joined")
	for {
		ids, err := t.rdb.SRandMemberN(ctx, key, atOnce).Result()
		if err != nil || len(ids) == 0 {
			return err
		}
		stops, err := t.ledger.GetAll(ctx, p, ids)
		if err != nil {
			return err
		}
		jobs := make(map[string]string, len(stops))
		for _, s := range stops {
			jobs[s.ID] = s.JobID
		}
		keys := []string{key, oldKey(p, "batch:"+b), oldKey(p, "batch:"+b+":stops"), oldKey(p, "ended")}
		args := []any{b}
		for _, id := range ids {
			own := ledger.StopID(b, p, jobs[id])
			keys = append(keys, k.Stop(id), k.Stop(own))
			args = append(args, id, own)
		}
		if err := joinedScript.Run(ctx, t.rdb, keys, args...).Err(); err != nil {
			return err
		}
	}
}

// pause takes over the pause of a scope: a project, or the fleet for "".
func (t *taking) pause(ctx context.Context, old, scope string) error {
	key := oldKey(old, "pause")
	f, err := t.rdb.HGetAll(ctx, key).Result()
	if err != nil || len(f) == 0 {
		return err
	}
	if _, err := t.release.Pause(ctx, scope, f["by"], f["reason"]); err != nil {
		return err
	}
	return t.rdb.Del(ctx, key).Err()
}

// Queue removes the queue of the first version, which nobody reads any more. What
// a worker of it held when it died is removed when its lease has run out: call it
// again until it reports true.
func Queue(ctx context.Context, inspect *asynq.Inspector, remove func(ctx context.Context, queue, id string) (bool, error)) (bool, error) {
	err := inspect.DeleteQueue(oldQueue, true)
	switch {
	case err == nil, errors.Is(err, asynq.ErrQueueNotFound):
		return true, nil
	}
	active, lerr := inspect.ListActiveTasks(oldQueue, asynq.PageSize(atOnce))
	if lerr != nil {
		return false, fmt.Errorf("remove the queue %s of the first version: %w", oldQueue, errors.Join(err, lerr))
	}
	for _, task := range active {
		if _, err := remove(ctx, oldQueue, task.ID); err != nil {
			return false, err
		}
	}
	return false, nil
}

// Retry is how often Queue is worth another call.
const Retry = 15 * time.Second
