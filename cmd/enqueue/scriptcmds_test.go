package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rogpeppe/go-internal/testscript"

	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/modelarts/sdkhmac"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

// patience is how long await waits: a machine may be slow, a test must end.
const patience = time.Minute

// command is one of the scripts' own commands. An error fails the script.
type command func(ts *testscript.TestScript, w *world, args []string) error

// actions change the world, or look at what the last program has written.
//
//	addjobs [stop=DURATION] [status=NAME] ID|FIRST..LAST ...   puts jobs into $PROJECT, running unless told otherwise
//	fault OPERATION JOB HTTP-STATUS CODE [MESSAGE]             answers every such call so, without an effect
//	startworker, stopworker                                    a worker of the real code, with quick settings
//	stopredis                                                  kills the Redis
//	redispassword PASSWORD                                     makes it ask for one
//	exits CODE PROGRAM [ARG ...]                               runs a program that must end with this code
//	capture NAME REGEXP                                        sets a variable to what (...) matches in stdout
//	json PATH VALUE                                            checks the JSON in stdout, such as: json result.outcomes.gone 1
func actions() map[string]command {
	return map[string]command{
		"addjobs": addJobs, "fault": fault, "exits": exits, "capture": capture, "json": checkJSON,
		"startworker":   func(_ *testscript.TestScript, w *world, _ []string) error { return w.startWorker() },
		"stopworker":    func(_ *testscript.TestScript, w *world, _ []string) error { w.stopWorker(); return nil },
		"stopredis":     func(_ *testscript.TestScript, w *world, _ []string) error { w.redis.Kill(); return nil },
		"redispassword": func(_ *testscript.TestScript, w *world, args []string) error { return w.setPassword(args[0]) },
	}
}

// checks compare the world with what a script expects. "await" and a check
// waits until it holds.
//
//	untouched                     Redis holds nothing at all
//	enqueued N                    the ledger and the queues hold N stops and their tasks
//	calls OPERATION JOB N         the API got N such calls for the job
//	jobstatus JOB NAME            the job has this status, such as running
//	waiting                       an enqueue is in --wait
func checks() map[string]command {
	return map[string]command{
		"untouched": untouched, "enqueued": enqueued, "calls": calls, "jobstatus": jobStatus, "waiting": waiting,
	}
}

func commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	all := actions()
	for name, check := range checks() {
		all[name] = check
	}
	all["await"] = await
	cmds := make(map[string]func(*testscript.TestScript, bool, []string))
	for name, c := range all {
		cmds[name] = func(ts *testscript.TestScript, neg bool, args []string) {
			if neg {
				ts.Fatalf("%s takes no !", name)
			}
			if err := c(ts, ts.Value(worldKey{}).(*world), args); err != nil {
				ts.Fatalf("%s: %v", name, err)
			}
		}
	}
	return cmds
}

func await(ts *testscript.TestScript, w *world, args []string) error {
	check, ok := checks()[args[0]]
	if !ok {
		return fmt.Errorf("%q is no check", args[0])
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		err := check(ts, w, args[1:])
		if err == nil || time.Since(began) > patience {
			return err
		}
	}
}

func addJobs(_ *testscript.TestScript, w *world, args []string) error {
	var job modelartstest.Job
	for _, arg := range args {
		name, value, option := strings.Cut(arg, "=")
		switch {
		case !option:
			ids, err := idRange(arg)
			if err != nil {
				return err
			}
			for _, job.ID = range ids {
				w.sim.AddJob(project, job)
			}
		case name == "stop":
			d, err := time.ParseDuration(value)
			if err != nil {
				return err
			}
			job.StopTime = d
		case name == "status":
			if job.Status, option = modelarts.ParseStatus(value); !option {
				return fmt.Errorf("%q is no status", value)
			}
		default:
			return fmt.Errorf("unknown option %s", name)
		}
	}
	return nil
}

// idRange is arg, or every number of a range such as 10..19.
func idRange(arg string) ([]string, error) {
	first, last, many := strings.Cut(arg, "..")
	if !many {
		return []string{arg}, nil
	}
	from, err1 := strconv.Atoi(first)
	to, err2 := strconv.Atoi(last)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	var ids []string
	for n := from; n <= to; n++ {
		ids = append(ids, strconv.Itoa(n))
	}
	return ids, nil
}

func fault(_ *testscript.TestScript, w *world, args []string) error {
	status, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	w.sim.Inject(modelartstest.Fault{Operation: args[0], JobID: args[1],
		Reply: modelartstest.ReplyError(status, args[3], strings.Join(args[4:], " "))})
	return nil
}

