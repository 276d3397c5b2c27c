package redistest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

const loopback = "127.0.0.1"

// Ports are taken from below the range that systems give to outgoing
// connections (from 32768 on Linux). In that range a client that keeps dialing
// a killed server could be given the server's own port, connect to itself and
// so keep the port from StartAgain. The bus port of a cluster node, 10000
// higher, stays below it too.
const (
	lowestPort  = 10240
	highestPort = 22000
)

// freePort returns a port that was free a moment ago.
func freePort(t testing.TB) int {
	t.Helper()
	var err error
	for range 100 {
		port := lowestPort + rand.IntN(highestPort-lowestPort)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port))); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatalf("no free port on %s: %v", loopback, err)
	return 0
}
