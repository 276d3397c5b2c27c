package console

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"vizstop/internal/console/problem"
	"vizstop/internal/principals"
)

// A thousand, a hundred at once: no more than allowed are at work, each of the others is told when to come again, and a
// principal leaves room for others.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const all, whole = 1000, 40
	atOnce := make(chan struct{}, 100) // of a thousand a busy machine keeps some waiting until the server's limits end them
	s := serve(t, options{config: func(c *Config) { c.InFlight, c.Rate = whole, 10*all }})
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	var status [all]atomic.Int64
	var answeredNow atomic.Int64
	var done sync.WaitGroup
	ask := func(i int, as string) {
		defer answeredNow.Add(1)
		atOnce <- struct{}{}
		defer func() { <-atOnce }()
		got, err := s.try(call{path: "/v1/wait", as: as, client: client})
		if err != nil {
			t.Errorf("%d: %v", i, err)
			return
		}
		status[i].Store(int64(got.status))
		if got.status != 200 && got.header.Get("Retry-After") == "" {
			t.Errorf("%d without Retry-After", got.status)
		}
	}
	for i := range all - 1 {
		done.Go(func() { ask(i, "reader") })
	}
	s.await("refusals", func() bool { return answeredNow.Load() == all-1-whole/4 })
	done.Go(func() { ask(all-1, "operator") })
	s.await("another principal", func() bool { return s.waiting.Load() == whole/4+1 })
	close(s.release)
	done.Wait()
	counts := map[int64]int{}
	for i := range all {
		counts[status[i].Load()]++
	}
	if counts[200] != whole/4+1 || counts[429] != all-whole/4-1 || s.most.Load() != whole/4+1 || status[all-1].Load() != 200 {
		t.Errorf("answers %v, at most %d at once", counts, s.most.Load())
	}
	s.await("the end of all", func() bool { return s.console.limits.all() == 0 })
	if got := testutil.ToFloat64(s.console.metrics.inFlight); got != 0 {
		t.Errorf("%g are at work after the end", got)
	}
}

