package queueconn

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"vizstop/internal/redistest"
)

// spy notes when asynq's asks for a task have ended.
type spy struct {
	*Client
	asked chan time.Time
}

func (s *spy) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	cmd := s.Client.EvalSha(ctx, sha, keys, args...)
	if isAsk(keys) {
		s.asked <- time.Now()
	}
	return cmd
}

// serve runs an asynq server through c, and returns what its handler gets.
func serve(t *testing.T, c redis.UniversalClient) <-chan string {
	t.Helper()
	server := asynq.NewServerFromRedisClient(c, asynq.Config{
		Concurrency: 4, Queues: map[string]int{"visualization": 1}, TaskCheckInterval: 5 * time.Millisecond, LogLevel: asynq.FatalLevel,
	})
	got := make(chan string, 10)
	if err := server.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		got <- string(task.Payload())
		return nil
	})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Shutdown)
	return got
}

func enqueue(t *testing.T, rdb redis.UniversalClient, text string) {
	t.Helper()
	_, err := asynq.NewClientFromRedisClient(rdb).Enqueue(asynq.NewTask("x", []byte(text)), asynq.Queue("visualization"))
	if err != nil {
		t.Fatal(err)
	}
}

// soon is what comes from a channel; the test fails if nothing does.
func soon[T any](t *testing.T, from <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-from:
	case <-time.After(20 * time.Second):
		t.Fatalf("no %s", what)
	}
	return v
}

// asynq asks for tasks in the way that isAsk knows, and an idle server does so now
// and then.
func TestAnIdleServerAsksRarely(t *testing.T) {
	t.Parallel()
	const idle = 150 * time.Millisecond
	rdb := redistest.Start(t).Limited(t)
	s := &spy{New(rdb, idle), make(chan time.Time, 10000)}
	got := serve(t, s)
	first := soon(t, s.asked, "ask: asynq asks in another way than isAsk expects")
	var last time.Time
	const asks = 8
	for range asks {
		last = soon(t, s.asked, "further ask")
	}
	if took := last.Sub(first); took < (asks-1)*idle {
		t.Errorf("%d asks within %v, want one in %v", asks, took, idle)
	}
	enqueue(t, rdb, "foreign") // nobody tells of it
	if text := soon(t, got, "task"); text != "foreign" {
		t.Errorf("got %q", text)
	}
}

// A server that is told of a task takes it at once.
func TestAnIdleServerWakesAtOnce(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t).Limited(t)
	s := &spy{New(rdb, time.Hour), make(chan time.Time, 10000)}
	got := serve(t, s)
	soon(t, s.asked, "ask")
	for _, text := range []string{"one", "two", "three"} {
		enqueue(t, rdb, text)
		s.Wake()
		if got := soon(t, got, "task"); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}

// answers is a hook that answers every command itself.
type answers func(cmds int) error

func (answers) DialHook(next redis.DialHook) redis.DialHook { return next }
func (a answers) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		cmd.SetErr(a(1))
		return cmd.Err()
	}
}
func (a answers) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(_ context.Context, cmds []redis.Cmder) error {
		err := a(len(cmds))
		for _, cmd := range cmds {
			cmd.SetErr(err)
		}
		return err
	}
}

// bubble is a client whose commands a answers, and an ask through it.
func bubble(t *testing.T, a answers) (c *Client, ask func()) {
	rdb := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:1", MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	rdb.AddHook(a)
	t.Cleanup(func() { rdb.Close() })
	keys := []string{"asynq:{q}:pending", "asynq:{q}:paused", "asynq:{q}:active", "asynq:{q}:lease"}
	c = New(rdb, time.Second)
	return c, func() { c.EvalSha(t.Context(), "sha", keys) }
}

