// Command asynqdefaults is a baseline: what somebody writes who knows asynq and
// leaves its settings alone but for the concurrency. A stop task makes the stop
// call and enqueues a poll task; a poll task that finds the job still running
// enqueues the next one. An answer to try again is an error, which is asynq's
// to retry. Tasks survive a crash; what was asked and how it ended is kept
// nowhere.
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
	"time"

	"github.com/hibiken/asynq"
)

const (
	typeStop = "stop"
	typePoll = "poll"
)

type worker struct {
	base  string
	token string
	http  *http.Client
	queue *asynq.Client
	poll  time.Duration
}

func main() {
	redis := flag.String("redis", "", "host and port")
	endpoint := flag.String("endpoint", "", "of the API")
	project := flag.String("project", "", "of the jobs")
	parallel := flag.Int("parallel", 64, "tasks at once")
	poll := flag.Duration("poll", 5*time.Second, "time between polls of one job")
	enqueue := flag.Bool("enqueue", false, "enqueue the ids on standard input, instead of working")
	flag.Parse()
	opt := asynq.RedisClientOpt{Addr: *redis}
	queue := asynq.NewClient(opt)
	defer queue.Close()
	var err error
	if *enqueue {
		err = enqueueAll(queue, os.Stdin)
	} else {
		w := &worker{
			base:  *endpoint + "/v1/" + *project + "/visualization-jobs/",
			token: os.Getenv("HW_AUTH_TOKEN"),
			http: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
				MaxIdleConnsPerHost: *parallel, MaxConnsPerHost: *parallel,
			}},
			queue: queue,
			poll:  *poll,
		}
		mux := asynq.NewServeMux()
		mux.HandleFunc(typeStop, w.stop)
		mux.HandleFunc(typePoll, w.look)
		err = asynq.NewServer(opt, asynq.Config{Concurrency: *parallel, LogLevel: asynq.WarnLevel}).Run(mux)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "asynqdefaults:", err)
		os.Exit(1)
	}
}

func enqueueAll(queue *asynq.Client, ids io.Reader) error {
	lines := bufio.NewScanner(ids)
	for lines.Scan() {
		if _, err := queue.Enqueue(asynq.NewTask(typeStop, lines.Bytes())); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (w *worker) stop(ctx context.Context, t *asynq.Task) error {
	if err := w.call(ctx, http.MethodPost, string(t.Payload())+"/stop", nil); err != nil {
		return err
	}
	return w.pollLater(ctx, t)
}

func (w *worker) look(ctx context.Context, t *asynq.Task) error {
	var job struct{ Status int }
	if err := w.call(ctx, http.MethodGet, string(t.Payload()), &job); err != nil {
		return err
	}
	if ended[job.Status] {
		return nil
	}
	return w.pollLater(ctx, t)
}

func (w *worker) pollLater(ctx context.Context, t *asynq.Task) error {
	_, err := w.queue.EnqueueContext(ctx, asynq.NewTask(typePoll, t.Payload()), asynq.ProcessIn(w.poll))
	return err
}

// ended are the statuses in which a job no longer runs.
var ended = map[int]bool{3: true, 5: true, 10: true, 11: true, 12: true, 13: true, 16: true, 17: true, 20: true, 21: true, 22: true}

func (w *worker) call(ctx context.Context, method, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, w.base+path, http.NoBody)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Auth-Token", w.token)
	res, err := w.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: %s", res.Status, body)
	case into == nil:
		return nil
	}
	return json.Unmarshal(body, into)
}
