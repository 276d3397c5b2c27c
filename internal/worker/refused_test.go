package worker

import (
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/redisconn"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

const refusedProject = "0123456789abcdef0123456789abcdef"

// startWorker starts a worker on s, which looks at its fitness every so often, and returns how to ask for its pages.
func startWorker(t *testing.T, s *redistest.Server, log *slog.Logger, fitness time.Duration) (page func(path string) (int, string)) {
	t.Helper()
	return startWorkerOn(t, s.Limited(t), log, fitness)
}

func startWorkerOn(t *testing.T, rdb redis.UniversalClient, log *slog.Logger,
	fitness time.Duration) (page func(path string) (int, string)) {
	t.Helper()
	reg := prometheus.NewRegistry()
	client, err := modelarts.New("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	w := New(Config{
		Redis: rdb, Jobs: v1.New(client), Registry: reg, Metrics: NewMetrics(reg, "test"), Logger: log,
		FitnessInterval: fitness,
	})
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Shutdown)
	return func(path string) (int, string) {
		rec := httptest.NewRecorder()
		w.Pages().ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		return rec.Code, rec.Body.String()
	}
}

// awaitReady waits until /readyz has a status and says that; its other lines are returned, too.
func awaitReady(t *testing.T, page func(string) (int, string), status int, says string) string {
	t.Helper()
	var code int
	var body string
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		if code, body = page("/readyz"); code == status && strings.Contains(body, says) {
			return body
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("/readyz is %d %q, want %d with %q", code, body, status, says)
		}
	}
}

