package redisconn

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2/server"

	"vizstop/internal/redistest"
)

func TestNotRedis(t *testing.T) {
	t.Parallel()
	for _, greeting := range []string{
		"HTTP/1.1 400 Bad Request\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2p1\r\n",
		"220 mail ESMTP s3cret\r\n",
		"+OK POP3\r\n",
		"\r\n\r\n",
	} {
		addr := listen(t, func(c net.Conn) { _, _ = io.WriteString(c, greeting) })
		wantHint(t, check(t, "redis://:s3cret@"+addr), "what answers at "+addr+" is not Redis")
	}
	addr := listen(t, func(c net.Conn) { _ = c.Close() })
	wantHint(t, check(t, "redis://"+addr), "hangs up at once: is it Redis? if it speaks TLS, use rediss")
}

// TestReplies has what a real server says only in states that are hard to bring
// about.
func TestReplies(t *testing.T) {
	t.Parallel()
	for reply, want := range map[string]string{
		"LOADING Redis is loading the dataset in memory":          "is still loading its data",
		"MOVED 866 10.0.0.1:6379":                                 "use redis-cluster://",
		"CLUSTERDOWN Hash slot not served":                        "is down",
		"MASTERDOWN Link with MASTER is down":                     "read-only replica",
		"DENIED Redis is running in protected mode because":       "protected mode",
		"ERR max number of clients reached":                       "see `maxclients`",
		"ERR something else":                                      ": ERR something else",
		"ERR unknown command 'HELLO', with: '3' 'AUTH' 'u' 'x'":   "not shown",
		"ERR unknown command 'HELLO', with args: 's3cret'":        "not shown",
		"NOPERM this user has no permissions to run 's3cret'":     "not shown",
		"ERR " + strings.Repeat("long ", 100):                     "long l…",
		"ERR SELECT is not allowed in cluster mode":               "use redis-cluster://",
		"WRONGPASS invalid username-password pair":                "refuses the password",
		"NOAUTH Authentication required.":                         "wants a password",
		"ERR This instance has cluster support disabled":          "is not a cluster",
		"ERR DB index is out of range":                            "has no database 0",
		"READONLY You can't write against a read only replica":    "read-only replica",
		"NOPERM this user has no permissions to run the 'ping' x": "'ping' x",
	} {
		t.Run("", func(t *testing.T) {
			t.Parallel() // go-redis repeats some of them, with pauses
			addr := fake(t, map[string]server.Cmd{
				"HELLO": func(c *server.Peer, _ string, _ []string) { c.WriteError(reply) },
				"AUTH":  func(c *server.Peer, _ string, _ []string) { c.WriteOK() },
				"PING":  func(c *server.Peer, _ string, _ []string) { c.WriteError(reply) },
			})
			wantHint(t, check(t, "redis://:s3cret@"+addr), want)
		})
	}
}

func TestHELLOTellsASentinel(t *testing.T) {
	t.Parallel()
	addr := fake(t, map[string]server.Cmd{
		"HELLO": func(c *server.Peer, _ string, _ []string) {
			c.WriteLen(2)
			c.WriteBulk("mode")
			c.WriteBulk("sentinel")
		},
		"PING": func(c *server.Peer, _ string, _ []string) { c.WriteInline("PONG") },
	})
	wantHint(t, check(t, "redis://"+addr), "is a Sentinel: use redis-sentinel://"+addr+"/0?master=name")
}

// TestSentinel finds a real master through an imitated Sentinel.
func TestSentinel(t *testing.T) {
	t.Parallel()
	master := redistest.Start(t, "--requirepass", "s3cret")
	host, port, _ := strings.Cut(master.Addr, ":")
	addr := fake(t, map[string]server.Cmd{
		"SENTINEL": func(c *server.Peer, _ string, args []string) {
			switch {
			case args[0] == "sentinels":
				c.WriteLen(0)
			case args[1] == "m":
				c.WriteStrings([]string{host, port})
			default:
				c.WriteNull()
			}
		},
	})
	if err := check(t, "redis-sentinel://:s3cret@"+addr+"/1?master=m"); err != nil {
		t.Error(err)
	}
	wantHint(t, check(t, "redis-sentinel://:s3cret2@"+addr+"?master=m"), `Redis master "m" of the Sentinels at `+addr+" refuses")
	wantHint(t, check(t, "redis-sentinel://"+addr+"?master=x"), `do not know a master "x"`)

	locked := fake(t, map[string]server.Cmd{
		"SENTINEL": func(c *server.Peer, _ string, _ []string) { c.WriteError("NOAUTH Authentication required.") },
	})
	wantHint(t, check(t, "redis-sentinel://"+locked+"?master=m"), "refuse the password: check sentinel_user")
}

// fake imitates a Redis server that knows only some commands.
func fake(t *testing.T, commands map[string]server.Cmd) string {
	t.Helper()
	s, err := server.NewServer("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	for name, command := range commands {
		if err := s.Register(name, command); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := commands["CLIENT"]; !ok {
		_ = s.Register("CLIENT", func(c *server.Peer, _ string, _ []string) { c.WriteOK() })
	}
	return s.Addr().String()
}

// listen calls serve for each connection and then keeps it open until the end.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			serve(c)
		}
	}()
	return l.Addr().String()
}

// shortDir is a temporary directory with a short path.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "v")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
