package redistest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// saved is a dump of a server with values of every type, small and large.
func saved(t *testing.T) []byte {
	t.Helper()
	s := Start(t)
	client, ctx := s.Client(t), t.Context()
	pipe := client.Pipeline()
	pipe.Set(ctx, "soon", "v", time.Minute)
	pipe.Set(ctx, "later", 12345, 30*24*time.Hour)
	pipe.Set(ctx, "never", strings.Repeat("long and compressed ", 2000), 0)
	pipe.SAdd(ctx, "numbers", 1, -300, 70000)
	for i := range 600 { // more than fits into the compact form
		name := "member " + strconv.Itoa(i)
		pipe.SAdd(ctx, "set", name)
		pipe.HSet(ctx, "hash", name, i)
		pipe.ZAdd(ctx, "scores", z(float64(i), name))
		pipe.RPush(ctx, "list", strings.Repeat(name, 20))
	}
	pipe.HSet(ctx, "small hash", "a", 1)
	pipe.ZAdd(ctx, "small scores", z(1, "a"))
	pipe.Expire(ctx, "scores", time.Hour)
	pipe.Save(ctx)
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	rdb, err := os.ReadFile(filepath.Join(s.Dir(), dumpName))
	if err != nil {
		t.Fatal(err)
	}
	return rdb
}

func TestSaveAgainMovesExpiries(t *testing.T) {
	t.Parallel()
	old, _, err := saveAgain(saved(t), time.Now().Add(-1000*24*time.Hour)) // all but never has long expired
	if err != nil {
		t.Fatal(err)
	}
	if n := load(t, old).DBSize(t.Context()).Val(); n != 7 {
		t.Errorf("%d keys of an old dump: want the 7 that never expire", n)
	}
	// ctime still says that it was saved now, so moving it back takes as long again.
	again, age, err := saveAgain(old, time.Now().Add(1000*24*time.Hour))
	if err != nil || age < 999*24*time.Hour || age > 1001*24*time.Hour {
		t.Fatalf("%v old, %v", age, err)
	}
	client, ctx := load(t, again), t.Context()
	for key, want := range map[string]time.Duration{
		"soon": time.Minute, "scores": time.Hour, "later": 30 * 24 * time.Hour, "never": -1, "set": -1,
	} {
		got := client.TTL(ctx, key).Val()
		if d := (want - got).Abs(); d > 30*time.Second {
			t.Errorf("%s expires in %v, want %v", key, got, want)
		}
	}
	if n := client.ZCard(ctx, "scores").Val() + client.LLen(ctx, "list").Val() + client.HLen(ctx, "hash").Val(); n != 1800 {
		t.Errorf("%d elements, want 1800", n)
	}
}

func TestSaveAgainRefuses(t *testing.T) {
	t.Parallel()
	whole := saved(t)
	for name, rdb := range map[string][]byte{
		"empty":          {},
		"something else": []byte("PK\x03\x04 and more"),
		"cut":            whole[:len(whole)/2],
		"undated":        append([]byte("REDIS0010\xff"), make([]byte, 8)...),
		"a stream":       []byte("REDIS0010\x0f\x01k\x00"),
	} {
		if _, _, err := saveAgain(rdb, time.Now()); err == nil {
			t.Errorf("%s was taken for an RDB file", name)
		}
	}
}

func TestStartFromLeavesTheDumpAlone(t *testing.T) {
	t.Parallel()
	const dump = "internal/ledger/testdata/27448ab.rdb"
	path := filepath.Join("..", "..", filepath.FromSlash(dump))
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, age := StartFrom(t, dump)
	client, ctx := s.Client(t), t.Context()
	if n := client.SCard(ctx, "vizstop:projects").Val(); n == 0 {
		t.Error("nothing was loaded")
	}
	if age%time.Second != 0 {
		t.Errorf("age %v: want whole seconds", age)
	}
	if err := client.FlushAll(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Save(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
		t.Errorf("the dump has changed: %v", err)
	}
}

// load is a client of a server with these data.
func load(t *testing.T, rdb []byte) *redis.Client {
	t.Helper()
	s := &Server{t: t, line: readyLine, data: rdb}
	s.start()
	return s.Client(t)
}

func z(score float64, member string) redis.Z { return redis.Z{Score: score, Member: member} }
