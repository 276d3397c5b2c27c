// Package queueconn is how asynq talks to Redis in a worker: with little traffic.
// Concurrent script calls share a write, and an idle worker asks for tasks only
// now and then, unless it is told that there are some.
package queueconn

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/coalesce"
	"vizstop/internal/luascript"
)

// Client is a client of Redis for an asynq server. It is safe for concurrent
// use.
type Client struct {
	redis.UniversalClient
	asks  *coalesce.Caller[*redis.Cmd, struct{}] // for tasks
	calls *coalesce.Caller[*redis.Cmd, struct{}] // all others
	idle  time.Duration

	mu    sync.Mutex
	empty bool          // the latest ask found no task
	wakes int           // how often Wake was called
	next  time.Time     // when an idle worker asks again
	woken chan struct{} // closed by Wake
}

const (
	// most is how many calls share a write. Redis makes all calls of a write before it
	// turns to anybody else.
	most = 25
	// pace is the least time between two writes, except of asks: each brings one task,
	// and asynq waits for it before it asks again.
	pace = 2 * time.Millisecond
)

// New returns a client that works through client, which stays the caller's to
// close. While there is nothing to do it asks for tasks every idle.
func New(client redis.UniversalClient, idle time.Duration) *Client {
	c := &Client{UniversalClient: client, idle: idle, woken: make(chan struct{})}
	c.asks, c.calls = coalesce.New(most, 0, c.run), coalesce.New(most, pace, c.run)
	return c
}

// Close leaves the client open.
func (c *Client) Close() error { return nil }

// Wake says that there may be tasks now.
func (c *Client) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wakes++
	if c.empty {
		c.empty = false
		close(c.woken)
		c.woken = make(chan struct{})
	}
}

// EvalSha runs a script, in the same write as others. asynq does all that it does
// often in this way.
func (c *Client) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	asks, wakes, calls := isAsk(keys), 0, c.calls
	if asks {
		calls = c.asks
		var turn bool
		if turn, wakes = c.rest(ctx); !turn {
			cmd := redis.NewCmd(ctx)
			cmd.SetErr(redis.Nil) // as if there was no task
			return cmd
		}
	}
	words := make([]any, 0, 3+len(keys)+len(args))
	words = append(words, "evalsha", sha, len(keys))
	for _, k := range keys {
		words = append(words, k)
	}
	cmd := redis.NewCmd(ctx, append(words, args...)...)
	_, _ = calls.Do("", cmd) // the command has its own error
	if asks {
		c.learn(errors.Is(cmd.Err(), redis.Nil), wakes)
		pause(ctx, cmd.Err())
	}
	return cmd
}

// Eval is how asynq runs a script that Redis does not know yet.
func (c *Client) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	cmd := c.UniversalClient.Eval(ctx, script, keys, args...)
	if isAsk(keys) {
		pause(ctx, cmd.Err())
	}
	return cmd
}

// refusedPause is how long an ask that Redis has refused takes at least: asynq asks again
// at once, and a Redis that is full, or lets this user do nothing, refuses at once.
const refusedPause = 300 * time.Millisecond

func pause(ctx context.Context, err error) {
	if err == nil || errors.Is(err, redis.Nil) || redis.HasErrorPrefix(err, "NOSCRIPT") {
		return
	}
	timer := time.NewTimer(refusedPause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (c *Client) run(_ string, cmds []*redis.Cmd) ([]struct{}, error) {
	ctx := context.Background()
	if len(cmds) == 1 {
		_ = c.Process(ctx, cmds[0])
		return make([]struct{}, 1), nil
	}
	pipe := luascript.Together(c.UniversalClient)
	for _, cmd := range cmds {
		_ = pipe.Process(ctx, cmd) // tells nothing before Exec
	}
	if _, err := pipe.Exec(ctx); err != nil && !slices.ContainsFunc(cmds, failed) {
		for _, cmd := range cmds { // none was sent, and go-redis does not tell each of them so
			cmd.SetErr(err)
		}
	}
	return make([]struct{}, len(cmds)), nil
}

func failed(cmd *redis.Cmd) bool { return cmd.Err() != nil }

// isAsk reports whether a script call of these keys asks asynq's queue for a
// task. A test on asynq itself fails when it does so in another way.
func isAsk(keys []string) bool {
	return len(keys) == 4 && strings.HasPrefix(keys[0], "asynq:") && strings.HasSuffix(keys[0], ":pending") &&
		strings.HasSuffix(keys[1], ":paused") && strings.HasSuffix(keys[3], ":lease")
}

// longestRest bounds how old an ask gets: it holds the time until which the task is
// asynq's, half a minute later.
const longestRest = time.Second

// rest waits while there is nothing to do, but not for long. turn says whether to ask now: of several who wait, one
// does. wakes is how often it was said until then that there may be something.
func (c *Client) rest(ctx context.Context) (turn bool, wakes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if wait := time.Until(c.next); c.empty && wait > 0 {
		woken := c.woken
		c.mu.Unlock()
		timer := time.NewTimer(min(wait, longestRest))
		select {
		case <-timer.C:
		case <-woken:
		case <-ctx.Done():
		}
		timer.Stop()
		c.mu.Lock()
	}
	if c.empty {
		if time.Until(c.next) > 0 {
			return false, c.wakes
		}
		c.next = time.Now().Add(c.idle)
	}
	return true, c.wakes
}

// learn notes whether an ask found no task. What was put into the queue while it was
// under way it may have missed.
func (c *Client) learn(empty bool, wakes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case empty && !c.empty && wakes == c.wakes:
		c.empty, c.next = true, time.Now().Add(c.idle)
	case !empty && c.empty:
		c.empty = false
		close(c.woken)
		c.woken = make(chan struct{})
	}
}
