package simulation

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
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

// isClaim reports whether a command claims one step: only that script takes nine
// keys, the first of them the control hash.
func isClaim(cmd redis.Cmder) bool {
	args := cmd.Args()
	if len(args) < 4 || !strings.HasPrefix(cmd.Name(), "eval") {
		return false
	}
	first, _ := args[3].(string)
	return args[2] == 9 && strings.HasSuffix(first, ":control")
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
