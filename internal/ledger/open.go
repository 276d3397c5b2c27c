package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Ask is a wish to stop one job.
type Ask struct {
	JobID    string
	Due      time.Time // when to stop it; the zero time means now
	Deadline time.Time // must lie after Due
	Labels   map[string]string
	Trace    string // the traceparent of its trace; "": none
}

// Result is what became of an Ask.
type Result string

// What Open answers for each Ask.
const (
	Opened  Result = "opened"  // a new stop: enqueue its first task
	Waiting Result = "waiting" // asked before, and its first task may be missing: enqueue it again, that is harmless
	Known   Result = "known"   // asked before in this batch, and further on or ended
	Joined  Result = "joined"  // another stop of the job is active and serves this wish too
)

// Opening is the answer to one Ask.
type Opening struct {
	Result Result
	StopID string // the stop that serves the Ask
	JobID  string
	First  time.Time // when the stop's first task is due; meaningless if Joined
}

// OpenChunk is how many asks Open takes at most: one script, about a
// millisecond of Redis' time.
const OpenChunk = 250

// Open records a stop for each ask, all in one batch of one project, before
// anything is enqueued. A job with an active stop is joined to it. Asking again
// for the same job in the same batch opens nothing. The answers stand in the
// order of asks, of which there are at most OpenChunk. The first tasks of a batch
// are due no faster than Config.Pace.
func (l *Ledger) Open(ctx context.Context, projectID, batch string, asks []Ask) ([]Opening, error) {
	if len(asks) > OpenChunk {
		return nil, fmt.Errorf("open %d stops at once: the limit is %d", len(asks), OpenChunk)
	}
	ids := make([]string, len(asks))
	for i, a := range asks {
		ids[i] = StopID(batch, projectID, a.JobID)
	}
	return l.open(ctx, projectID, batch, asks, ids, "")
}

func (l *Ledger) open(ctx context.Context, projectID, batch string, asks []Ask, ids []string, task string) ([]Opening, error) {
	if len(asks) == 0 {
		return nil, nil
	}
	now := l.now()
	if err := l.register(ctx, projectID, batch, asks, now); err != nil {
		return nil, err
	}
	k := keys(projectID)
	keyNames := []string{k.active(), k.next(), k.in(Pending), k.batch(batch), k.stops(batch), k.joined(batch)}
	args := []any{now.UnixMilli(), batch, seconds(l.retention), l.firstGap()}
	for i, a := range asks {
		if a.Due.IsZero() {
			asks[i].Due = now
		}
		keyNames = append(keyNames, k.stop(ids[i]))
		args = append(args, ids[i], a.JobID, millis(asks[i].Due), millis(a.Deadline), task, encodeLabels(a.Labels), a.Trace)
	}
	answers, err := openScript.Run(ctx, l.rdb, keyNames, args...).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("open %d stops of project %s in the ledger: %w", len(asks), projectID, err)
	}
	openings := make([]Opening, len(asks))
	for i, a := range asks {
		first, _ := strconv.ParseInt(answers[3*i+2], 10, 64)
		openings[i] = Opening{Result: Result(answers[3*i]), StopID: answers[3*i+1], JobID: a.JobID, First: time.UnixMilli(first).UTC()}
	}
	return openings, nil
}

// register makes project and batch findable before their first stop exists, so
// that whatever is recorded after it can be repaired.
func (l *Ledger) register(ctx context.Context, projectID, batch string, asks []Ask, now time.Time) error {
	last := now
	for _, a := range asks {
		if a.Deadline.After(last) {
			last = a.Deadline
		}
	}
	pipe := l.rdb.Pipeline()
	pipe.SAdd(ctx, projectsKey, projectID)
	pipe.ZAddNX(ctx, batchesKey, redis.Z{Score: float64(now.UnixMilli()), Member: batch})
	pipe.SAdd(ctx, batchProjectsKey(batch), projectID)
	pipe.Expire(ctx, batchProjectsKey(batch), last.Sub(now)+2*l.retention)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("register batch %s of project %s in the ledger: %w", batch, projectID, err)
	}
	return nil
}

// A foreign task's pointer outlives the end of its stop, and each later sight of
// the task, by this much: longer than the queue takes to deliver a task again,
// short enough that a producer who uses the same task id the next day is heard.
const pointerLife = 10 * time.Minute

// OpenForeign records the stop that a bare task of another producer asks for,
// on first sight of the task. The same taskID finds the same stop again until
// ten minutes after it has ended and was last asked for. The batch is one of the
// day's, named "queue-" and the date.
func (l *Ledger) OpenForeign(ctx context.Context, projectID, taskID string, ask Ask) (Opening, error) {
	pointer := keys(projectID).task(taskID)
	id := randomID()
	first, err := l.rdb.SetNX(ctx, pointer, id, l.retention).Result()
	if err == nil && !first {
		id, err = l.seenAgain(ctx, projectID, pointer)
	}
	if err != nil {
		return Opening{}, fmt.Errorf("record task %q in the ledger: %w", taskID, err)
	}
	batch := "queue-" + l.now().UTC().Format("20060102")
	openings, err := l.open(ctx, projectID, batch, []Ask{ask}, []string{id}, pointer)
	if err != nil {
		return Opening{}, err
	}
	if openings[0].Result == Joined {
		// Nothing of its own to find again: the task is done with.
		if err := l.rdb.Expire(ctx, pointer, pointerLife).Err(); err != nil {
			return Opening{}, fmt.Errorf("record task %q in the ledger: %w", taskID, err)
		}
	}
	return openings[0], nil
}

// seenAgain reads the pointer of a task that was seen before. The task may come
// once more if its worker dies before it is done with it, so the pointer of a
// stop that has ended stays a while longer.
func (l *Ledger) seenAgain(ctx context.Context, projectID, pointer string) (id string, err error) {
	if id, err = l.rdb.Get(ctx, pointer).Result(); err != nil {
		return "", err
	}
	state, err := l.rdb.HGet(ctx, keys(projectID).stop(id), "state").Result()
	if err == nil && State(state).Ended() {
		err = l.rdb.Expire(ctx, pointer, pointerLife).Err()
	}
	if errors.Is(err, redis.Nil) { // its worker died before it opened the stop
		err = nil
	}
	return id, err
}

// firstGap is the least time between the first tasks of a batch, in ms.
func (l *Ledger) firstGap() float64 {
	if l.pace <= 0 {
		return 0
	}
	return 1000 / l.pace
}

func seconds(d time.Duration) int64 { return int64(max(d, time.Second) / time.Second) }
