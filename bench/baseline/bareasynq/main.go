// Command bareasynq is a baseline: asynq and nothing else. With -enqueue it puts
// a task for each id on standard input into the queue. Without, it works: the
// first task of a job enqueues the second, the second is all. Nothing is recorded,
// and no API is called: with -endpoint the first task makes the stop call of its
// job and the second looks at it once. It ends when -jobs jobs are done.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"golang.org/x/sync/errgroup"
)

const (
	queue   = "visualization"
	project = "0123456789abcdef0123456789abcdef"
)

func main() {
	addr := flag.String("redis", "", "host and port")
	parallel := flag.Int("parallel", 64, "tasks at once")
	check := flag.Duration("check-interval", 50*time.Millisecond, "how often an idle worker looks for tasks")
	jobs := flag.Int("jobs", 0, "how many jobs to work for")
	endpoint := flag.String("endpoint", "", "of the API; none: no calls")
	enqueue := flag.Bool("enqueue", false, "enqueue the ids on standard input, instead of working")
	flag.Parse()
	rdb := redis.NewClient(&redis.Options{Addr: *addr, PoolSize: *parallel + 10,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}})
	defer rdb.Close()
	var err error
	if *enqueue {
		err = enqueueAll(rdb, os.Stdin, *parallel)
	} else {
		err = work(rdb, newAPI(*endpoint, *parallel), *jobs, *parallel, *check)
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
			payload, err := json.Marshal(job{project, id})
			if err != nil {
				return err
			}
			_, err = client.EnqueueContext(ctx, asynq.NewTask("first", payload), asynq.Queue(queue),
				asynq.TaskID("first-"+id), asynq.Timeout(5*time.Minute))
			return err
		})
	}
	return group.Wait()
}

// job is the payload of both tasks.
type job struct {
	ProjectID string `json:"project_id"`
	JobID     string `json:"job_id"`
}

// api makes calls. The zero value makes none.
type api struct {
	endpoint, token string
	http            *http.Client
}

func newAPI(endpoint string, parallel int) api {
	return api{endpoint, os.Getenv("HW_AUTH_TOKEN"), &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: parallel, MaxConnsPerHost: parallel,
	}}}
}

// call makes one call for the job of a payload and reads its answer.
func (a api) call(ctx context.Context, method string, payload []byte, path string) error {
	if a.endpoint == "" {
		return nil
	}
	var j job
	if err := json.Unmarshal(payload, &j); err != nil {
		return err
	}
	url := a.endpoint + "/v1/" + j.ProjectID + "/visualization-jobs/" + j.JobID + path
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Auth-Token", a.token)
	res, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s", method, url, res.Status)
	}
	return json.Unmarshal(body, &struct{ Status int }{})
}

func work(rdb *redis.Client, calls api, jobs, parallel int, check time.Duration) error {
	client := asynq.NewClientFromRedisClient(rdb)
	server := asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency: parallel, Queues: map[string]int{queue: 1}, TaskCheckInterval: check, LogLevel: asynq.WarnLevel,
	})
	var left atomic.Int64
	left.Store(int64(jobs))
	done := make(chan struct{})
	mux := asynq.NewServeMux()
	mux.HandleFunc("first", func(ctx context.Context, t *asynq.Task) error {
		if err := calls.call(ctx, http.MethodPost, t.Payload(), "/stop"); err != nil {
			return err
		}
		_, err := client.EnqueueContext(ctx, asynq.NewTask("second", t.Payload()), asynq.Queue(queue), asynq.Timeout(5*time.Minute))
		return err
	})
	mux.HandleFunc("second", func(ctx context.Context, t *asynq.Task) error {
		if err := calls.call(ctx, http.MethodGet, t.Payload(), ""); err != nil {
			return err
		}
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
