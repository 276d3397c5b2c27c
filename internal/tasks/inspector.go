package tasks

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/luascript"
)

// Inspector looks into asynq's queues and tidies up what asynq leaves behind. It
// is the only place that knows how asynq 0.26 keeps a task in Redis: asynq's own
// inspector tells neither whether somebody holds a lease on a task nor how to be
// rid of one that it calls active. It is safe for concurrent use.
type Inspector struct {
	rdb     redis.UniversalClient
	inspect *asynq.Inspector
}

// NewInspector returns an inspector of the queues in the Redis behind rdb, which
// stays the caller's to close.
func NewInspector(rdb redis.UniversalClient) *Inspector {
	return &Inspector{rdb: rdb, inspect: asynq.NewInspectorFromRedisClient(rdb)}
}

//go:embed scripts/*.lua
var scripts embed.FS

var (
	countsScript  = luascript.Load(scripts, "counts")
	lookScript    = luascript.Load(scripts, "look")
	orphansScript = luascript.Load(scripts, "orphans")
	spoiltScript  = luascript.Load(scripts, "spoilt")
	sweepScript   = luascript.Load(scripts, "sweep")
)

func queueKey(queue, name string) string { return "asynq:{" + queue + "}:" + name }

// leaseGrace is how long after its end a lease still counts: as far as the
// clocks of two workers may differ. asynq's own recoverer waits for 30 s more, and
// up to a minute until it looks.
const leaseGrace = 10 * time.Second

func leaseTooOld() int64 { return time.Now().Add(-leaseGrace).Unix() }

// renewedWithin is how long ago a lease of 30 s was taken or renewed at the most if
// nobody needs to have told of its task yet: a worker tells every second which tasks it
// has that wait for a slot. If nobody has told of one whose lease is older, Redis gave it
// away, and the answer was lost.
const renewedWithin = 2 * time.Second

func notRenewed() int64 { return time.Now().Add(30*time.Second - renewedWithin).Unix() }

// foundAmong is how many of the tasks that are next Find looks through for one
// that is called pending. Of a longer queue it takes asynq's word.
const foundAmong = 1000

// Find says where a task is in its queue: "pending", "scheduled", "retry",
// "active" or "archived"; "" when it can't be delivered any more. leased says that it was
// given to a worker, or its lease renewed, in the last two seconds. With clocks that differ by more
// it may be wrong: then a step is released twice, of which one is fenced off.
func (i *Inspector) Find(ctx context.Context, queue, id string) (state string, leased bool, err error) {
	found, err := lookScript.Run(ctx, i.rdb, []string{queueKey(queue, "t:"+id), queueKey(queue, "lease"), queueKey(queue, "pending")},
		id, notRenewed(), foundAmong, time.Now().Add(30*time.Second+leaseGrace).Unix()).Slice()
	if err != nil {
		return "", false, fmt.Errorf("look for task %s in queue %s: %w", id, queue, err)
	}
	return found[0].(string), found[1].(int64) == 1, nil
}

// Pending counts the tasks of a queue that are ready and wait for a worker.
func (i *Inspector) Pending(ctx context.Context, queue string) (int, error) {
	n, err := i.rdb.LLen(ctx, queueKey(queue, "pending")).Result()
	if err != nil {
		return 0, fmt.Errorf("count tasks that wait in queue %s: %w", queue, err)
	}
	return int(n), nil
}

// Counts tells how many tasks of a queue are in each state, and for how long the
// one that is next has been ready.
func (i *Inspector) Counts(ctx context.Context, queue string) (tasks map[string]int, latency time.Duration, err error) {
	states := []string{"pending", "active", "scheduled", "retry", "archived", "aggregating"}
	var keys []string
	for _, name := range []string{"pending", "active", "scheduled", "retry", "archived", "groups"} {
		keys = append(keys, queueKey(queue, name))
	}
	counts, err := countsScript.Run(ctx, i.rdb, keys, queueKey(queue, "t:"), queueKey(queue, "g:")).Slice()
	if err != nil {
		return nil, 0, fmt.Errorf("count the tasks of queue %s: %w", queue, err)
	}
	tasks = make(map[string]int, len(states))
	for n, state := range states {
		tasks[state] = int(counts[n].(int64))
	}
	if since, err := strconv.ParseInt(counts[len(states)].(string), 10, 64); err == nil && since > 0 {
		latency = max(0, time.Since(time.Unix(0, since)))
	}
	return tasks, latency, nil
}

// RemoveAbandoned is Remove for an abandoned task. One that could not be read is left alone
// if it can be now: somebody has enqueued a good one by its id.
func (i *Inspector) RemoveAbandoned(ctx context.Context, queue string, task Abandoned) (bool, error) {
	if task.Info == nil {
		return i.sweep(ctx, queue, task.ID)
	}
	return i.Remove(ctx, queue, task.ID)
}

// sweep takes a task that can't be read out of wherever it is.
func (i *Inspector) sweep(ctx context.Context, queue, id string) (bool, error) {
	keys := []string{queueKey(queue, "t:"+id)}
	for _, name := range []string{"active", "lease", "scheduled", "retry", "archived"} {
		keys = append(keys, queueKey(queue, name))
	}
	return sweepScript.Run(ctx, i.rdb, keys, id, leaseTooOld()).Bool()
}

