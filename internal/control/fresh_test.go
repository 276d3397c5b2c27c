package control

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// silent is a Redis that says nothing. It counts what it was asked.
type silent struct{ asked int }

func (s *silent) DialHook(redis.DialHook) redis.DialHook {
	return func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("nobody dials here") }
}

func (s *silent) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		s.asked++
		<-ctx.Done()
		cmd.SetErr(ctx.Err())
		return ctx.Err()
	}
}

func (s *silent) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// However many ask, a Redis that is silent is met once, and not again for a second.
func TestFreshWithSilentRedis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rdb, hook := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}), &silent{}
		defer rdb.Close()
		rdb.AddHook(hook)
		d, began := &Desk{Redis: rdb}, time.Now()
		ask := func(ctx context.Context, want error) {
			t.Helper()
			if err := d.Fresh(ctx); !errors.Is(err, want) {
				t.Errorf("the error is %v", err)
			}
		}
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() { ask(t.Context(), context.DeadlineExceeded) })
		}
		gone, leave := context.WithCancel(t.Context())
		all.Go(func() { ask(gone, context.Canceled) })
		synctest.Wait()
		leave()
		all.Wait()
		if took := time.Since(began); took != learningFor || hook.asked != 1 {
			t.Errorf("it took %v, and Redis was asked %d times", took, hook.asked)
		}
		ask(t.Context(), context.DeadlineExceeded)
		if took := time.Since(began); took != learningFor || hook.asked != 1 {
			t.Errorf("the failure is not remembered: %v, asked %d times", took, hook.asked)
		}
		time.Sleep(freshFor)
		ask(t.Context(), context.DeadlineExceeded)
		if hook.asked != 2 {
			t.Errorf("a second later, Redis was asked %d times", hook.asked)
		}
	})
}
