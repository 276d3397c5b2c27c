package lasthour

import (
	"context"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/redisconn"
	"vizstop/internal/redistest"
)

func TestMain(m *testing.M) {
	redisconn.RouteLogs(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// clock is a time that only a test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 26, 17, 45, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func (c *clock) writer(rdb redis.UniversalClient, worker string) *Writer {
	return NewWriter(rdb, worker, c.now, slog.New(slog.DiscardHandler))
}

func write(t *testing.T, w *Writer) {
	t.Helper()
	if err := w.write(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, r *Reader) []Minute {
	t.Helper()
	minutes, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(minutes) != Shown {
		t.Fatalf("%d minutes", len(minutes))
	}
	for i, m := range minutes {
		if want := r.now().Truncate(time.Minute).Add(time.Duration(i-Shown+1) * time.Minute); !m.Start.Equal(want) {
			t.Fatalf("minute %d begins at %v, want %v", i, m.Start, want)
		}
	}
	return minutes
}

// What writers of several workers count adds up, in the minute in which it happened.
func TestWritersAddUp(t *testing.T) {
	s, c := redistest.Start(t), newClock()
	rdb := s.Limited(t)
	a, b := c.writer(rdb, "a"), c.writer(rdb, "b")
	a.StopEnded("stopped", 3*time.Second)
	a.StopEnded("rejected", time.Hour)
	a.ShadowEnded("would_stop")
	b.StopEnded("stopped", 10*time.Hour)
	b.ShadowEnded("rejected")
	for _, k := range jobs.Kinds() {
		a.APICalled(jobs.OperationStop, k.String())
	}
	b.APICalled(jobs.OperationStop, "ok")
	b.APICalled(jobs.OperationList, "throttled")
	write(t, a)
	write(t, b)
	c.advance(time.Minute)
	a.StopEnded("stopped", time.Second)
	write(t, a)
	a.StopEnded("stopped", time.Second)
	write(t, a)
	write(t, a)

	minutes := read(t, NewReader(rdb, c.now))
	want := newMinute()
	want.Start = c.now().Add(-time.Minute)
	want.Outcomes = map[ledger.State]int{ledger.Stopped: 2, ledger.Rejected: 1}
	want.Shadows = map[ledger.State]int{ledger.WouldStop: 1, ledger.Rejected: 1}
	want.Lag.observe(3 * time.Second)
	want.Lag.observe(10 * time.Hour)
	want.Calls = map[string]Calls{
		jobs.OperationStop: {Good: 5, Bad: len(jobs.Kinds()) - 6, Throttled: 1}, // not the one that was canceled
		jobs.OperationList: {Throttled: 1},
	}
	if got := minutes[Shown-2]; !reflect.DeepEqual(got, want) {
		t.Errorf("the minute before has\n%+v, want\n%+v", got, want)
	}
	if got := minutes[Shown-1].Outcomes[ledger.Stopped]; got != 2 {
		t.Errorf("%d stopped in this minute, want 2", got)
	}
	if sum := Sum(minutes...); sum.Outcomes[ledger.Stopped] != 4 || sum.Lag.Count() != 4 || sum.Calls[jobs.OperationStop].Good != 5 {
		t.Errorf("the sum is %+v", sum)
	}
	for _, key := range s.Client(t).Keys(t.Context(), "*").Val() {
		if ttl := s.Client(t).TTL(t.Context(), key).Val(); ttl <= life-time.Hour || ttl > life {
			t.Errorf("%s lives for %v, want about %v", key, ttl, life)
		}
	}
}

// A worker that starts again counts beside what it counted before: its id is another.
func TestARestartedWorker(t *testing.T) {
	s, c := redistest.Start(t), newClock()
	rdb := s.Limited(t)
	for _, id := range []string{"first", "second"} {
		w := c.writer(rdb, id)
		w.StopEnded("stopped", time.Second)
		ctx, end := context.WithCancel(t.Context())
		end()
		w.Run(ctx) // writes at its end, too
	}
	if n := read(t, NewReader(rdb, c.now))[Shown-1].Outcomes[ledger.Stopped]; n != 2 {
		t.Errorf("%d stopped, want 2", n)
	}
}

// While Redis is away, what happens is kept, up to five minutes of it; a write that was
// carried out and whose answer got lost counts nothing twice.
func TestRedisIsAway(t *testing.T) {
	s, c := redistest.Start(t), newClock()
	rdb := redis.NewClient(&redis.Options{Addr: s.Addr, MaxRetries: -1, DialerRetries: 1})
	defer rdb.Close()
	w, r := c.writer(rdb, "a"), NewReader(rdb, c.now)
	w.StopEnded("stopped", time.Second)
	write(t, w)
	w.putBack(map[int64]string{minuteOf(c.now()): ""}) // as if its answer had been lost
	s.Kill()
	for range 7 {
		w.StopEnded("stopped", time.Second)
		if err := w.write(t.Context()); err == nil {
			t.Fatal("written to a dead Redis")
		}
		if _, err := r.Read(t.Context()); err == nil {
			t.Fatal("read from a dead Redis")
		}
		c.advance(time.Minute)
	}
	if n := len(w.minutes); n > kept {
		t.Errorf("%d minutes are kept, want %d", n, kept)
	}
	s.StartAgain()
	for w.write(t.Context()) != nil { // until the client has found it
	}
	var got []int
	for _, m := range read(t, r)[Shown-8:] {
		got = append(got, m.Outcomes[ledger.Stopped])
	}
	// Redis may have kept what was written before it was killed, in the first minute.
	if want := []int{0, 0, 1, 1, 1, 1, 0}; got[0] > 1 || !reflect.DeepEqual(got[1:], want) {
		t.Errorf("read %v, want up to 1 and then %v", got, want)
	}
	write(t, w)
	w.mu.Lock()
	defer w.mu.Unlock()
	for minute, tally := range w.minutes {
		if tally.unwritten {
			t.Errorf("minute %d is not written", minute)
		}
	}
}

// A clock that is set back by a little goes on where the minute was.
func TestTheClockGoesBack(t *testing.T) {
	s, c := redistest.Start(t), newClock()
	rdb := s.Limited(t)
	w, r := c.writer(rdb, "a"), NewReader(rdb, c.now)
	w.StopEnded("stopped", time.Second)
	write(t, w)
	c.advance(time.Minute)
	w.StopEnded("stopped", time.Second)
	write(t, w)
	read(t, r)
	c.advance(-time.Minute)
	w.StopEnded("stopped", time.Second)
	write(t, w)
	if n := read(t, r)[Shown-1].Outcomes[ledger.Stopped]; n != 2 {
		t.Errorf("%d stopped in the minute that came twice, want 2", n)
	}
}

// A reader once a second costs two commands, and a few more every half minute; what it
// has cached is what stands in Redis.
func TestWhatAReaderCosts(t *testing.T) {
	s, c := redistest.Start(t), newClock()
	rdb, admin := s.Limited(t), s.Client(t)
	w, r := c.writer(rdb, "a"), NewReader(rdb, c.now)
	for range Shown {
		w.APICalled(jobs.OperationStop, "ok")
		write(t, w)
		c.advance(time.Minute)
	}
	read(t, r)
	commands := func() (n int) {
		text := admin.Info(t.Context(), "commandstats").Val()
		for line := range strings.Lines(text) {
			if calls, ok := strings.CutPrefix(line, "cmdstat_hgetall:calls="); ok {
				count, _, _ := strings.Cut(calls, ",")
				n, _ = strconv.Atoi(count)
			}
		}
		return n
	}
	before := commands()
	if before != Shown {
		t.Errorf("the first reading took %d commands, want %d", before, Shown)
	}
	const seconds = 600
	for range seconds {
		c.advance(time.Second)
		w.APICalled(jobs.OperationStop, "ok")
		write(t, w)
		read(t, r)
	}
	if n := commands() - before; n < 2*seconds || n > 2*seconds+5*seconds/20 {
		t.Errorf("%d readings took %d commands, want 2 each and a few more", seconds, n)
	}
	if fresh := read(t, NewReader(rdb, c.now)); !reflect.DeepEqual(read(t, r), fresh) {
		t.Errorf("the cached minutes are %+v, want %+v", read(t, r), fresh)
	}
}

// A minute that is written late shows within half a minute.
func TestALateWrite(t *testing.T) {
	s, c := redistest.Start(t), newClock()
	rdb := s.Limited(t)
	w, r := c.writer(rdb, "a"), NewReader(rdb, c.now)
	w.APICalled(jobs.OperationStop, "ok")
	c.advance((kept - 1) * time.Minute)
	read(t, r)
	write(t, w)
	c.advance(lookAgain)
	if n := read(t, r)[Shown-kept].Calls[jobs.OperationStop].Good; n != 1 {
		t.Errorf("%d calls, want the one that was written late", n)
	}
}

// An idle writer sends nothing.
func TestAnIdleWriter(t *testing.T) {
	w := newClock().writer(nil, "a") // it would panic
	write(t, w)
	w.Run(func() context.Context { ctx, end := context.WithCancel(t.Context()); end(); return ctx }())
}

// Whatever stands in Redis, it is read without harm.
func TestDecodeAnything(t *testing.T) {
	for _, text := range []string{"", "x", "[]", "null", `{"o":{"lost":3}}`, `{"o":{"stopped":-1},"l":{"99":1,"-1":1},"c":{"fly":[1,1,1]}}`,
		`{"o":{"stopped":1` + strings.Repeat(" ", mostWritten) + `}}`} {
		if got := decode(text); !reflect.DeepEqual(got, newMinute()) {
			t.Errorf("%.50q counts %+v", text, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		m := newMinute()
		for _, o := range ledger.Outcomes() {
			if n := rapid.IntRange(0, 1000).Draw(t, "stops"); n > 0 {
				m.Outcomes[o] = n
			}
		}
		for _, op := range jobs.Operations() {
			m.Calls[op] = Calls{rapid.IntRange(0, 1000).Draw(t, "good"), rapid.IntRange(0, 1000).Draw(t, "bad"), 0}
		}
		for range rapid.IntRange(0, 50).Draw(t, "lags") {
			m.Lag.observe(time.Duration(rapid.Int64Range(1, int64(3*time.Hour)).Draw(t, "lag")))
		}
		if got := decode(m.encode()); !reflect.DeepEqual(got, m) {
			t.Fatalf("decoded %+v, want %+v", got, m)
		}
		decode(rapid.String().Draw(t, "text"))
	})
}

func TestQuantile(t *testing.T) {
	of := func(times ...time.Duration) (l Lag) {
		for _, d := range times {
			l.observe(d)
		}
		return l
	}
	for _, tt := range []struct {
		lag  Lag
		q    float64
		want time.Duration
	}{
		{of(), 0.5, 0},
		{of(time.Second), 1, time.Second},
		{of(time.Second), 0.5, 920500 * time.Microsecond}, // in the middle of 841 ms to 1 s
		{of(900*time.Millisecond, 900*time.Millisecond), 0.95, 900 * time.Millisecond}, // none was longer
		{of(0, 0, 0, 100*time.Millisecond), 0.25, 62500 * time.Microsecond},
		{of(time.Second, 10*time.Hour), 0.95, 10 * time.Hour},
		{of(570*time.Second, 580*time.Second, 582*time.Second), 0.95, 582 * time.Second}, // 9.7 min, not 16
		{decode(`{"l":{"2":2}}`).Lag, 1, time.Second},                                    // of a worker that tells no longest one
		{decode(`{"l":{"15":1}}`).Lag, 1, 4096 * time.Second},
	} {
		if got := tt.lag.Quantile(tt.q); got != tt.want {
			t.Errorf("%v of %v is %v, want %v", tt.q, tt.lag, got, tt.want)
		}
	}
	if LagBound(0) != 250*time.Millisecond || LagBound(bounds-1) < time.Hour || LagBound(bounds) != 0 {
		t.Errorf("bounds are %v to %v", LagBound(0), LagBound(bounds-1))
	}
	rapid.Check(t, func(t *rapid.T) {
		times := rapid.SliceOfN(rapid.Int64Range(int64(LagBound(1)), int64(time.Hour)), 1, 50).Draw(t, "times")
		var l Lag
		var most int64
		for _, d := range times {
			l.observe(time.Duration(d))
			most = max(most, d)
		}
		slices.Sort(times)
		for i, d := range times {
			off := float64(l.Quantile(float64(i+1)/float64(len(times)))) / float64(d)
			if off < 0.8 || off > 1.2 || l.Quantile(1) > time.Duration(most)+time.Millisecond {
				t.Fatalf("of %v number %d is estimated %v times as long, and the longest as %v", times, i, off, l.Quantile(1))
			}
		}
	})
}
