package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// redisProxy stands on the loopback interface between a worker and Redis and counts requests: what the worker sends
// over the network. What scripts call inside of Redis, which INFO commandstats counts too, it does not see.
type redisProxy struct {
	addr     string
	requests atomic.Int64

	upstream string
	listener net.Listener
	mu       sync.Mutex
	open     map[net.Conn]bool
	running  sync.WaitGroup
}

// startProxy passes connections on to the Redis at upstream until close.
func startProxy(upstream string) (*redisProxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &redisProxy{addr: l.Addr().String(), upstream: upstream, listener: l, open: map[net.Conn]bool{}}
	p.running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return // closed
			}
			p.running.Go(func() { p.pass(client) })
		}
	})
	return p, nil
}

// close drops all connections.
func (p *redisProxy) close() {
	p.listener.Close()
	p.mu.Lock()
	for c := range p.open {
		c.Close()
	}
	p.open = nil
	p.mu.Unlock()
	p.running.Wait()
}

// pass carries one connection until either end closes it.
func (p *redisProxy) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.upstream)
	if err != nil {
		return // the client sees a closed connection
	}
	defer server.Close()
	if !p.keep(client, server) {
		return
	}
	defer p.forget(client, server)
	p.running.Go(func() {
		_, _ = io.Copy(client, server) // an error ends the connection, which both ends see
		client.Close()
	})
	requests := bufio.NewReader(io.TeeReader(client, server))
	for readRequest(requests) == nil {
		p.requests.Add(1)
	}
}

// keep remembers connections for close; false if that has been already.
func (p *redisProxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		return false
	}
	for _, c := range conns {
		p.open[c] = true
	}
	return true
}

func (p *redisProxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.open, c)
	}
}

// readRequest reads one request of a Redis client: an array of bulk strings.
//
// Source: Redis serialization protocol specification, "Sending commands to a Redis server".
func readRequest(r *bufio.Reader) error {
	n, err := readLength(r, '*')
	if err != nil {
		return err
	}
	for range n {
		size, err := readLength(r, '$')
		if err != nil {
			return err
		}
		if _, err := r.Discard(size + len("\r\n")); err != nil {
			return err
		}
	}
	return nil
}

// readLength reads a line that says how long what follows is.
func readLength(r *bufio.Reader, kind byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind {
		return 0, fmt.Errorf("a client of Redis sent %q where a line with %q belongs", line, kind)
	}
	return strconv.Atoi(strings.TrimSpace(line[1:]))
}
