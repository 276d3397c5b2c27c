package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/luascript"
)

// Get reads one stop. It returns ErrNotFound when there is none.
func (l *Ledger) Get(ctx context.Context, projectID, id string) (*Stop, error) {
	stops, err := l.GetAll(ctx, projectID, []string{id})
	if err != nil {
		return nil, err
	}
	if len(stops) == 0 {
		return nil, fmt.Errorf("stop %s of project %s: %w", id, projectID, ErrNotFound)
	}
	return stops[0], nil
}

// GetAll reads stops of one project, each one once, in their order. Under the id
// of a wish that another stop serves, that stop is found. Those that the ledger no
// longer has are left out. So are those whose key holds something else; then the others
// are returned with an *UnreadableError.
func (l *Ledger) GetAll(ctx context.Context, projectID string, ids []string) ([]*Stop, error) {
	records, unreadable := l.hashes(ctx, projectID, ids)
	if len(records) < len(ids) {
		return nil, unreadable
	}
	var served []string
	for _, f := range records {
		if id := f["served"]; id != "" {
			served = append(served, id)
		}
	}
	others, err := l.hashes(ctx, projectID, served)
	if len(others) < len(served) {
		return nil, err
	}
	if unreadable == nil {
		unreadable = err
	}
	stops := make([]*Stop, 0, len(ids))
	for i, f := range records {
		id := ids[i]
		if f["served"] != "" {
			id, f, others = f["served"], others[0], others[1:]
		}
		if f["state"] != "" {
			s := Decode(projectID, id, f)
			s.Shadow = l.ofShadow
			stops = append(stops, s)
		}
	}
	return stops, unreadable
}

// UnreadableError names keys that are of stops and hold values of another type: no
// vizstop wrote these.
type UnreadableError struct {
	Keys []string // one at least
	Err  error    // what Redis said of the first
}

// Error says what to do.
func (e *UnreadableError) Error() string {
	more := ""
	if n := len(e.Keys) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fmt.Sprintf("key %s%s holds no stop, and no vizstop wrote it: delete it in Redis: %v", e.Keys[0], more, e.Err)
}

// Unwrap is what Redis said of the first key.
func (e *UnreadableError) Unwrap() error { return e.Err }

// Unreadable finds an *UnreadableError, with which all other stops were returned; nil: err is another, or none.
func Unreadable(err error) error {
	if e, ok := errors.AsType[*UnreadableError](err); ok {
		return e
	}
	return nil
}

// hashes reads what stands under ids, in one round trip. With an *UnreadableError all that
// could be read is returned.
func (l *Ledger) hashes(ctx context.Context, projectID string, ids []string) ([]map[string]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	k := l.keys(projectID)
	pipe := l.rdb.Pipeline()
	answers := make([]*redis.MapStringStringCmd, len(ids))
	for i, id := range ids {
		answers[i] = pipe.HGetAll(ctx, k.Stop(id))
	}
	_, err := pipe.Exec(ctx)
	records := make([]map[string]string, len(ids))
	var unreadable []string
	for i, a := range answers {
		if luascript.NoHash(a) {
			unreadable = append(unreadable, k.Stop(ids[i]))
		} else if a.Err() != nil {
			return nil, fmt.Errorf("read %d stops from the ledger: %w", len(ids), a.Err())
		}
		records[i] = a.Val()
	}
	switch {
	case len(unreadable) > 0:
		return records, fmt.Errorf("read %d stops from the ledger: %w", len(ids), &UnreadableError{unreadable, err})
	case err != nil:
		return nil, fmt.Errorf("read %d stops from the ledger: %w", len(ids), err)
	}
	return records, nil
}

// Active reads the ids of the active stops of jobs, in their order; "" for none.
func (l *Ledger) Active(ctx context.Context, projectID string, jobIDs []string) ([]string, error) {
	if len(jobIDs) == 0 {
		return nil, nil
	}
	values, err := l.rdb.HMGet(ctx, l.keys(projectID).Active(), jobIDs...).Result()
	if err != nil {
		return nil, fmt.Errorf("look for the active stops of %d jobs: %w", len(jobIDs), err)
	}
	ids := make([]string, len(values))
	for i, v := range values {
		ids[i], _ = v.(string)
	}
	return ids, nil
}

// maxJobStops bounds what JobStops reads, whatever Redis holds.
const maxJobStops = 1000

// JobStops reads the stops of a job that the ledger remembers, newest first, up
// to 1,000 of them. Each is there once, even if records lead in a circle.
func (l *Ledger) JobStops(ctx context.Context, projectID, jobID string) ([]*Stop, error) {
	k := l.keys(projectID)
	pipe := l.rdb.Pipeline()
	active, last := pipe.HMGet(ctx, k.Active(), jobID), pipe.HMGet(ctx, k.Last(), jobID)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look for stops of a job of project %s: %w", projectID, err)
	}
	var stops []*Stop
	seen := map[string]bool{}
	read := func(id string) (prev string, err error) {
		seen[id] = true
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
	if id := luascript.FieldOf(active); id != "" {
		if _, err := read(id); err != nil {
			return nil, err
		}
	}
	for id := luascript.FieldOf(last); id != "" && !seen[id] && len(stops) < maxJobStops; {
		prev, err := read(id)
		if err != nil {
			return nil, err
		}
		id = prev
	}
	return stops, nil
}

// StopTimes lists how long the latest jobs of a project took to stop, in no
// order; at most 200.
func (l *Ledger) StopTimes(ctx context.Context, projectID string) ([]time.Duration, error) {
	var ms []int64
	err := l.rdb.LRange(ctx, l.keys(projectID).times(), 0, -1).ScanSlice(&ms)
	if err != nil {
		return nil, fmt.Errorf("read the stop times of project %s: %w", projectID, err)
	}
	times := make([]time.Duration, len(ms))
	for i, n := range ms {
		times[i] = time.Duration(n) * time.Millisecond
	}
	return times, nil
}

// Load is what is in flight in some projects.
type Load struct {
	Count  map[State]int       // stops in flight by state
	Oldest map[State]time.Time // when the oldest of them was due; absent when there is none

	Projects map[string]int // stops in flight by project; only projects that have some
}

// Load counts the stops in flight of the given projects. Every state of InFlight
// is present.
func (l *Ledger) Load(ctx context.Context, projects []string) (Load, error) {
	load := Load{Count: make(map[State]int), Oldest: make(map[State]time.Time), Projects: make(map[string]int)}
	for _, s := range InFlight() {
		load.Count[s] = 0
		if len(projects) == 0 {
			continue
		}
		pipe := l.rdb.Pipeline()
		for _, p := range projects {
			pipe.ZCard(ctx, l.keys(p).In(s))
			pipe.ZRangeWithScores(ctx, l.keys(p).In(s), 0, 0)
		}
		answers, err := pipe.Exec(ctx)
		if err != nil {
			return Load{}, fmt.Errorf("count stops in flight: %w", err)
		}
		for i, p := range projects {
			load.add(s, p, int(answers[2*i].(*redis.IntCmd).Val()), answers[2*i+1].(*redis.ZSliceCmd).Val())
		}
	}
	return load, nil
}

// add adds the n stops of a project in one state; first is the oldest of them.
func (load *Load) add(s State, projectID string, n int, first []redis.Z) {
	if n == 0 {
		return
	}
	load.Count[s] += n
	load.Projects[projectID] += n
	for _, z := range first {
		due := time.UnixMilli(int64(z.Score)).UTC()
		if old, ok := load.Oldest[s]; !ok || due.Before(old) {
			load.Oldest[s] = due
		}
	}
}
