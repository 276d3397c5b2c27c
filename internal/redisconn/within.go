package redisconn

import (
	"context"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// LimitCommands ends each command and pipeline of client after limit, with all its
// repeats and the dialling that it needs: for programs in which somebody waits for the
// answer. Its error is then one of a time-out. Without it, a Redis that is silent keeps
// a command for 6 s or more. A client with commands that block must not have it.
func LimitCommands(client redis.UniversalClient, limit time.Duration) { client.AddHook(within(limit)) }

type within time.Duration

// DialHook changes nothing.
func (within) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook limits one command.
func (w within) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(w))
		defer cancel()
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook limits many.
func (w within) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(w))
		defer cancel()
		return next(ctx, cmds)
	}
}
