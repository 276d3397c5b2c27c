package worker

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"vizstop/internal/modelarts"
)

// mortal is a worker that can die in the middle of any command to Redis or call
// of the API: from then on nothing leaves it and nothing reaches it.
type mortal struct {
	running
	world *world

	mu    sync.Mutex
	left  int // steps until it dies; 0: it lives on
	dead  time.Time
	conns []net.Conn

	buried chan struct{}
}

// hire starts a worker of the day.
func (d *day) hire() {
	m := &mortal{world: d.world, buried: make(chan struct{})}
	reg := prometheus.NewRegistry()
	events := NewMetrics(reg, "test")
	client, err := modelarts.New("http://127.0.0.1", modelarts.WithHTTPClient(d.http), ObserveAPI(events))
	if err != nil {
		d.t.Fatal(err)
	}
	rdb := redis.NewClient(&redis.Options{
		Dialer: m.dial, PoolSize: 1000, MaxRetries: 3, MinRetryBackoff: 200 * time.Millisecond, DialerRetries: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	cfg := d.cfg
	cfg.Redis, cfg.Registry, cfg.Metrics = rdb, reg, events
	cfg.Jobs = &observed{Jobs: client, witness: d.witness, by: m}
	cfg.Logger = slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	m.running = running{New(cfg), reg, rdb}
	if err := m.Start(context.Background()); err != nil {
		d.t.Fatal(err)
	}
	d.workers = append(d.workers, m)
}

// dieAfter makes the worker die after so many further steps.
func (m *mortal) dieAfter(steps int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = steps + 1
}

// survives counts a step and reports whether the worker lives to take it.
func (m *mortal) survives() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.left > 0 {
		if m.left--; m.left == 0 {
			m.dead = time.Now()
			for _, c := range m.conns {
				c.Close()
			}
			go m.bury()
		}
	}
	return m.dead.IsZero()
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

// aliveFor reports whether the worker lived on for d after t.
func (m *mortal) aliveFor(t time.Time, d time.Duration) bool {
	dead := m.died()
	return dead.IsZero() || dead.After(t.Add(d))
}

var errDead = errors.New("this worker is dead")

func (m *mortal) dial(context.Context, string, string) (net.Conn, error) {
	m.mu.Lock()
	dead := !m.dead.IsZero()
	m.mu.Unlock()
	if dead {
		return nil, errDead
	}
	conn, err := m.world.dial()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns = append(m.conns, conn)
	return &mortalConn{conn, m}, nil
}

// mortalConn is a connection to Redis of a worker that can die.
type mortalConn struct {
	net.Conn
	m *mortal
}

func (c *mortalConn) Write(p []byte) (int, error) {
	if !c.m.survives() {
		return 0, errDead
	}
	return c.Conn.Write(p)
}
