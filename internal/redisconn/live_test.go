package redisconn

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

// check parses url, connects and checks, as cmd does.
func check(t *testing.T, url string) error {
	t.Helper()
	return checkOptions(t, mustParse(t, url))
}

func checkOptions(t *testing.T, o *Options) error {
	t.Helper()
	client := o.Client()
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // a machine may be slow, a test must end
	defer cancel()
	return o.Check(ctx, client)
}

// wantHint wants an error of one line with the hint and without the password
// s3cret.
func wantHint(t *testing.T, err error, hint string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", hint)
	}
	if !strings.Contains(err.Error(), hint) {
		t.Errorf("error %q, want %q", err, hint)
	}
	if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error shows a secret or breaks its line: %q", err)
	}
}

func TestPlainServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	o := mustParse(t, "redis://"+s.Addr+"/3")
	if err := checkOptions(t, o); err != nil {
		t.Fatal(err)
	}
	client := o.Client()
	defer client.Close()
	info, err := client.Do(t.Context(), "CLIENT", "INFO").Text()
	if err != nil || !strings.Contains(info, " name=vizstop ") || !strings.Contains(info, " db=3 ") {
		t.Errorf("client is %q, %v", info, err)
	}
	wantHint(t, check(t, "redis://"+s.Addr+"/16"), "has no database 16")
	wantHint(t, check(t, "redis-cluster://"+s.Addr), "is not a cluster: use redis://host:port/0")
	wantHint(t, check(t, "redis-sentinel://"+s.Addr+"?master=m"), "is no Sentinel: is it redis://"+s.Addr)
	wantHint(t, check(t, "redis://u@"+s.Addr), "names a user but no password")
	s.Kill()
	wantHint(t, check(t, s.URL), "no Redis at "+s.Addr+": is it running? set --redis or VIZSTOP_REDIS")
	wantHint(t, check(t, "redis-cluster://"+s.Addr), "no Redis Cluster at "+s.Addr+": is it running?")
	wantHint(t, check(t, "redis-sentinel://"+s.Addr+"?master=m"), "no Sentinel at "+s.Addr)
}

func TestPassword(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--requirepass", "s3cret/@ %")
	if err := check(t, "redis://:s3cret%2F%40%20%25@"+s.Addr); err != nil {
		t.Error(err)
	}
	o := mustParse(t, "redis://"+s.Addr)
	wantHint(t, checkOptions(t, o), "wants a password: set VIZSTOP_REDIS_PASSWORD")
	wantHint(t, checkOptions(t, o.WithPassword("s3cret")), "refuses the password: check the user in the URL")
	if err := checkOptions(t, o.WithPassword("s3cret/@ %")); err != nil {
		t.Error(err)
	}
}

func TestAccessList(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t,
		"--user", "good", "on", ">s3cret", "~vizstop:*", "~asynq:*", "&asynq:*", "+@all",
		"--user", "keyless", "on", ">s3cret", "~other:*", "+@all",
		"--user", "mute", "on", ">s3cret", "~*", "+@connection", "-ping")
	if err := check(t, "redis://good:s3cret@"+s.Addr); err != nil {
		t.Error(err)
	}
	wantHint(t, check(t, "redis://good:s3cret2@"+s.Addr), "refuses the password")
	for _, user := range []string{"keyless", "mute"} {
		wantHint(t, check(t, "redis://"+user+":s3cret@"+s.Addr), "must allow what deploy/redis/users.acl does")
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	// Not in {dir}: the path of a socket is limited to about 100 bytes.
	dir := shortDir(t)
	path := filepath.Join(dir, "a b?.sock")
	redistest.Start(t, "--unixsocket", path, "--requirepass", "s3cret")
	if err := check(t, "unix://:s3cret@"+dir+"/a%20b%3F.sock?db=2"); err != nil {
		t.Error(err)
	}
	wantHint(t, check(t, "unix://"+dir+"/a%20b%3F.sock"), "wants a password")
	wantHint(t, check(t, "unix://"+dir+"/none"), "no Redis at "+dir+"/none: is it running?")
}

func TestOneNodeCluster(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--cluster-enabled", "yes")
	wantHint(t, check(t, "redis-cluster://"+s.Addr), "is down")
	if err := s.Client(t).ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	waitForCluster(t, s)
	o := mustParse(t, "redis-cluster://"+s.Addr)
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
	wantHint(t, check(t, s.URL), "use redis-cluster://"+s.Addr)
	wantHint(t, check(t, "redis://"+s.Addr+"/1"), "use redis-cluster://"+s.Addr)
}

func waitForCluster(t *testing.T, s *redistest.Server) {
	t.Helper()
	client := s.Client(t)
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		info, err := client.ClusterInfo(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(info, "cluster_state:ok") {
			return
		}
	}
}

func TestReplica(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t)
	replica := redistest.Start(t)
	host, port, _ := strings.Cut(master.Addr, ":")
	if err := replica.Client(t).ReplicaOf(t.Context(), host, port).Err(); err != nil {
		t.Fatal(err)
	}
	wantHint(t, check(t, replica.URL), "is a read-only replica")
}

// standingStill is a server that says nothing until it is resumed, and a client of it.
func standingStill(t *testing.T) (*redistest.Server, *Options, redis.UniversalClient) {
	t.Helper()
	s := redistest.Start(t)
	o := mustParse(t, s.URL)
	client := o.Client()
	t.Cleanup(func() { client.Close() })
	s.Pause()
	return s, o, client
}

// A server that stands still for longer than one attempt is not out of reach.
func TestCheckWaitsForAServerThatStandsStill(t *testing.T) {
	t.Parallel()
	s, o, client := standingStill(t)
	checked := make(chan error, 1)
	go func() { checked <- o.Check(t.Context(), client) }()
	<-time.After(o.timeouts().read + time.Second)
	s.Resume()
	if err := <-checked; err != nil {
		t.Error(err)
	}
}

func TestContextEndsCheckOfSilentServer(t *testing.T) {
	t.Parallel()
	s, o, client := standingStill(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := o.Check(ctx, client)
	wantHint(t, err, "no answer from Redis at "+s.Addr)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not wrap the context's error", err)
	}
	canceled, stop := context.WithCancel(t.Context())
	stop()
	if err := o.Check(canceled, client); !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not wrap the context's error", err)
	}
}
