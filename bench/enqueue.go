package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/sync/errgroup"
)

const (
	enqueueStops  = 100_000
	enqueueRounds = 5
	// enqueueParallel is how many commands each side has on their way to Redis at
	// once: enqueue works on 8 chunks, with 64 tasks of each.
	enqueueParallel = 512
	benchProject    = "0123456789abcdef0123456789abcdef"
)

// sample is one run of one side.
type sample struct {
	took time.Duration
	rss  float64 // MiB
}

// benchEnqueue measures how fast enqueue registers and enqueues stops, against
// a program that only enqueues tasks with the bare asynq client.
func benchEnqueue(ctx context.Context, bin string) error {
	server, err := startRedis(ctx)
	if err != nil {
		return err
	}
	defer server.stop()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ids := filepath.Join(dir, "ids.txt")
	if err := writeIDs(ids); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var oursRate, bareRate, ratio, rss []float64
	for round := range enqueueRounds + 1 {
		ours, err := measure(ctx, server, filepath.Join(bin, "enqueue"), "--redis", "redis://"+server.addr+"/0",
			"--project", benchProject, "--from", ids, "--yes", "--max", strconv.Itoa(enqueueStops), "--quiet")
		if err != nil {
			return err
		}
		bare, err := measure(ctx, server, self, "bare-enqueue", server.addr, ids)
		if err != nil {
			return err
		}
		fmt.Printf("round %d: enqueue %v %.0f MiB, bare asynq client %v %.0f MiB\n", round, ours.took, ours.rss, bare.took, bare.rss)
		if round == 0 {
			continue // warm-up
		}
		o, b := enqueueStops/ours.took.Seconds(), enqueueStops/bare.took.Seconds()
		oursRate, bareRate, ratio, rss = append(oursRate, o), append(bareRate, b), append(ratio, o/b), append(rss, ours.rss)
	}
	return writeSection("enqueue", fmt.Sprintf(`## Registering and enqueuing

%d stops, from a file, in %d rounds in turn with the baseline; whole processes, median (least to most). The
baseline enqueues as many tasks with task ids through the bare asynq client, with the same %d commands on their
way at once, on the same Redis. It records nothing: no batch, no joining, no repair.

| | enqueue | bare asynq client | goal |
|---|---|---|---|
| stops a second | %s | %s | |
| ratio, round by round | %s | 1 | ≥ 0.6 |
| peak memory, MiB | %s | | < 200 |

%s

`, enqueueStops, enqueueRounds, enqueueParallel, spread(oursRate, "%.0f"), spread(bareRate, "%.0f"),
		spread(ratio, "%.2f"), spread(rss, "%.0f"), machine(ctx, server)))
}

func writeIDs(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for i := range enqueueStops {
		fmt.Fprintln(w, 1_000_000+i)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// measure runs one side on an empty Redis.
func measure(ctx context.Context, server *redisServer, name string, args ...string) (sample, error) {
	if err := server.rdb.FlushAll(ctx).Err(); err != nil {
		return sample{}, err
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return sample{}, fmt.Errorf("%s: %w", name, err)
	}
	s := sample{took: time.Since(began)}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		s.rss = float64(usage.Maxrss) / 1024
	}
	n, err := server.rdb.LLen(ctx, "asynq:{visualization}:pending").Result()
	if err != nil {
		return sample{}, err
	}
	if n != enqueueStops {
		return sample{}, fmt.Errorf("%s left %d tasks in the queue, want %d", name, n, enqueueStops)
	}
	return s, nil
}

// bareEnqueue is the baseline: a program that enqueues a task for each id.
func bareEnqueue(ctx context.Context, addr, ids string) error {
	f, err := os.Open(ids)
	if err != nil {
		return err
	}
	defer f.Close()
	rdb := redis.NewClient(&redis.Options{Addr: addr, PoolSize: enqueueParallel,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	defer rdb.Close()
	client := asynq.NewClientFromRedisClient(rdb)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(enqueueParallel)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		id := lines.Text()
		group.Go(func() error {
			payload := []byte(`{"project_id":"` + benchProject + `","job_id":"` + id + `"}`)
			_, err := client.EnqueueContext(ctx, asynq.NewTask("visualization:stop", payload), asynq.Queue("visualization"),
				asynq.TaskID("stop-"+id), asynq.Timeout(5*time.Minute))
			return err
		})
	}
	return group.Wait()
}
