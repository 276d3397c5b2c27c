package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Screen is where the screening of one project stands: the one task that looks
// for all watched stops of the project at once. Its hops work as those of a stop.
type Screen struct {
	ProjectID string
	On        bool      // there is a task of the present hop
	Hop       int       // number of the task that may screen now; 0: there never was one
	Due       time.Time // when that task is due
	Alive     time.Time // when a task was last known to be at work on it; zero: never

	Slot     time.Time // the time that task has reserved with the throttle; zero: none
	Looked   time.Time // when the latest complete list began to be read; zero: none of late
	Rests    time.Time // until then nothing more is watched, because the list can't be trusted; zero: it can
	Failures int       // lists in a row that could not be read
	Left     int       // jobs that lists said to have left, since this screening began
	Wrong    int       // of those, jobs that were still stopping; and jobs that lists had not said to have left

	anew bool // Wrong is to be saved too
}

// CountAnew sets Left and Wrong to zero.
func (s *Screen) CountAnew() { s.Left, s.Wrong, s.anew = 0, 0, true }

// Rest leaves the list alone until then.
func (s *Screen) Rest(until time.Time) {
	s.CountAnew()
	s.Rests, s.Failures = until, 0
}

// Screen reads where the screening of a project stands; the zero Screen if it
// never was.
func (l *Ledger) Screen(ctx context.Context, projectID string) (*Screen, error) {
	f, err := l.rdb.HGetAll(ctx, keys(projectID).screen()).Result()
	if err != nil {
		return nil, fmt.Errorf("read the screen of project %s: %w", projectID, err)
	}
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(f[name], 10, 64)
		return n
	}
	at := func(name string) time.Time {
		if n := number(name); n != 0 {
			return time.UnixMilli(n).UTC()
		}
		return time.Time{}
	}
	return &Screen{
		ProjectID: projectID, On: f["on"] == "1", Hop: int(number("hop")), Due: at("due"), Alive: at("alive"),
		Slot: at("slot"), Looked: at("looked"), Rests: at("rests"), Failures: int(number("failures")), Left: int(number("left")), Wrong: int(number("wrong")),
	}, nil
}

// AdvanceScreen saves s and moves it to its next hop, due at due; where no stop
// is watched any more, the screening ends instead and s.On becomes false. It
// reports false when somebody else has moved it. On true with s.On, the caller
// must enqueue the task of the new hop.
func (l *Ledger) AdvanceScreen(ctx context.Context, s *Screen, due time.Time) (bool, error) {
	k := keys(s.ProjectID)
	args := []any{s.Hop, randomID(), due.UnixMilli(), seconds(l.retention), "slot", millis(s.Slot),
		"looked", millis(s.Looked), "rests", millis(s.Rests), "failures", s.Failures, "left", s.Left}
	if s.anew {
		args = append(args, "wrong", s.Wrong)
	}
	answer, err := screenScript.Run(ctx, l.rdb, []string{k.screen(), k.watched()}, args...).Int()
	if err != nil {
		return false, fmt.Errorf("move the screen of project %s: %w", s.ProjectID, err)
	}
	if answer == notMoved {
		return false, nil
	}
	s.Hop, s.Due, s.On, s.anew = s.Hop+1, due.Truncate(time.Millisecond), answer == movedToTask, false
	return true, nil
}

// ScreenAlive notes that the screen of that hop is at work, unless the screen is
// at another hop by now.
func (l *Ledger) ScreenAlive(ctx context.Context, projectID string, hop int) error {
	if err := aliveScript.Run(ctx, l.rdb, []string{keys(projectID).screen()}, hop, l.now().UnixMilli()).Err(); err != nil {
		return fmt.Errorf("note that the screen of project %s is at work: %w", projectID, err)
	}
	return nil
}

