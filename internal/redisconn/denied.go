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

// explainedError is an answer of Redis that says what it does not do, with what to do about it.
type explainedError struct {
	error
	hint string
}

func (e explainedError) Error() string {
	return strings.TrimSuffix(e.error.Error(), ".") + ": " + e.hint
}

// Unwrap keeps what Redis said.
func (e explainedError) Unwrap() error { return e.error }

// RedisError marks it as Redis' own answer.
func (explainedError) RedisError() {}

// explained adds what to do to an answer that denies something, or that refuses a write; another error stays as it is.
func explained(err error) error {
	hint := WritesRefused(err)
	if isDenied(err) {
		hint = "Redis denies this to its user: " + whatToAllow
	}
	if hint == "" {
		return err
	}
	return explainedError{err, hint}
}

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

// explainRefusals is a hook that says what to do when Redis denies something or refuses a write in the middle of work:
// Check can only try a few commands, and writes nothing.
type explainRefusals struct{}

// DialHook changes nothing.
func (explainRefusals) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook explains the error of one command.
func (explainRefusals) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if better := explained(err); better != err {
			err = better
			cmd.SetErr(err)
		}
		return err
	}
}

// ProcessPipelineHook explains the errors of many.
func (explainRefusals) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		var first error
		for _, cmd := range cmds {
			if better := explained(cmd.Err()); better != cmd.Err() {
				cmd.SetErr(better)
				first = cmp.Or(first, better)
			}
		}
		if first != nil && redis.HasErrorPrefix(err, "EXECABORT") { // why the transaction was discarded
			return first
		}
		return explained(err)
	}
}
