package tasks

import (
	"fmt"
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
	for i, id := range []string{"good", "spoilt", "lost", "without a message", "without a lease", "at work"} {
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

	tasks, err := inspector.Abandoned(ctx, Queue, time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, task := range tasks {
		got = append(got, fmt.Sprintf("%s %t", task.ID, task.Info != nil))
		if removed, err := inspector.Remove(ctx, Queue, task.ID); err != nil || !removed {
			t.Errorf("%s was not removed: %v", task.ID, err)
		}
		if removed, err := inspector.Remove(ctx, Queue, task.ID); err != nil || removed {
			t.Errorf("%s was removed twice: %v", task.ID, err)
		}
	}
	want := []string{"good true", "spoilt false", "lost false", "without a message false", "without a lease true"}
	if !slices.Equal(got, want) {
		t.Errorf("abandoned are %q, want %q", got, want)
	}
	if left := admin.LRange(ctx, queueKey(Queue, "active"), 0, -1).Val(); !slices.Equal(left, []string{"at work"}) {
		t.Errorf("%q are left", left)
	}
}
