package redisconn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

// Whatever a full Redis refuses, the error says so, what Redis said, and what to do, once.
func TestAFullRedisIsExplained(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := mustParse(t, s.URL).Client()
	defer client.Close()
	ctx := t.Context()
	if err := s.Client(t).ConfigSet(ctx, "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	pipelined, second, transaction := writeTogether(ctx, client)
	for name, err := range map[string]error{
		"command":       client.HSet(ctx, "vizstop:x", "f", "v").Err(),
		"in a script":   client.Eval(ctx, "return redis.call('hset', KEYS[1], 'f', 'v')", []string{"vizstop:x"}).Err(),
		"pipeline":      pipelined,
		"in a pipeline": second,
		"transaction":   transaction,
	} {
		if err == nil || !strings.Contains(err.Error(), "OOM command not allowed") || WritesRefused(err) == "" ||
			strings.Count(err.Error(), ": Redis refuses writes: out of memory: raise maxmemory above used_memory") != 1 {
			t.Errorf("%s: %v; want what Redis said and what to do, once", name, err)
		}
	}
	if err := client.HGet(ctx, "vizstop:x", "f").Err(); err != redis.Nil {
		t.Errorf("a read: %v", err)
	}
}

func TestWritesRefused(t *testing.T) {
	t.Parallel()
	s := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: s.Addr(), MaxRetries: -1})
	defer client.Close()
	for said, want := range map[string]string{
		"OOM command not allowed when used memory > 'maxmemory'. script: 4b, on @user_script:29.":                                            "out of memory",
		"ERR Error running script (call to f_4b): @user_script:9: @user_script: 9: -OOM command not allowed when used memory > 'maxmemory'.": "out of memory",
		"READONLY You can't write against a read only replica.":                                                                              "use its master",
		"MISCONF Errors writing to the AOF file: No space left":                                                                              "make room there",
		"NOREPLICAS Not enough good replicas to write.":                                                                                      "too few of its replicas",
		"WRONGTYPE Operation against a key holding the wrong kind":                                                                           "",
		"ERR unknown command 'x', with args beginning with: 'no OOM ',":                                                                      "",
	} {
		s.SetError(said)
		err := fmt.Errorf("do it: %w", errors.Join(nil, client.Set(context.Background(), "vizstop:x", "v", 0).Err()))
		got := WritesRefused(err)
		if (got == "") != (want == "") || !strings.Contains(got, want) || strings.Contains(got, "\n") {
			t.Errorf("%s: %q, want %q", said, got, want)
		}
	}
	if got := WritesRefused(context.DeadlineExceeded); got != "" {
		t.Errorf("no answer: %q", got)
	}
}
