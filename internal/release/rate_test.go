package release

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// fillScript puts n members with one score into a sorted set. ARGV: n, the score,
// the format of a member.
var fillScript = redis.NewScript(`for i = 1, tonumber(ARGV[1]) do
  redis.call('ZADD', KEYS[1], ARGV[2], string.format(ARGV[3], i, i))
end`)

// fill puts n steps into a waiting set that are due now: the release script sees
// no more of a stop.
func (w *world) fill(set string, n int) { w.t.Helper(); w.crowded(set, n, w.now(), "%016d:1:%d") }

func (w *world) crowded(set string, n int, at time.Time, format string) {
	w.t.Helper()
	if err := fillScript.Run(w.t.Context(), w.rdb, []string{set}, n, at.UnixMilli(), format).Err(); !errors.Is(err, redis.Nil) {
		w.t.Fatal(err)
	}
}

// run makes every round for some time, and returns when each call was released.
func (w *world) run(d time.Duration) (stops, polls []time.Time) {
	w.t.Helper()
	need := wide()
	need.Room = 1 << 30
	for end := w.now().Add(d); w.now().Before(end); {
		r := w.round(need)
		for range r.Stops {
			stops = append(stops, w.now())
		}
		for range r.Polls {
			polls = append(polls, w.now())
		}
		next := max(r.Next, 5*time.Millisecond)
		if r.Next < 0 || next > 5*time.Second {
			next = 5 * time.Second
		}
		w.advance(next)
	}
	return stops, polls
}

// mostWithin is the largest number of calls in any time as long as d.
func mostWithin(calls []time.Time, d time.Duration) int {
	most, first := 0, 0
	for i, at := range calls {
		for at.Sub(calls[first]) >= d {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// The rate is kept and used, over a minute and in each second of it, and looks are
// sure of a fifth.
func TestRateIsKept(t *testing.T) {
	for _, rate := range []float64{0.5, 10, 50} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			t.Parallel()
			w, burst := onRedis(t, Config{Rate: rate}), float64(max(1, int(rate/10)))
			allowed := func(calls int, d time.Duration, what string) {
				t.Helper()
				if got, most := float64(calls), rate*d.Seconds()+1.5*burst+1; got > most {
					t.Errorf("%s: %v calls within %v, want at most %.1f", what, got, d, most)
				}
			}
			w.fill(keys.Large(), 7000)
			stops, _ := w.run(time.Minute)
			allowed(len(stops), time.Minute, "stops alone")
			allowed(mostWithin(stops, time.Second), time.Second, "stops alone")
			if float64(len(stops)) < 0.95*rate*60 {
				t.Errorf("stops alone: %d calls in a minute, want about %v", len(stops), rate*60)
			}
			w.rdb.Del(t.Context(), keys.Large())
			w.fill(keys.Look(), 7000)
			_, polls := w.run(time.Minute)
			allowed(len(polls), time.Minute, "looks alone")
			if float64(len(polls)) < 0.95*rate*60 {
				t.Errorf("looks alone: %d calls in a minute, want about %v", len(polls), rate*60)
			}
			w.fill(keys.Large(), 7000)
			stops, polls = w.run(time.Minute)
			all := slices.Concat(stops, polls)
			slices.SortFunc(all, time.Time.Compare)
			allowed(len(all), time.Minute, "both")
			allowed(mostWithin(all, time.Second), time.Second, "both")
			if got := float64(len(all)); got < 0.95*rate*60 {
				t.Errorf("both: %v calls in a minute, want about %v", got, rate*60)
			}
			if got := float64(len(polls)); got < 0.19*rate*60-1 || got > 0.25*rate*60+2 {
				t.Errorf("%v of %d calls are looks, want a fifth", got, len(all))
			}
		})
	}
}

// spend takes one call of the rate, and returns how long to wait instead.
func (w *world) spend() time.Duration {
	w.t.Helper()
	ms, err := spendScript.Run(w.t.Context(), w.limited, []string{keys.Control()}, w.now().UnixMilli(), w.cfg.Rate, w.cfg.Burst).Int64()
	w.ok(err)
	return time.Duration(ms) * time.Millisecond
}

