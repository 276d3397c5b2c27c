package simulation

import (
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"sync"
	"time"
)

// mortal is a worker that things happen to. It can die in the middle of any
// command to Redis or call of the API: from then on nothing leaves it and
// nothing reaches it. It can also freeze there for a while, as a process does
// whose machine is moved or out of memory, and go on as if nothing had been.
type mortal struct {
	running
	line *line

	mu     sync.Mutex
	left   int           // steps until its fate; 0: none is planned
	freeze time.Duration // its fate: how long it freezes; 0: it dies
	dead   time.Time
	frozen []span
	conns  []net.Conn

	buried chan struct{}
}

type span struct{ from, to time.Time }

// touches reports whether two spans have a moment in common.
func (s span) touches(o span) bool { return !s.from.After(o.to) && !o.from.After(s.to) }

// meets plans the worker's fate after so many further steps: to freeze for d or,
// if d is 0, to die.
func (m *mortal) meets(steps int, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.freeze = steps+1, d
}

// survives counts a step and reports whether the worker lives to take it. While
// the worker is frozen, it does not return.
func (m *mortal) survives() bool {
	now := time.Now()
	m.mu.Lock()
	if m.left > 0 {
		if m.left--; m.left == 0 {
			m.strike(now)
		}
	}
	var thaw time.Duration
	if n := len(m.frozen); n > 0 {
		thaw = m.frozen[n-1].to.Sub(now)
	}
	m.mu.Unlock()
	time.Sleep(thaw) // virtual: costs nothing
	return m.died().IsZero()
}

// greeting finds commands that go-redis sends under a lock. A worker that froze
// there would stop virtual time, because others would wait for the lock.
var greeting = regexp.MustCompile(`(?i)\r\n(hello|client|ping|p?subscribe)\r\n`)

// strike makes the worker's fate come true. The lock is held.
func (m *mortal) strike(now time.Time) {
	if m.freeze > 0 {
		m.frozen = append(m.frozen, span{now, now.Add(m.freeze)})
		return
	}
	m.dead = now
	for _, c := range m.conns {
		c.Close()
	}
	go m.bury()
}

// bury ends the goroutines of a dead worker. Cut off as it is, nothing of that
// is seen outside.
func (m *mortal) bury() {
	m.stop()
	close(m.buried)
}

func (m *mortal) died() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.dead
}

// hurt reports whether the worker died or was frozen at some time of s.
func (m *mortal) hurt(s span) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.frozen {
		if f.touches(s) {
			return true
		}
	}
	return !m.dead.IsZero() && !m.dead.Before(s.from) && !m.dead.After(s.to)
}

var (
	errDead = errors.New("this worker is dead")
	// go-redis tries again after errors of the network, and waits in between.
	errRefused = &net.OpError{Op: "dial", Err: errors.New("connection refused")}
)

func (m *mortal) dial(context.Context, string, string) (net.Conn, error) {
	if !m.died().IsZero() {
		return nil, errRefused
	}
	conn, err := m.line.dial(m)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns = append(m.conns, conn)
	return conn, nil
}

// line is what lies between all workers and Redis.
type line struct {
	world *world

	mu    sync.Mutex
	away  time.Time // no connection is to be had before
	conns []*mortalConn
	cuts  []span
}

func (l *line) dial(m *mortal) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.away) {
		return nil, errRefused
	}
	conn, err := l.world.dial()
	if err != nil {
		return nil, err
	}
	c := &mortalConn{Conn: conn, m: m}
	l.conns = append(l.conns, c)
	return c, nil
}

// cut ends every connection, each after its next command has been carried out
// but before the answer is there, and lets none be made for d.
func (l *line) cut(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.away = now.Add(d)
	l.cuts = append(l.cuts, span{now, l.away})
	for _, c := range l.conns {
		c.mute()
	}
	l.conns = nil
}

// back is when connections can be made again.
func (l *line) back() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.away
}

// hurt reports whether Redis was cut off at some time of s. An idle connection
// notices only when it is used, so a cut lasts for another while.
func (l *line) hurt(s span) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.cuts {
		if s.touches(span{c.from, c.to.Add(2 * time.Minute)}) {
			return true
		}
	}
	return false
}

// mortalConn is a connection to Redis of a worker that can die.
type mortalConn struct {
	net.Conn
	m *mortal

	mu    sync.Mutex
	muted bool
}

func (c *mortalConn) mute() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.muted = true
}

func (c *mortalConn) Write(p []byte) (int, error) {
	if greeting.Match(p) {
		return c.Conn.Write(p) // a dead worker's is closed
	}
	if !c.m.survives() {
		return 0, errDead
	}
	return c.Conn.Write(p)
}

func (c *mortalConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.muted {
		c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}
