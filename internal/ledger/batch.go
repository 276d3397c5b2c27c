package ledger

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Batch is the stops of one project that were asked for together.
type Batch struct {
	ID        string
	ProjectID string
	Created   time.Time
	Ended     time.Time     // when its last own stop ended; zero while one is in flight
	Counts    map[State]int // its own stops by state; every state is present and they add up to Total
	Total     int           // its own stops
	Joined    int           // stops of other batches that serve its wishes too
	Meta      Meta
}

var batchPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ValidateBatch checks that id can be part of a key without changing its
// meaning: 1 to 64 letters, digits, ".", "_" or "-", the first one a letter or
// digit.
func ValidateBatch(id string) error {
	if batchPattern.MatchString(id) {
		return nil
	}
	return fmt.Errorf("batch id %.64q is not 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit", id)
}

// Meta is who asked for a batch and why. All of it is optional.
type Meta struct {
	Requester string
	Reason    string
	Labels    map[string]string
}

// Describe keeps who asked for a batch and why. Do it before Open; saying it
// again replaces it.
func (l *Ledger) Describe(ctx context.Context, projectID, batch string, m Meta) error {
	key := keys(projectID).batch(batch)
	pipe := l.rdb.TxPipeline()
	pipe.HSet(ctx, key, "requester", m.Requester, "why", m.Reason, "labels", encodeLabels(m.Labels))
	pipe.Expire(ctx, key, l.retention) // Open keeps it for longer
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("describe batch %s in the ledger: %w", batch, err)
	}
	return nil
}

// InFlight is how many of the batch's own stops have not ended.
func (b *Batch) InFlight() int { return b.Counts[Pending] + b.Counts[Stopping] }

// Batch reads the counts of one batch in one project. It returns ErrNotFound
// when there is none.
func (l *Ledger) Batch(ctx context.Context, projectID, batch string) (*Batch, error) {
	k := keys(projectID)
	pipe := l.rdb.Pipeline()
	fields := pipe.HGetAll(ctx, k.batch(batch))
	joined := pipe.SCard(ctx, k.joined(batch))
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("read batch %s from the ledger: %w", batch, err)
	}
	f := fields.Val()
	if f["created"] == "" {
		return nil, fmt.Errorf("batch %s of project %s: %w", batch, projectID, ErrNotFound)
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(f[name], 10, 64)
		return n
	}
	b := &Batch{
		ID: batch, ProjectID: projectID, Created: time.UnixMilli(number("created")).UTC(),
		Counts: make(map[State]int), Joined: int(joined.Val()),
		Meta: Meta{Requester: f["requester"], Reason: f["why"], Labels: decodeLabels(f["labels"])},
	}
	for _, s := range append(InFlight(), Outcomes()...) {
		b.Counts[s] = int(number(string(s)))
		b.Total += b.Counts[s]
	}
	if b.InFlight() == 0 && number("ended") != 0 {
		b.Ended = time.UnixMilli(number("ended")).UTC()
	}
	return b, nil
}

// Batches lists the ids of the n newest batches of all projects, newest first.
// Some of them may have ended longer ago than the ledger remembers.
func (l *Ledger) Batches(ctx context.Context, n int) ([]string, error) {
	ids, err := l.rdb.ZRevRange(ctx, batchesKey, 0, int64(n-1)).Result()
	if err != nil {
		return nil, fmt.Errorf("list batches: %w", err)
	}
	return ids, nil
}

// BatchProjects lists the projects in which a batch has stops, sorted. It
// returns ErrNotFound for a batch that the ledger doesn't have.
func (l *Ledger) BatchProjects(ctx context.Context, batch string) ([]string, error) {
	ids, err := l.rdb.SMembers(ctx, batchProjectsKey(batch)).Result()
	if err != nil {
		return nil, fmt.Errorf("read batch %s from the ledger: %w", batch, err)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("batch %s: %w", batch, ErrNotFound)
	}
	slices.Sort(ids)
	return ids, nil
}

// BatchStops reads up to n of the batch's own stops, from the one at offset on,
// in the order in which they were asked for. Fewer than n means the end.
func (l *Ledger) BatchStops(ctx context.Context, projectID, batch string, offset, n int) ([]*Stop, error) {
	ids, err := l.rdb.LRange(ctx, keys(projectID).stops(batch), int64(offset), int64(offset+n-1)).Result()
	if err != nil {
		return nil, fmt.Errorf("list the stops of batch %s: %w", batch, err)
	}
	return l.readAll(ctx, projectID, ids)
}

// BatchJoined reads the stops of other batches that the batch has joined.
func (l *Ledger) BatchJoined(ctx context.Context, projectID, batch string) ([]*Stop, error) {
	ids, err := l.rdb.SMembers(ctx, keys(projectID).joined(batch)).Result()
	if err != nil {
		return nil, fmt.Errorf("list the stops that batch %s has joined: %w", batch, err)
	}
	slices.Sort(ids)
	return l.readAll(ctx, projectID, ids)
}

// JobStops reads every stop of a job that the ledger remembers, newest first.
func (l *Ledger) JobStops(ctx context.Context, projectID, jobID string) ([]*Stop, error) {
	k := keys(projectID)
	pipe := l.rdb.Pipeline()
	active, last := pipe.HGet(ctx, k.active(), jobID), pipe.Get(ctx, k.last(jobID))
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("look for stops of job %s: %w", jobID, err)
	}
	var stops []*Stop
	read := func(id string) (prev string, err error) {
		s, err := l.Get(ctx, projectID, id)
		if errors.Is(err, ErrNotFound) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		stops = append(stops, s)
		return s.prev, nil
	}
	if active.Val() != "" {
		if _, err := read(active.Val()); err != nil {
			return nil, err
		}
	}
	for id := last.Val(); id != ""; {
		prev, err := read(id)
		if err != nil {
			return nil, err
		}
		id = prev
	}
	return stops, nil
}
