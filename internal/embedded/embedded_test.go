package embedded

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/redisconn"
)

// options are those of another process.
func options(t *testing.T, e *Redis) *redisconn.Options {
	t.Helper()
	o, err := redisconn.Parse(e.URL())
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestStart(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{":0", "127.0.0.1:0", "localhost:0", "127.0.0.2:0"} {
		e, err := Start(addr)
		if err != nil {
			t.Fatalf("Start(%q): %v", addr, err)
		}
		o := options(t, e)
		client := o.Client()
		if err := o.Check(t.Context(), client); err != nil {
			t.Errorf("on %q: %v", addr, err)
		}
		_ = client.Close()
		e.Close()
		e.Close()
	}
}

// A machine that is busy is no reason to give up on a Redis in this process.
func TestMayBeSlow(t *testing.T) {
	t.Parallel()
	e, err := Start(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	o := e.Options()
	client := o.Client().(*redis.Client)
	defer client.Close()
	if err := o.Check(t.Context(), client); err != nil {
		t.Error(err)
	}
	got := client.Options()
	for _, limit := range []time.Duration{got.DialTimeout, got.ReadTimeout, got.WriteTimeout, got.PoolTimeout} {
		if limit < time.Minute {
			t.Errorf("timeouts %v %v %v %v, want minutes", got.DialTimeout, got.ReadTimeout, got.WriteTimeout, got.PoolTimeout)
		}
	}
	if o.String() != e.URL() {
		t.Errorf("options %v, want %s", o, e.URL())
	}
}

func TestExpiresByTheClock(t *testing.T) {
	t.Parallel()
	e, err := Start(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	client := options(t, e).Client()
	defer client.Close()
	if err := client.Set(t.Context(), "k", "v", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	e.mini.SetTime(time.Now().Add(59 * time.Minute))
	if got := client.Get(t.Context(), "k").Val(); got != "v" {
		t.Errorf("after 59 minutes of an hour: %q", got)
	}
	e.mini.SetTime(time.Now().Add(61 * time.Minute))
	if err := client.Get(t.Context(), "k").Err(); err != redis.Nil {
		t.Errorf("after 61 minutes of an hour: %v", err)
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	for addr, want := range map[string]string{
		taken.Addr().String(): "port " + port + " is taken, perhaps by another worker: stop what listens on 127.0.0.1:" + port,
		"6380":                "must be host:port",
		"0.0.0.0:0":           "loopback",
		"[::]:0":              "loopback",
		"10.1.2.3:0":          "loopback",
		"example.com:0":       "loopback",
		"127.0.0.1:http":      "from 0 to 65535",
		"127.0.0.1:65536":     "from 0 to 65535",
	} {
		e, err := Start(addr)
		if err == nil {
			e.Close()
			t.Errorf("Start(%q) listens", addr)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("Start(%q): %v, want %q", addr, err, want)
		}
	}
}