// Calls that belong to no step draw from the same rate.
func TestSpend(t *testing.T) {
	eachRedis(t, Config{Rate: 10}, func(t *testing.T, w *world) {
		w.ok(w.Spend(t.Context(), project))
		if wait := w.spend(); wait != 100*time.Millisecond {
			t.Errorf("the second has to wait for %v, want 100 ms", wait)
		}
		w.advance(200 * time.Millisecond)
		if wait := w.spend(); wait != 0 {
			t.Errorf("after its time it has to wait for %v", wait)
		}
		w.fill(keys.Large(), 10)
		if r := w.round(wide()); len(r.Stops) != 0 {
			t.Errorf("%d stops released, want none: the rate is spent", len(r.Stops))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := w.Spend(ctx, project); !errors.Is(err, context.Canceled) {
			t.Errorf("spend at the end: %v", err)
		}
		w.ok(w.Throttled(t.Context(), project, &jobs.Error{Kind: jobs.KindThrottled, RetryAfter: 9 * time.Second}))
		if wait := w.spend(); wait != 9*time.Second {
			t.Errorf("after a 429 it has to wait for %v, want 9 s", wait)
		}
	})
}

// While a project is held, calls that are owed leave a debt of a call or two.
func TestOweWhileHeld(t *testing.T) {
	eachRedis(t, Config{Rate: 0.1, Burst: 1}, func(t *testing.T, w *world) {
		w.rdb.HSet(t.Context(), keys.Control(), "hold", "outage")
		for range 60 {
			w.ok(w.Owe(t.Context(), project))
			w.advance(2 * time.Second)
		}
		w.rdb.HDel(t.Context(), keys.Control(), "hold")
		w.advance(30 * time.Second)
		if wait := w.spend(); wait != 0 {
			t.Errorf("30 s after the outage the next call still waits for %v", wait)
		}
	})
}

// A call that is owed waits for nothing. The stops that come next wait for it; looks do not.
func TestOwe(t *testing.T) {
	eachRedis(t, Config{Rate: 10, Burst: 2}, func(t *testing.T, w *world) {
		w.fill(keys.Large(), 10)
		w.fill(keys.Look(), 10)
		if r := w.round(wide()); len(r.Stops) != 2 {
			t.Fatalf("%d stops released, want a burst of 2", len(r.Stops))
		}
		for range 2 {
			w.ok(w.Owe(t.Context(), project))
		}
		looks := 0
		for range 10 { // a second: eight calls for stops, of which two are owed, and two for looks
			w.advance(100 * time.Millisecond)
			r := w.round(wide())
			looks += len(r.Polls)
		}
		if left := w.rdb.ZCard(t.Context(), keys.Large()).Val(); left < 10-2-6 || left > 10-2-5 {
			t.Errorf("%d stops are left after a second, want 2 or 3", left)
		}
		if looks < 1 || looks > 3 {
			t.Errorf("%d looks in a second, want 2", looks)
		}
	})
}

// rate is how many calls a second may go out.
func (w *world) rate() float64 {
	w.t.Helper()
	all, err := w.Rates(w.t.Context(), []string{project})
	w.ok(err)
	return all[0].Rate
}

// rateIs fails the test unless the rate is about that.
func (w *world) rateIs(want float64, when string) {
	w.t.Helper()
	if got := w.rate(); got != want && math.Abs(got-want) > 0.01*want {
		w.t.Errorf("%s: %.2f calls a second, want %v", when, got, want)
	}
}

// called makes n calls within this second.
func (w *world) called(n int) {
	w.t.Helper()
	for range n {
		if wait := w.spend(); wait != 0 {
			w.t.Fatalf("a call has to wait for %v", wait)
		}
	}
}

// A limit that nobody configured is found from what was called in the last second.
// One congestion counts once, and the rate grows again by a twentieth a second.
func TestUnknownLimit(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.rateIs(math.Inf(1), "before any 429")
		w.called(100)
		early := Call{ProjectID: project, At: w.now()}
		w.advance(300 * time.Millisecond)
		for range 30 {
			w.report(early, answer(jobs.KindThrottled))
		}
		w.rateIs(80, "after thirty refusals of one second")
		holds, err := w.Holds(t.Context())
		if err != nil || len(holds) != 1 || holds[0].Until.Sub(w.now()) < parkLeast || holds[0].Until.Sub(w.now()) > parkMost {
			t.Errorf("holds %+v, %v, want it parked for 1 to 2 s", holds, err)
		}
		w.time = holds[0].Until
		w.rateIs(80, "when it is no longer parked")
		w.advance(5 * time.Second)
		w.rateIs(100, "after 5 s")
		w.report(early, answer(jobs.KindThrottled)) // a slow answer to a call from before
		w.rateIs(100, "after a late refusal")
		w.advance(54 * time.Second)
		if rate := w.rate(); rate < 300 || math.IsInf(rate, 1) {
			t.Errorf("after a minute %v calls a second, want nearly four times as many", rate)
		}
		w.advance(2 * time.Second)
		w.rateIs(math.Inf(1), "when it has grown fourfold")
	})
}

