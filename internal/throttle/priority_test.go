package throttle

import (
	"math"
	"testing"
	"time"

	"vizstop/internal/modelarts"
)

// With 5,000 polls in line, all of whom come back in time, a stop goes at once.
func TestAStopNeverWaitsForPolls(t *testing.T) {
	b := newBench(t, Config{Rate: 50, Burst: 1})
	for range 5000 {
		b.mustAsk(Poll, false)
	}
	for range 20 {
		b.advance(time.Second)
		for range 50 {
			b.mustAsk(Poll, true)
		}
		if _, w := b.mustAsk(Stop, false); w.For != 0 {
			t.Fatalf("a stop waits %v behind polls", w.For)
		}
	}
}

// While stops take all they can get, polls are sure of a fifth of the rate, and
// both together keep to it.
func TestPollsAreNotStarved(t *testing.T) {
	b := newBench(t, Config{Rate: 50, Burst: 5})
	var stops, polls int
	for range 400 {
		b.mustAsk(Stop, false)
		b.mustAsk(Poll, false)
	}
	for range 300 { // half a minute
		b.advance(100 * time.Millisecond)
		for range 20 {
			if _, w := b.mustAsk(Stop, true); w.For == 0 {
				stops++
			}
			if _, w := b.mustAsk(Poll, true); w.For == 0 {
				polls++
			}
		}
	}
	t.Logf("%d stops, %d polls in half a minute at 50 a second", stops, polls)
	if polls < 250 || polls > 350 {
		t.Errorf("%d polls, want about a fifth of 1500", polls)
	}
	if all := stops + polls; all < 1425 || all > 1500+75 {
		t.Errorf("%d calls, want 1500", all)
	}
}

func TestScreensGoBeforePolls(t *testing.T) {
	b := newBench(t, Config{Rate: 10, Burst: 4})
	for range 500 {
		b.mustAsk(Poll, false)
	}
	if _, w := b.mustAsk(Screen, false); w.For > time.Second {
		t.Errorf("a screen waits %v behind polls", w.For)
	}
}

// While a project is parked or halted each caller gets a place of its own after it.
func TestNobodyStampedesAfterAStandstill(t *testing.T) {
	for _, kind := range []modelarts.Kind{modelarts.KindThrottled, modelarts.KindPermission, modelarts.KindCredentials} {
		b := newBench(t, Config{})
		p, _ := b.mustAsk(Stop, false)
		b.report(p, failure(kind))
		perSecond := map[int]int{}
		for range 500 {
			_, w := b.mustAsk(Stop, false)
			if !w.Place {
				t.Fatalf("%v: %+v, want a place", kind, w)
			}
			perSecond[int(w.For.Seconds())]++
		}
		first := math.MaxInt
		for s := range perSecond {
			first = min(first, s)
		}
		if n := perSecond[first] + perSecond[first+1]; n > 20 {
			t.Errorf("%v: %d come back in the first two seconds", kind, n)
		}
	}
}

// Those who come back for a whole second and can't sit it out use some of it at
// once: all classes together no more than an API takes for a burst.
func TestWhatComesAtOnceIsABurst(t *testing.T) {
	for _, rate := range []float64{50, 100, 200, 1000} {
		for _, order := range [][]Class{{Stop, Poll}, {Poll, Stop}} {
			b := newBench(t, Config{Rate: rate})
			for range int(rate) {
				b.mustAsk(Stop, false)
				b.mustAsk(Poll, false)
			}
			b.advance(10 * time.Second)
			first, second := b.count(order[0], true), b.count(order[1], true)
			if all := first + second; first == 0 || second == 0 || float64(all) > rate/5 {
				t.Errorf("rate %v: %d of %v and %d of %v at once, want some of each and %v together at most",
					rate, first, order[0], second, order[1], rate/5)
			}
		}
	}
}

// After a halt calls start at a tenth of the rate, and all of it is back soon.
func TestSlowStart(t *testing.T) {
	for _, kind := range []modelarts.Kind{modelarts.KindPermission, modelarts.KindCredentials} {
		b := newBench(t, Config{Rate: 100})
		p, _ := b.mustAsk(Stop, false)
		b.report(p, failure(kind))
		b.advance(15 * time.Second)
		p, _ = b.mustAsk(Stop, false)
		b.report(p, nil)
		for after, want := range map[time.Duration][2]float64{0: {10, 10}, 3 * time.Second: {20, 20}, 12 * time.Second: {100, 100}} {
			b.advance(after)
			rates, err := b.Rates(t.Context(), []string{project})
			if err != nil || rates[0].Rate < want[0]-.01 || rates[0].Rate > want[1]+.01 || rates[0].Reduced() != (want[0] < 100) {
				t.Errorf("%v: %v after the halt: %+v, %v; want %v", kind, after, rates, err, want)
			}
			b.advance(-after)
		}
	}
}

// Many refusals of calls that were under way together lower the rate once.
func TestOneCongestionCountsOnce(t *testing.T) {
	b := newBench(t, Config{Rate: 100, Burst: 100})
	var permits []Permit
	for range 60 {
		p, _ := b.mustAsk(Stop, false)
		permits = append(permits, p)
	}
	for _, p := range permits {
		b.report(p, failure(modelarts.KindThrottled))
		b.advance(100 * time.Millisecond) // the last one long after the park
	}
	rates, err := b.Rates(t.Context(), []string{project})
	if err != nil || rates[0].Rate < 0.69*60 || !rates[0].Reduced() {
		t.Errorf("%+v, %v; want 0.7 of the 60 that were seen, or more", rates, err)
	}
	b.advance(2 * time.Minute)
	if rates, err = b.Rates(t.Context(), []string{project}); err != nil || rates[0].Reduced() {
		t.Errorf("after two minutes %+v, %v", rates, err)
	}
}

func TestSittersAreBounded(t *testing.T) {
	s := &sitters{most: 4}
	polls, stops := 0, 0
	for range 10 {
		if s.enter(Poll) {
			polls++
		}
	}
	for range 10 {
		if s.enter(Stop) {
			stops++
		}
	}
	if polls != 2 || stops != 2 {
		t.Errorf("%d polls and %d stops sit, want 2 and 2", polls, stops)
	}
	s.leave(Poll)
	if !s.enter(Stop) || (&sitters{most: -1}).enter(Stop) {
		t.Error("a free seat is not taken, or one that isn't there")
	}
}

func TestAnnouncedRate(t *testing.T) {
	b := newBench(t, Config{Rate: 12.5})
	if r, err := AnnouncedRate(t.Context(), b.rdb); r != 0 || err != nil {
		t.Errorf("before: %v, %v", r, err)
	}
	if err := b.Announce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r, err := AnnouncedRate(t.Context(), b.rdb); r != 12.5 || err != nil {
		t.Errorf("after: %v, %v", r, err)
	}
}
