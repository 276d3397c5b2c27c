package simulation

import (
	"context"
	"errors"
	"io"
	"net"
	"regexp"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"vizstop/internal/redisconn"
)

// faultyWorker is a worker that can die or freeze in the middle of any command to
// Redis or call of the API. When it dies, nothing leaves it and nothing reaches it
// any more. When it freezes, as a process does on a machine that is moved or out of
// memory, it stands still for a while and then goes on where it was.
type faultyWorker struct {
	running
	line *line

	mu     sync.Mutex
	left   int           // steps until it fails; 0: no failure is planned
	freeze time.Duration // how long it freezes when it fails; 0: it dies
	dead   time.Time
	frozen []span
	conns  []net.Conn

	cleanedUp chan struct{} // closed when a dead worker's goroutines have ended
}

type span struct{ from, to time.Time }

// touches reports whether two spans have a moment in common.
func (s span) touches(o span) bool { return !s.from.After(o.to) && !o.from.After(s.to) }

// failAfter plans that the worker fails after so many further steps: it freezes
// for d or, if d is 0, dies.
func (f *faultyWorker) failAfter(steps int, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.freeze = steps+1, d
}

// survives counts a step and reports whether the worker lives to take it. While
// the worker is frozen, it does not return.
func (f *faultyWorker) survives() bool {
	now := time.Now()
	f.mu.Lock()
	if f.left > 0 {
		if f.left--; f.left == 0 {
			f.fail(now)
		}
	}
	var thaw time.Duration
	if n := len(f.frozen); n > 0 {
		thaw = f.frozen[n-1].to.Sub(now)
	}
	f.mu.Unlock()
	time.Sleep(thaw) // virtual: costs nothing
	return f.died().IsZero()
}

// greeting finds commands that go-redis sends under a lock. A worker that froze
// there would stop virtual time, because others would wait for the lock.
var greeting = regexp.MustCompile(`(?i)\r\n(hello|client|ping|p?subscribe)\r\n`)

// fail carries out the planned failure. The lock is held.
func (f *faultyWorker) fail(now time.Time) {
	if f.freeze > 0 {
		f.frozen = append(f.frozen, span{now, now.Add(f.freeze)})
		return
	}
	f.dead = now
	for _, c := range f.conns {
		c.Close()
	}
	go f.cleanUp()
}

// cleanUp ends the goroutines of a dead worker. Its connections are cut, so nothing
// of that is seen outside.
func (f *faultyWorker) cleanUp() {
	f.stop()
	close(f.cleanedUp)
}

func (f *faultyWorker) died() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}

// hurt reports whether the worker died or was frozen at some time of s.
func (f *faultyWorker) hurt(s span) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, frozen := range f.frozen {
		if frozen.touches(s) {
			return true
		}
	}
	return !f.dead.IsZero() && !f.dead.Before(s.from) && !f.dead.After(s.to)
}

var (
	errDead = errors.New("this worker is dead")
	// go-redis tries again after errors of the network, and waits in between.
	errRefused = &net.OpError{Op: "dial", Err: errors.New("connection refused")}
)

// connect is the worker's client of Redis.
func (f *faultyWorker) connect() *redis.Client {
	rdb := redis.NewClient(&redis.Options{
		Dialer: f.dial, PoolSize: 1000, MaxRetries: 3, MinRetryBackoff: 200 * time.Millisecond, DialerRetries: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	redisconn.PauseAfterRefusals(rdb)
	return rdb
}

func (f *faultyWorker) dial(context.Context, string, string) (net.Conn, error) {
	if !f.died().IsZero() {
		return nil, errRefused
	}
	conn, err := f.line.dial(f)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.dead.IsZero() { // while it dialed
		conn.Close()
		return nil, errRefused
	}
	f.conns = append(f.conns, conn)
	return conn, nil
}

// line is what lies between all workers and Redis.
type line struct {
	world *world

	mu    sync.Mutex
	away  time.Time // no connection is to be had before
	conns []*faultyConn
	cuts  []span
}

func (l *line) dial(f *faultyWorker) (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.away) {
		return nil, errRefused
	}
	conn, err := l.world.dial()
	if err != nil {
		return nil, err
	}
	c := &faultyConn{Conn: conn, worker: f}
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

// faultyConn is a connection to Redis of a worker that can die.
type faultyConn struct {
	net.Conn
	worker *faultyWorker

	mu    sync.Mutex
	muted bool
}

func (c *faultyConn) mute() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.muted = true
}

func (c *faultyConn) Write(p []byte) (int, error) {
	if greeting.Match(p) {
		return c.Conn.Write(p) // a dead worker's is closed
	}
	if !c.worker.survives() {
		return 0, errDead
	}
	return c.Conn.Write(p)
}

func (c *faultyConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.muted {
		c.Conn.Close()
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}
