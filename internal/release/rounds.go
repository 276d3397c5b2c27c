package release

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Turn is the right to make the next round of a project.
type Turn struct {
	ProjectID string
	given     string
}

// Settled is a round that is over, or a project that needs one.
type Settled struct {
	Turn
	Next time.Duration // when the next round is due; less than 0: nothing is left to do
	Lack Lack          // what the project waits for besides
	Wait int           // how many of its steps and looks wait for that; see Round
}

// Lack is what a project needs room for before something of it that is due can go out: one of the constants, or a sum
// of them; 0: nothing.
type Lack int

const (
	LackQueue Lack = 1 // asynq's queue is full
	LackLook  Lack = 2 // the worker that made the round makes as many looks as it can
	LackKept  Lack = 4 // others keep the looks that are free: whoever waits for one keeps its place
)

// Room is how many projects at most are given a round of those that wait in line: half of them have waited longest,
// half have the fewest steps that wait. The zero value gives none.
type Room struct {
	Queue, Looks int
}

// lackLongest is after how long a project that waits for room has a round all the same: its place in line may be lost.
const lackLongest = 5 * time.Second

// Due are the rounds that a worker is to make.
type Due struct {
	Turns []Turn
	Next  time.Duration // when the first of the others is due; less than 0: there is none
	Lack  Lack          // what others wait for
}

// Pull is a project that needs a round after d at the latest.
func Pull(projectID string, d time.Duration) Settled {
	return Settled{Turn: Turn{ProjectID: projectID}, Next: max(0, d)}
}

const (
	turnLife     = 500 * time.Millisecond // how long a round may take before another worker may make one
	turnsAtOnce  = 32                     // projects that a worker serves at once
	projectsPage = 1000                   // projects that are read at once
)

// Rounds are the projects of the fleet that have something to do, of real or of shadow stops, each with when its
// next round is due. It is safe for concurrent use.
type Rounds struct {
	*base
	key  string // of the sorted set
	wake string // what WakeChannel is told; "": the project
}

// keys are those of the scripts.
func (r *Rounds) keys() []string {
	return []string{r.key, r.key + ":announced", r.key + ":queue", r.key + ":looks",
		r.key + ":queue:few", r.key + ":looks:few"}
}

// Turns settles what is over and returns the rounds that are due, or of projects that there is room for now, each to
// one worker.
func (r *Rounds) Turns(ctx context.Context, over []Settled, room Room) (Due, error) {
	args := []any{r.now().UnixMilli(), turnLife.Milliseconds(), turnsAtOnce, room.Queue, room.Looks}
	for _, s := range over {
		ms := s.Next.Milliseconds()
		if s.Next < 0 {
			ms = -1
		}
		args = append(args, s.ProjectID, s.given, ms, int(s.Lack), s.Wait)
	}
	answer, err := roundsScript.Run(ctx, r.rdb, r.keys(), args...).Slice()
	if err != nil {
		return Due{}, fmt.Errorf("look which projects are due for a round: %w", err)
	}
	due := Due{Next: time.Duration(answer[0].(int64)) * time.Millisecond, Lack: Lack(answer[1].(int64))}
	for i := 2; i+1 < len(answer); i += 2 {
		due.Turns = append(due.Turns, Turn{answer[i].(string), answer[i+1].(string)})
	}
	return due, nil
}

// WakeChannel is where producers and workers say that there is something to do.
const WakeChannel = "vizstop:wake"

// Ask makes the next round of the real stops of a project due now and wakes the workers, for whoever has given the
// ledger something to do and has no Releaser.
func Ask(ctx context.Context, rdb redis.UniversalClient, projectID string) error {
	return (&Rounds{base: &base{rdb: rdb}, key: roundsKey}).Ask(ctx, projectID)
}

// Ask makes the next round of a project due now and wakes the workers, for whoever has given the ledger something to
// do.
func (r *Rounds) Ask(ctx context.Context, projectID string) error {
	// A score in the past is as good as now, whatever the fleet's time is.
	err := r.rdb.ZAdd(ctx, r.key, redis.Z{Score: 0, Member: projectID}).Err()
	if err == nil {
		err = r.rdb.Publish(ctx, WakeChannel, cmp.Or(r.wake, projectID)).Err()
	}
	if err != nil {
		return fmt.Errorf("ask for a round of project %s: %w", projectID, err)
	}
	return nil
}

// announcedWork is how soon a project gets a round if whoever announced work says
// no more of it.
const announcedWork = 5 * time.Second