// A second congestion cuts what the rate has grown to.
func TestSecondCongestion(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.called(100)
		w.report(Call{ProjectID: project, At: w.now()}, answer(jobs.KindThrottled))
		w.advance(20 * time.Second)
		before := w.rate()
		w.report(Call{ProjectID: project, At: w.now()}, answer(jobs.KindThrottled))
		w.rateIs(0.8*before, "after the second")
	})
}

// A configured rate is never exceeded, and cut by a fifth by a 429; there is a floor.
func TestConfiguredRateIsCut(t *testing.T) {
	eachRedis(t, Config{Rate: 100}, func(t *testing.T, w *world) {
		for _, want := range []float64{80, 64, 51.2} {
			w.report(Call{ProjectID: project, At: w.now()}, answer(jobs.KindThrottled))
			w.rateIs(want, "after a 429")
			w.advance(0)
			w.time = w.time.Add(parkMost)
			w.rdb.HSet(t.Context(), keys.Control(), "cut", w.now().UnixMilli()) // as if the park had ended just now
		}
		for range 50 {
			w.report(Call{ProjectID: project, At: w.now()}, answer(jobs.KindThrottled))
			w.advance(parkMost)
			w.rdb.HSet(t.Context(), keys.Control(), "cut", w.now().UnixMilli())
		}
		w.rateIs(2, "after fifty more")
		all, err := w.Rates(t.Context(), []string{project, "other"})
		if err != nil || !all[0].Reduced() || all[1].Reduced() || all[1].Rate != 100 {
			t.Errorf("rates %+v, %v, want only the first reduced", all, err)
		}
		w.advance(time.Hour)
		w.rateIs(100, "an hour later")
	})
}

// Where the API tells its limit, that is the rate, for as long as it says nothing
// else; where it tells for how long to wait, so long nothing goes out.
func TestToldLimit(t *testing.T) {
	eachRedis(t, Config{Rate: 100}, func(t *testing.T, w *world) {
		told := &jobs.Error{Kind: jobs.KindThrottled, RetryAfter: 30 * time.Second, Limit: 25}
		w.report(Call{ProjectID: project, At: w.now()}, told)
		w.rateIs(25, "as told")
		w.fill(keys.Large(), 1000)
		stops, _ := w.run(29 * time.Second)
		if len(stops) != 0 {
			t.Errorf("%d calls while it is parked", len(stops))
		}
		w.report(Call{ProjectID: project, At: w.now()}, &jobs.Error{Kind: jobs.KindThrottled, RetryAfter: time.Second, Limit: 20})
		holds, err := w.Holds(t.Context())
		if err != nil || len(holds) != 1 || holds[0].Until.Sub(w.now()) > 2*time.Second {
			t.Errorf("holds %+v, %v", holds, err)
		}
		w.advance(2 * time.Second)
		w.rateIs(20, "as told again")
		stops, _ = w.run(10 * time.Second)
		if len(stops) < 190 || len(stops) > 205 {
			t.Errorf("%d calls in 10 s, want 200", len(stops))
		}
		w.advance(time.Hour)
		w.rateIs(20, "an hour later")
	})
}

// After an outage the rate is back within five seconds, and not at once.
func TestRateAfterAnOutage(t *testing.T) {
	eachRedis(t, Config{Rate: 50}, func(t *testing.T, w *world) {
		for range OutageAfter {
			w.report(w.call("x"), answer(jobs.KindUnavailable))
		}
		w.advance(time.Minute)
		w.report(w.call("x"), nil)
		w.rateIs(10, "at first")
		w.advance(2500 * time.Millisecond)
		w.rateIs(30, "half way")
		w.advance(2500 * time.Millisecond)
		w.rateIs(50, "after 5 s")
	})
}

