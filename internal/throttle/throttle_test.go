package throttle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/modelarts"
	"vizstop/internal/redistest"
)

const project = "0123456789abcdef0123456789abcdef"

// bench is a throttle whose Redis has a clock that only the test moves.
type bench struct {
	*Throttle
	t      *testing.T
	redis  *clocked
	now    time.Time
	parked []string
}

func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	c := newClocked(t)
	b := &bench{t: t, redis: c, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	b.redis.SetTime(b.now)
	cfg.Observer = b
	b.Throttle = New(c.rdb, cfg)
	return b
}

func (b *bench) ThrottleWaited(time.Duration) {}
func (b *bench) ThrottleParked(reason string) { b.parked = append(b.parked, reason) }

func (b *bench) advance(d time.Duration) {
	b.now = b.now.Add(d)
	b.redis.SetTime(b.now)
}

func (b *bench) mustAsk(class Class, back bool) (Permit, Wait) {
	b.t.Helper()
	how := asNew
	if back {
		how = asBack
	}
	p, w, err := b.ask(b.t.Context(), project, class, how, false)
	if err != nil {
		b.t.Fatal(err)
	}
	return p, w
}

// count asks until told to wait, and returns how often leave was given.
func (b *bench) count(class Class, back bool) int {
	b.t.Helper()
	for n := 0; ; n++ {
		if _, w := b.mustAsk(class, back); w.For > 0 {
			return n
		}
		if n > 1000 {
			b.t.Fatal("no limit")
		}
	}
}

func (b *bench) report(p Permit, err error) bool {
	b.t.Helper()
	system, rerr := b.Report(b.t.Context(), p, err)
	if rerr != nil {
		b.t.Fatal(rerr)
	}
	return system
}

func failure(kind modelarts.Kind) error {
	return &modelarts.APIError{Operation: "stop", Kind: kind, HTTPStatus: 500}
}

func TestRateIsKept(t *testing.T) {
	b := newBench(t, Config{Rate: 10, Burst: 4})
	if n := b.count(Stop, false); n != 4 {
		t.Errorf("%d calls at once, want the burst of 4", n)
	}
	b.advance(time.Hour)
	sent := b.count(Stop, true)
	for range 100 {
		b.advance(50 * time.Millisecond)
		sent += b.count(Stop, true)
	}
	if sent < 40 || sent > 40+4+8 {
		t.Errorf("%d stop calls in 5 s at 10 a second, want four fifths, the burst and one second's that came back late", sent)
	}
}

// Whoever can't go gets a place of his own, and goes when he comes back to it.
func TestPlacesInLine(t *testing.T) {
	b := newBench(t, Config{Rate: 10, Burst: 1})
	b.count(Stop, false)
	b.advance(time.Hour)
	b.mustAsk(Stop, false)
	var waits []time.Duration
	for range 5 {
		_, w := b.mustAsk(Stop, false)
		if !w.Place || w.Reason != Rate {
			t.Fatalf("wait %+v, want a place in line", w)
		}
		waits = append(waits, w.For)
	}
	var last time.Duration
	for i, d := range waits {
		if gap := d - last; i > 0 && gap != 125*time.Millisecond {
			t.Errorf("gap %d is %v, want 125 ms, for stops leave a fifth to others: %v", i, gap, waits)
		}
		b.advance(d - last)
		last = d
		if _, w := b.mustAsk(Stop, true); w.For != 0 {
			t.Errorf("back at place %d: wait %v, want to go", i, w)
		}
	}
}

func TestStopsOutrankPolls(t *testing.T) {
	b := newBench(t, Config{Rate: 10, Burst: 4})
	b.advance(time.Hour)
	if n := b.count(Poll, false); n != 2 {
		t.Errorf("%d polls at once, want half of the burst", n)
	}
	for range 5000 { // a backlog of polls
		b.mustAsk(Poll, false)
	}
	if _, w := b.mustAsk(Stop, false); w.For != 0 {
		t.Errorf("a stop behind 5000 polls waits %v", w)
	}
	for b.count(Stop, false) > 0 {
	}
	if _, w := b.mustAsk(Poll, false); w.For < 500*time.Second {
		t.Errorf("a poll behind 5000 others waits %v, want its turn", w.For)
	}
}

func TestProjectsDontShareARate(t *testing.T) {
	b := newBench(t, Config{Rate: 10, Burst: 1})
	b.count(Stop, false)
	if _, w, err := b.ask(t.Context(), "other", Stop, asNew, false); err != nil || w.For != 0 {
		t.Errorf("another project waits %v, %v", w, err)
	}
}

