// Command bareasynq is a baseline: asynq and nothing else. With -enqueue it puts
// a task for each id on standard input into the queue. Without, it works: the
// first task of a job enqueues the second, the second is all. No API is called
// and nothing is recorded; it ends when -jobs jobs are done.
package main

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/sync/errgroup"
)

const queue = "visualization"

func main() {
	addr := flag.String("redis", "", "host and port")
	parallel := flag.Int("parallel", 64, "tasks at once")
	check := flag.Duration("check-interval", 50*time.Millisecond, "how often an idle worker looks for tasks")
	jobs := flag.Int("jobs", 0, "how many jobs to work for")
	enqueue := flag.Bool("enqueue", false, "enqueue the ids on standard input, instead of working")
	flag.Parse()
	rdb := redis.NewClient(&redis.Options{Addr: *addr, PoolSize: *parallel + 10,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	defer rdb.Close()
	var err error
	if *enqueue {
		err = enqueueAll(rdb, os.Stdin, *parallel)
	} else {
		err = work(rdb, *jobs, *parallel, *check)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bareasynq:", err)
		os.Exit(1)
	}
}

func enqueueAll(rdb *redis.Client, ids io.Reader, parallel int) error {
	client := asynq.NewClientFromRedisClient(rdb)
	group, ctx := errgroup.WithContext(context.Background())
	group.SetLimit(parallel)
	lines := bufio.NewScanner(ids)
	for lines.Scan() {
		id := lines.Text()
		group.Go(func() error {
			payload := []byte(`{"project_id":"0123456789abcdef0123456789abcdef","job_id":"` + id + `"}`)
			_, err := client.EnqueueContext(ctx, asynq.NewTask("first", payload), asynq.Queue(queue),
				asynq.TaskID("first-"+id), asynq.Timeout(5*time.Minute))
			return err
		})
	}
	return group.Wait()
}

func work(rdb *redis.Client, jobs, parallel int, check time.Duration) error {
	client := asynq.NewClientFromRedisClient(rdb)
	server := asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency: parallel, Queues: map[string]int{queue: 1}, TaskCheckInterval: check, LogLevel: asynq.WarnLevel,
	})
	var left atomic.Int64
	left.Store(int64(jobs))
	done := make(chan struct{})
	mux := asynq.NewServeMux()
	mux.HandleFunc("first", func(ctx context.Context, t *asynq.Task) error {
		_, err := client.EnqueueContext(ctx, asynq.NewTask("second", t.Payload()), asynq.Queue(queue), asynq.Timeout(5*time.Minute))
		return err
	})
	mux.HandleFunc("second", func(context.Context, *asynq.Task) error {
		if left.Add(-1) == 0 {
			close(done)
		}
		return nil
	})
	if err := server.Start(mux); err != nil {
		return err
	}
	<-done
	fmt.Println(time.Now().Format(time.RFC3339Nano)) // Shutdown takes its time
	server.Shutdown()
	return nil
}
