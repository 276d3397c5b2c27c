package simulation

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/release"
	"vizstop/internal/worker"
)

// slowClaims holds back the answer to a worker's claims.
type slowClaims struct{ delay time.Duration }

func (h slowClaims) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (h slowClaims) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if slices.ContainsFunc(cmds, isClaim) {
			time.Sleep(h.delay)
		}
		return err
	}
}

func (h slowClaims) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if isClaim(cmd) {
			time.Sleep(h.delay) // virtual: costs nothing
		}
		return err
	}
}

// isClaim reports whether a command claims one step: only that script takes eleven keys and a stop, the last of the
// eleven the stops that are pending.
func isClaim(cmd redis.Cmder) bool { return takesKeys(cmd, 12, ":state:pending") }

// isTake reports whether a command takes one stop for a look without a task: only that
// script takes nine keys and a stop, the last of the nine the stops that are held.
func isTake(cmd redis.Cmder) bool { return takesKeys(cmd, 10, ":waiting:held") }

// takesKeys reports whether a command is a script with n keys, the last but one of which ends so.
func takesKeys(cmd redis.Cmder, n int, lastButOne string) bool {
	args := cmd.Args()
	if !strings.HasPrefix(cmd.Name(), "eval") || len(args) < 3+n || args[2] != n {
		return false
	}
	key, _ := args[1+n].(string)
	return strings.HasSuffix(key, lastButOne)
}

// A stop whose deadline has passed is asked for again after a worker has seen that it
// is late, and before it takes it to end it: the stop goes on for the second batch.
func TestAskedForAnewAtTheDeadline(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		gate := release.New(w.rdb, "", time.Now, release.Config{})
		if _, err := gate.Pause(context.Background(), project, "somebody", "why"); err != nil {
			t.Fatal(err)
		}
		ask := func(batch string, deadline time.Duration) {
			asks := []ledger.Ask{{JobID: "10", Deadline: time.Now().Add(deadline)}}
			if _, err := w.producer.Ask(context.Background(), project, batch, asks); err != nil {
				t.Error(err)
			}
		}
		ask("first", 30*time.Second)
		again := sync.OnceFunc(func() { ask("second", time.Hour) })
		r := w.start(pausable(&pause{}, func(cmd redis.Cmder, after bool) {
			if !after && isTake(cmd) {
				again()
			}
		}, nil))
		defer r.stop()
		time.Sleep(time.Minute)
		if _, err := gate.Resume(context.Background(), project); err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, w.awaitEnd(10*time.Minute, "second")["10"], ledger.Stopped, "")
	})
}

// A stop that expires without a call says what has held it back.
func TestAStopThatExpiresInAPause(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10"})
		gate := release.New(w.rdb, "", time.Now, release.Config{})
		if _, err := gate.Pause(context.Background(), project, "somebody", "why"); err != nil {
			t.Fatal(err)
		}
		r := w.start(rarely)
		defer r.stop()
		asks := []ledger.Ask{{JobID: "10", Deadline: time.Now().Add(30 * time.Second)}}
		if _, err := w.producer.Ask(context.Background(), project, "b", asks); err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, w.awaitEnd(time.Minute, "b")["10"], ledger.Expired, "by somebody: why")
	})
}

// A worker that stood still between its claim and the answer does not call: there
// may be a pause since, or the deadline is over.
func TestAClaimThatComesLateIsNotUsed(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10"})
		r := w.start(func(c *worker.Config) { c.Redis.AddHook(slowClaims{20 * time.Second}) })
		defer r.stop()
		asks := []ledger.Ask{{JobID: "10", Deadline: time.Now().Add(30 * time.Second)}}
		if _, err := w.producer.Ask(context.Background(), project, "b", asks); err != nil {
			t.Fatal(err)
		}
		wantOutcome(t, w.awaitEnd(10*time.Minute, "b")["10"], ledger.Expired, "before the stop call was accepted")
		if n := w.calls("10", jobs.OperationStop); n != 0 {
			t.Errorf("%d stop calls after the deadline, want none", n)
		}
	})
}
