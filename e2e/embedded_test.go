package e2e

import (
	"net"
	"strings"
	"testing"
	"time"

	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redisconn"
)

// A worker brings its own Redis, which enqueue reaches, and says that nothing
// of it is kept. The port is fixed; where something else has it, the worker
// must say so.
func TestEmbeddedRedis(t *testing.T) {
	t.Parallel()
	w := newWorld(t, modelartstest.Config{}) // but for its Redis
	jobs := w.addJobs(3, time.Second)
	env := w.envWith("embedded")
	l, err := net.Listen("tcp", redisconn.DefaultEmbeddedAddr)
	wantPortTaken(t, env)
	if err != nil {
		return // it is somebody else's
	}
	l.Close()
	p := startWorker(t, env)
	if !strings.Contains(p.stderr.String(), `"level":"WARN","msg":"embedded Redis keeps nothing on disk`) {
		t.Error("no warning that nothing is kept")
	}
	enqueue := launch(t, w.envWith("redis://"+redisconn.DefaultEmbeddedAddr+"/0"), "", "enqueue", append(jobs, "--wait")...)
	enqueue.wantExit(0)
	if !strings.Contains(enqueue.stdout.String(), "stopped") {
		t.Errorf("enqueue says:\n%s", &enqueue.stdout)
	}
}

func wantPortTaken(t *testing.T, env []string) {
	t.Helper()
	p := launch(t, env, "", "worker", "--listen", "127.0.0.1:0")
	p.wantExit(1)
	if !strings.HasPrefix(p.stderr.String(), "worker: embedded Redis: port 6380 is taken") {
		t.Errorf("without its port the worker says: %s", &p.stderr)
	}
}
