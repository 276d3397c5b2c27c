package e2e

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
)

// The real promtool has nothing to say about /metrics of a worker that has done
// some work.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatal("promtool is not installed: run `make deps`")
	}
	w := newWorld(t, modelartstest.Config{})
	p := startWorker(t, w.env())
	w.awaitEnd(w.ask(append(w.addJobs(3, time.Second), w.id(404))...))
	await(t, "four stops in vizstop_stop_polls", func() bool { return p.metric("vizstop_stop_polls_count") == 4 })
	status, page := p.get("/metrics")
	if status != 200 {
		t.Fatalf("/metrics: %d", status)
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(page)
	if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	wantOutcomes(t, map[ledger.State]int{ledger.Stopped: 3, ledger.NotFound: 1}, p)
}

// While Redis is away a worker stays alive, and says that it is not ready. When
// Redis is back, work goes on.
func TestRedisGoesAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, modelartstest.Config{Only: either(modelartstest.V2)}, durable()...)
	// Nothing is at work when Redis goes: asynq would need a minute to notice.
	p := startWorker(t, w.env(), "--poll-first", "5s", "--poll-max", "5s")
	batch := w.ask(w.addJobs(20, 20*time.Second)...) // none ends before Redis goes
	await(t, "acceptance", func() bool {
		return w.batch(batch).Counts[ledger.Stopping] == 20 && p.metric(`vizstop_queue_tasks{queue="visualization",state="active"}`) == 0
	})
	w.redis.Kill()

	status, body := p.get("/readyz")
	if status != 503 || !strings.Contains(body, "not ready\nRedis: ") {
		t.Errorf("/readyz: %d %q", status, body)
	}
	if status, _ := p.get("/healthz"); status != 200 {
		t.Errorf("/healthz: %d, want 200: a restart would not help", status)
	}
	if up := p.metric("vizstop_redis_up"); up != 0 {
		t.Errorf("vizstop_redis_up %v, want 0", up)
	}

	w.redis.StartAgain()
	await(t, "readiness", func() bool { status, _ := p.get("/readyz"); return status == 200 })
	for job, s := range w.awaitEnd(batch) {
		if s.State != ledger.Stopped {
			t.Errorf("job %s: %s: %s", job, s.State, s.Reason)
		}
	}
	if up := p.metric("vizstop_redis_up"); up != 1 {
		t.Errorf("vizstop_redis_up %v, want 1", up)
	}
}
