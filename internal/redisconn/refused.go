package redisconn

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// refusalPause is how long a command takes at least that Redis refuses.
const refusalPause = 200 * time.Millisecond

// PauseAfterRefusals makes client hold back an error that Redis answers with for
// 0.2 s, or until the command's context ends. asynq 0.26 asks again at once when
// Redis refuses to hand out a task, which it does when it is full, a replica, or
// short of rights: each worker would keep a core of its own and one of Redis'
// busy. Clients of Options have it already.
func PauseAfterRefusals(client redis.UniversalClient) { client.AddHook(pauseAfterRefusal{}) }

type pauseAfterRefusal struct{}

// DialHook changes nothing.
func (pauseAfterRefusal) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook holds back the error of one command.
func (pauseAfterRefusal) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if isRefusal(err) {
			timer := time.NewTimer(refusalPause)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		return err
	}
}

// ProcessPipelineHook changes nothing: nobody repeats those at once.
func (pauseAfterRefusal) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// isRefusal leaves out the two answers that are part of normal work: nothing
// there, and a script that Redis has yet to be sent.
func isRefusal(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok && !errors.Is(err, redis.Nil) && !redis.HasErrorPrefix(err, "NOSCRIPT")
}