// Several servers of one worker share the asks of an idle one.
func TestIdleServersShareTheirAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		asks := 0
		_, ask := bubble(t, func(n int) error {
			mu.Lock()
			defer mu.Unlock()
			asks += n
			return redis.Nil
		})
		end := time.Now().Add(10*time.Second + time.Millisecond)
		var servers sync.WaitGroup
		for range 3 {
			servers.Go(func() {
				for time.Now().Before(end) {
					ask()
					time.Sleep(time.Millisecond)
				}
			})
		}
		servers.Wait()
		if asks > 3+12 {
			t.Errorf("%d asks in 10 s, want about one a second", asks)
		}
	})
}

// A Redis that refuses all that it is asked is not asked without end.
func TestRefusedAsksRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, err := range []error{refusal("OOM command not allowed"), redis.Nil} {
			asks := 0
			c, ask := bubble(t, func(n int) error { asks += n; return err })
			c.idle = 100 * time.Millisecond
			for began := time.Now(); time.Since(began) < 10*time.Second; {
				ask()
			}
			if asks > 105 {
				t.Errorf("%v: %d asks in 10 s", err, asks)
			}
		}
		_, ask := bubble(t, func(int) error { return refusal("NOSCRIPT No matching script") })
		began := time.Now()
		if ask(); time.Since(began) > 0 {
			t.Errorf("a script that Redis does not know rests for %v: it is to be told at once", time.Since(began))
		}
	})
}

// refusal is an answer of Redis.
type refusal string

func (r refusal) Error() string { return string(r) }
func (refusal) RedisError()     {}

// An ask holds the time until which the task that it brings is the server's: none
// waits for long. A server that asked long ago would lose its task at once.
func TestNoAskGetsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := bubble(t, func(int) error { return redis.Nil })
		c.idle = time.Hour
		ask()
		for range 10 {
			began := time.Now()
			ask()
			if waited := time.Since(began); waited != longestRest {
				t.Errorf("an ask waited for %v, want %v", waited, longestRest)
			}
		}
	})
}

// A task that is put into the queue while an ask is under way, which does not see it
// any more, is asked for at once.
func TestWokenDuringAnAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answered := make(chan bool)
		c, ask := bubble(t, func(int) error { <-answered; return redis.Nil })
		began := time.Now()
		done := make(chan bool)
		go func() { ask(); ask(); close(done) }()
		synctest.Wait()
		c.Wake()
		answered <- true
		answered <- true
		<-done
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the next ask came after %v, want it at once", waited)
		}
		go func() { answered <- true }()
		ask()
		if waited := time.Since(began); waited != time.Second {
			t.Errorf("the one after came after %v, want a second", waited)
		}
	})
}

// Who waits for a task ends with its context.
func TestRestEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ask := bubble(t, func(int) error { return redis.Nil })
		ask()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		c.rest(ctx)
		if waited := time.Since(began); waited != 100*time.Millisecond {
			t.Errorf("waited for %v, want 100 ms", waited)
		}
	})
}

// What could not be sent is not done: go-redis may tell only the pipeline, not each of
// its commands, for example when Redis refuses the login of a new connection.
func TestAPipelineThatWasNotSent(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:1", MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	t.Cleanup(func() { rdb.Close() })
	refused := errors.New("WRONGPASS")
	rdb.AddHook(unsent{refused})
	c := New(rdb, time.Second)
	cmds := []*redis.Cmd{redis.NewCmd(t.Context(), "evalsha", "a", 0), redis.NewCmd(t.Context(), "evalsha", "b", 0)}
	if _, err := c.run("", cmds); err != nil {
		t.Fatal(err)
	}
	for i, cmd := range cmds {
		if !errors.Is(cmd.Err(), refused) {
			t.Errorf("command %d: %v, want %v", i, cmd.Err(), refused)
		}
	}
}

// unsent is a hook that fails every pipeline and says so to none of its commands.
type unsent struct{ err error }

func (unsent) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (unsent) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (u unsent) ProcessPipelineHook(redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(context.Context, []redis.Cmder) error { return u.err }
}
