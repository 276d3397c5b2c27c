package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"vizstop/internal/redistest"
	"vizstop/internal/release"
)

// fragile is a way to Redis that breaks for good, on all connections at once.
type fragile struct {
	net.Listener
	redis   string // address
	serving sync.WaitGroup

	mu     sync.Mutex
	broken bool
	conns  []net.Conn
}

// fragileRedis breaks when the first round is about to be asked for: the ledger
// has at least one chunk of stops by then, and at most as many as are under
// way at once.
func fragileRedis(ts *testscript.TestScript, w *world, args []string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	f := &fragile{Listener: l, redis: w.redis.Addr}
	ts.Defer(func() {
		f.breakDown()
		f.serving.Wait()
	})
	f.serving.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			f.serving.Go(func() { f.serve(client) })
		}
	})
	ts.Setenv(args[0], strings.Replace(redistest.For("enqueue", w.redis.URL), w.redis.Addr, l.Addr().String(), 1))
	return nil
}

func (f *fragile) breakDown() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken = true
	f.Close()
	for _, c := range f.conns {
		c.Close()
	}
}

// keep says whether c may live.
func (f *fragile) keep(c net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.conns = append(f.conns, c)
	return !f.broken
}

func (f *fragile) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", f.redis)
	if err != nil {
		return
	}
	defer server.Close()
	if !f.keep(client) || !f.keep(server) {
		return
	}
	f.serving.Go(func() {
		_, _ = io.Copy(client, server)
		client.Close()
	})
	_, err = io.Copy(fuse{server}, client)
	if errors.Is(err, errBlown) {
		f.breakDown()
	}
}

var errBlown = errors.New("the way to Redis is broken")

// fuse passes on what is written until a project is asked a round for.
type fuse struct{ w io.Writer }

func (f fuse) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(release.WakeChannel)) {
		return 0, errBlown
	}
	return f.w.Write(p)
}
