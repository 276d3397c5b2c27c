package modelartstest

import (
	"testing"
	"time"
)

func TestRateLimitOfAProject(t *testing.T) {
	r := start(t, Config{RateLimit: RateLimit{PerSecond: 2, Burst: 3}})
	for range 3 {
		r.call("GET", jobsPath, "").expect(t, 200, "")
	}
	g := r.call("GET", jobsPath, "")
	g.expect(t, 429, "APIGW.0308")
	g.expectMessage(t, "The throttling threshold has been reached: policy user over ratelimit,limit:2,time:1 second")
	if _, ok := g.header["Retry-After"]; ok {
		t.Error("Retry-After without being asked for")
	}
	r.call("GET", "/v1/p2/visualization-jobs", "").expect(t, 200, "")
	r.clock.advance(499 * time.Millisecond)
	r.call("GET", jobsPath, "").expect(t, 429, "APIGW.0308")
	r.clock.advance(time.Millisecond)
	r.call("GET", jobsPath, "").expect(t, 200, "")
	r.call("GET", jobsPath, "").expect(t, 429, "APIGW.0308")
	r.clock.advance(time.Hour)
	for range 3 {
		r.call("GET", jobsPath, "").expect(t, 200, "")
	}
	r.call("GET", jobsPath, "").expect(t, 429, "APIGW.0308")
}

func TestRetryAfterAndPolicyText(t *testing.T) {
	r := start(t, Config{RateLimit: RateLimit{
		PerSecond: 5.0 / 60, Burst: 1, RetryAfter: true, PolicyText: "policy ip over ratelimit,limit:5,time:1 minute",
	}})
	r.call("GET", jobsPath, "").expect(t, 200, "")
	r.clock.advance(500 * time.Millisecond)
	g := r.call("GET", jobsPath, "")
	g.expect(t, 429, "APIGW.0308")
	g.expectMessage(t, "The throttling threshold has been reached: policy ip over ratelimit,limit:5,time:1 minute")
	if got := g.header.Get("Retry-After"); got != "12" {
		t.Errorf("Retry-After = %q, want 12", got)
	}
	r.clock.advance(12 * time.Second)
	r.call("GET", jobsPath, "").expect(t, 200, "")
}

func TestTotalRateLimit(t *testing.T) {
	r := start(t, Config{TotalRateLimit: RateLimit{PerSecond: 1}})
	r.call("GET", jobsPath, "").expect(t, 200, "")
	r.call("GET", "/v1/p2/visualization-jobs", "").expect(t, 429, "APIGW.0308")
}

func TestRefusedCallsCostNothing(t *testing.T) {
	r := start(t, Config{RateLimit: RateLimit{PerSecond: 1}, TotalRateLimit: RateLimit{PerSecond: 2}})
	r.call("GET", jobsPath, "").expect(t, 200, "")
	r.call("GET", jobsPath, "").expect(t, 429, "APIGW.0308")
	r.call("GET", "/v1/p2/visualization-jobs", "").expect(t, 200, "")
}

func TestSetRateLimit(t *testing.T) {
	r := start(t, Config{})
	r.call("GET", jobsPath, "").expect(t, 200, "")
	r.SetRateLimit(RateLimit{PerSecond: 1})
	r.call("GET", jobsPath, "").expect(t, 200, "")
	r.call("GET", jobsPath, "").expect(t, 429, "APIGW.0308")
	r.SetRateLimit(RateLimit{})
	r.call("GET", jobsPath, "").expect(t, 200, "")
}

func TestFractionsAddUp(t *testing.T) {
	now := newClock().now()
	l := RateLimit{PerSecond: 10, Burst: 1}
	var b bucket
	if wait := b.wait(l, now); wait != 0 {
		t.Fatalf("a fresh bucket waits %v", wait)
	}
	b.tokens--
	for i := range 10 {
		now = now.Add(10 * time.Millisecond)
		if wait := b.wait(l, now); (wait == 0) != (i == 9) {
			t.Errorf("after %d0 ms: wait %v", i+1, wait)
		}
	}
}
