package simulation

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/logtest"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	v2 "vizstop/internal/modelarts/v2"
	"vizstop/internal/redisconn"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

const project = "0123456789abcdef0123456789abcdef"

func TestMain(m *testing.M) {
	redisconn.RouteLogs(slog.New(slog.DiscardHandler))
	debug.SetGCPercent(1000) // little is alive at a time: an imitated Redis makes much garbage
	os.Exit(m.Run())
}

// world is a whole deployment in virtual time: Redis, the API, and workers.
type world struct {
	t        *testing.T
	redis    *miniredis.Miniredis
	rdb      *redis.Client
	sim      *modelartstest.Simulator
	v2       bool // the API is of the second generation
	ledger   *ledger.Ledger
	producer *tasks.Producer
	queue    *asynq.Client
	http     *http.Client
	log      *logtest.Buffer
	keepKeys func() // ends that keys expire
}

// inBubble runs test in a bubble of virtual time, with an API that behaves as
// cfg says.
func inBubble(t *testing.T, cfg modelartstest.Config, test func(w *world)) {
	t.Helper()
	t.Parallel()
	bubble(t, cfg, test)
}

func bubble(t *testing.T, cfg modelartstest.Config, test func(w *world)) {
	t.Helper()
	outer := t // stories may tell it of what is wrong
	cfg.Only = cmp.Or(cfg.Only, usual)
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, redis: miniredis.NewMiniRedis(), sim: modelartstest.New(cfg), v2: cfg.Only == modelartstest.V2, log: &logtest.Buffer{}}
		w.keepKeys = w.expireKeys()
		w.rdb = w.connect()
		w.ledger = ledger.New(w.rdb, time.Now)
		w.queue = asynq.NewClientFromRedisClient(w.rdb)
		w.producer = tasks.NewProducer(w.ledger, w.rdb)
		w.serveAPI()
		defer w.redis.Close()
		defer w.rdb.Close()
		defer w.keepKeys()
		test(w)
		if t.Failed() || outer.Failed() {
			t.Log(w.log.String())
		}
	})
}

// expireKeys lets keys expire, up to a second early, until stop is called. That Redis could do so by itself, but would
// look at all keys with every command.
func (w *world) expireKeys() (stop func()) {
	ticker, done := time.NewTicker(time.Second), make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				w.redis.FastForward(time.Second)
			case <-done:
				return
			}
		}
	}()
	return sync.OnceFunc(func() {
		ticker.Stop()
		close(done)
	})
}

func (w *world) connect() *redis.Client {
	rdb := redis.NewClient(&redis.Options{
		Dialer: func(context.Context, string, string) (net.Conn, error) { return w.dial() },
		// Nobody may wait for a connection: go-redis keeps the channels to wait on over bubbles.
		PoolSize: 1000,
		// Without it, the client looks up the host it thinks it talks to.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	redisconn.PauseAfterRefusals(rdb)
	return rdb
}

// dial connects to Redis over a pipe that takes writes without waiting for
// their reader: a client that pipelines writes all before it reads.
func (w *world) dial() (net.Conn, error) {
	conn, err := w.redis.Dial()
	if err != nil {
		return nil, err
	}
	b := &bufferedConn{Conn: conn, writes: make(chan []byte, 4096), closed: make(chan struct{})}
	go b.pump()
	return b, nil
}

type bufferedConn struct {
	net.Conn
	writes chan []byte
	closed chan struct{}
	once   sync.Once
}

func (b *bufferedConn) pump() {
	for {
		select {
		case p := <-b.writes:
			if _, err := b.Conn.Write(p); err != nil {
				return
			}
		case <-b.closed:
			return
		}
	}
}

func (b *bufferedConn) Write(p []byte) (int, error) {
	select {
	case b.writes <- bytes.Clone(p):
		return len(p), nil
	case <-b.closed:
		return 0, net.ErrClosed
	}
}

func (b *bufferedConn) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Conn.Close()
}

func (b *bufferedConn) SetWriteDeadline(time.Time) error { return nil }
func (b *bufferedConn) SetDeadline(t time.Time) error    { return b.Conn.SetReadDeadline(t) }

// serveAPI serves the simulator over pipes.
func (w *world) serveAPI() {
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	server := &http.Server{Handler: w.sim}
	go server.Serve(l)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) },
	}
	w.http = &http.Client{Transport: transport}
	w.t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
	})
}

// pipeListener accepts what dial makes.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

// running is a worker of the world.
type running struct {
	*worker.Worker
	reg *prometheus.Registry
	rdb *redis.Client
	own *redis.Client // that its calls of the second generation ask for the rate, if change has put another one in its place
}

