package tasks

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

// What a dead worker had taken is abandoned when its lease is over, whether it can
// be read or not, and can be removed. All by the rights that a worker has.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx, admin, inspector := t.Context(), server.Client(t), NewInspector(server.Limited(t))
	queue := asynq.NewClientFromRedisClient(admin)
	for i, id := range []string{"good", "spoilt", "lost", "without a message", "without a lease", "no hash", "at work"} {
		if _, err := queue.Enqueue(asynq.NewTask(TypeStop, nil), asynq.Queue(Queue), asynq.TaskID(id)); err != nil {
			t.Fatal(err)
		}
		admin.LMove(ctx, queueKey(Queue, "pending"), queueKey(Queue, "active"), "right", "left")
		admin.HSet(ctx, queueKey(Queue, "t:"+id), "state", "active")
		lease := time.Now().Add(time.Duration(i)*time.Second - time.Hour)
		if id == "at work" {
			lease = time.Now().Add(time.Hour)
		}
		admin.ZAdd(ctx, queueKey(Queue, "lease"), redis.Z{Score: float64(lease.Unix()), Member: id})
	}
	admin.HSet(ctx, queueKey(Queue, "t:spoilt"), "msg", "\xff\xff")
	admin.Del(ctx, queueKey(Queue, "t:lost"))
	admin.HDel(ctx, queueKey(Queue, "t:without a message"), "msg")
	admin.ZRem(ctx, queueKey(Queue, "lease"), "without a lease")
	admin.Set(ctx, queueKey(Queue, "t:no hash"), "x", 0)

	tasks, err := inspector.Abandoned(ctx, Queue, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, task := range tasks {
		got = append(got, fmt.Sprintf("%s %t", task.ID, task.Info != nil))
		if removed, err := inspector.RemoveAbandoned(ctx, Queue, task); err != nil || !removed {
			t.Errorf("%s was not removed: %v", task.ID, err)
		}
		if removed, err := inspector.RemoveAbandoned(ctx, Queue, task); err != nil || removed {
			t.Errorf("%s was removed twice: %v", task.ID, err)
		}
	}
	want := []string{"good true", "spoilt false", "lost false", "without a message false", "without a lease true", "no hash false"}
	if !slices.Equal(got, want) {
		t.Errorf("abandoned are %q, want %q", got, want)
	}
	if left := admin.LRange(ctx, queueKey(Queue, "active"), 0, -1).Val(); !slices.Equal(left, []string{"at work"}) {
		t.Errorf("%q are left", left)
	}
}

// A task that is scheduled, tried again or archived is abandoned when its record is lost or spoilt, and can be removed.
// A good one stays. All by the rights that a worker has.
func TestAbandonedSpoilt(t *testing.T) {
	t.Parallel()
	for state, options := range map[string][]asynq.Option{
		"scheduled": {asynq.ProcessIn(time.Hour)}, "retry": nil, "archived": nil,
	} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			ctx, admin, inspector := t.Context(), server.Client(t), NewInspector(server.Limited(t))
			queue := asynq.NewClientFromRedisClient(admin)
			key := func(id string) string { return queueKey(Queue, "t:"+id) }
			for i, id := range []string{"no hash", "no record", "no message", "garbage", "of another", "elsewhere", "good"} {
				options := append([]asynq.Option{asynq.Queue(Queue), asynq.TaskID(id)}, options...)
				if _, err := queue.Enqueue(asynq.NewTask(TypeStop, nil), options...); err != nil {
					t.Fatal(err)
				}
				admin.LRem(ctx, queueKey(Queue, "pending"), 0, id)
				admin.HSet(ctx, key(id), "state", state)
				score := float64(time.Now().Add(time.Duration(i)*time.Minute - 24*time.Hour).Unix())
				admin.ZAdd(ctx, queueKey(Queue, state), redis.Z{Score: score, Member: id})
			}
			admin.Set(ctx, key("no hash"), "x", 0)
			admin.Del(ctx, key("no record"))
			admin.HDel(ctx, key("no message"), "msg")
			admin.HSet(ctx, key("garbage"), "msg", "\xff\xff")
			admin.HSet(ctx, key("of another"), "msg", admin.HGet(ctx, key("good"), "msg").Val())
			admin.HSet(ctx, key("elsewhere"), "msg", "\xff\xff", "state", "pending")

			tasks, err := inspector.Abandoned(ctx, Queue, time.Now().Add(-time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, task := range tasks {
				got = append(got, fmt.Sprintf("%s %t", task.ID, task.Info != nil))
				if removed, err := inspector.RemoveAbandoned(ctx, Queue, task); err != nil || !removed {
					t.Errorf("%s was not removed: %v", task.ID, err)
				}
				if removed, err := inspector.RemoveAbandoned(ctx, Queue, task); err != nil || removed {
					t.Errorf("%s was removed twice: %v", task.ID, err)
				}
			}
			slices.Sort(got)
			want := []string{"elsewhere false", "garbage false", "no hash false", "no message false", "no record false", "of another false"}
			if !slices.Equal(got, want) {
				t.Errorf("abandoned are %q, want %q", got, want)
			}
			if left := admin.ZRange(ctx, queueKey(Queue, state), 0, -1).Val(); !slices.Equal(left, []string{"good"}) {
				t.Errorf("%q are left", left)
			}
			if left := admin.Keys(ctx, queueKey(Queue, "t:*")).Val(); !slices.Equal(left, []string{key("good")}) {
				t.Errorf("records %q are left", left)
			}
		})
	}
}

