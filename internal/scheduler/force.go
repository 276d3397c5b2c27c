package scheduler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/schedules"
)

// Force is the file that is in force: the one with the highest revision that any worker
// has ever had.
type Force struct {
	Revision  int       `json:"revision"`
	Hash      string    `json:"hash"`
	Since     time.Time `json:"since"`
	Schedules []Entry   `json:"schedules"`
	// Left are the schedules that files before had, the newest first: what is open of
	// theirs is to be settled.
	Left []Left `json:"left,omitempty"`
}

// Left is a schedule that the file in force does not have any more.
type Left struct {
	Name     string    `json:"name"`
	Shadow   bool      `json:"shadow"`
	At       time.Time `json:"at"`       // when it left
	Revision int       `json:"revision"` // of the file that does not have it
}

const (
	// leftKept is for how long a schedule that left is looked at: no tick can be open
	// for longer.
	leftKept = chosenLife
	// mostLeft is how many of them are.
	mostLeft = 200
)

// Entry is a schedule of the file in force.
type Entry struct {
	Name     string        `json:"name"`
	Timing   string        `json:"timing"` // for people
	Print    string        `json:"print"`  // the timing's fingerprint
	Timezone string        `json:"timezone"`
	CatchUp  time.Duration `json:"catch_up"`
	Shadow   bool          `json:"shadow"`
	// BatchLimit and BatchShare are those of schedules.Schedule.
	BatchLimit int     `json:"batch_limit"`
	BatchShare float64 `json:"batch_share"`
	// Since is when a file in force had the schedule first, at these times. It has no tick
	// before.
	Since time.Time `json:"since"`
}

// find is the entry of a schedule; false if there is none.
func (f Force) find(name string) (Entry, bool) {
	i := slices.IndexFunc(f.Schedules, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return f.Schedules[i], true
}

// force reads which file is in force; the zero Force is none.
func (s store) force(ctx context.Context) (f Force, text string, err error) {
	text, err = s.rdb.HGet(ctx, forceKey, recordField).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return f, "", fmt.Errorf("read which schedules are in force: %w", err)
	}
	if err := decode(text, &f); err != nil {
		return f, "", fmt.Errorf("what Redis has of the schedules in force can't be read: %w", err)
	}
	return f, text, nil
}

// adopt puts a worker's file into force if its revision is higher, and returns the file
// that is in force then.
func (s store) adopt(ctx context.Context, file *schedules.File, now time.Time) (Force, error) {
	for {
		f, text, err := s.force(ctx)
		if err != nil || file.Revision <= f.Revision {
			return f, err
		}
		next := succeed(f, file, now)
		body, err := json.Marshal(next)
		if err != nil {
			return f, err
		}
		changed, err := changeScript.Run(ctx, s.rdb, []string{forceKey}, text, string(body), 0).Bool()
		if err != nil && !errors.Is(err, redis.Nil) {
			return f, fmt.Errorf("put the schedules of revision %d into force: %w", file.Revision, err)
		}
		if changed {
			return next, nil
		}
	}
}

// succeed is the Force of a file after another one. A schedule whose times stay has its
// ticks without a break.
func succeed(before Force, file *schedules.File, now time.Time) Force {
	next := Force{Revision: file.Revision, Hash: file.Hash, Since: now}
	for _, one := range file.Schedules {
		e := Entry{Name: one.Name, Timing: one.Timing.String(), Print: one.Fingerprint(), Timezone: one.Location.String(), CatchUp: one.CatchUp,
			Shadow: one.Shadow, BatchLimit: one.BatchLimit, BatchShare: one.BatchShare, Since: now}
		if old, ok := before.find(one.Name); ok && old.Print == e.Print {
			e.Since = old.Since
		}
		next.Schedules = append(next.Schedules, e)
	}
	for _, old := range before.Schedules {
		next.Left = append(next.Left, Left{old.Name, old.Shadow, now, file.Revision})
	}
	next.Left = append(next.Left, before.Left...)
	next.Left = slices.DeleteFunc(next.Left, func(l Left) bool {
		_, is := next.find(l.Name)
		return is || now.Sub(l.At) > leftKept
	})
	next.Left = next.Left[:min(len(next.Left), mostLeft)]
	return next
}

// refusal says why a worker's file is not in force, and what to do; "" if it is.
func (f Force) refusal(file *schedules.File) string {
	switch {
	case file.Revision == f.Revision && file.Hash == f.Hash:
		return ""
	case file.Revision == f.Revision:
		return fmt.Sprintf("nothing of this worker's schedules file (revision %d, hash %s) is run: revision %d with other content (hash %s) is in force since %s; "+
			"give all workers one file, and raise its revision above %d", file.Revision, file.Hash, f.Revision, f.Hash, f.Since.Format(time.RFC3339), f.Revision)
	}
	return fmt.Sprintf("nothing of this worker's schedules file (revision %d, hash %s) is run: revision %d (hash %s) is in force since %s; "+
		"give this worker that file, or raise the revision of its own above %d", file.Revision, file.Hash, f.Revision, f.Hash, f.Since.Format(time.RFC3339), f.Revision)
}

// WorkerFile is the schedules file that a worker has.
type WorkerFile struct {
	Worker   string    `json:"worker"`
	Revision int       `json:"revision"`
	Hash     string    `json:"hash"`
	Said     time.Time `json:"said"` // when it said so last
}

const (
	// sayEvery is how often a worker says which file it has.
	sayEvery = time.Minute
	// saidLife is how long that is believed.
	saidLife = 3 * time.Minute
)

// say tells which file this worker has, and forgets what workers have said that are
// gone.
func (s store) say(ctx context.Context, file *schedules.File, now time.Time) error {
	body, err := json.Marshal(WorkerFile{s.me, file.Revision, file.Hash, now})
	if err != nil {
		return err
	}
	said, err := s.rdb.HGetAll(ctx, filesKey).Result()
	if err == nil {
		err = s.rdb.HSet(ctx, filesKey, s.me, string(body)).Err()
	}
	for worker, text := range said {
		var w WorkerFile
		if err == nil && (decode(text, &w) != nil || now.Sub(w.Said) > saidLife) && worker != s.me {
			err = s.rdb.HDel(ctx, filesKey, worker).Err()
		}
	}
	if err != nil {
		return fmt.Errorf("tell which schedules this worker has: %w", err)
	}
	return nil
}

// said is what living workers have said of their files, by revision, the highest first.
func (s store) said(ctx context.Context, now time.Time, lives func(worker string) bool) ([]WorkerFile, error) {
	said, err := s.rdb.HGetAll(ctx, filesKey).Result()
	if err != nil {
		return nil, fmt.Errorf("read which schedules the workers have: %w", err)
	}
	var all []WorkerFile
	for _, text := range said {
		var w WorkerFile
		if decode(text, &w) == nil && now.Sub(w.Said) <= saidLife && lives(w.Worker) {
			all = append(all, w)
		}
	}
	slices.SortFunc(all, func(a, b WorkerFile) int {
		return cmp.Or(-cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Worker, b.Worker))
	})
	return all, nil
}
