package redisconn

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// whatToAllow ends every message about an access list.
const whatToAllow = "its access list must allow what deploy/redis/users.acl does; redis-cli ACL LOG shows what was denied"

// deniedError is an answer of Redis to a user without the right to a command, a
// key or a channel.
type deniedError struct{ error }

func (e deniedError) Error() string {
	return e.error.Error() + ": Redis denies this to its user: " + whatToAllow
}

// Unwrap keeps what Redis said.
func (e deniedError) Unwrap() error { return e.error }

// RedisError marks it as Redis' own answer.
func (deniedError) RedisError() {}

// isDenied also knows the errors of commands in a script, which have no code
// and, in Redis 7.0, no command either. Source: script.c and script_lua.c of 7.0 and 7.2.
func isDenied(err error) bool {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return false
	}
	text := reply.Error()
	return strings.HasPrefix(text, "NOPERM") || strings.Contains(text, "The user executing the script can't") ||
		strings.Contains(text, "ACL failure in script")
}

// explainDenied is a hook that says what to do when Redis denies something in
// the middle of work: Check can only try a few commands.
type explainDenied struct{}

// DialHook changes nothing.
func (explainDenied) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook explains the error of one command.
func (explainDenied) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if isDenied(err) {
			err = deniedError{err}
			cmd.SetErr(err)
		}
		return err
	}
}

// ProcessPipelineHook explains the errors of many.
func (explainDenied) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		var first error
		for _, cmd := range cmds {
			if isDenied(cmd.Err()) {
				cmd.SetErr(deniedError{cmd.Err()})
				first = cmp.Or(first, cmd.Err())
			}
		}
		switch {
		case isDenied(err):
			return deniedError{err}
		case first != nil && redis.HasErrorPrefix(err, "EXECABORT"): // why the transaction was discarded
			return first
		}
		return err
	}
}