func TestParkOn429(t *testing.T) {
	b := newBench(t, Config{})
	p, _ := b.mustAsk(Stop, false)
	err := &modelarts.APIError{Kind: modelarts.KindThrottled, RetryAfter: 7 * time.Second}
	if !b.report(p, err) {
		t.Error("a 429 is held to be the job's fault")
	}
	if _, w := b.mustAsk(Stop, false); w.Reason != Throttled || w.For < 7*time.Second || w.For > 9*time.Second {
		t.Errorf("wait %+v, want 7 s and a little", w)
	}
	b.report(p, &modelarts.APIError{Kind: modelarts.KindThrottled}) // a late one doesn't shorten it
	b.advance(6 * time.Second)
	if _, w := b.mustAsk(Poll, true); w.Reason != Throttled {
		t.Errorf("wait %+v, want still parked", w)
	}
	b.advance(time.Second + time.Millisecond)
	if _, w := b.mustAsk(Stop, false); w.For != 0 {
		t.Errorf("wait %+v after the parking time", w)
	}
	b.report(p, &modelarts.APIError{Kind: modelarts.KindThrottled})
	_, w := b.mustAsk(Stop, false)
	if w.For < 2*time.Second || w.For > 6100*time.Millisecond {
		t.Errorf("wait %v without Retry-After, want 2 to 5 s and a little", w.For)
	}
	if want := []string{"throttled", "throttled"}; !slices.Equal(b.parked, want) {
		t.Errorf("parked %v, want %v", b.parked, want)
	}
}

func TestHaltLetsASingleProbeThrough(t *testing.T) {
	b := newBench(t, Config{})
	p, _ := b.mustAsk(Stop, false)
	for range 50 { // all that was under way when the key went bad
		if !b.report(p, failure(modelarts.KindCredentials)) {
			t.Fatal("refused credentials are held to be the job's fault")
		}
	}
	if _, w, _ := b.ask(t.Context(), "other", Poll, asNew, false); w.Reason != Credentials {
		t.Errorf("another project: %+v, want halted too", w)
	}
	for probe, wait := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 5 * time.Minute, 5 * time.Minute} {
		b.advance(wait - time.Second)
		if p, w := b.mustAsk(Stop, false); p.Probe() || w.Reason != Credentials {
			t.Fatalf("probe %d goes too early: %+v", probe, w)
		}
		b.advance(time.Second)
		p, _ := b.mustAsk(Stop, false)
		if !p.Probe() {
			t.Fatalf("probe %d doesn't go", probe)
		}
		if p, w := b.mustAsk(Stop, false); p.Probe() || w.For == 0 {
			t.Fatal("two probes at a time")
		}
		b.report(p, failure(modelarts.KindCredentials))
	}
	b.advance(5 * time.Minute)
	p, _ = b.mustAsk(Poll, false)
	b.report(p, nil)
	if p, w := b.mustAsk(Stop, false); p.Probe() || w.For != 0 {
		t.Errorf("after a good probe: %+v, %+v", p, w)
	}
	if want := []string{"credentials"}; !slices.Equal(b.parked, want) {
		t.Errorf("parked %v, want %v", b.parked, want)
	}
}

func TestALostProbeIsReplaced(t *testing.T) {
	b := newBench(t, Config{})
	p, _ := b.mustAsk(Stop, false)
	b.report(p, failure(modelarts.KindCredentials))
	b.advance(15 * time.Second)
	if p, _ := b.mustAsk(Stop, false); !p.Probe() {
		t.Fatal("no probe")
	} // and its worker dies
	b.advance(probeLife)
	if p, _ := b.mustAsk(Stop, false); !p.Probe() {
		t.Error("no new probe")
	}
}

func TestPermissionHaltsOneProject(t *testing.T) {
	b := newBench(t, Config{})
	p, _ := b.mustAsk(Stop, false)
	b.report(p, failure(modelarts.KindPermission))
	if _, w := b.mustAsk(Stop, false); w.Reason != Permission {
		t.Errorf("wait %+v, want halted", w)
	}
	if _, w, _ := b.ask(t.Context(), "other", Stop, asNew, false); w.For != 0 {
		t.Errorf("another project waits %+v", w)
	}
	halts, err := b.Halts(t.Context(), []string{"other", project})
	if err != nil || len(halts) != 1 || halts[0].ProjectID != project || halts[0].Reason != Permission || !halts[0].Since.Equal(b.now) {
		t.Errorf("halts %+v, %v", halts, err)
	}
}