// startWorker runs the worker in this process: it is only the other side here,
// and e2e has it as a process.
func (w *world) startWorker() error {
	reg := prometheus.NewRegistry()
	events := worker.NewMetrics(reg, "test")
	key := sdkhmac.Key{AccessKey: accessKey, SecretKey: secretKey}
	client, err := modelarts.New(w.sim.URL, modelarts.WithCredentials(modelarts.NewAKSK(key, "")), worker.ObserveAPI(events))
	if err != nil {
		return err
	}
	w.worker = worker.New(worker.Config{
		Redis: w.rdb, Jobs: client, Registry: reg, Metrics: events,
		CheckInterval: 10 * time.Millisecond, DelayedCheckInterval: 100 * time.Millisecond,
		Schedule: tasks.Schedule{PollFirst: 100 * time.Millisecond, PollMax: time.Second, RetryFirst: 10 * time.Millisecond},
	})
	return w.worker.Start(context.Background())
}

func (w *world) stopWorker() {
	if w.worker != nil {
		w.worker.Shutdown()
		w.worker = nil
	}
}

func (w *world) setPassword(password string) error {
	if err := w.rdb.ConfigSet(context.Background(), "requirepass", password).Err(); err != nil {
		return err
	}
	w.password = password
	w.connect()
	return nil
}

func exits(ts *testscript.TestScript, _ *world, args []string) error {
	want, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	err = ts.Exec(args[1], args[2:]...)
	if ended, ok := errors.AsType[*exec.ExitError](err); ok && ended.ExitCode() == want || want == 0 && err == nil {
		return nil
	}
	return fmt.Errorf("ended with %v, want exit status %d", err, want)
}

func capture(ts *testscript.TestScript, _ *world, args []string) error {
	re, err := regexp.Compile(args[1])
	if err != nil {
		return err
	}
	m := re.FindStringSubmatch(ts.ReadFile("stdout"))
	if len(m) != 2 {
		return fmt.Errorf("stdout has no %s", re)
	}
	ts.Setenv(args[0], m[1])
	return nil
}

func checkJSON(ts *testscript.TestScript, _ *world, args []string) error {
	var at any
	if err := json.Unmarshal([]byte(ts.ReadFile("stdout")), &at); err != nil {
		return err
	}
	for name := range strings.SplitSeq(args[0], ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(v) {
				return fmt.Errorf("no element %s in %v", name, v)
			}
			at = v[i]
		default:
			return fmt.Errorf("no %q in %v", name, v)
		}
	}
	if got := fmt.Sprint(at); got != args[1] {
		return fmt.Errorf("%s is %s, want %s", args[0], got, args[1])
	}
	return nil
}

func untouched(_ *testscript.TestScript, w *world, _ []string) error {
	keys, err := w.rdb.Keys(context.Background(), "*").Result()
	if err == nil && len(keys) > 0 {
		err = fmt.Errorf("redis has %q", keys)
	}
	return err
}

func enqueued(_ *testscript.TestScript, w *world, args []string) error {
	stops, err := w.rdb.Keys(context.Background(), "vizstop:{*}:stop:*").Result()
	if err != nil {
		return err
	}
	queued := 0
	for queue := range tasks.Queues() {
		info, err := asynq.NewInspectorFromRedisClient(w.rdb).GetQueueInfo(queue)
		switch {
		case err == nil:
			queued += info.Size
		case !strings.Contains(err.Error(), "does not exist"): // nothing was ever enqueued
			return err
		}
	}
	if args[0] != strconv.Itoa(len(stops)) || args[0] != strconv.Itoa(queued) {
		return fmt.Errorf("%d stops in the ledger and %d tasks in the queues, want %s of each", len(stops), queued, args[0])
	}
	return nil
}

func calls(_ *testscript.TestScript, w *world, args []string) error {
	n := 0
	for _, c := range w.sim.Calls(project, args[1]) {
		if c.Operation == args[0] {
			n++
		}
	}
	if strconv.Itoa(n) != args[2] {
		return fmt.Errorf("%d %s calls for job %s, want %s", n, args[0], args[1], args[2])
	}
	return nil
}

func jobStatus(_ *testscript.TestScript, w *world, args []string) error {
	job, ok := w.sim.Job(project, args[0])
	if !ok || job.Status.Name() != args[1] {
		return fmt.Errorf("job %s: exists %t, status %v, want %s", args[0], ok, job.Status, args[1])
	}
	return nil
}

// waiting looks for the command that only report.Wait ends its looks with.
func waiting(_ *testscript.TestScript, w *world, _ []string) error {
	clients, err := w.rdb.ClientList(context.Background()).Result()
	if err == nil && !strings.Contains(clients, "cmd=scard") {
		err = errors.New("no client of Redis looks at a batch")
	}
	return err
}
