package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
	"vizstop/internal/tasks"
)

// signing is the environment of a worker that signs its calls of sim.
func signing(server *redistest.Server, sim *modelartstest.Server) environ {
	return environ{"VIZSTOP_REDIS": redistest.For("worker", server.URL), "MODELARTS_ENDPOINT": sim.URL,
		"HW_ACCESS_KEY": accessKey, "HW_SECRET_KEY": secretKey}
}

// ask asks for jobs in one batch.
func ask(t *testing.T, rdb *redis.Client, batch string, jobs ...string) {
	t.Helper()
	producer := tasks.NewProducer(ledger.New(rdb, time.Now), rdb)
	var asks []ledger.Ask
	for _, job := range jobs {
		asks = append(asks, ledger.Ask{JobID: job, Deadline: time.Now().Add(time.Hour)})
	}
	if _, err := producer.Ask(t.Context(), project, batch, asks); err != nil {
		t.Fatal(err)
	}
}

// counts is how the stops of a batch stand.
func counts(t *testing.T, rdb *redis.Client, batch string) map[ledger.State]int {
	t.Helper()
	b, err := ledger.New(rdb, time.Now).Batch(context.Background(), project, batch)
	if err != nil {
		t.Fatal(err)
	}
	return b.Counts
}

func awaitStopped(t *testing.T, rdb *redis.Client, batch string, n int) {
	t.Helper()
	await(t, "all stopped", func() bool { return counts(t, rdb, batch)[ledger.Stopped] == n })
}

func stopCalls(sim *modelartstest.Server, job string) int {
	n := 0
	for _, c := range sim.Calls(project, job) {
		if c.Operation == jobs.OperationStop {
			n++
		}
	}
	return n
}

func TestPages(t *testing.T) {
	server, sim := redistest.Start(t, "--appendonly", "yes"), simulate(t, "10", "11")
	rdb := server.Client(t)
	r := start(t, signing(server, sim))
	if _, body := r.get("/metrics"); !strings.Contains(body, "vizstop_redis_up 1") {
		t.Error("an empty Redis is not up in /metrics")
	}
	ask(t, rdb, "b", "10", "11")
	awaitStopped(t, rdb, "b", 2)
	await(t, "both stops to be counted", func() bool { // a moment after the ledger has them
		_, body := r.get("/metrics")
		return strings.Contains(body, `vizstop_stop_duration_seconds_count{outcome="stopped"} 2`)
	})

	status, body := r.get("/metrics")
	if status != 200 {
		t.Errorf("/metrics: %d", status)
	}
	wantContains(t, body,
		`vizstop_stop_outcomes_total{outcome="expired"} 0`,
		`vizstop_stop_outcomes_total{outcome="stopped"} 2`,
		`vizstop_stop_duration_seconds_count{outcome="stopped"} 2`,
		`vizstop_modelarts_requests_total{account="default",operation="stop",result="ok"} 2`,
		`vizstop_stops_in_flight{state="stopping"} 0`,
		`vizstop_held{account="default",reason="credentials",scope="credential"} 0`,
		`vizstop_holds_total{reason="throttled"} 0`,
		`vizstop_list_checks_total{result="useless"} 0`,
		`vizstop_recoveries_total{found="dead"} 0`,
		"vizstop_rate 50", "vizstop_configured_rate 50", "vizstop_workers 1",
		`vizstop_queue_tasks{queue="visualization",state="scheduled"} 0`,
		`vizstop_redis_unfit{risk="no_append_only"} 0`, "vizstop_refused_files 0", "vizstop_calls_waiting 0",
		"vizstop_redis_up 1", "vizstop_build_info{", "go_goroutines ", "process_cpu_seconds_total ")
	for path, want := range map[string]string{"/healthz": "ok\n", "/readyz": "ok\n"} {
		if status, body := r.get(path); status != 200 || body != want {
			t.Errorf("%s: %d %q, want 200 %q", path, status, body, want)
		}
	}
	if status, body := r.get("/"); status != 200 || !strings.Contains(body, `href="/metrics"`) {
		t.Errorf("/: %d %q", status, body)
	}
	if status, _ := r.get("/debug/pprof/"); status != 404 {
		t.Errorf("an unknown page: %d, want 404", status)
	}
}

