package redisconn

import (
	"context"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

// Whatever is denied in the middle of work, the error says so, what Redis said,
// and what to do.
func TestDenied(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--user", "poor", "on", ">p", "~vizstop:*", "+@connection", "+multi", "+exec", "+eval", "+get")
	client := mustParse(t, "redis://poor:p@"+s.Addr).Client()
	defer client.Close()
	ctx := t.Context()
	pipelined, second, transaction := writeTogether(ctx, client)
	for name, c := range map[string]struct {
		err  error
		says string
	}{
		"command":       {client.HSet(ctx, "vizstop:x", "f", "v").Err(), "'hset' command"},
		"key":           {client.Get(ctx, "other").Err(), "one of the keys"},
		"in a script":   {client.Eval(ctx, "return redis.call('hset', KEYS[1], 'f', 'v')", []string{"vizstop:x"}).Err(), "script"},
		"pipeline":      {pipelined, "'hset' command"},
		"in a pipeline": {second, "'hset' command"},
		"transaction":   {transaction, "'hset' command"},
		"script itself": {client.EvalSha(ctx, "abc", nil).Err(), "'evalsha' command"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.says) || strings.Count(c.err.Error(), "deploy/redis/users.acl") != 1 {
			t.Errorf("%s: %v; want %q and what to allow, once", name, c.err, c.says)
		}
	}
	if err := client.Get(ctx, "vizstop:none").Err(); err != redis.Nil {
		t.Errorf("a missing key: %v", err)
	}
}

// A cluster wants two commands more, to find its servers.
func TestAccessListInACluster(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--cluster-enabled", "yes")
	admin := s.Client(t)
	if err := admin.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	waitForCluster(t, s)
	url := strings.TrimSuffix(strings.Replace(s.URL, "redis://", "redis-cluster://", 1), "/0")
	wantHint(t, check(t, url), "must allow what deploy/redis/users.acl does")
	if err := admin.ACLSetUser(t.Context(), "vizstop-both", "+cluster|slots", "+command").Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.Do(t.Context(), "ACL", "LOG", "RESET").Err(); err != nil {
		t.Fatal(err)
	}
	o := mustParse(t, url)
	if err := checkOptions(t, o); err != nil {
		t.Fatal(err)
	}
	client := o.Client()
	defer client.Close()
	for _, key := range []string{"vizstop:{a}:x", "vizstop:{b}:x"} {
		if err := client.Set(t.Context(), key, "v", 0).Err(); err != nil {
			t.Error(err)
		}
	}
}

// writeTogether writes in a pipeline and in a transaction, and returns the errors of the pipeline, of its second
// command and of the transaction.
func writeTogether(ctx context.Context, client redis.UniversalClient) (pipelined, second, transaction error) {
	cmds, pipelined := client.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, "vizstop:x", "f", "v")
		p.HSet(ctx, "vizstop:x", "f", "v")
		return nil
	})
	_, transaction = client.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, "vizstop:x", "f", "v")
		return nil
	})
	return pipelined, cmds[1].Err(), transaction
}