// A failure while other calls succeed is the job's; many in a row are an outage.
func TestOutage(t *testing.T) {
	b := newBench(t, Config{})
	p, _ := b.mustAsk(Stop, false)
	for range 20 {
		for range outageAfter - 1 {
			if b.report(p, failure(modelarts.KindUnavailable)) {
				t.Fatal("a lone failure is held to be the system's")
			}
		}
		b.report(p, failure(modelarts.KindNotFound)) // an answer all the same
	}
	for i := range outageAfter {
		if system := b.report(p, failure(modelarts.KindTimeout)); system != (i == outageAfter-1) {
			t.Errorf("failure %d in a row: system %v", i+1, system)
		}
	}
	_, w := b.mustAsk(Poll, false)
	if w.Reason != Outage || w.Detail == "" {
		t.Errorf("wait %+v, want halted by an outage, with the API's words", w)
	}
	b.advance(2 * time.Second)
	p, _ = b.mustAsk(Stop, false)
	if !p.Probe() || !b.report(p, failure(modelarts.KindUnavailable)) {
		t.Error("a failed probe says something about the job")
	}
	b.advance(4 * time.Second)
	p, _ = b.mustAsk(Stop, false)
	b.report(p, nil)
	if _, w := b.mustAsk(Stop, false); w.For != 0 {
		t.Errorf("wait %+v after the outage", w)
	}
}

// A probe that meets other trouble must not lift the halt it was sent for.
func TestProbeThatMeetsOtherTrouble(t *testing.T) {
	for _, kind := range []modelarts.Kind{modelarts.KindTimeout, modelarts.KindThrottled, modelarts.KindCanceled} {
		b := newBench(t, Config{})
		p, _ := b.mustAsk(Stop, false)
		b.report(p, failure(modelarts.KindCredentials))
		b.advance(15 * time.Second)
		p, _ = b.mustAsk(Stop, false)
		b.report(p, failure(kind))
		if halts, err := b.Halts(t.Context(), nil); err != nil || len(halts) != 1 {
			t.Errorf("%v: halts %v, %v; want the halt to stay", kind, halts, err)
		}
	}
}

func TestProbeSoon(t *testing.T) {
	b := newBench(t, Config{})
	p, _ := b.mustAsk(Stop, false)
	b.report(p, failure(modelarts.KindPermission))
	if err := b.ProbeSoon(t.Context(), []string{project, "other"}); err != nil {
		t.Fatal(err)
	}
	if p, _ := b.mustAsk(Stop, false); !p.Probe() {
		t.Error("no probe at once")
	}
	if halts, _ := b.Halts(t.Context(), []string{"other"}); len(halts) != 0 {
		t.Errorf("halts %v out of nothing", halts)
	}
}

// Against a real Redis: Enter sits out short waits and passes long ones on.
func TestEnter(t *testing.T) {
	rdb := redistest.Start(t).Limited(t)
	th := New(rdb, Config{Rate: 20, Burst: 1})
	var long int
	for i := range 60 {
		_, w, err := th.Enter(t.Context(), project, Stop, false)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case w.For == 0 && i > 0 && long > 0:
			t.Errorf("call %d overtakes %d in line", i, long)
		case w.For > time.Second:
			long++
		}
		if i == 0 && w.For != 0 {
			t.Errorf("first call waits %v", w)
		}
		if long > 3 {
			return
		}
		if i == 5 { // a crowd arrives at once
			for range 40 {
				if _, _, err := th.ask(t.Context(), project, Stop, asNew, false); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Error("nobody was given a place in line")
}

func TestEnterHeedsItsContext(t *testing.T) {
	b := newBench(t, Config{Rate: 2, Burst: 1})
	b.mustAsk(Stop, false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := b.Enter(ctx, project, Stop, false); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
}

func ExampleThrottle() {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:6379"})
	th := New(rdb, Config{Rate: 50})
	call := func(ctx context.Context) error { return nil }

	ctx := context.Background()
	permit, wait, err := th.Enter(ctx, "project", Stop, false)
	if err != nil || wait.For > 0 {
		fmt.Println("come back in", wait.For, err)
		return
	}
	system, err := th.Report(ctx, permit, call(ctx))
	fmt.Println(system, err)
}