// Expect makes sure that a project gets a round in a few seconds, for whoever is
// about to give the ledger something to do: it may die before it can Ask. That round begins no sooner than
// announcedWork after the call; rounds that begin sooner don't take its place.
func (r *Rounds) Expect(ctx context.Context, projectID string) error {
	return r.announce(ctx, false, projectID)
}

// announce announces work of projects; with known, of those only that have work already.
func (r *Rounds) announce(ctx context.Context, known bool, projectIDs ...string) error {
	for some := range slices.Chunk(projectIDs, projectsPage) {
		args := []any{r.now().Add(announcedWork).UnixMilli(), known}
		for _, p := range some {
			args = append(args, p)
		}
		if err := announceScript.Run(ctx, r.rdb, r.keys()[:2], args...).Err(); err != nil {
			return fmt.Errorf("announce work of %d projects: %w", len(some), err)
		}
	}
	return nil
}

// expectIn is Expect for projects that have work already; others stay as they are.
func (r *Rounds) expectIn(ctx context.Context, projectID string) error {
	projectIDs := []string{projectID}
	if projectID == "" {
		var err error
		if projectIDs, err = r.withWork(ctx, func(string) bool { return true }); err != nil {
			return err
		}
	}
	return r.announce(ctx, true, projectIDs...)
}

// AskAll makes the next round of every project with work due now.
func (r *Rounds) AskAll(ctx context.Context) error {
	all, err := r.withWork(ctx, func(string) bool { return true })
	if err != nil {
		return err
	}
	return r.hasten(ctx, time.Time{}, all...)
}

// withWork lists those of the projects with work that are asked for, each at least once.
func (r *Rounds) withWork(ctx context.Context, asked func(projectID string) bool) (all []string, err error) {
	scan := r.rdb.ZScan(ctx, r.key, 0, "", projectsPage).Iterator() // pages by rank would miss some: they change places
	for scan.Next(ctx) {
		if project := scan.Val(); asked(project) {
			all = append(all, project)
		}
		scan.Next(ctx) // its score
	}
	if err := scan.Err(); err != nil {
		return nil, fmt.Errorf("ask for rounds of many projects: %w", err)
	}
	return all, nil
}

// hasten makes the next rounds of those of some projects that have work due by
// then, if they were to be later; the zero time means now.
func (r *Rounds) hasten(ctx context.Context, due time.Time, projectIDs ...string) error {
	score := 0.0 // in the past: now
	if !due.IsZero() {
		score = float64(due.UnixMilli())
	}
	for some := range slices.Chunk(projectIDs, projectsPage) {
		members := make([]redis.Z, len(some))
		for i, p := range some {
			members[i] = redis.Z{Score: score, Member: p}
		}
		err := r.rdb.ZAddArgs(ctx, r.key, redis.ZAddArgs{XX: true, LT: true, Members: members}).Err()
		if err != nil {
			return fmt.Errorf("ask for rounds of %d projects: %w", len(some), err)
		}
	}
	return nil
}

// restoredWithin is how late the round of a project with stops in flight may be: the
// write that brought it forward may be lost.
const restoredWithin = 10 * time.Minute

// Restore makes sure that projects with stops in flight get a round: at once where Redis
// has lost when the next one is due, and else within ten minutes. It returns how many it
// had lost.
func (r *Rounds) Restore(ctx context.Context, projectIDs []string) (int, error) {
	if len(projectIDs) == 0 {
		return 0, nil
	}
	lost := make([]redis.Z, len(projectIDs)) // with a score in the past: now
	for i, p := range projectIDs {
		lost[i].Member = p
	}
	n, err := r.rdb.ZAddNX(ctx, r.key, lost...).Result()
	if err != nil {
		return 0, fmt.Errorf("restore the rounds of %d projects: %w", len(projectIDs), err)
	}
	return int(n), r.hasten(ctx, r.now().Add(restoredWithin), projectIDs...)
}

// Projects lists the projects that have something to do, up to 1,000 of them.
func (r *Rounds) Projects(ctx context.Context) ([]string, error) {
	projects, err := r.rdb.ZRange(ctx, r.key, 0, projectsPage-1).Result()
	if err != nil {
		return nil, fmt.Errorf("list the projects with work: %w", err)
	}
	return projects, nil
}

func millis(ms string) time.Time {
	n, _ := strconv.ParseFloat(ms, 64)
	return milliTime(int64(n))
}

func milliTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
