package main

import (
	"errors"
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/rogpeppe/go-internal/testscript"

	"vizstop/internal/fleet"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
	"vizstop/internal/worker"
)

// The projects of the scripts' jobs, and a made-up key that opens them.
const (
	project   = "0123456789abcdef0123456789abcdef"
	other     = "fedcba9876543210fedcba9876543210"
	accessKey = "SCRIPTACCESSKEY"
	secretKey = "script-secret-key"
)

// scriptsAtOnce is how many scripts run at once, whatever the number of cores:
// most of their time they wait for something.
const scriptsAtOnce = "8"

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", scriptsAtOnce); err != nil { // the command line wins
		panic(err)
	}
	testscript.Main(m, map[string]func(){"enqueue": main})
}

// TestScripts runs each script in testdata against a Redis, a simulated API
// and, from "startworker" on, a worker of its own. What scripts can say beside
// testscript's own commands is in scriptcmds_test.go.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		Setup:              setup,
		Cmds:               commands(),
		RequireUniqueNames: true,
	})
}

// world is what one script plays in. Only the script's goroutine uses it.
type world struct {
	redis    *redistest.Server
	password string        // of redis; "" for none
	rdb      *redis.Client // the harness' own
	limited  *redis.Client // the worker's
	sim      *modelartstest.Server
	hook     *hook
	worker   *worker.Worker       // nil while none runs
	metrics  *prometheus.Registry // of the worker that ran last
	idle     *fleet.Member        // says each second that a worker lives; nil while nobody does
	looked   int                  // looks at batches before the one that is awaited; 0: nobody has counted them
}

// worldKey is where a script's Env keeps its *world.
type worldKey struct{}

func setup(env *testscript.Env) error {
	t, ok := env.T().(testing.TB)
	if !ok {
		return errors.New("scripts must be run by testscript.Run")
	}
	sim, err := modelartstest.Start(modelartstest.Config{
		Auth: modelartstest.Auth{AccessKeys: map[string]string{accessKey: secretKey}},
		Phases: modelartstest.Phases{
			Create: modelartstest.Fixed(time.Hour), // a job that waits goes on waiting
			Stop:   modelartstest.Fixed(10 * time.Millisecond), Restart: modelartstest.Fixed(10 * time.Millisecond),
		},
	})
	if err != nil {
		return err
	}
	env.Defer(sim.Close)
	server := redistest.Start(t)
	w := &world{redis: server, limited: server.Limited(t), sim: sim, hook: newHook()}
	env.Defer(w.hook.Close)
	w.connect()
	env.Defer(func() { w.rdb.Close() })
	env.Defer(w.stopWorker) // before its Redis
	env.Values[worldKey{}] = w
	for name, value := range map[string]string{
		"REDIS": w.redis.AdminURL(), "VIZSTOP_REDIS": redistest.For("enqueue", w.redis.URL),
		"MODELARTS_ENDPOINT": sim.URL, "HW_ACCESS_KEY": accessKey, "HW_SECRET_KEY": secretKey,
		"SAMESERVER": strings.Replace(sim.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1), // as if it were another one
		"ACCESS_KEY": accessKey, "SECRET_KEY": secretKey, "PROJECT": project, "OTHER": other, "HOOK": w.hook.URL, "USER": "alice",
		"GORACE": "atexit_sleep_ms=0", // under -race every process would sleep a second before it ends
	} {
		env.Setenv(name, value)
	}
	return nil
}

func (w *world) connect() {
	if w.rdb != nil {
		w.rdb.Close()
	}
	w.rdb = redis.NewClient(&redis.Options{Addr: w.redis.Addr, Password: w.password})
}