// asynq's recoverer reads the tasks of all leases that are over, active or not. One that is not active is abandoned, and
// can be removed, whether it can be read or not. Of a task that waits elsewhere just the lease is removed.
func TestAbandonedLease(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx, admin, inspector := t.Context(), server.Client(t), NewInspector(server.Limited(t))
	queue := asynq.NewClientFromRedisClient(admin)
	for i, id := range []string{"garbage", "no state", "no hash", "no record", "good", "waits", "waits spoilt", "held"} {
		if _, err := queue.Enqueue(asynq.NewTask(TypeStop, nil), asynq.Queue(Queue), asynq.TaskID(id)); err != nil {
			t.Fatal(err)
		}
		lease := time.Now().Add(time.Duration(i)*time.Second - time.Minute)
		if id == "held" {
			lease = time.Now().Add(time.Minute)
		}
		admin.ZAdd(ctx, queueKey(Queue, "lease"), redis.Z{Score: float64(lease.Unix()), Member: id})
		if id != "waits" && id != "waits spoilt" {
			admin.LRem(ctx, queueKey(Queue, "pending"), 0, id)
			admin.HSet(ctx, queueKey(Queue, "t:"+id), "state", "active")
		}
	}
	admin.HSet(ctx, queueKey(Queue, "t:garbage"), "msg", "\xff\xff")
	admin.HSet(ctx, queueKey(Queue, "t:waits spoilt"), "msg", "\xff\xff")
	admin.HDel(ctx, queueKey(Queue, "t:no state"), "state")
	admin.Set(ctx, queueKey(Queue, "t:no hash"), "x", 0)
	admin.Del(ctx, queueKey(Queue, "t:no record"))

	tasks, err := inspector.Abandoned(ctx, Queue, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, task := range tasks {
		got = append(got, fmt.Sprintf("%s %t", task.ID, task.Info != nil))
		if removed, err := inspector.RemoveAbandoned(ctx, Queue, task); err != nil || !removed {
			t.Errorf("%s was not removed: %v", task.ID, err)
		}
	}
	want := []string{"garbage false", "no state false", "no hash false", "no record false", "good true"}
	if !slices.Equal(got, want) {
		t.Errorf("abandoned are %q, want %q", got, want)
	}
	if left := admin.ZRange(ctx, queueKey(Queue, "lease"), 0, -1).Val(); !slices.Equal(left, []string{"held"}) {
		t.Errorf("leases of %q are left", left)
	}
	if left := admin.LRange(ctx, queueKey(Queue, "pending"), 0, -1).Val(); !slices.Equal(left, []string{"waits spoilt", "waits"}) {
		t.Errorf("%q are left to be delivered", left)
	}
}

// However many tasks are spoilt, one look at the queue lists a bounded number of them: those that are due first.
func TestAbandonedIsBounded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx, admin, inspector := t.Context(), server.Client(t), NewInspector(server.Limited(t))
	admin.SAdd(ctx, "asynq:queues", Queue)
	var lost []redis.Z
	for n := range 3 * spoiltAmong {
		lost = append(lost, redis.Z{Score: float64(n), Member: fmt.Sprint(n)})
	}
	admin.ZAdd(ctx, queueKey(Queue, "scheduled"), lost...)
	tasks, err := inspector.Abandoned(ctx, Queue, time.Now().Add(-time.Hour))
	if err != nil || len(tasks) != spoiltAmong || tasks[0].ID != "0" {
		t.Errorf("%d tasks are abandoned, %v; want the first %d", len(tasks), err, spoiltAmong)
	}
}

