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
	// listLease is how long a list check may take to make its first call.
	listLease = 1250 * time.Millisecond
	// seenAtOnce is how many jobs one command notes as seen.
	seenAtOnce = 100
)

// listNotes notes what list checks find.
type listNotes struct{ *base }

// Seen notes which jobs the list has shown as stopping, at the given time of the
// fleet. Jobs that are not watched are passed over. A score in whole ms is a sight
// of the job; one with a fraction is not (see move.lua and release.lua).
//
// It returns how many were watched.
func (l *listNotes) Seen(ctx context.Context, projectID string, jobIDs []string, at time.Time) (int, error) {
	key, score := ledger.Keys(projectID).Watched(), float64(at.UnixMilli())
	pipe := l.rdb.Pipeline()
	for some := range slices.Chunk(jobIDs, seenAtOnce) {
		jobs := make([]redis.Z, len(some))
		for i, id := range some {
			jobs[i] = redis.Z{Score: score, Member: id}
		}
		pipe.ZAddArgs(ctx, key, redis.ZAddArgs{XX: true, GT: true, Ch: true, Members: jobs})
	}
	if len(jobIDs) == 0 {
		return 0, nil
	}
	cmds, err := pipe.Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("note %d jobs that the list has shown: %w", len(jobIDs), err)
	}
	watched := 0
	for _, c := range cmds {
		watched += int(c.(*redis.IntCmd).Val())
	}
	return watched, nil
}

// Listing says that a page of the list is being read in the check of that number, with a time limit. Until that
// is over nobody else begins a check, but soon afterwards if the next page, or the end of the check, is not told.
func (l *listNotes) Listing(ctx context.Context, projectID string, check int64, limit time.Duration) error {
	by := l.now().Add(limit + listSlack).UnixMilli()
	if err := listingScript.Run(ctx, l.rdb, []string{controlKey(projectID)}, check, by).Err(); err != nil {
		return fmt.Errorf("go on with the list check of project %s: %w", projectID, err)
	}
	return nil
}

// listSlack is how long it may take to note a page that came at the end of its time.
const listSlack = 250 * time.Millisecond

// ListState is what list checks have found out about a project.
type ListState struct {
	Watched int       // jobs that are watched now
	Pages   int       // of the list, as the last check expects; at least 1
	Others  int       // jobs that it showed then and that are not watched
	Read    time.Time // when, by the fleet's time; zero: never
	Since   time.Time // watched jobs that had left it before this are accounted for; zero: never
	Peek    bool      // a look at its length comes first
	Moved   time.Time // when a check has last seen that a watched job had left it; zero: never
	Joined  time.Time // when the last watched stop was accepted; zero: never
	Check   int64     // its number
	Rate    float64   // calls a second that the project may make now; 0: any number
}

// Paid is how many calls a check has been given of the rate: a look at its length, or
// as many pages as it had. settle.lua says the same.
func (s ListState) Paid() int {
	if s.Peek {
		return 1
	}
	return s.Pages
}

func listState(fields []any) *ListState {
	if len(fields) == 0 {
		return nil
	}
	n := make([]int64, len(fields))
	for i, f := range fields {
		n[i] = f.(int64)
	}
	return &ListState{Watched: int(n[0]), Pages: int(n[1]), Others: int(n[2]), Read: milliTime(n[3]), Since: milliTime(n[4]),
		Peek: n[5] == 1, Moved: milliTime(n[6]), Joined: milliTime(n[7]), Check: n[8],
		Rate: float64(n[9]) / 1000}
}

// ListResult is how a list check ended.
type ListResult string

// The results of a list check.
const (
	ListRead    ListResult = "read"    // what it has not shown is looked at
	ListPeeked  ListResult = "peeked"  // its length says that reading it is not worth the calls yet
	ListLong    ListResult = "long"    // it has more pages than jobs are watched: for a while it is read for no fewer
	ListFailed  ListResult = "failed"  // it could not be read
	ListUseless ListResult = "useless" // refused, or wrong about the jobs: it is left alone for a while
)

// ListResults lists the results of a list check.
func ListResults() []ListResult {
	return []ListResult{ListRead, ListPeeked, ListLong, ListFailed, ListUseless}
}

// ListCheck is a list check that was made.
type ListCheck struct {
	Check int64         // its number, as its ListState has it
	Began time.Time     // by the fleet's time
	Next  time.Duration // after how long the next one is due
	Pages int           // how many it will have then
	Jobs  int           // how many it has shown
	Left  int           // how many watched jobs have left it since
	Peek  bool          // the next one begins with a look at its length
	// Unpaid is how many calls it took beyond those of which the rate was asked before (see ListState.Paid);
	// negative: it took fewer, and the rest is given back.
	Unpaid int
	Result ListResult
	Why    string // it could not be read, or is long or useless
	// Starved: it failed for want of slots, before a page was asked for. That says nothing of the list.
	Starved bool
}

// ListChecked tells how a list check ended. It returns it as it was noted: it may be
// useless, and then the list is left alone from now on.
func (l *listNotes) ListChecked(ctx context.Context, projectID string, c ListCheck) (ListCheck, error) {
	k := ledger.Keys(projectID)
	rate, burst := l.rate(projectID)
	enough := listFailures
	if c.Starved {
		enough = 0
	}
	noted, err := listedScript.Run(ctx, l.rdb, []string{k.Control(), k.Watched()}, l.now().UnixMilli(), c.Began.UnixMilli(),
		c.Next.Milliseconds(), string(c.Result), c.Why, listRest.Milliseconds(), enough, max(1, c.Pages), c.Jobs, c.Left, c.Peek,
		c.Unpaid, rate, burst, c.Check).StringSlice()
	if err != nil {
		return c, fmt.Errorf("note a list check of project %s: %w", projectID, err)
	}
	c.Result, c.Why = ListResult(noted[0]), noted[1]
	return c, nil
}

// ListWrong notes that a job had left the list and was stopping all the same.
// Rounds count how many have left it.
func (l *listNotes) ListWrong(ctx context.Context, projectID string) error {
	if err := l.rdb.HIncrBy(ctx, ledger.Keys(projectID).Control(), "list_wrong", 1).Err(); err != nil {
		return fmt.Errorf("note a wrong list of project %s: %w", projectID, err)
	}
	return nil
}