// start starts a worker; change may alter its settings.
func (w *world) start(change func(*worker.Config), opts ...modelarts.Option) *running {
	w.t.Helper()
	reg := prometheus.NewRegistry()
	events := worker.NewMetrics(reg, "test")
	client, err := modelarts.New("http://127.0.0.1", append(opts, modelarts.WithHTTPClient(w.http), worker.ObserveAPI(events, release.DefaultAccount))...)
	if err != nil {
		w.t.Fatal(err)
	}
	own := w.connect()
	cfg := worker.Config{
		Redis: own, Registry: reg, Metrics: events, Concurrency: 10,
		CheckInterval: 2 * time.Second, DelayedCheckInterval: 2 * time.Second,
		Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
	api := worker.Jobs(w.api(client, cfg.Redis, cfg.Release))
	cfg.Jobs = api
	if change != nil {
		change(&cfg)
	}
	if cfg.Jobs == api { // with the rate that change has chosen
		cfg.Jobs = w.api(client, cfg.Redis, cfg.Release)
	}
	r := &running{worker.New(cfg), reg, cfg.Redis.(*redis.Client), own}
	if err := r.Start(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	return r
}

// api is the API behind a client, of the generation that the world has. Its further
// calls ask for the rate.
func (w *world) api(client *modelarts.Client, rdb redis.UniversalClient, rate release.Config) jobs.API {
	if !w.v2 {
		return v1.New(client)
	}
	r := release.New(rdb, "", time.Now, rate)
	return v2.New(client, v2.Options{Spend: r.Spend, Owe: func(ctx context.Context, projectID string) { _ = r.Owe(ctx, projectID) }})
}

func (r *running) stop() {
	r.Shutdown()
	r.rdb.Close()
	r.own.Close()
}

// ask asks for jobs in one batch, due now, with a deadline of 20 minutes.
func (w *world) ask(batch string, jobs ...string) []ledger.Opening {
	w.t.Helper()
	var asks []ledger.Ask
	for _, j := range jobs {
		asks = append(asks, ledger.Ask{JobID: j, Deadline: time.Now().Add(20 * time.Minute)})
	}
	openings, err := w.producer.Ask(context.Background(), project, batch, asks)
	if err != nil {
		w.t.Fatal(err)
	}
	return openings
}

// await waits up to limit, in virtual time, for a condition.
func (w *world) await(limit time.Duration, what string, done func() bool) {
	w.t.Helper()
	for began := time.Now(); !done(); time.Sleep(2 * time.Second) { // virtual: costs nothing
		if time.Since(began) > limit {
			w.t.Fatalf("not within %v: %s\n%s", limit, what, w.log)
		}
	}
}

// awaitEnd waits until every stop of the batch has an outcome and returns them
// by job.
func (w *world) awaitEnd(limit time.Duration, batch string) map[string]*ledger.Stop {
	w.t.Helper()
	w.await(limit, "the end of batch "+batch, func() bool {
		b, err := w.ledger.Batch(context.Background(), project, batch)
		return err == nil && b.InFlight() == 0
	})
	stops, _, err := w.ledger.BatchStops(context.Background(), project, batch, 0, 10000)
	if err != nil {
		w.t.Fatal(err)
	}
	byJob := map[string]*ledger.Stop{}
	for _, s := range stops {
		byJob[s.JobID] = s
	}
	return byJob
}

// calls counts the calls of one operation for one job.
func (w *world) calls(job, operation string) int {
	n := 0
	for _, c := range w.sim.Calls(project, job) {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

// counted is how often a worker counted an outcome.
func (r *running) counted(t *testing.T, outcome ledger.State) int {
	t.Helper()
	return int(gathered(t, r, "vizstop_stop_outcomes_total", string(outcome)))
}

// gathered adds up the counters of one name that have all the given label
// values.
func gathered(t *testing.T, r *running, name string, values ...string) float64 {
	t.Helper()
	sum := 0.0
	for _, m := range series(t, r, name, values) {
		sum += m.GetCounter().GetValue()
	}
	return sum
}

// gauge is the gauge of that name with all the given label values.
func gauge(t *testing.T, r *running, name string, values ...string) float64 {
	t.Helper()
	return series(t, r, name, values)[0].GetGauge().GetValue()
}

// series are the series of one name that have all the given label values, at least
// one.
func series(t *testing.T, r *running, name string, values []string) (found []*dto.Metric) {
	t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			has := func(value string) bool {
				return slices.ContainsFunc(m.GetLabel(), func(l *dto.LabelPair) bool { return l.GetValue() == value })
			}
			if !slices.ContainsFunc(values, func(v string) bool { return !has(v) }) {
				found = append(found, m)
			}
		}
	}
	if len(found) == 0 {
		t.Fatalf("no series %s with %q", name, values)
	}
	return found
}

func wantOutcome(t *testing.T, s *ledger.Stop, outcome ledger.State, reason string) {
	t.Helper()
	if s == nil {
		t.Fatalf("no such stop, want %s", outcome)
	}
	if s.State != outcome || !strings.Contains(s.Reason, reason) {
		t.Errorf("job %s: %s because %q, want %s because %q", s.JobID, s.State, s.Reason, outcome, reason)
	}
}

// rarely makes a worker look for foreign tasks rarely: for stories of minutes.
func rarely(c *worker.Config) {
	c.CheckInterval, c.DelayedCheckInterval = 10*time.Second, 10*time.Second
}

// idle reports whether none of the projects "p0", "p1" and so on has a stop in
// flight.
func (w *world) idle(projects int) bool {
	ids := []string{project}
	for i := range projects {
		ids = append(ids, fmt.Sprint("p", i))
	}
	load, err := w.ledger.Load(context.Background(), ids)
	return err == nil && len(load.Projects) == 0
}