// What a queue holds is counted even where the records of its tasks are lost or
// spoilt. All by the rights that a worker has.
func TestCounts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx, admin, inspector := t.Context(), server.Client(t), NewInspector(server.Limited(t))
	count := func(want map[string]int) time.Duration {
		t.Helper()
		got, latency, err := inspector.Counts(ctx, Queue)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("counted %v, %v, want %v", got, err, want)
		}
		return latency
	}
	none := map[string]int{"pending": 0, "active": 0, "scheduled": 0, "retry": 0, "archived": 0, "aggregating": 0}
	if latency := count(none); latency != 0 {
		t.Errorf("nothing waits, and that for %v", latency)
	}
	queue := asynq.NewClientFromRedisClient(admin)
	put := func(id string, option asynq.Option) {
		t.Helper()
		if _, err := queue.Enqueue(asynq.NewTask(TypeStop, nil), asynq.Queue(Queue), asynq.TaskID(id), option); err != nil {
			t.Fatal(err)
		}
	}
	put("first", asynq.MaxRetry(1))
	put("second", asynq.MaxRetry(1))
	put("later", asynq.ProcessIn(time.Hour))
	put("together", asynq.Group("g"))
	admin.HSet(ctx, queueKey(Queue, "t:first"), "pending_since", time.Now().Add(-time.Hour).UnixNano())
	for _, state := range []string{"scheduled", "retry", "archived"} {
		admin.ZAdd(ctx, queueKey(Queue, state), redis.Z{Score: 1, Member: "lost"})
	}
	admin.LPush(ctx, queueKey(Queue, "active"), "lost")
	want := map[string]int{"pending": 2, "active": 1, "scheduled": 2, "retry": 1, "archived": 1, "aggregating": 1}
	if latency := count(want); latency < time.Hour || latency > time.Hour+time.Minute {
		t.Errorf("the oldest waits for %v, want an hour", latency)
	}
	for _, spoil := range []func(){
		func() { admin.HSet(ctx, queueKey(Queue, "t:first"), "pending_since", "x") },
		func() { admin.Del(ctx, queueKey(Queue, "t:first")) },
		func() { admin.Set(ctx, queueKey(Queue, "t:first"), "x", 0) },
	} {
		spoil()
		if latency := count(want); latency != 0 {
			t.Errorf("the oldest waits for %v, which nobody can know", latency)
		}
	}
}

// A producer enqueues a good task by the id of one whose record is lost, while the worker is
// about to remove that: the good one stays.
func TestRemoveLeavesAGoodTask(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx, admin, inspector := t.Context(), server.Client(t), NewInspector(server.Limited(t))
	queue := asynq.NewClientFromRedisClient(admin)
	put := func(options ...asynq.Option) {
		t.Helper()
		task := asynq.NewTask(TypeStop, []byte(`{"job_id":"1"}`))
		if _, err := queue.Enqueue(task, append(options, asynq.Queue(Queue), asynq.TaskID("nightly-1"))...); err != nil {
			t.Fatal(err)
		}
	}
	put(asynq.ProcessIn(time.Hour))
	admin.Del(ctx, queueKey(Queue, "t:nightly-1"))
	abandoned, err := inspector.Abandoned(ctx, Queue, time.Now().Add(-time.Hour))
	if err != nil || len(abandoned) != 1 {
		t.Fatalf("abandoned are %v, %v; want the one without a record", abandoned, err)
	}
	put()
	removed, err := inspector.RemoveAbandoned(ctx, Queue, abandoned[0])
	if left := admin.LRange(ctx, queueKey(Queue, "pending"), 0, -1).Val(); removed || err != nil || len(left) != 1 {
		t.Errorf("removed a good task: %t, %v; pending are %q", removed, err, left)
	}
}

// A lease counts that was taken or renewed just now. One that is older, or of a clock that is
// ahead, does not say that a worker which lives has the task.
func TestFindLeased(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx, rdb := t.Context(), server.Client(t)
	inspector := NewInspector(server.Limited(t))
	if _, err := asynq.NewClientFromRedisClient(rdb).Enqueue(asynq.NewTask(TypeStop, nil), asynq.Queue(Queue), asynq.TaskID("a")); err != nil {
		t.Fatal(err)
	}
	rdb.HSet(ctx, queueKey(Queue, "t:a"), "state", "active")
	for left, want := range map[time.Duration]bool{30 * time.Second: true, 35 * time.Second: true, 20 * time.Second: false, 5 * time.Minute: false} {
		rdb.ZAdd(ctx, queueKey(Queue, "lease"), redis.Z{Score: float64(time.Now().Add(left).Unix()), Member: "a"})
		if state, leased, err := inspector.Find(ctx, Queue, "a"); err != nil || state != "active" || leased != want {
			t.Errorf("%v left of its lease: %q, leased %t, %v; want %t", left, state, leased, err, want)
		}
	}
}

