package main

import (
	"context"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
	"github.com/rogpeppe/go-internal/testscript"

	"vizstop/internal/tasks"
)

// patience is how long await waits: a machine may be slow, a test must end.
const patience = time.Minute

// command is one of the scripts' own commands. An error fails the script.
type command func(ts *testscript.TestScript, w *world, args []string) error

// actions change the world, or look at what the last program has written. A JOB
// is an id of $PROJECT, a range such as 10..19, or either behind PROJECT/.
//
//	addjobs [stop=DURATION] [status=NAME] [created=AGO] [name=NAME] JOB ...
//	                                          puts jobs in, running unless told otherwise; * in NAME becomes the id
//	setstatus JOB NAME                        puts a job into a status where it stays
//	fault OPERATION JOB HTTP-STATUS CODE [MESSAGE]   answers every such call so, without an effect; JOB may be *, and PROJECT/JOB
//	healed                                    takes all faults away
//	announce RATE                             says what a worker with this --api-rate says
//	startworker [FILE] [window=N], stopworker a worker of the real code, with quick settings, schedules of FILE and this --window-limit
//	idleworker                                a worker that lives and does nothing
//	serve JOB N                               the job's stop serves N batches
//	losestops BATCH N                         takes N stops of the batch out of Redis that serve no other, as a sweep does
//	maxmemory bytes                           bounds the memory of Redis; 1: it refuses every write, 0: no bound
//	stopredis                                 kills the Redis
//	pausequeue, unpausequeue                  does that with asynq's own tool
//	redispassword PASSWORD                    makes it ask for one
//	fragileredis NAME                         sets a variable to the URL of a way to Redis that breaks for good
//	                                          when the first round is about to be asked for
//	exits CODE PROGRAM [ARG ...]              runs a program that must end with this code; what --json prints must fit the schema
//	examples                                  runs every example of the help in stdout with a shell; each must end with 0
//	recipes FILE                              runs every line for cron in FILE as cron would; each must end with 0
//	capture NAME REGEXP                       sets a variable to what (...) matches in stdout
//	json PATH VALUE                           checks the JSON in stdout, such as: json result.outcomes.gone 1; len is a list's length
//	jobids FILE                               writes the job ids of the jobs or stops in the JSON in stdout to FILE, sorted
//	fits                                      the JSON in stdout fits the schema
//	apart PATH PATH DURATION                  two times in the JSON are exactly so far apart
//	fromnow PATH DURATION                     a time in the JSON is so far ahead, give or take the patience
//	clock NAME DURATION LAYOUT ZONE           sets NAME to what a clock there shows then, in whole minutes, and NAME_UTC to the same time
//	notification N                            writes the body of the Nth notification to stdout, after a look at its signature and
//	                                          schema; sets POSTED_TO to its path and query
func scriptCommands() map[string]command {
	return map[string]command{
		"addjobs": addJobs, "setstatus": setStatus, "fault": fault, "healed": healed, "announce": announce,
		"startworker": startWorkerWith,
		"stopworker":  func(_ *testscript.TestScript, w *world, _ []string) error { w.stopWorker(); return nil },
		"idleworker":  idleWorker, "serve": serve, "losestops": loseStops,
		"maxmemory": func(_ *testscript.TestScript, w *world, args []string) error {
			return w.rdb.ConfigSet(context.Background(), "maxmemory", args[0]).Err()
		},
		"stopredis":     func(_ *testscript.TestScript, w *world, _ []string) error { w.redis.Kill(); return nil },
		"pausequeue":    withQueue((*asynq.Inspector).PauseQueue),
		"unpausequeue":  withQueue((*asynq.Inspector).UnpauseQueue),
		"redispassword": func(_ *testscript.TestScript, w *world, args []string) error { return w.setPassword(args[0]) },
		"fragileredis":  fragileRedis,
		"exits":         exits, "examples": examples, "recipes": recipes,
		"capture": capture, "json": checkJSON, "fits": fitsSchema,
		"jobids": jobIDs, "apart": apart, "fromnow": fromNow, "clock": clock,
		"notification": notification,
	}
}

// checks compare the world with what a script expects. "await" and a check
// waits until it holds.
//
//	untouched                     Redis holds nothing but the rate to which list calls have kept
//	enqueued N                    the ledger holds N stops, and all of them wait for their call
//	scheduled N                   N of them are due later
//	calls OPERATION JOB N         the API got N such calls for the job, in any project with the JOB *
//	jobstatus JOB NAME            the job has this status, such as running
//	jobsin NAME N                 N jobs of $PROJECT have this status
//	metric NAME{LABELS} VALUE     the worker's metrics say so
//	notified N                    N notifications have arrived
//	waiting                       an enqueue is in --wait
func checks() map[string]command {
	return map[string]command{
		"untouched": untouched, "enqueued": enqueued, "scheduled": scheduled, "waiting": waiting,
		"calls": calls, "jobstatus": jobStatus, "jobsin": jobsIn,
		"metric": metric, "notified": wasNotified,
	}
}

func commands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	all := scriptCommands()
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

// withQueue does something to the queue with asynq's own tool.
func withQueue(do func(*asynq.Inspector, string) error) command {
	return func(_ *testscript.TestScript, w *world, _ []string) error {
		return do(asynq.NewInspectorFromRedisClient(w.rdb), tasks.Queue)
	}
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