// A worker on a Redis that takes no writes is not ready: all stands still. It says why and what to do, shows it in the
// metrics, and no longer does with the first write that Redis takes.
func TestAFullRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--appendonly", "yes")
	page := startWorker(t, s, slog.New(slog.DiscardHandler), time.Hour)
	set := func(value string) {
		t.Helper()
		if err := s.Client(t).ConfigSet(t.Context(), "maxmemory", value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	awaitReady(t, page, 200, "ok\n")
	for range 2 {
		set("1")
		body := awaitReady(t, page, 503, "Redis refuses writes")
		if !strings.HasPrefix(body, "not ready\nRedis refuses writes: out of memory: raise maxmemory above used_memory") || !strings.Contains(body, "docs/operations.md#redis-refuses-writes\n") {
			t.Errorf("/readyz of a full Redis: %q", body)
		}
		if _, metrics := page("/metrics"); !strings.Contains(metrics, `vizstop_redis_unfit{risk="refuses_writes"} 1`+"\n") || !strings.Contains(metrics, "vizstop_redis_up 1\n") {
			t.Error("the metrics do not show that Redis refuses writes")
		}
		set("0")
		awaitReady(t, page, 200, "ok\n")
		if _, metrics := page("/metrics"); !strings.Contains(metrics, `vizstop_redis_unfit{risk="refuses_writes"} 0`+"\n") {
			t.Error("the metrics show that Redis refuses writes, although it takes them")
		}
	}
}

// In a Redis Cluster only the node of the queue is full: beats and rounds go on, and no task can be enqueued. The first
// one that is refused says so.
func TestAFullNodeOfTheQueue(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 2)
	options, err := redisconn.Parse(cluster.URL)
	if err != nil {
		t.Fatal(err)
	}
	rdb, ctx := options.Client(), t.Context()
	t.Cleanup(func() { rdb.Close() })
	queue := cluster.Owner(t, "asynq:{"+tasks.Queue+"}:pending")
	other := cluster.Nodes[(slices.Index(cluster.Nodes, queue)+1)%2]
	for _, key := range []string{"vizstop:{-}:workers", ledger.Keys(refusedProject).Small(), "asynq:queues"} {
		if cluster.Owner(t, key) == queue {
			cluster.MoveSlot(t, key, other, func() {})
		}
	}
	page := startWorkerOn(t, rdb, slog.New(slog.DiscardHandler), time.Hour)
	awaitReady(t, page, 200, "ok\n")
	set := func(value string) {
		t.Helper()
		if err := queue.Client(t).ConfigSet(ctx, "maxmemory", value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	asks := []ledger.Ask{{JobID: "1", Deadline: time.Now().Add(time.Hour)}}
	if _, err := ledger.New(rdb, time.Now).Open(ctx, refusedProject, "b", asks); err != nil {
		t.Fatal(err)
	}
	set("1")
	if err := release.Ask(ctx, rdb, refusedProject); err != nil {
		t.Fatal(err)
	}
	body := awaitReady(t, page, 503, "it is the node of the queue visualization: no task can be enqueued\n")
	if !strings.HasPrefix(body, "not ready\nRedis refuses writes: out of memory: ") {
		t.Errorf("/readyz with a full node: %q", body)
	}
	if _, metrics := page("/metrics"); !strings.Contains(metrics, `vizstop_redis_unfit{risk="refuses_writes"} 1`+"\n") {
		t.Error("the metrics do not show that Redis refuses writes")
	}
	set("0")
	awaitReady(t, page, 200, "ok\n")
}

// One project whose rounds keep failing is named, with what Redis says; the worker stays ready for others.
func TestAProjectWhoseRoundsFail(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--appendonly", "yes")
	page := startWorker(t, s, slog.New(slog.DiscardHandler), time.Hour)
	rdb, key := s.Client(t), ledger.Keys(refusedProject).Small()
	if err := rdb.Set(t.Context(), key, "somebody wrote this", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := release.Ask(t.Context(), rdb, refusedProject); err != nil {
		t.Fatal(err)
	}
	body := awaitReady(t, page, 200, "rounds of project")
	if !strings.Contains(body, "\nnote: rounds of project "+refusedProject+" fail since ") || !strings.Contains(body, "WRONGTYPE") {
		t.Errorf("/readyz with a key of a wrong type: %q", body)
	}
	if err := rdb.Del(t.Context(), key).Err(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		if _, body = page("/readyz"); body == "ok\n" {
			break
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("the key is gone, and /readyz says %q", body)
		}
	}
}

// What keeps the worker from being ready stands before what is only worth knowing.
func TestNotesComeLast(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t) // keeps nothing: a note
	page := startWorker(t, s, slog.New(slog.DiscardHandler), time.Hour)
	rdb := s.Client(t)
	producer := asynq.NewClientFromRedisClient(rdb)
	if _, err := producer.Enqueue(asynq.NewTask(tasks.TypeStop, nil), asynq.Queue(tasks.Queue), asynq.Group("g")); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(awaitReady(t, page, 200, "asynq Group")), "\n")
	if lines[0] != "ok" || !slices.Contains(lines, "note: 1 task in the queue has an asynq Group: no worker will take it; enqueue it without") {
		t.Errorf("/readyz with one note: %q", lines)
	}
	if err := rdb.HSet(t.Context(), ledger.Keys(refusedProject).Control(), "hold", string(release.Permission), "hold_since", time.Now().UnixMilli(), "hold_words", "no").Err(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.SAdd(t.Context(), "vizstop:{-}:held", refusedProject).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.New(rdb, time.Now).Open(t.Context(), refusedProject, "b", []ledger.Ask{{JobID: "1", Deadline: time.Now().Add(time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	if err := release.Ask(t.Context(), rdb, refusedProject); err != nil {
		t.Fatal(err)
	}
	lines = strings.Split(strings.TrimSpace(awaitReady(t, page, 503, "permission")), "\n")
	first := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "note: ") })
	if first < 2 || slices.ContainsFunc(lines[first:], func(l string) bool { return !strings.HasPrefix(l, "note: ") }) || !strings.Contains(lines[1], "permission") {
		t.Errorf("causes and notes: %q", lines)
	}
}

// A Redis that says nothing keeps nobody waiting who asks whether the worker is ready.
func TestReadyWhileRedisHangs(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--appendonly", "yes")
	page := startWorker(t, s, slog.New(slog.DiscardHandler), time.Hour)
	awaitReady(t, page, 200, "ok\n")
	s.Pause()
	defer s.Resume()
	for range 4 {
		began := time.Now()
		status, body := page("/readyz")
		took := time.Since(began)
		if status != 503 || body != "not ready\nRedis: no answer within 1.5s\n" || took > time.Minute {
			t.Errorf("/readyz after %v: %d %q", took, status, body)
		}
	}
}