// ScreenWrong notes that a list was wrong about a job.
func (l *Ledger) ScreenWrong(ctx context.Context, projectID string) error {
	if err := l.rdb.HIncrBy(ctx, keys(projectID).screen(), "wrong", 1).Err(); err != nil {
		return fmt.Errorf("note a wrong list of project %s: %w", projectID, err)
	}
	return nil
}

// Watched is a watched stop, as the index has it.
type Watched struct {
	JobID string
	From  time.Time // when to look for it first
}

// Watched lists all watched stops of a project, in the order of From.
func (l *Ledger) Watched(ctx context.Context, projectID string) ([]Watched, error) {
	found, err := l.rdb.ZRangeWithScores(ctx, keys(projectID).watched(), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("list watched stops of project %s: %w", projectID, err)
	}
	all := make([]Watched, len(found))
	for i, z := range found {
		all[i] = Watched{JobID: z.Member.(string), From: time.UnixMilli(int64(z.Score)).UTC()}
	}
	return all, nil
}

// IsWatched reports whether there is a screen that knows of s.
func (l *Ledger) IsWatched(ctx context.Context, s *Stop) (bool, error) {
	pipe := l.rdb.Pipeline()
	score := pipe.ZScore(ctx, keys(s.ProjectID).watched(), s.JobID)
	on := pipe.HGet(ctx, keys(s.ProjectID).screen(), "on")
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return false, fmt.Errorf("look for stop %s among the watched: %w", s.ID, err)
	}
	return score.Err() == nil && on.Val() == "1", nil
}

// CountStopping counts the stops of a project that are stopping.
func (l *Ledger) CountStopping(ctx context.Context, projectID string) (int, error) {
	n, err := l.rdb.ZCard(ctx, keys(projectID).in(Stopping)).Result()
	if err != nil {
		return 0, fmt.Errorf("count stopping stops of project %s: %w", projectID, err)
	}
	return int(n), nil
}

// WatchedStops reads the watched stops of the given jobs. What is no longer
// watched is left out, and taken out of the index.
func (l *Ledger) WatchedStops(ctx context.Context, projectID string, jobIDs []string) ([]*Stop, error) {
	if len(jobIDs) == 0 {
		return nil, nil
	}
	k := keys(projectID)
	values, err := l.rdb.HMGet(ctx, k.active(), jobIDs...).Result()
	if err != nil {
		return nil, fmt.Errorf("look up %d watched stops of project %s: %w", len(jobIDs), projectID, err)
	}
	var ids []string
	for _, v := range values {
		if id, ok := v.(string); ok {
			ids = append(ids, id)
		}
	}
	all, err := l.readAll(ctx, projectID, ids)
	if err != nil {
		return nil, err
	}
	watched := make(map[string]*Stop, len(all))
	for _, s := range all {
		if s.Kind == KindWatch && !s.State.Ended() {
			watched[s.JobID] = s
		}
	}
	var stops []*Stop
	var stale []any
	for _, job := range jobIDs {
		if s := watched[job]; s != nil {
			stops = append(stops, s)
		} else {
			stale = append(stale, job)
		}
	}
	if len(stale) > 0 {
		if err := l.rdb.ZRem(ctx, k.watched(), stale...).Err(); err != nil {
			return nil, fmt.Errorf("forget %d watched stops of project %s: %w", len(stale), projectID, err)
		}
	}
	return stops, nil
}

// keptTimes is how many times-to-stop of a project are kept: what is older is
// forgotten, so what is learned follows the jobs.
const keptTimes = 200

// StopTimes lists how long the latest jobs of a project took to stop, in no
// order; at most 200.
func (l *Ledger) StopTimes(ctx context.Context, projectID string) ([]time.Duration, error) {
	var ms []int64
	err := l.rdb.LRange(ctx, keys(projectID).times(), 0, -1).ScanSlice(&ms)
	if err != nil {
		return nil, fmt.Errorf("read the stop times of project %s: %w", projectID, err)
	}
	times := make([]time.Duration, len(ms))
	for i, n := range ms {
		times[i] = time.Duration(n) * time.Millisecond
	}
	return times, nil
}