// Remove takes a task out of its queue and reports whether it did. It leaves
// alone a task that a worker holds. What can't be read is taken out of wherever it is.
func (i *Inspector) Remove(ctx context.Context, queue, id string) (bool, error) {
	swept, err := i.sweep(ctx, queue, id)
	if err != nil || swept {
		return swept, err
	}
	state, _, err := i.Find(ctx, queue, id)
	if err != nil || state == "" || state == asynq.TaskStateActive.String() {
		return false, err
	}
	err = i.inspect.DeleteTask(queue, id)
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return false, nil
	}
	return err == nil, err
}

const (
	// atOnce bounds how many tasks of one state are read at once.
	atOnce = 500
	// spoiltAmong bounds how many tasks of one state are looked through at once for those
	// whose records are spoilt: of scheduled and retry those that are due first, of archived
	// the newest.
	spoiltAmong = 200
)

// Abandoned is a task that asynq itself does not carry any more.
type Abandoned struct {
	ID   string
	Info *asynq.TaskInfo // nil if its message can't be read
}

// Abandoned lists the tasks of a queue that asynq itself has archived since the
// given time, those that it tries again and again although their own deadline has
// passed, those whose worker has died, and those of any state but pending whose
// records are lost or spoilt. What a person has archived is not among them while it
// can be read.
func (i *Inspector) Abandoned(ctx context.Context, queue string, since time.Time) ([]Abandoned, error) {
	// asynq's own inspector knows no queue that is not in this set, and each client writes it only once: it may be lost.
	if err := i.rdb.SAdd(ctx, "asynq:queues", queue).Err(); err != nil {
		return nil, fmt.Errorf("note queue %s: %w", queue, err)
	}
	// First, since one without a message that can be read ends asynq's own recovery of the whole queue, and a record that
	// is no hash ends its forwarding.
	all, err := i.orphans(ctx, queue)
	if err != nil {
		return nil, err
	}
	spoilt, err := i.spoilt(ctx, queue)
	if err != nil {
		return nil, err
	}
	archived, err := i.among(ctx, queue, "archived", strconv.FormatInt(since.Unix(), 10), func(info *asynq.TaskInfo, score time.Time) bool {
		return info.LastErr != "" && info.LastFailedAt.Equal(score) // asynq archives a task in the second of its last failure
	})
	if err != nil {
		return nil, err
	}
	late, err := i.among(ctx, queue, "retry", "-inf", func(info *asynq.TaskInfo, _ time.Time) bool {
		return info.LastErr == context.DeadlineExceeded.Error()
	})
	return slices.Concat(all, spoilt, archived, late), err
}

// orphans lists the tasks whose worker has died, oldest first, and those whose lease
// is over although they are not with a worker.
func (i *Inspector) orphans(ctx context.Context, queue string) ([]Abandoned, error) {
	keys := []string{queueKey(queue, "active"), queueKey(queue, "lease")}
	ids, err := orphansScript.Run(ctx, i.rdb, keys, leaseTooOld(), atOnce, queueKey(queue, "t:")).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("look for tasks of queue %s whose worker has died: %w", queue, err)
	}
	orphans := make([]Abandoned, len(ids))
	for n, id := range ids {
		info, err := i.read(queue, id)
		if err != nil {
			return nil, err
		}
		orphans[n] = Abandoned{id, info}
	}
	return orphans, nil
}

// spoilt lists the tasks in sorted sets whose records are lost or spoilt.
func (i *Inspector) spoilt(ctx context.Context, queue string) ([]Abandoned, error) {
	var all []Abandoned
	for _, set := range []struct {
		state       string
		first, last int // ranks
	}{{"scheduled", 0, spoiltAmong - 1}, {"retry", 0, spoiltAmong - 1}, {"archived", -spoiltAmong, -1}} {
		ids, err := spoiltScript.Run(ctx, i.rdb, []string{queueKey(queue, set.state)}, queueKey(queue, "t:"), set.first, set.last).StringSlice()
		if err != nil {
			return nil, fmt.Errorf("look for %s tasks of queue %s that can't be read: %w", set.state, queue, err)
		}
		for _, id := range ids {
			all = append(all, Abandoned{ID: id})
		}
	}
	return all, nil
}

// among lists the tasks that asynq keeps in a sorted set and that are wanted, the
// highest score first. It leaves out what nobody can read: spoilt lists that.
func (i *Inspector) among(ctx context.Context, queue, state, least string, wanted func(*asynq.TaskInfo, time.Time) bool) ([]Abandoned, error) {
	found, err := i.rdb.ZRevRangeByScoreWithScores(ctx, queueKey(queue, state), &redis.ZRangeBy{Min: least, Max: "+inf", Count: atOnce}).Result()
	if err != nil {
		return nil, fmt.Errorf("look for tasks that queue %s has given up: %w", queue, err)
	}
	var tasks []Abandoned
	for _, z := range found {
		id := fmt.Sprint(z.Member)
		info, err := i.read(queue, id)
		if err != nil {
			return nil, err
		}
		if info != nil && wanted(info, time.Unix(int64(z.Score), 0)) {
			tasks = append(tasks, Abandoned{id, info})
		}
	}
	return tasks, nil
}

// unreadable are texts of asynq's errors about a record that it can't read.
var unreadable = []string{"could not decode", "WRONGTYPE", "is not supported task state"}

// read reads one task; nil if it is gone, or nobody can read it.
func (i *Inspector) read(queue, id string) (*asynq.TaskInfo, error) {
	info, err := i.inspect.GetTaskInfo(queue, id)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound):
		return nil, nil
	case err != nil && slices.ContainsFunc(unreadable, func(text string) bool { return strings.Contains(err.Error(), text) }):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read task %s of queue %s: %w", id, queue, err)
	case info.ID != id: // without a message, or with another task's
		return nil, nil
	}
	return info, nil
}