// Claims are counted as calls; a refused one is not.
func TestClaimsAreCounted(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		for i, id := range w.open("b", 20) {
			c := w.claim(id)
			if i < 5 {
				w.report(Call{ProjectID: project, Step: c.Stop.Member(), At: c.At}, nil)
			}
		}
		if n := w.rdb.HGet(t.Context(), keys.Control(), "called").Val(); n != "20" {
			t.Errorf("%s calls counted, want 20", n)
		}
		s := w.get(ledger.StopID("b", project, "b-0"))
		w.report(Call{ProjectID: project, Step: s.Member(), At: w.now()}, answer(jobs.KindThrottled))
		if n := w.rdb.HGet(t.Context(), keys.Control(), "called").Val(); n != "19" {
			t.Errorf("%s calls counted after a refusal, want 19", n)
		}
	})
}

// A limit that nobody configured is used in full, too: the burst of a rate that was
// not configured says nothing.
func TestAnUnknownLimitIsUsed(t *testing.T) {
	w := onRedis(t, Config{})
	refusal := &jobs.Error{Kind: jobs.KindThrottled, Limit: 100}
	w.report(Call{ProjectID: project, At: w.now()}, refusal)
	w.advance(parkMost)
	w.fill(keys.Large(), 7000)
	calls, need := 0, wide()
	need.Room = 1 << 30
	for range 750 { // as often as a busy worker makes rounds
		calls += len(w.round(need).Stops)
		w.advance(40 * time.Millisecond)
	}
	if calls < 2850 || calls > 3020 {
		t.Errorf("%d calls in 30 s, want about 3000", calls)
	}
}

// Looks are sure of a fifth, also while a list is paid off.
func TestLooksWhileAListIsPaidOff(t *testing.T) {
	w := onRedis(t, Config{Rate: 50})
	w.watched(1)
	w.checked(ListCheck{Began: w.now(), Result: ListRead, Pages: 400, Left: 1}, false)
	w.advance(time.Second)
	if w.round(listing(1)).List == nil {
		t.Fatal("no list check")
	}
	w.fill(keys.Look(), 5000)
	n, need := 0, wide()
	need.Room = 1 << 30
	for end := w.now().Add(8 * time.Second); w.now().Before(end); {
		r := w.round(need)
		n += len(r.Polls)
		w.advance(max(r.Next, 5*time.Millisecond))
	}
	if n < 70 {
		t.Errorf("%d looks in 8 s at 50 calls a second, want a fifth: 80", n)
	}
}

// A limit of a few calls an hour is used up, too.
func TestAFewCallsAnHour(t *testing.T) {
	w := onRedis(t, Config{Rate: 50})
	w.report(Call{ProjectID: project, At: w.now()}, &jobs.Error{Kind: jobs.KindThrottled, RetryAfter: time.Second, Limit: 10.0 / 3600})
	w.fill(keys.Large(), 100)
	n := 0
	for end := w.now().Add(6 * time.Hour); w.now().Before(end); {
		r := w.round(wide())
		n += len(r.Stops)
		w.advance(max(r.Next, time.Second))
	}
	if n < 57 || n > 61 {
		t.Errorf("%d stops in six hours at 10 calls an hour", n)
	}
}

// A 429 that comes late tells as much as one that comes at once.
func TestALate429WithoutALimit(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.called(100)
		early := Call{ProjectID: project, At: w.now()}
		w.advance(3 * time.Second)
		w.report(early, answer(jobs.KindThrottled))
		if r := w.rate(); r < 20 {
			t.Errorf("%v calls a second after a 429 to one of 100 calls in a second", r)
		}
	})
}

// A login that IAM turns away says nothing about the rate of ModelArts' own API.
func TestThrottledLogin(t *testing.T) {
	w := onRedis(t, Config{Rate: 50, Burst: 5})
	for _, limit := range []float64{0, 5.0 / 60} {
		refused := &jobs.Error{Operation: jobs.OperationToken, Kind: jobs.KindThrottled, Limit: limit}
		w.report(Call{ProjectID: project, At: w.now()}, refused)
		w.advance(3 * time.Second)
		if r := w.rate(); r != 50 {
			t.Errorf("limit of IAM %v: the project may make %v calls a second, want 50", limit, r)
		}
	}
}
