package redistest

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// victim tells the test binary to run as the one that dies.
const victim = "REDISTEST_VICTIM"

// TestServerDiesWithTheTestBinary runs this test binary once more and kills it
// while its server runs: the connection to that server must end.
func TestServerDiesWithTheTestBinary(t *testing.T) {
	if os.Getenv(victim) != "" {
		dieWhenTold(t)
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), victim+"=1", "TMPDIR="+t.TempDir())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the other test binary did not start a server: %v", err)
	}
	conn, err := net.Dial("tcp", strings.TrimSpace(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	if err := stdin.Close(); err != nil { // now it dies
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the other test binary ended well, want it killed")
	}
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); os.IsTimeout(err) || err == nil {
		t.Errorf("the server lives on: read %v", err)
	}
}

func dieWhenTold(t *testing.T) {
	s := Start(t)
	if _, err := os.Stdout.WriteString(s.Addr + "\n"); err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(os.Stdin)
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