// What a worker's surroundings mean for it, its log says at the start.
func TestLogTellsOfSurroundings(t *testing.T) {
	t.Parallel()
	server, sim := redistest.Start(t), simulate(t)
	env := signing(server, sim)
	const proxied, readable = "batch reports (--notify) are posted without the proxy", "HW_SECRET_KEY_FILE: every user of this machine may read "
	if log := start(t, env).log.String(); strings.Contains(log, proxied) || strings.Contains(log, readable) {
		t.Errorf("without any of it, the log says\n%s", log)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(env["HW_SECRET_KEY"]+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o644); err != nil { // whatever the umask
		t.Fatal(err)
	}
	delete(env, "HW_SECRET_KEY")
	env["HW_SECRET_KEY_FILE"], env["https_proxy"] = file, "http://127.0.0.1:9"
	wantContains(t, start(t, env).log.String(), proxied, readable+file)
}

// A worker whose credentials are refused says so, and that it is not ready.
func TestNotReadyWhileHeld(t *testing.T) {
	server, sim := redistest.Start(t), simulate(t, "10", "11")
	rdb := server.Client(t)
	sim.RejectCredentials(true)
	r := start(t, signing(server, sim))
	ask(t, rdb, "b", "10", "11") // one refusal could be the stop's own fault
	await(t, "the hold", func() bool { status, _ := r.get("/readyz"); return status == 503 })
	_, body := r.get("/readyz")
	wantContains(t, body, "not ready\n", "calls of account default held since ", ", credentials: ", "next at ")
	if _, body := r.get("/metrics"); !strings.Contains(body, `vizstop_held{account="default",reason="credentials",scope="credential"} 1`) {
		t.Error("the hold is not in /metrics")
	}
	if status, _ := r.get("/healthz"); status != 200 {
		t.Errorf("/healthz: %d: a restart would not help", status)
	}
	if n := counts(t, rdb, "b")[ledger.Pending]; n != 2 {
		t.Errorf("%d stops pending, want 2", n)
	}
}

// What is at work when SIGTERM comes is finished, the rest is the next
// worker's, and the pages tell until the end.
func TestShutdownFinishesWhatIsAtWork(t *testing.T) {
	server, sim := redistest.Start(t), simulate(t, "10", "11", "12")
	rdb := server.Client(t)
	atWork, finish := make(chan string), make(chan struct{})
	sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Times: 1, Hook: func(c modelartstest.Call) {
		atWork <- c.JobID
		<-finish
	}})
	r := start(t, signing(server, sim), "--concurrency", "1", "--api-rate", "0")
	ask(t, rdb, "b", "10", "11", "12")
	first := <-atWork
	_, metrics := r.get("/metrics")
	wantContains(t, metrics, "vizstop_call_slots 1\n", "vizstop_call_slots_used 1\n") // although no call has ended
	r.cancel()
	await(t, "readyz to say that it ends", func() bool {
		status, body := r.get("/readyz")
		return status == 503 && body == "not ready\nshutting down\n"
	})
	close(finish)
	r.wait()
	wantContains(t, r.log.String(), "worker stops: finishing the tasks at work", "worker stopped")
	if got := counts(t, rdb, "b"); got[ledger.Stopping] != 1 || got[ledger.Pending] != 2 {
		t.Errorf("after the first worker: %v, want 1 stopping and 2 pending", got)
	}
	if calls := sim.Counts(); stopCalls(sim, first) != 1 || calls[jobs.OperationStop] != 1 {
		t.Errorf("the first worker made %v calls, want one stop call for job %s", calls, first)
	}

	start(t, signing(server, sim))
	awaitStopped(t, rdb, "b", 3)
	if n := sim.Counts()[jobs.OperationStop]; n != 3 {
		t.Errorf("%d stop calls, want one for each job", n)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	const password = "redis-password"
	server, sim := redistest.Start(t, "--requirepass", password), simulate(t, "10")
	dir := t.TempDir()
	env := environ{"VIZSTOP_REDIS": server.AdminURL(), "MODELARTS_ENDPOINT": sim.URL}
	secrets := environ{"HW_ACCESS_KEY": accessKey, "HW_SECRET_KEY": secretKey, "VIZSTOP_REDIS_PASSWORD": password}
	for name, secret := range secrets {
		env[name+"_FILE"] = filepath.Join(dir, name)
		if err := os.WriteFile(env[name+"_FILE"], []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := start(t, env, "--log-level", "debug")
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr, Password: password})
	defer rdb.Close()
	ask(t, rdb, "b", "10")
	awaitStopped(t, rdb, "b", 1)
	_, metrics := r.get("/metrics")
	r.stop()
	for _, secret := range secrets {
		if strings.Contains(r.log.String()+metrics, secret) {
			t.Errorf("%q was shown", secret)
		}
	}
}

// Each finished task is one line of log.
func TestLog(t *testing.T) {
	server, sim := redistest.Start(t), simulate(t, "10")
	rdb := server.Client(t)
	r := start(t, signing(server, sim))
	ask(t, rdb, "b", "10")
	awaitStopped(t, rdb, "b", 1)
	r.stop()
	wantContains(t, r.log.String(), `"msg":"stop accepted"`, `"msg":"stop ended"`, `"state":"stopped"`,
		`"job":"10"`, `"project":"`+project+`"`, `"batch":"b"`, `"type":"visualization:stop"`, `"task":"stop:`)
}

// What is wrong with the surroundings is one line that says what to do.
func TestBadSurroundings(t *testing.T) {
	server, locked, sim := redistest.Start(t), redistest.Start(t, "--requirepass", "right"), simulate(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for name, c := range map[string]struct {
		change environ
		want   string
	}{
		"port taken": {environ{"VIZSTOP_LISTEN": taken.Addr().String()},
			"--listen (VIZSTOP_LISTEN): listen tcp " + taken.Addr().String() + ": bind: address already in use"},
		"no Redis": {environ{"VIZSTOP_REDIS": "redis://127.0.0.1:1"},
			"--redis (VIZSTOP_REDIS): no Redis at 127.0.0.1:1: is it running? set --redis or VIZSTOP_REDIS"},
		"no password": {environ{"VIZSTOP_REDIS": locked.AdminURL()},
			"--redis (VIZSTOP_REDIS): Redis at " + locked.Addr + " wants a password: set VIZSTOP_REDIS_PASSWORD"},
		"wrong password": {environ{"VIZSTOP_REDIS": locked.AdminURL(), "VIZSTOP_REDIS_PASSWORD": "wrong-one"},
			"--redis (VIZSTOP_REDIS): Redis at " + locked.Addr + " refuses the password: check the user in the URL and VIZSTOP_REDIS_PASSWORD"},
	} {
		env := signing(server, sim)
		for name, v := range c.change {
			env[name] = v
		}
		var stdout, stderr bytes.Buffer
		if err := run(t.Context(), nil, env.get, &stdout, &stderr); err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
		if stdout.Len() > 0 || stderr.Len() > 0 {
			t.Errorf("%s: wrote %q and %q beside its error", name, &stdout, &stderr)
		}
	}
}
