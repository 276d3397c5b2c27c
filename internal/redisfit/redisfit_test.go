package redisfit

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

// safe is a Redis without any risk.
func safe(args ...string) []string { return append([]string{"--appendonly", "yes"}, args...) }

func look(t *testing.T, client redis.UniversalClient) Report {
	t.Helper()
	r, err := Look(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func risks(r Report) string {
	var names []string
	for _, f := range r.Findings {
		names = append(names, string(f.Risk))
	}
	return strings.Join(names, " ")
}

func TestRealServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args  []string
		risks string
		says  []string // in the finding
	}{
		"fit":     {args: safe()},
		"limited": {args: safe("--maxmemory", "1gb")},
		"nothing on disk": {risks: "no_append_only", says: []string{"appendonly is no", "or all if it takes none",
			"redis-cli CONFIG SET appendonly yes"}},
		"snapshots": {args: []string{"--save", "900", "1"}, risks: "no_append_only", says: []string{"since its last snapshot"}},
		"both":      {args: safe("--save", "900", "1")},
		"a cache": {args: safe("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"), risks: "eviction",
			says: []string{"maxmemory-policy is allkeys-lru, ", "that have not ended", "CONFIG SET maxmemory-policy noeviction"}},
		"a cache of what expires": {args: safe("--maxmemory", "100mb", "--maxmemory-policy", "volatile-ttl"), risks: "eviction",
			says: []string{"maxmemory-policy is volatile-ttl, ", "the jobs that a schedule chose"}},
		"a cache without limit": {args: safe("--maxmemory-policy", "allkeys-lfu"), risks: "eviction",
			says: []string{"maxmemory-policy is allkeys-lfu (idle while maxmemory is 0), "}},
		"all at once": {args: []string{"--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"}, risks: "eviction no_append_only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := look(t, redistest.Start(t, c.args...).Limited(t)) // with a worker's rights
			if risks(r) != c.risks || len(r.Unknown) > 0 {
				t.Errorf("risks %q, unknown %q; want %q and nothing", risks(r), r.Unknown, c.risks)
			}
			for _, want := range c.says {
				if !strings.Contains(r.Findings[0].String(), want) {
					t.Errorf("%q is missing in %q", want, r.Findings[0])
				}
			}
		})
	}
}

// A worker's user can't read Redis' settings: its passwords are among them.
func TestAWorkerCannotReadSettings(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	opts, err := redis.ParseURL(redistest.For("worker", s.URL))
	if err != nil {
		t.Fatal(err)
	}
	worker := redis.NewClient(opts)
	defer worker.Close()
	for _, command := range [][]any{{"CONFIG", "GET", "requirepass"}, {"CONFIG", "GET", "*"}, {"ACL", "LIST"}} {
		if answer, err := s.Client(t).ACLDryRun(t.Context(), "vizstop-worker", command...).Result(); err != nil || !strings.Contains(answer, "no permissions") {
			t.Errorf("%v: %q, %v", command, answer, err)
		}
	}
	if r := look(t, worker); len(r.Unknown) > 0 {
		t.Errorf("INFO does not tell %q", r.Unknown)
	}
}

// What is said to do mends it, at runtime.
func TestTheFixMends(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	set := func(name, value string) {
		t.Helper()
		if err := client.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("maxmemory-policy", "allkeys-random")
	want := "eviction no_append_only"
	for _, rest := range []string{"no_append_only", ""} {
		r := look(t, client)
		if risks(r) != want {
			t.Fatalf("risks %q, want %q", risks(r), want)
		}
		command, _, _ := strings.Cut(strings.TrimPrefix(r.Findings[0].Fix, "redis-cli CONFIG SET "), ",")
		name, value, _ := strings.Cut(command, " ")
		set(name, value)
		want = rest
	}
	if r := look(t, client); risks(r) != "" {
		t.Errorf("mended, but risks %q", risks(r))
	}
	s.AwaitLog()
}

func TestMemoryNearlyFull(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t, safe()...).Client(t)
	used := func() (bytes int64) {
		if _, err := fmt.Sscan(fields(client.Info(t.Context(), "memory").Val())["used_memory"], &bytes); err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	for _, c := range []struct {
		limit int64
		want  string
	}{{2 * used(), ""}, {used() + used()/20, "memory_nearly_full"}, {used() / 2, "memory_nearly_full refuses_writes"}} {
		if err := client.ConfigSet(t.Context(), "maxmemory", fmt.Sprint(c.limit)).Err(); err != nil {
			t.Fatal(err)
		}
		r := look(t, client)
		if risks(r) != c.want {
			t.Errorf("with %d bytes: risks %q, want %q", c.limit, risks(r), c.want)
		}
		if c.want == "" || len(r.Findings) == 0 {
			continue
		}
		// What it says to do is enough, however little it had.
		fix, more := r.Findings[0].Fix, int64(0)
		_, after, _ := strings.Cut(fix, "CONFIG SET maxmemory ")
		if _, err := fmt.Sscan(strings.TrimSuffix(strings.Fields(after)[0], ","), &more); err != nil || more < used()+used()/2 {
			t.Errorf("with %d bytes, of which %d are used: %q", c.limit, used(), fix)
		}
	}
}

// A user who may not use INFO: no alarm, but unknown.
func TestRefusedIsUnknown(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory-policy", "allkeys-lru",
		"--user", "blind", "on", ">p", "+@all", "-info")
	client := redis.NewClient(&redis.Options{Addr: s.Addr, Username: "blind", Password: "p"})
	defer client.Close()
	if r := look(t, client); risks(r) != "" || strings.Join(r.Unknown, " ") != "maxmemory-policy appendonly version" {
		t.Errorf("risks %q, unknown %q; want none, and all", risks(r), r.Unknown)
	}
}

