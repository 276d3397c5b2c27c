package e2e

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
	"vizstop/internal/tasks"
)

// usersFile is what operators give to Redis as its aclfile.
var usersFile = filepath.Join("..", "deploy", "redis", "users.acl")

// allowed reads the commands that each program's user may use.
func allowed(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(usersFile)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		for _, word := range words {
			if command, ok := strings.CutPrefix(word, "+"); ok {
				program := strings.TrimPrefix(words[1], "vizstop-")
				all[program] = append(all[program], command)
			}
		}
	}
	return all
}

// Whatever the access list allows is used: worker, enqueue and console do, in turn, all
// that they can do, and between the turns Redis is asked what it was sent. That
// nothing is missing is seen by every other test: one that was denied anything
// fails.
func TestAccessListIsMinimal(t *testing.T) {
	t.Parallel()
	w := newWorld(t, modelartstest.Config{})
	used := map[string]map[string]bool{"worker": {}, "enqueue": {}, "console": {}, "producer": {}}
	turn := func(program string, do func()) {
		t.Helper()
		if err := w.rdb.ConfigResetStat(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		do()
		stats, err := w.rdb.Info(t.Context(), "commandstats").Result() // does not count itself
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range commandStat.FindAllStringSubmatch(stats, -1) {
			used[program][m[1]] = true
		}
	}
	env := w.envWith(w.redis.URL[:len(w.redis.URL)-1] + "1") // a database of its own: SELECT
	enqueue := func(code int, args ...string) string {
		t.Helper()
		p := launch(t, env, "", "enqueue", args...)
		p.wantExit(code)
		return p.stdout.String()
	}
	ids := w.addJobs(5, 500*time.Millisecond)
	w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, JobID: ids[0], Times: 1,
		Reply: modelartstest.ReplyError(429, "ModelArts.0429", "too many requests")})
	w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, JobID: ids[1],
		Reply: modelartstest.ReplyError(400, "ModelArts.0104", "Illegal id")})

	turn("enqueue", func() {
		enqueue(0, append([]string{"--batch", "now", "--reason", "test", "--label", "a=b", "--notify", "http://127.0.0.1:9/"}, ids[:4]...)...)
		enqueue(0, "--batch", "joined", ids[0])
		enqueue(0, "--batch", "later", "--in", "1h", ids[4])
		enqueue(0, "--batch", "soon", w.id(8))
		enqueue(0, "cancel", "later")
		enqueue(0, "cancel", "soon")
		enqueue(0, "pause", "--reason", "test")
		enqueue(0, "pause", "--project", project)
		enqueue(0, "resume", "--project", project)
		enqueue(0, "batches")
		enqueue(0, "actions")
		enqueue(0, "show", ids[0])
		enqueue(0, "stops", "now")
		enqueue(0, "resume")
	})

	w.sim.AddJob(project, modelartstest.Job{ID: w.id(7)})
	turn("producer", func() {
		login, err := asynq.ParseRedisURI(redistest.For("producer", env[0][len("VIZSTOP_REDIS="):]))
		if err != nil {
			t.Fatal(err)
		}
		foreign := asynq.NewClient(login)
		defer foreign.Close()
		task := asynq.NewTask(tasks.TypeStop, []byte(`{"project_id":"`+project+`","job_id":"`+w.id(7)+`"}`))
		later := asynq.NewTask(tasks.TypeStop, []byte(`{"project_id":"`+project+`","job_id":"`+w.id(9)+`"}`))
		err = foreign.Ping()
		if err == nil {
			_, err = foreign.Enqueue(task, asynq.Queue(tasks.Queue), asynq.Unique(time.Hour))
		}
		if err == nil {
			_, err = foreign.Enqueue(later, asynq.Queue(tasks.Queue), asynq.ProcessIn(time.Hour))
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	schedules := filepath.Join(t.TempDir(), "schedules.yaml")
	if err := os.WriteFile(schedules, []byte(`{revision: 1, schedules: [{name: evening, at: "20:00", timezone: UTC, rule: {project: `+project+`, name: none-*}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	turn("worker", func() {
		p := startWorker(t, env, "--notify-hosts", "127.0.0.1:9", "--schedules", schedules)
		await(t, "all outcomes, and those of the canceled stops", func() bool {
			_, page := p.get("/metrics")
			ok := metricOf(t, page, `vizstop_stop_outcomes_total{outcome="stopped"}`) == 4
			ok = ok && metricOf(t, page, `vizstop_stop_outcomes_total{outcome="rejected"}`) == 1
			return ok && metricOf(t, page, `vizstop_stop_outcomes_total{outcome="canceled"}`) == 2
		})
		await(t, "a try to post the report", func() bool { return strings.Contains(p.stderr.String(), "report") })
		p.signal(syscall.SIGTERM)
		p.wantExit(0)
	})
	turn("enqueue", func() {
		enqueue(2, "status", "--watch", "now")
		code := w.undoCode()
		if code == 0 { // another batch has joined one of its stops, and wants that job stopped, too
			code = 2
		}
		enqueue(code, "undo", "now", "--yes")
		enqueue(0, "retry", "now")
		enqueue(0, "show", ids[0])
	})

	turn("console", func() { useConsole(t, w, env, "now") })

	for program, commands := range allowed(t) {
		for _, command := range commands {
			if !used[program][command] && !slices.Contains(rare, command) {
				t.Errorf("%s may use %s, and does not", program, command)
			}
		}
		if t.Failed() {
			t.Logf("%s used %q", program, slices.Sorted(maps.Keys(used[program])))
		}
	}
}

// rare are the commands that the test above has no occasion for.
var rare = []string{
	"lindex", "scard", "xrange", "xdel", // the sweep of old batches, a minute after a worker's start at the earliest
	"persist",       // the takeover of joined stops that an earlier version has left
	"publish",       // of a worker: when it ends in the midst of work
	"lpos",          // looking for the task of a step that nobody has claimed for five seconds
	"pubsub|numsub", // whether a worker that has been silent for 2.5 s still listens
}

// commandStat finds the commands that were carried out; denied ones have no calls.
var commandStat = regexp.MustCompile(`(?m)^cmdstat_([^:]+):calls=[1-9]`)

// docs/operations.md says of each command what it is there for, and who has it.
func TestAccessListIsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join("..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`.+`) \\| .+ \\| (yes)? ?\\| (yes)? ?\\| (yes)? ?\\| (yes)? ?\\|$").FindAllStringSubmatch(string(doc), -1) {
		for i, program := range []string{"worker", "enqueue", "console", "producer"} {
			if row[2+i] == "yes" {
				commands := strings.NewReplacer("`", "", `\|`, "|").Replace(row[1])
				documented[program] = append(documented[program], strings.Fields(commands)...)
			}
		}
	}
	for program, commands := range allowed(t) {
		slices.Sort(commands)
		slices.Sort(documented[program])
		if !slices.Equal(commands, documented[program]) {
			t.Errorf("%s may use\n%q, documented are\n%q", program, commands, documented[program])
		}
	}
}

// dryRun asks Redis what it would say to commands of a program's user.
func dryRun(t *testing.T, admin *redis.Client, program string, commands map[string]string) {
	t.Helper()
	for command, want := range commands {
		args := []any{"ACL", "DRYRUN", "vizstop-" + program}
		for _, word := range strings.Fields(command) {
			args = append(args, word)
		}
		if got, err := admin.Do(context.Background(), args...).Text(); err != nil || (got == "OK") != (want == "OK") {
			t.Errorf("%s: %s: %q, %v; want %s", program, command, got, err, want)
		}
	}
}

// The file as it is serves as Redis' aclfile, and lets nobody in before it has
// passwords.
func TestAccessListIsAnACLFile(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(usersFile)
	if err != nil {
		t.Fatal(err)
	}
	server, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is not installed: run `make deps`")
	}
	dir, err := os.MkdirTemp("", "v") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file, socket := filepath.Join(dir, "users.acl"), filepath.Join(dir, "s")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, done := exec.Command(server, "--port", "0", "--unixsocket", socket, "--aclfile", file, "--save", "", "--dir", dir), make(chan struct{})
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := startTied(cmd, done); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); <-done })
	await(t, "the server", func() bool {
		select {
		case <-done:
			t.Fatalf("redis-server has ended:\n%s", &out)
		default:
		}
		return strings.Contains(out.String(), "eady to accept connections")
	})
	admin := redis.NewClient(&redis.Options{Network: "unix", Addr: socket})
	defer admin.Close()
	users, err := admin.ACLList(context.Background()).Result()
	if err != nil || len(users) != 5 {
		t.Errorf("users %q, %v; want the default one and ours", users, err)
	}
	dryRun(t, admin, "console", map[string]string{
		// What people and programs ask for, and nothing that only workers do: tasks, locks, what is forgotten.
		"HGETALL vizstop:{p}:control":            "OK",
		"GET asynq:{visualization}:paused":       "OK",
		"SET asynq:{visualization}:paused 1":     "denied",
		"DEL vizstop:{p}:stop:1":                 "denied",
		"XDEL vizstop:{-}:actions 1-1":           "denied",
		"SUBSCRIBE vizstop:wake":                 "denied",
		"LPUSH asynq:{visualization}:pending 7":  "denied",
		"HGETALL asynq:{visualization}:t:7":      "denied",
		"GET sessions:of:another:program":        "denied",
		"CONFIG GET requirepass":                 "denied",
		"KEYS *":                                 "denied",
		"SCAN 0":                                 "denied",
		"EXPIRE vizstop:{-}:idempotency:x 1":     "OK",
		"HSET vizstop:{-}:idempotency:x print y": "OK",
		"EXPIRE asynq:{visualization}:t:7 1":     "denied",
		"PUBLISH asynq:cancel 1":                 "denied",
	})
	dryRun(t, admin, "producer", map[string]string{
		// What asynq's client writes, and nothing else: neither the ledger nor other queues, nor what workers have
		// in hand.
		"SADD asynq:queues visualization":                    "OK",
		"HSET asynq:{visualization}:t:7 msg x":               "OK",
		"LPUSH asynq:{visualization}:pending 7":              "OK",
		"ZADD asynq:{visualization}:scheduled 1 7":           "OK",
		"SET asynq:{visualization}:unique:stop:7 7 NX EX 60": "OK",
		"HSET vizstop:{p}:stop:1 state stopped":              "denied",
		"ZADD vizstop:notify 1 b":                            "denied",
		"LPUSH asynq:{other}:pending 7":                      "denied",
		"SET asynq:{visualization}:paused 1":                 "denied",
		"ZADD asynq:{visualization}:lease 1 7":               "denied",
		"LPUSH asynq:{visualization}:active 7":               "denied",
		"DEL asynq:{visualization}:t:7":                      "denied",
		"CONFIG GET requirepass":                             "denied",
		"KEYS *":                                             "denied",
	})
	for _, password := range []string{"", "0", strings.Repeat("0", 64)} {
		if err := admin.Do(context.Background(), "AUTH", "vizstop-worker", password).Err(); err == nil {
			t.Errorf("the password %q opens an account that has none", password)
		}
	}
}
