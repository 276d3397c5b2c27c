package ledger

import (
	"context"
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
	Ended     time.Time     // when its last stop ended; zero while one is in flight
	Counts    map[State]int // its stops by state; every state is present and they add up to Total
	Total     int           // its stops, joined ones among them
	Joined    int           // those that were active already for another batch
	Meta      Meta
	Confirmed bool // somebody has confirmed stops of it

	Undone   int       // of those that were stopped: an undo of the batch has restarted their job, or is about to
	UndoneAt time.Time // when the last one was; zero: none ever
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

var ownBatchPattern = regexp.MustCompile(`^(queue-\d{8}(-shadow)?|sched-.*-\d{8}T\d{6}Z|key-[0-9a-f]{32})$`)

// OwnBatch says whether an id is of the form that vizstop itself gives to the batches of
// foreign tasks, of schedules and of Idempotency-Keys: whoever asked under one would stand
// in their way.
func OwnBatch(id string) bool { return ownBatchPattern.MatchString(id) }

// Meta is who asked for a batch and why. All of it is optional.
type Meta struct {
	Requester string
	Reason    string
	Labels    map[string]string
	Shadow    bool // its stops are shadow stops
}

// Describe keeps who asked for a batch and why. Do it before Open; saying it
// again replaces it. A batch that has stops of the other kind is an *OtherKindError.
func (l *Ledger) Describe(ctx context.Context, projectID, batch string, m Meta) error {
	if m.Shadow {
		l = l.Shadow()
	}
	if err := l.register(ctx, projectID, batch); err != nil {
		return err
	}
	k := l.keys(projectID)
	pipe := l.rdb.TxPipeline()
	pipe.HSet(ctx, k.batch(batch), "requester", m.Requester, "why", m.Reason, "labels", encodeLabels(m.Labels))
	// If nothing is opened, it is forgotten as a batch that has just ended: one of that id that ended long ago, too, as
	// what is said here must stand until its stops are recorded.
	now := redis.Z{Score: float64(l.now().UnixMilli()), Member: batch}
	pipe.ZAddArgs(ctx, k.ended(), redis.ZAddArgs{GT: true, Members: []redis.Z{now}})
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("describe batch %s in the ledger: %w", batch, err)
	}
	return nil
}

// InFlight is how many of the batch's stops have not ended.
func (b *Batch) InFlight() int { return b.Counts[Pending] + b.Counts[Stopping] }

// Batch reads the counts of one batch in one project. It returns ErrNotFound
// when there is none.
func (l *Ledger) Batch(ctx context.Context, projectID, batch string) (*Batch, error) {
	f, err := l.rdb.HGetAll(ctx, l.keys(projectID).batch(batch)).Result()
	if err != nil {
		return nil, fmt.Errorf("read batch %s from the ledger: %w", batch, err)
	}
	if f["created"] == "" {
		return nil, fmt.Errorf("batch %s of project %s: %w", batch, projectID, ErrNotFound)
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(f[name], 10, 64)
		return n
	}
	b := &Batch{
		ID: batch, ProjectID: projectID, Created: timeOf(number("created")),
		Counts: make(map[State]int), Joined: int(number("joined")), Confirmed: f["confirmed"] != "",
		Undone: int(number("undone")), UndoneAt: timeOf(number("undone_at")),
		Meta: Meta{Requester: f["requester"], Reason: f["why"], Labels: decodeLabels(f["labels"]), Shadow: l.ofShadow},
	}
	for _, s := range append(InFlight(), AllOutcomes()...) {
		b.Counts[s] = int(number(string(s)))
		b.Total += b.Counts[s]
	}
	if b.InFlight() == 0 {
		b.Ended = timeOf(number("ended"))
	}
	return b, nil
}

// LastUndone is when the last restart of those that are undone was accepted; nil if none was.
func (b *Batch) LastUndone() *time.Time {
	if b.Undone == 0 || b.UndoneAt.IsZero() {
		return nil
	}
	return &b.UndoneAt
}

// Batches lists the ids of the n newest batches of all projects, newest first.
func (l *Ledger) Batches(ctx context.Context, n int) ([]string, error) {
	ids, err := l.rdb.ZRevRange(ctx, l.batchesKey(), 0, int64(n-1)).Result()
	if err != nil {
		return nil, fmt.Errorf("list batches: %w", err)
	}
	return ids, nil
}

// BatchProjects lists the projects in which a batch has stops, sorted. It
// returns ErrNotFound for a batch that the ledger doesn't have.
func (l *Ledger) BatchProjects(ctx context.Context, batch string) ([]string, error) {
	ids, err := l.rdb.SMembers(ctx, l.batchProjectsKey(batch)).Result()
	if err != nil {
		return nil, fmt.Errorf("read batch %s from the ledger: %w", batch, err)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("batch %s: %w", batch, ErrNotFound)
	}
	slices.Sort(ids)
	return ids, nil
}

// Knows reports whether a stop of a project is in flight, or the ledger still has one that has ended.
func (l *Ledger) Knows(ctx context.Context, projectID string) (bool, error) {
	k := l.keys(projectID)
	n, err := l.rdb.Exists(ctx, k.Active(), k.ended()).Result()
	if err != nil {
		return false, fmt.Errorf("look for stops of project %s: %w", projectID, err)
	}
	return n > 0, nil
}

// BatchStops reads up to n stops of a batch, from the one at offset on, in the
// order in which they were asked for, as the batch sees them: a stop that serves
// other batches too has the times and labels of this one's wish. next is the
// offset to go on from, 0 at the end: a stop without a record is left out. With an
// *UnreadableError all other stops of the page are returned.
func (l *Ledger) BatchStops(ctx context.Context, projectID, batch string, offset, n int) (stops []*Stop, next int, err error) {
	ids, err := l.rdb.LRange(ctx, l.keys(projectID).stops(batch), int64(offset), int64(offset+n-1)).Result()
	if err != nil {
		return nil, 0, fmt.Errorf("list the stops of batch %s: %w", batch, err)
	}
	stops, err = l.GetAll(ctx, projectID, ids)
	for i, s := range stops {
		stops[i] = s.As(batch)
	}
	if len(ids) == n {
		next = offset + n
	}
	return stops, next, err
}