func TestNoAnswerIsAnError(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client := s.Client(t)
	s.Kill()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := Look(ctx, client); err == nil {
		t.Errorf("a look at nothing found %+v", r)
	}
}

func TestEmbeddedIsUnknown(t *testing.T) {
	t.Parallel()
	client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	defer client.Close()
	if r := look(t, client); risks(r) != "" || len(r.Unknown) != 3 {
		t.Errorf("risks %q, unknown %q; want none, and all", risks(r), r.Unknown)
	}
}

// TestOtherServers has what is hard to bring about with the redis-server at
// hand: INFO of old versions, of forks and of full disks.
func TestOtherServers(t *testing.T) {
	t.Parallel()
	const fit = "aof_enabled:1\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n"
	for name, c := range map[string]struct{ info, risks, problem string }{
		"5.0":        {fit + "redis_version:5.0.14", "version", "its version is 5.0.14, older than 6.2"},
		"6.0":        {fit + "redis_version:6.0.16", "version", ""},
		"6.2":        {fit + "redis_version:6.2.0", "", ""},
		"8.0":        {fit + "redis_version:8.0.1", "", ""},
		"Valkey":     {fit + "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0", "", ""},
		"KeyDB":      {fit + "redis_version:6.3.4", "", ""},
		"odd":        {fit + "redis_version:unstable", "", ""},
		"disk full":  {fit + "redis_version:7.0.0\r\naof_last_write_status:err", "persistence_failing", "append-only"},
		"no bgsave":  {fit + "redis_version:7.0.0\r\nrdb_last_bgsave_status:err", "persistence_failing", "snapshot"},
		"buffers":    {fit + "redis_version:7.0.0\r\nmaxmemory:100000\r\nused_memory:110000\r\nmem_not_counted_for_evict:20000", "memory_nearly_full", "maxmemory"},
		"appendonly": {"redis_version:7.0.0\r\nmaxmemory_policy:noeviction", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := look(t, imitate(t, c.info))
			if risks(r) != c.risks {
				t.Fatalf("risks %q, want %q", risks(r), c.risks)
			}
			if c.problem != "" && !strings.Contains(r.Findings[0].Problem, c.problem) {
				t.Errorf("problem %q, want %q", r.Findings[0].Problem, c.problem)
			}
		})
	}
}

// imitate is a client of a server that knows nothing but INFO.
func imitate(t *testing.T, info string) *redis.Client {
	t.Helper()
	s, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Register("INFO", func(c *server.Peer, _ string, _ []string) { c.WriteBulk(info) }); err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: s.Addr().String()})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Every master of a cluster is looked at, and what they share is said once.
func TestCluster(t *testing.T) {
	t.Parallel()
	var servers []*redistest.Server
	for i := range 3 {
		args := []string{"--cluster-enabled", "yes"}
		if i > 0 {
			args = append(args, "--maxmemory-policy", "allkeys-lru")
		}
		servers = append(servers, redistest.Start(t, args...))
	}
	// A client with the slots of three nodes that do not know of each other.
	client := redis.NewClusterClient(&redis.ClusterOptions{ClusterSlots: func(context.Context) ([]redis.ClusterSlot, error) {
		var slots []redis.ClusterSlot
		for i, s := range servers {
			slots = append(slots, redis.ClusterSlot{Start: 5462 * i, End: min(5462*i+5461, 16383), Nodes: []redis.ClusterNode{{Addr: s.Addr}}})
		}
		return slots, nil
	}})
	defer client.Close()
	r := look(t, client)
	if risks(r) != "eviction no_append_only" {
		t.Fatalf("risks %q", risks(r))
	}
	if got := r.Findings[0].Servers; len(got) != 2 || strings.Contains(strings.Join(got, " "), servers[0].Addr) {
		t.Errorf("eviction at %q, want two, and not %s", got, servers[0].Addr)
	}
	if got := r.Findings[1].Servers; len(got) != 3 || !strings.Contains(r.Findings[1].String(), strings.Join(got, ", ")) {
		t.Errorf("no persistence at %q, want three: %s", got, r.Findings[1])
	}
	servers[1].Kill()
	if r, err := Look(t.Context(), client); err == nil {
		t.Errorf("with a master gone: %+v", r)
	}
}
