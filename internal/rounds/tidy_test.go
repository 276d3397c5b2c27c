package rounds

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

// A task has until the deadline of the fleet, or until its own if that is earlier. One that is as late as a number can
// be is not early.
func TestLifeOf(t *testing.T) {
	l := &Loop{}
	l.Schedule.Deadline = time.Hour
	now := time.Now()
	for name, tt := range map[string]struct {
		info asynq.TaskInfo
		want time.Duration
	}{
		"no deadline":           {asynq.TaskInfo{}, time.Hour},
		"an early one":          {asynq.TaskInfo{Deadline: now.Add(time.Minute)}, time.Minute},
		"a late one":            {asynq.TaskInfo{Deadline: now.Add(2 * time.Hour)}, time.Hour},
		"the latest":            {asynq.TaskInfo{Deadline: time.Unix(math.MaxInt64, 0)}, time.Hour}, // as asynq makes it of its number
		"the latest, failed":    {asynq.TaskInfo{Deadline: time.Unix(math.MaxInt64, 0), LastFailedAt: now.Add(-time.Minute)}, 59 * time.Minute},
		"one that is over":      {asynq.TaskInfo{Deadline: now.Add(-time.Minute)}, -time.Minute},
		"one before all others": {asynq.TaskInfo{Deadline: time.Unix(math.MinInt64, 0)}, math.MinInt64},
	} {
		if got := l.lifeOf(&tt.info); (got - tt.want).Abs() > 5*time.Second {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

type noCalls struct{}

func (noCalls) Stop(context.Context, string, string) (jobs.Accepted, error) { panic("no call") }
func (noCalls) Get(context.Context, string, string) (*jobs.Job, error)      { panic("no call") }

type silent struct{}

func (silent) StopEnded(string, time.Duration, int, string) {}
func (silent) StopPhase(string, time.Duration, string)      {}
func (silent) ShadowEnded(string)                           {}
func (silent) PollStarted(time.Duration, string)            {}
func (silent) Duplicate()                                   {}
func (silent) Dropped(string)                               {}
func (silent) Recovered(string)                             {}
func (silent) ListChecked(string)                           {}

// tidying is a loop that tidies a queue, with the ledger that it adopts into. abandon leaves the task of a dead worker
// in the queue.
func tidying(t *testing.T) (l *Loop, books *ledger.Ledger, admin *redis.Client, abandon func(id, project, job string)) {
	server := redistest.Start(t)
	admin, rdb := server.Client(t), server.Limited(t)
	books = ledger.New(rdb, time.Now)
	rel := release.New(rdb, "w", time.Now, release.Config{})
	handlers := tasks.New(tasks.Config{Ledger: books, Release: rel, Jobs: noCalls{}, Slots: tasks.NewSlots(4, rel),
		Recorder: silent{}, Pull: func(string, time.Duration) {}, PullShadow: func(string, time.Duration) {}})
	l = New(Config{Redis: rdb, Ledger: books, Release: rel, Handlers: handlers, Queue: tasks.NewInspector(rdb),
		Recorder: silent{}, Schedule: tasks.Schedule{}.WithDefaults()})
	queue, ctx := asynq.NewClientFromRedisClient(admin), t.Context()
	abandon = func(id, project, job string) {
		t.Helper()
		body := fmt.Appendf(nil, `{"project_id":%q,"job_id":%q}`, project, job)
		if _, err := queue.Enqueue(asynq.NewTask(tasks.TypeStop, body), asynq.Queue(tasks.Queue), asynq.TaskID(id)); err != nil {
			t.Fatal(err)
		}
		admin.LMove(ctx, "asynq:{visualization}:pending", "asynq:{visualization}:active", "right", "left")
		admin.HSet(ctx, "asynq:{visualization}:t:"+id, "state", "active")
		admin.ZAdd(ctx, "asynq:{visualization}:lease", redis.Z{Score: float64(time.Now().Add(-time.Hour).Unix()), Member: id})
	}
	return l, books, admin, abandon
}

// A foreign task that can't be adopted now, since its project's keys are spoilt or their node is down, keeps no other
// one from being adopted.
func TestTidyPassesOver(t *testing.T) {
	l, books, admin, abandon := tidying(t)
	const broken, well = "broken0000000000", "well000000000000"
	admin.Set(t.Context(), "vizstop:{"+broken+"}:active", "x", 0)
	abandon("one", broken, "1")
	abandon("two", well, "1")
	if err := l.tidyQueue(t.Context()); err == nil {
		t.Error("nobody is told of the task that could not be adopted")
	}
	if ids, err := books.Active(t.Context(), well, []string{"1"}); err != nil || ids[0] == "" {
		t.Errorf("the task of the other project was not adopted: %q, %v", ids, err)
	}
}

// A task whose lock is none of asynq's is removed, and keeps no other one from being adopted.
func TestTidyATaskWithAnotherLock(t *testing.T) {
	l, books, admin, abandon := tidying(t)
	admin.LPush(t.Context(), "asynq:{visualization}:unique:other", "x")
	for _, n := range []string{"0", "1", "2"} {
		abandon("task"+n, "project000000000", n)
	}
	admin.HSet(t.Context(), "asynq:{visualization}:t:task1", "unique_key", "asynq:{visualization}:unique:other")
	if err := l.tidyQueue(t.Context()); err != nil {
		t.Error(err)
	}
	ids, err := books.Active(t.Context(), "project000000000", []string{"0", "1", "2"})
	if err != nil || slices.Contains(ids, "") {
		t.Errorf("not all were adopted: %q, %v", ids, err)
	}
}