// The whole is full: everybody is told.
func TestOverloaded(t *testing.T) {
	t.Parallel()
	s := serve(t, options{config: func(c *Config) { c.InFlight = 2 }})
	var done sync.WaitGroup
	for _, as := range []string{"reader", "operator"} {
		done.Go(func() { _, _ = s.try(call{path: "/v1/wait", as: as}) })
	}
	s.await("two", func() bool { return s.waiting.Load() == 2 })
	if got := s.do(call{path: "/v1/jobs/1", as: "asker"}); got.status != 503 || got.problem() != "overloaded" || got.header.Get("Retry-After") != "1" {
		t.Errorf("%d %s", got.status, got.body)
	}
	for _, path := range []string{"/healthz", "/readyz", "/public"} {
		if got := s.do(call{path: path}); got.status != 200 {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	close(s.release)
	done.Wait()
	s.await("room", func() bool { return s.console.limits.all() == 0 })
	if got := s.do(call{path: "/v1/jobs/1", as: "asker"}); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// A principal that waits for much still reads, and is told when it waits for too much.
func TestWaiting(t *testing.T) {
	t.Parallel()
	s := serve(t, options{config: func(c *Config) { c.Rate = 10 * maxWaiting }})
	var done sync.WaitGroup
	for range maxWaiting {
		done.Go(func() { _, _ = s.try(call{path: "/v1/wait?wait=25", as: "reader"}) })
	}
	s.await("all that may wait", func() bool { return s.waiting.Load() == maxWaiting })
	got := s.do(call{path: "/v1/wait?wait=25", as: "reader"})
	if got.status != 429 || got.problem() != "too-many-requests" || got.header.Get("Retry-After") != "1" || !strings.Contains(got.body, "that wait") {
		t.Errorf("%d %s", got.status, got.body)
	}
	done.Go(func() { _, _ = s.try(call{path: "/v1/wait", as: "reader"}) })
	s.await("one that does not count", func() bool { return s.waiting.Load() == maxWaiting+1 })
	done.Go(func() { _, _ = s.try(call{path: "/v1/wait?wait=25", as: "asker"}) })
	s.await("one of another", func() bool { return s.waiting.Load() == maxWaiting+2 })
	close(s.release)
	done.Wait()
}

// Those who are not known keep the console neither from principals nor from probes.
func TestStrangers(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	var done sync.WaitGroup
	for range maxOfOneNetwork {
		done.Go(func() { _, _ = s.try(call{path: "/hang"}) })
	}
	s.await("as many as may be", func() bool { return s.waiting.Load() == maxOfOneNetwork })
	if got := s.do(call{path: "/public"}); got.status != 503 || got.header.Get("Retry-After") != "1" {
		t.Errorf("one more: %d %s", got.status, got.body)
	}
	for _, c := range []call{{path: "/healthz"}, {path: "/readyz"}, {path: "/public", as: "reader"}, {path: "/v1/jobs/1", as: "reader"}} {
		if got := s.do(c); got.status != 200 {
			t.Errorf("%s: %d %s", c.path, got.status, got.body)
		}
	}
	close(s.release)
	done.Wait()
	s.await("room", func() bool { return s.do(call{path: "/public"}).status == 200 })
}

// Whoever is not known and takes nothing is cut off.
func TestStrangerTakesNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, options{})
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
	began := time.Now()
	s.await("the end", s.cut.Load)
	if took := time.Since(began); took >= writePause {
		t.Errorf("it took %v", took)
	}
}

// However many networks there are, they are counted together, and forgotten.
func TestStrangersOfManyNetworks(t *testing.T) {
	t.Parallel()
	s := newStrangers()
	var frees []func()
	for i := range maxStrangers {
		free, refusal := s.take(fmt.Sprintf("10.0.%d.1:1", i/maxOfOneNetwork))
		if refusal != nil {
			t.Fatalf("%d: %v", i, refusal)
		}
		frees = append(frees, free)
	}
	for _, from := range []string{"10.0.0.1:2", "10.1.0.1:1"} {
		if _, refusal := s.take(from); refusal == nil || refusal.Type != problem.Overloaded {
			t.Errorf("%s: %v", from, refusal)
		}
	}
	for _, free := range frees {
		free()
	}
	if s.atWork != 0 || len(s.from) != 0 {
		t.Errorf("%d at work from %v", s.atWork, s.from)
	}
}

// A principal that asks too often waits; others don't.
func TestRate(t *testing.T) {
	t.Parallel()
	s := serve(t, options{config: func(c *Config) { c.Rate = 5 }, built: func(c *Console) {
		now := time.Now()
		c.now = func() time.Time { return now }
	}})
	for i := range 10 {
		if got := s.do(call{path: "/v1/jobs/1", as: "reader"}); got.status != 200 {
			t.Fatalf("request %d: %d", i, got.status)
		}
	}
	if got := s.do(call{path: "/v1/jobs/1", as: "reader"}); got.status != 429 || got.problem() != "too-many-requests" || got.header.Get("Retry-After") != "1" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	if got := s.do(call{path: "/v1/jobs/1", as: "asker"}); got.status != 200 {
		t.Errorf("another principal: %d", got.status)
	}
}

// Wrong tokens are slowed down, and right ones from the same address are not.
func TestGuesses(t *testing.T) {
	t.Parallel()
	s := serve(t, options{built: func(c *Console) {
		now := time.Now()
		c.now = func() time.Time { return now }
	}})
	wrong := func() answered {
		token, _ := principals.NewToken()
		s.tokens["guess"] = token // is not in the log either
		return s.do(call{path: "/v1/jobs/1", as: "guess"})
	}
	for i := range guessBurst {
		if got := wrong(); got.status != 401 {
			t.Fatalf("guess %d: %d", i, got.status)
		}
	}
	if got := wrong(); got.status != 429 || got.problem() != "too-many-guesses" || got.header.Get("Retry-After") != "2" {
		t.Errorf("%d %s %v", got.status, got.body, got.header)
	}
	if got := s.do(call{path: "/v1/jobs/1", as: "reader"}); got.status != 200 {
		t.Errorf("a right token: %d", got.status)
	}
	if got := s.do(call{path: "/v1/jobs/1"}); got.status != 401 {
		t.Errorf("no token: %d", got.status)
	}
}

// Whoever sends no right token fills no log: what is not logged is counted.
func TestMuffledLog(t *testing.T) {
	t.Parallel()
	const all = 40
	s := serve(t, options{built: func(c *Console) {
		now := time.Now()
		c.now, c.muffle.every = func() time.Time { return now }, 20*time.Millisecond
	}})
	for i := range all {
		as := ""
		if i%2 == 0 {
			token, _ := principals.NewToken()
			s.tokens["guess"], as = token, "guess"
		}
		s.do(call{path: "/v1/jobs/1", as: as})
	}
	counted := func() (n int) {
		for line := range strings.Lines(s.log.String()) {
			if _, line, ok := strings.Cut(line, "besides those logged one by one\" requests="); ok {
				var one int
				_, _ = fmt.Sscan(line, &one)
				n += one
			}
		}
		return n
	}
	s.await("what was not logged", func() bool { return counted() == all-guessBurst })
	if n := strings.Count(s.log.String(), "level=INFO msg=request "); n != guessBurst {
		t.Errorf("%d requests were logged", n)
	}
	s.do(call{method: "POST", path: "/v1/asks", as: "reader"})
	s.await("a principal's", func() bool { return strings.Contains(s.log.String(), "level=INFO msg=request principal=reader") })
}

// However many addresses guess, the memory of them is bounded, and the newest is known.
func TestGuessesAreBounded(t *testing.T) {
	t.Parallel()
	g, now := newGuesses(), time.Now()
	for i := range 3 * maxGuessers {
		g.count(fmt.Sprintf("10.%d.%d.%d:1", i>>16, i>>8&255, i&255), now)
		if len(g.from) > maxGuessers {
			t.Fatalf("%d addresses are remembered", len(g.from))
		}
	}
	for range guessBurst {
		g.count("[2001:db8::1]:1", now)
	}
	if wait := g.count("[2001:db8::ffff:2]:9", now); wait != 2*time.Second {
		t.Errorf("the same network waits %v", wait)
	}
	if wait := g.count("[2001:db8:0:1::1]:1", now); wait != 0 {
		t.Errorf("another network waits %v", wait)
	}
	if wait := g.count("[2001:db8::1]:1", now.Add(2*time.Second)); wait != 0 {
		t.Errorf("after the wait, it waits %v", wait)
	}
}
