package redisconn

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// hang is a Redis that says nothing, however often it is asked.
type hang struct{}

func (hang) DialHook(next redis.DialHook) redis.DialHook { return next }

func (hang) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		<-ctx.Done()
		cmd.SetErr(ctx.Err())
		return ctx.Err()
	}
}

func (hang) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, _ []redis.Cmder) error {
		<-ctx.Done()
		return ctx.Err()
	}
}

// A command ends after its time, and so does a pipeline.
func TestLimitCommands(t *testing.T) {
	t.Parallel()
	client := mustParse(t, "redis://127.0.0.1:1").Client()
	defer client.Close()
	LimitCommands(client, 20*time.Millisecond)
	client.AddHook(hang{})
	_, pipeline := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		p.Ping(t.Context())
		return nil
	})
	for what, err := range map[string]error{"a command": client.Ping(t.Context()).Err(), "a pipeline": pipeline} {
		if _, ok := errors.AsType[net.Error](err); !ok || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
