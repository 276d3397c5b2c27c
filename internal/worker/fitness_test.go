package worker

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"vizstop/internal/logtest"
	"vizstop/internal/redisfit"
	"vizstop/internal/redistest"
)

// What is wrong with Redis is said at the start, and what goes wrong or right
// later when it does: in the log once, in the metrics and in /readyz as long as
// it is so. The worker stays ready.
func TestUnfitRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t) // keeps nothing
	admin := s.Client(t)
	var log logtest.Buffer
	page := startWorker(t, s, slog.New(slog.NewJSONHandler(&log, nil)), 10*time.Millisecond)
	set := func(name, value string) {
		if err := admin.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	// shows waits for the risks that are in the metrics and, by their notes, in /readyz.
	shows := func(risks ...redisfit.Risk) {
		t.Helper()
		want := map[redisfit.Risk]bool{}
		for _, r := range risks {
			want[r] = true
		}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for began := time.Now(); ; <-tick.C {
			_, metrics := page("/metrics")
			status, ready := page("/readyz")
			ok := status == 200 && strings.Count(ready, "Redis is not fit") == len(risks)
			for _, r := range redisfit.Risks() {
				value := "0"
				if want[r] {
					value = "1"
					ok = ok && strings.Contains(ready, "Redis is not fit ("+string(r)+")")
				}
				ok = ok && strings.Contains(metrics, `vizstop_redis_unfit{risk="`+string(r)+`"} `+value+"\n")
			}
			if ok {
				return
			}
			if time.Since(began) > time.Minute {
				t.Fatalf("want %q, but /readyz is %d %s\nand the metrics are\n%s", risks, status, ready, metrics)
			}
		}
	}
	warnings := func(risk redisfit.Risk, want int) {
		t.Helper()
		text := `"level":"WARN","msg":"Redis is not fit","risk":"` + string(risk) + `"`
		if n := strings.Count(log.String(), text); n != want {
			t.Errorf("%d warnings of %s, want %d:\n%s", n, risk, want, &log)
		}
	}
	shows(redisfit.NoAppendOnly)
	warnings(redisfit.NoAppendOnly, 1)
	warnings(redisfit.Eviction, 0)

	set("maxmemory-policy", "allkeys-lru")
	shows(redisfit.Eviction, redisfit.NoAppendOnly)
	set("maxmemory-policy", "noeviction")
	shows(redisfit.NoAppendOnly)
	set("appendonly", "yes")
	shows()
	s.AwaitLog()
	set("maxmemory-policy", "volatile-lru")
	shows(redisfit.Eviction)
	warnings(redisfit.NoAppendOnly, 1)
	warnings(redisfit.Eviction, 2)
	for _, want := range []string{
		`"loss":"a crash forgets the stops and outcomes since its last snapshot, or all if it takes none"`, `"do":"redis-cli CONFIG SET maxmemory-policy noeviction`,
		`"level":"INFO","msg":"Redis no longer runs a risk","risk":"no_append_only"`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, &log)
		}
	}
}

// What was seen last stays while Redis does not answer: the other pages tell that.
func TestFitnessOfAnAbsentRedis(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	f := &fitness{redis: s.Client(t), log: slog.New(slog.DiscardHandler)}
	f.first(t.Context())
	s.Kill()
	if _, ok := f.look(t.Context()); ok || !f.unfit()["no_append_only"] || len(f.notes()) != 1 {
		t.Errorf("after a look at nothing (%v): %v, %q", ok, f.unfit(), f.notes())
	}
}
