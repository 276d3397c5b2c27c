package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/limits"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/principals"
	"vizstop/internal/tasks"
)

// provokeSlow has stops that are late, hang, expire, are refused and are lost.
func provokeSlow(f *watched) {
	refuse := func(operation, job string, status int, code string) {
		f.sim.Inject(modelartstest.Fault{Operation: operation, JobID: job, Reply: modelartstest.ReplyError(status, code, "refused by the test")})
	}
	refuse(jobs.OperationList, "", http.StatusForbidden, "ModelArts.0110")
	f.ask(12, 0, -10*time.Minute, time.Hour)    // asked for while no worker ran: late
	f.ask(6, hours, -20*time.Minute, time.Hour) // these hang
	f.ask(1, hours, 0, 2*time.Second)           // expires
	bad := f.asks(1, 0, 0, time.Hour)
	refuse(jobs.OperationStop, bad[0].JobID, http.StatusBadRequest, "ModelArts.0104")
	ctx := context.Background()
	if _, err := f.producer.Ask(ctx, project, ledger.NewBatchID(time.Now()), bad); err != nil {
		f.t.Fatal(err)
	}
	f.loseTask()
}

// loseTask has a step that was released, and then Redis forgot its task.
func (f *watched) loseTask() {
	ctx, keys := context.Background(), ledger.Keys(project)
	openings, err := f.books.Open(ctx, project, ledger.NewBatchID(time.Now()), f.asks(1, 0, time.Hour, 2*time.Hour))
	if err != nil {
		f.t.Fatal(err)
	}
	step := ledger.Member{StopID: openings[0].StopID, Hop: 1, JobID: openings[0].JobID}.String()
	pipe := f.rdb.TxPipeline()
	pipe.ZRem(ctx, keys.Small(), step)
	pipe.ZAdd(ctx, keys.Released(), redis.Z{Score: float64(time.Now().Add(-time.Minute).UnixMilli()), Member: step})
	if _, err := pipe.Exec(ctx); err != nil {
		f.t.Fatal(err)
	}
}

// provokeThrottling has an API that answers 429, whatever the rate.
func provokeThrottling(f *watched) {
	f.sim.Inject(modelartstest.Fault{Reply: modelartstest.ReplyError(http.StatusTooManyRequests, "APIGW.0308", "too many").With("Retry-After", "1")})
	f.ask(3, 0, -20*time.Minute, time.Hour)
}

// provokeOutage has an API that only fails, and a schedules file that makes no sense.
func provokeOutage(f *watched) {
	if err := os.WriteFile(f.file, []byte("revision: none"), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.sim.ClearFaults()
	f.sim.Inject(modelartstest.Fault{Reply: modelartstest.ReplyError(http.StatusServiceUnavailable, "ModelArts.0010", "down")})
}

// provokeCredentials has an API that does not know who calls, and a console that does not, either.
func provokeCredentials(f *watched) {
	stranger := *f.operator
	stranger.token, _ = principals.NewToken()
	for i := range 60 {
		stranger.doAny("GET", "/v1/batches?n="+strconv.Itoa(i))
	}
	f.sim.RejectCredentials(true)
	f.ask(2, 0, 0, time.Hour) // one could be refused for a fault of its own
}

// provokeNoRedis kills Redis, and asks the console for what is there.
func provokeNoRedis(f *watched) {
	f.redis.Kill()
	ended, done := make(chan struct{}), make(chan struct{})
	f.t.Cleanup(func() { close(ended); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ended:
				return
			case <-tick.C:
				f.operator.doAny("GET", "/v1/batches")
			}
		}
	}()
}

// provokeFullRedis has a Redis without memory left.
func provokeFullRedis(f *watched) {
	if err := f.redis.Client(f.t).ConfigSet(context.Background(), "maxmemory", "1").Err(); err != nil {
		f.t.Fatal(err)
	}
}

// provokeRefusal has an API that does not let the caller stop jobs.
func provokeRefusal(f *watched) {
	f.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Reply: modelartstest.ReplyError(http.StatusForbidden, "APIGW.0302", "not allowed")})
	f.ask(3, 0, 0, time.Hour) // fewer could be refused for a fault of their own
}

// holdBatch has a batch that states a size beyond its limit.
func (f *watched) holdBatch() {
	l := ledger.New(f.rdb, time.Now)
	err := l.StateSize(context.Background(), project, "too-large", 5000, limits.Defaults().Over(limits.Size{Stops: 5000}))
	if err == nil {
		_, err = tasks.NewProducer(l, f.rdb).Ask(context.Background(), project, "too-large", []ledger.Ask{{JobID: "999999", Deadline: time.Now().Add(24 * time.Hour)}})
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// provokePause has a batch that a limit holds, somebody who pauses stops, and a queue
// from which no worker takes the task that has been ready for long.
func provokePause(f *watched) {
	f.holdBatch()
	launch(f.t, f.env(), "", "enqueue", "pause", "--reason", "a test").wantExit(0)
	inspector := asynq.NewInspectorFromRedisClient(f.rdb)
	if err := inspector.PauseQueue(tasks.Queue); err != nil {
		f.t.Fatal(err)
	}
	payload := []byte(`{"project_id":"` + project + `","job_id":"` + f.id(1) + `"}`)
	if _, err := asynq.NewClientFromRedisClient(f.rdb).Enqueue(asynq.NewTask(tasks.TypeStop, payload), asynq.Queue(tasks.Queue)); err != nil {
		f.t.Fatal(err)
	}
	await(f.t, "a ready task", func() bool {
		ready, err := inspector.ListPendingTasks(tasks.Queue)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, task := range ready {
			key := "asynq:{" + tasks.Queue + "}:t:" + task.ID
			if err := f.rdb.HSet(context.Background(), key, "pending_since", time.Now().Add(-2*time.Minute).UnixNano()).Err(); err != nil {
				f.t.Fatal(err)
			}
		}
		return len(ready) > 0
	})
}

// provokeSchedules has a schedule that was there for days, and nobody carried it out;
// then a file that no worker has, and a tick that was due an hour ago.
func provokeSchedules(f *watched) {
	const inForce, evening, field = "vizstop:{-}:schedules", "vizstop:{-}:schedule:evening", "record"
	ctx := context.Background()
	shows := func(line string, value float64) bool {
		_, page := f.worker.get("/metrics")
		return strings.Contains(page, line) && metricOf(f.t, page, line) >= value
	}
	set := func(key, record string) {
		if err := f.rdb.HSet(ctx, key, field, record).Err(); err != nil {
			f.t.Fatal(err)
		}
	}
	record, err := f.rdb.HGet(ctx, inForce, field).Result()
	if err != nil {
		f.t.Fatal(err)
	}
	daysAgo := time.Now().UTC().AddDate(0, 0, -5).Format(time.RFC3339)
	set(inForce, regexp.MustCompile(`"since":"[^"]*"`).ReplaceAllString(record, `"since":"`+daysAgo+`"`))
	await(f.t, "missed ticks", func() bool { return shows(`vizstop_schedule_ticks_total{result="missed",schedule="evening"}`, 2) })
	set(inForce, `{"revision":9,"hash":"other"}`)
	await(f.t, "another file in force", func() bool {
		_, page := f.worker.get("/metrics")
		return metricOf(f.t, page, "vizstop_schedules_in_force") == 0
	})
	set(evening, fmt.Sprintf(`{"next":%d}`, time.Now().Add(-time.Hour).UnixMilli()))
}