// asynq's set of queues is in another slot than the queue. It is written by the first enqueue of each client alone.
func TestQueueSetLost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx, admin, inspector := t.Context(), server.Client(t), NewInspector(server.Limited(t))
	queue := asynq.NewClientFromRedisClient(admin)
	enq := func(id string) {
		t.Helper()
		task := asynq.NewTask(TypeStop, []byte(`{"project_id":"p","job_id":"1"}`))
		if _, err := queue.Enqueue(task, asynq.Queue(Queue), asynq.TaskID(id)); err != nil {
			t.Fatal(err)
		}
	}
	enq("before")
	if err := asynq.NewInspectorFromRedisClient(admin).DeleteQueue(Queue, true); err != nil {
		t.Fatal(err)
	}
	enq("foreign")
	admin.LMove(ctx, queueKey(Queue, "pending"), queueKey(Queue, "active"), "right", "left")
	admin.HSet(ctx, queueKey(Queue, "t:foreign"), "state", "active")
	admin.ZAdd(ctx, queueKey(Queue, "lease"), redis.Z{Score: float64(time.Now().Add(-time.Hour).Unix()), Member: "foreign"})
	tasks, err := inspector.Abandoned(ctx, Queue, time.Now().Add(-time.Hour))
	if err != nil || len(tasks) != 1 || tasks[0].Info == nil {
		t.Fatalf("abandoned: %v, %v", tasks, err)
	}
}

// The lock of asynq.Unique goes with the task.
func TestUniqueLock(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx, admin, inspector := t.Context(), server.Client(t), NewInspector(server.Limited(t))
	queue := asynq.NewClientFromRedisClient(admin)
	task := asynq.NewTask(TypeStop, []byte(`{"project_id":"p","job_id":"1"}`))
	if _, err := queue.Enqueue(task, asynq.Queue(Queue), asynq.TaskID("a"), asynq.Unique(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	admin.LMove(ctx, queueKey(Queue, "pending"), queueKey(Queue, "active"), "right", "left")
	admin.HSet(ctx, queueKey(Queue, "t:a"), "state", "active")
	admin.ZAdd(ctx, queueKey(Queue, "lease"), redis.Z{Score: float64(time.Now().Add(-time.Hour).Unix()), Member: "a"})
	all, err := inspector.Abandoned(ctx, Queue, time.Now().Add(-time.Hour))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if removed, err := inspector.RemoveAbandoned(ctx, Queue, all[0]); err != nil || !removed {
		t.Fatal(removed, err)
	}
	_, err = queue.Enqueue(task, asynq.Queue(Queue), asynq.TaskID("b"), asynq.Unique(24*time.Hour))
	if errors.Is(err, asynq.ErrDuplicateTask) {
		t.Fatalf("the task is gone, its lock holds: %v, %v", err, admin.Keys(ctx, "asynq:*").Val())
	}
}

// A lock that is none of asynq's keeps no task from being removed: its producer has written the record itself.
func TestUniqueLockOfAnotherKind(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx, admin, inspector := t.Context(), server.Client(t), NewInspector(server.Limited(t))
	queue := asynq.NewClientFromRedisClient(admin)
	admin.LPush(ctx, "asynq:{visualization}:unique:other", "x")
	for _, lock := range []string{"their-lock:1", "asynq:{visualization}:unique:other"} {
		task := asynq.NewTask(TypeStop, []byte(`{"project_id":"p","job_id":"1"}`))
		if _, err := queue.Enqueue(task, asynq.Queue(Queue), asynq.TaskID("a")); err != nil {
			t.Fatal(err)
		}
		admin.LMove(ctx, queueKey(Queue, "pending"), queueKey(Queue, "active"), "right", "left")
		admin.HSet(ctx, queueKey(Queue, "t:a"), "state", "active", "unique_key", lock)
		admin.ZAdd(ctx, queueKey(Queue, "lease"), redis.Z{Score: float64(time.Now().Add(-time.Hour).Unix()), Member: "a"})
		all, err := inspector.Abandoned(ctx, Queue, time.Now().Add(-time.Hour))
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		if removed, err := inspector.RemoveAbandoned(ctx, Queue, all[0]); err != nil || !removed {
			t.Errorf("lock %s: %v, %v", lock, removed, err)
			admin.FlushAll(ctx)
		}
	}
}
