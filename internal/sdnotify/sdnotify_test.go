package sdnotify

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// manager listens as systemd does. The directory is short: the path of a socket
// has room for about a hundred bytes.
func manager(t *testing.T, name string) *net.UnixConn {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "notify")
}

func receive(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestSend(t *testing.T) {
	t.Parallel()
	names := []string{socketPath(t)}
	if runtime.GOOS == "linux" {
		names = append(names, "@vizstop-test-"+strconv.Itoa(os.Getpid()))
	}
	for _, name := range names {
		conn := manager(t, name)
		n, err := Dial(name)
		if err != nil {
			t.Fatal(err)
		}
		defer n.Close()
		if err := n.Send(Ready, Status("ok\nREADY=0")); err != nil {
			t.Fatal(err)
		}
		if got, want := receive(t, conn), "READY=1\nSTATUS=ok READY=0"; got != want {
			t.Errorf("%s got %q, want %q", name, got, want)
		}
	}
}

func TestNobodyAsked(t *testing.T) {
	t.Parallel()
	n, err := Dial("")
	if n != nil || err != nil {
		t.Fatalf("Dial without a socket: %v, %v", n, err)
	}
	if err := n.Send(Ready); err != nil {
		t.Error(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

func TestBadSocket(t *testing.T) {
	t.Parallel()
	for socket, want := range map[string]string{
		"vsock:2:1234":  `NOTIFY_SOCKET: "vsock:2:1234" is neither a path`,
		socketPath(t):   "NOTIFY_SOCKET: dial unixgram ",
		"relative/path": `NOTIFY_SOCKET: "relative/path" is neither a path`,
	} {
		if _, err := Dial(socket); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Dial(%q): %v, want %s", socket, err, want)
		}
	}
}

// A manager that went away costs an error, not the service.
func TestLostManager(t *testing.T) {
	t.Parallel()
	name := socketPath(t)
	conn := manager(t, name)
	n, err := Dial(name)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	conn.Close()
	if err := n.Send(Watchdog); err == nil || !strings.HasPrefix(err.Error(), "tell the service manager: ") {
		t.Errorf("got %v", err)
	}
}

func TestLongStatus(t *testing.T) {
	t.Parallel()
	got := Status(strings.Repeat("ä", 1000))
	if want := "STATUS=" + strings.Repeat("ä", maxStatus/2) + "…"; got != want {
		t.Errorf("got %q", got)
	}
	if got := Status("x" + strings.Repeat("ä", 1000)); strings.ContainsRune(got, '\uFFFD') || len(got) > maxStatus+20 {
		t.Errorf("a cut character: %q", got)
	}
}

func TestWatchdogLimit(t *testing.T) {
	t.Parallel()
	own, other := strconv.Itoa(os.Getpid()), strconv.Itoa(os.Getpid()+1)
	for _, c := range []struct {
		usec, pid string
		want      time.Duration
		bad       bool
	}{
		{"", "", 0, false},
		{"", own, 0, false},
		{"30000000", "", 30 * time.Second, false},
		{"30000000", own, 30 * time.Second, false},
		{"30000000", other, 0, false},
		{"0", own, 0, true},
		{"-1", "", 0, true},
		{"30s", "", 0, true},
		{"9223372036854775807", "", 0, true},
	} {
		got, err := WatchdogLimit(c.usec, c.pid)
		if got != c.want || (err != nil) != c.bad {
			t.Errorf("WatchdogLimit(%q, %q) = %v, %v; want %v", c.usec, c.pid, got, err, c.want)
		}
	}
}
