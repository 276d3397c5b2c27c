package httpd

import (
	"net"
	"net/netip"
	"sync"
)

// maxConnections is how many connections an address may have at once: a proxy needs one for each request at work.
const maxConnections = 1024

// listener closes at once what an address opens beyond its share, so that it can't use up the files of the process.
type listener struct {
	*net.TCPListener
	most int

	mu   sync.Mutex
	open map[netip.Addr]int
}

func newListener(l *net.TCPListener, most int) *listener {
	return &listener{TCPListener: l, most: most, open: map[netip.Addr]int{}}
}

// Accept waits for a connection of an address that may have one more.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		from := addressOf(c.RemoteAddr())
		if l.add(from) {
			return &conn{TCPConn: c, closed: sync.OnceFunc(func() { l.remove(from) })}, nil
		}
		c.Close()
	}
}

func (l *listener) add(from netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from] >= l.most {
		return false
	}
	l.open[from]++
	return true
}

func (l *listener) remove(from netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[from]--; l.open[from] == 0 {
		delete(l.open, from)
	}
}

// conn tells when it is closed. The server needs the rest of what a *net.TCPConn can do.
type conn struct {
	*net.TCPConn
	closed func()
}

// Close is net.Conn's.
func (c *conn) Close() error {
	c.closed()
	return c.TCPConn.Close()
}

// addressOf is the address without port of a connection's end: of IPv6 its /64, which one machine has all of.
func addressOf(a net.Addr) netip.Addr {
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	prefix, err := ap.Addr().Unmap().WithZone("").Prefix(min(64, ap.Addr().Unmap().BitLen()))
	if err != nil {
		return netip.Addr{}
	}
	return prefix.Addr()
}
