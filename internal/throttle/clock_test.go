package throttle

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

// clocked is a real Redis whose scripts read the time that the test sets: much
// faster than an imitation, which reads a script anew each time.
type clocked struct {
	t   *testing.T
	rdb *redis.Client
	sha map[string]string // of a script to that of its twin with another clock
}

const clockCall, clockKey = "redis.call('TIME')", "redis.call('LRANGE', 'clock', 0, 1)"

func newClocked(t *testing.T) *clocked {
	c := &clocked{t: t, rdb: redistest.Start(t).Client(t), sha: map[string]string{}}
	for _, names := range [][]string{{"rate", "take"}, {"rate", "park"}, {"rate", "fleet"}, {"rate", "rates"}, {"halt"}, {"lift"}, {"hasten"}} {
		src := scriptSource(names...)
		twin, err := c.rdb.ScriptLoad(t.Context(), strings.ReplaceAll(src, clockCall, clockKey)).Result()
		if err != nil {
			t.Fatal(err)
		}
		sum := sha1.Sum([]byte(src))
		c.sha[hex.EncodeToString(sum[:])] = twin
	}
	c.rdb.AddHook(c)
	return c
}

func (c *clocked) SetTime(now time.Time) {
	pipe := c.rdb.TxPipeline()
	pipe.Del(c.t.Context(), "clock")
	pipe.RPush(c.t.Context(), "clock", now.Unix(), now.Nanosecond()/1000)
	if _, err := pipe.Exec(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

func (c *clocked) twin(cmd redis.Cmder) {
	if args := cmd.Args(); cmd.Name() == "evalsha" {
		if sha, ok := c.sha[args[1].(string)]; ok {
			args[1] = sha
		}
	}
}

func (c *clocked) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *clocked) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.twin(cmd)
		return next(ctx, cmd)
	}
}

func (c *clocked) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			c.twin(cmd)
		}
		return next(ctx, cmds)
	}
}
