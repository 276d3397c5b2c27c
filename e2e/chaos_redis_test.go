package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

// redisLoad keeps two workers busy, and leaves them room to catch up.
func redisLoad(url string) load {
	return load{redisURL: url, jobs: size(100, 1000), spread: size(2*time.Second, 25*time.Second), stopTime: time.Second,
		latency: 100 * time.Millisecond, count: 2, concurrency: 16}
}

// Redis is killed in the middle of everything, and comes back with all that it
// has answered for.
func TestChaosRedisKilled(t *testing.T) {
	t.Parallel()
	chaos(t, "Redis killed with -9 and restarted, 5 times (appendfsync always)", func(t *testing.T) score {
		server := redistest.Start(t, durable()...)
		f := newFleet(t, redisLoad(server.URL))
		f.ask()
		kills := size(2, 5)
		for i := range kills {
			f.awaitWork(float64(i+1) / float64(kills+2))
			killed := time.Now()
			server.Kill()
			hold(time.Duration(i) * time.Second) // go-redis rides out the first
			server.StartAgain()
			f.mark()
			f.away = append(f.away, window{killed, time.Now()})
		}
		s := f.settle("stopped")
		wantRecovery(t, s, redisLimit)
		return s
	})
}

// Redis stands still for longer than asynq's lease of 30 s: every worker loses
// the tasks that it has at work.
func TestChaosRedisPaused(t *testing.T) {
	t.Parallel()
	longChaos(t, "Redis paused for 40 s, longer than a lease", func(t *testing.T) score {
		server := redistest.Start(t, durable()...)
		f := newFleet(t, redisLoad(server.URL))
		f.ask()
		f.awaitWork(0.3)
		server.Pause()
		hold(40 * time.Second)
		server.Resume()
		f.mark()
		s := f.settle("stopped")
		wantRecovery(t, s, redisLimit)
		return s
	})
}

// Redis forgets every script, again and again.
func TestChaosScriptFlush(t *testing.T) {
	t.Parallel()
	chaos(t, "SCRIPT FLUSH, 50 times", func(t *testing.T) score {
		f := newFleet(t, redisLoad(redistest.Start(t, durable()...).URL))
		flushes := size(10, 50)
		f.flushScripts()
		f.ask()
		for i := range flushes {
			f.awaitWork(float64(i+1) / float64(flushes+1))
			f.flushScripts()
		}
		s := f.settle("stopped")
		wantRecovery(t, s, outageLimit)
		return s
	})
}

func (f *fleet) flushScripts() {
	f.t.Helper()
	if err := f.rdb.ScriptFlush(context.Background()).Err(); err != nil {
		f.t.Fatal(err)
	}
	f.mark()
}

// Redis takes no more data for longer than a lease. Half of the stops are
// asked for meanwhile: enqueue says so and what to do, and the same command
// completes the batch.
func TestChaosRedisFull(t *testing.T) {
	t.Parallel()
	chaos(t, "Redis full for 40 s (maxmemory, noeviction)", func(t *testing.T) score {
		server := redistest.Start(t, append(durable(), "--maxmemory-policy", "noeviction")...)
		f := newFleet(t, redisLoad(server.URL))
		f.enqueue(0, f.jobs/2).wantExit(0)
		f.awaitWork(0.2)
		f.limitMemory("1")
		p := f.enqueue(f.jobs/2, f.jobs)
		p.wantExit(1)
		if said := p.stderr.String(); !strings.Contains(said, "nothing was enqueued") && !strings.Contains(said, "--batch "+chaosBatch) {
			t.Errorf("enqueue does not say what is safe: %s", said)
		}
		hold(size(time.Second, 40*time.Second))
		f.limitMemory("0")
		f.mark()
		f.enqueue(f.jobs/2, f.jobs).wantExit(0)
		f.asked = f.jobs
		s := f.settle("stopped")
		wantRecovery(t, s, redisLimit)
		return s
	})
}

func (f *fleet) limitMemory(bytes string) {
	f.t.Helper()
	if err := f.rdb.(*redis.Client).ConfigSet(context.Background(), "maxmemory", bytes).Err(); err != nil {
		f.t.Fatal(err)
	}
}

// The machine of a Redis with appendfsync everysec loses its power: what it
// wrote in the last second and a half is gone. What was asked for before is done;
// a stop whose call was forgotten may find that its job has ended already.
func TestChaosLastSecondLost(t *testing.T) {
	t.Parallel()
	longChaos(t, "Redis loses its last 1.5 s (everysec and a power cut)", func(t *testing.T) score {
		server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0")
		f := newFleet(t, redisLoad(server.URL))
		f.forgetful = true
		f.ask()
		f.awaitWork(0.4)
		before := server.LogSize()
		hold(1500 * time.Millisecond)
		server.Kill()
		server.CutLog(before)
		server.StartAgain()
		f.mark()
		s := f.settle("stopped", "already_stopped")
		wantRecovery(t, s, redisLimit)
		return s
	})
}
