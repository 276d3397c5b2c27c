package release

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
)

const (
	// listRest is how long a project's list is left alone once it has proved useless.
	listRest = 10 * time.Minute
	// listFailures in a row make a list useless for a while.
	listFailures = 3
	// seenAtOnce is how many jobs one command notes as seen.
	seenAtOnce = 100
)

// Seen notes which jobs the list has shown as stopping, at the given time of the
// fleet. Jobs that are not watched are passed over. A score in whole ms is a sight
// of the job; one with a fraction is not (see move.lua and release.lua).
func (r *Releaser) Seen(ctx context.Context, projectID string, jobIDs []string, at time.Time) error {
	key, score := ledger.Keys(projectID).Watched(), float64(at.UnixMilli())
	pipe := r.rdb.Pipeline()
	for some := range slices.Chunk(jobIDs, seenAtOnce) {
		jobs := make([]redis.Z, len(some))
		for i, id := range some {
			jobs[i] = redis.Z{Score: score, Member: id}
		}
		pipe.ZAddArgs(ctx, key, redis.ZAddArgs{XX: true, GT: true, Members: jobs})
	}
	if _, err := pipe.Exec(ctx); err != nil && len(jobIDs) > 0 {
		return fmt.Errorf("note %d jobs that the list has shown: %w", len(jobIDs), err)
	}
	return nil
}

// ListResult is how a list check ended.
type ListResult string

// The results of a list check.
const (
	ListRead    ListResult = "read"    // what it has not shown is looked at
	ListFailed  ListResult = "failed"  // it could not be read
	ListUseless ListResult = "useless" // refused, or wrong about the jobs: it is left alone for a while
)

// ListResults lists the results of a list check.
func ListResults() []ListResult { return []ListResult{ListRead, ListFailed, ListUseless} }

// ListCheck is a list check that was made.
type ListCheck struct {
	Began  time.Time     // by the fleet's time
	Next   time.Duration // after how long the next one is due
	Pages  int           // how many calls it took
	Jobs   int           // how many it has shown
	Result ListResult
	Why    string // it could not be read, or is useless
}

// ListChecked tells how a list check ended. It reports whether the list is left
// alone from now on.
func (r *Releaser) ListChecked(ctx context.Context, projectID string, c ListCheck) (bool, error) {
	useless, err := listedScript.Run(ctx, r.rdb, []string{ledger.Keys(projectID).Control()}, r.now().UnixMilli(), c.Began.UnixMilli(),
		c.Next.Milliseconds(), string(c.Result), c.Why, listRest.Milliseconds(), listFailures, max(1, c.Pages), c.Jobs).Bool()
	if err != nil {
		return false, fmt.Errorf("note a list check of project %s: %w", projectID, err)
	}
	return useless, nil
}

// ListWrong notes that a job had left the list and was stopping all the same.
// Rounds count how many have left it.
func (r *Releaser) ListWrong(ctx context.Context, projectID string) error {
	if err := r.rdb.HIncrBy(ctx, ledger.Keys(projectID).Control(), "list_wrong", 1).Err(); err != nil {
		return fmt.Errorf("note a wrong list of project %s: %w", projectID, err)
	}
	return nil
}
