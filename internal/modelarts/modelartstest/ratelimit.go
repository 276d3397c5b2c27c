package modelartstest

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// RateLimit is a token bucket in front of the API. The zero value limits
// nothing. Calls for IAM tokens are never limited.
type RateLimit struct {
	PerSecond float64
	Burst     int // 0 means PerSecond rounded up
	// RetryAfter sends that header, in whole seconds rounded up. Whether the real
	// gateway does is not known.
	RetryAfter bool
	// PolicyText follows "The throttling threshold has been reached: "; "" means
	// "policy user over ratelimit,limit:N,time:1 second".
	PolicyText string
}

func (l RateLimit) burst() float64 {
	return cmp.Or(float64(l.Burst), math.Ceil(l.PerSecond))
}

func (l RateLimit) message() string {
	return "The throttling threshold has been reached: " + cmp.Or(l.PolicyText,
		fmt.Sprintf("policy user over ratelimit,limit:%.0f,time:1 second", math.Ceil(l.PerSecond)))
}

// bucket starts full, at its first use.
type bucket struct {
	tokens float64
	at     time.Time
}

// wait is how long until b holds a token; 0 means that it does now.
func (b *bucket) wait(l RateLimit, now time.Time) time.Duration {
	if l.PerSecond <= 0 {
		return 0
	}
	if b.at.IsZero() {
		b.tokens, b.at = l.burst(), now
	}
	if elapsed := now.Sub(b.at); elapsed > 0 {
		b.tokens = min(l.burst(), b.tokens+elapsed.Seconds()*l.PerSecond)
		b.at = now
	}
	// A sum of fractions may end a hair below one.
	if missing := 1 - b.tokens; missing > 1e-9 {
		return time.Duration(math.Ceil(missing / l.PerSecond * float64(time.Second)))
	}
	return 0
}

type limits struct {
	project, total RateLimit
	buckets        map[string]*bucket // by project
	totalBucket    bucket
}

func newLimits(project, total RateLimit) limits {
	return limits{project: project, total: total, buckets: map[string]*bucket{}}
}

// SetRateLimit replaces the limit of each project; their buckets start full.
func (s *Simulator) SetRateLimit(l RateLimit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits.project = l
	clear(s.limits.buckets)
}

// throttle takes a token from both buckets, or refuses and takes none: v1 with
// .0308, v2 with ModelArts.2799.
func (s *Simulator) throttle(x *exchange, now time.Time) *answer {
	b := s.limits.buckets[x.projectID]
	if b == nil {
		b = &bucket{}
		s.limits.buckets[x.projectID] = b
	}
	total := &s.limits.totalBucket
	if wait := total.wait(s.limits.total, now); wait > 0 {
		return s.throttled(x, s.limits.total, wait)
	}
	if wait := b.wait(s.limits.project, now); wait > 0 {
		return s.throttled(x, s.limits.project, wait)
	}
	total.tokens--
	b.tokens--
	return nil
}

func (s *Simulator) throttled(x *exchange, l RateLimit, wait time.Duration) *answer {
	a := s.gateway(x, http.StatusTooManyRequests, ".0308", l.message())
	if x.generation == V2 {
		a = documented("ModelArts.2799")
	}
	if l.RetryAfter {
		seconds := int(math.Ceil(wait.Seconds()))
		a.header = http.Header{"Retry-After": {strconv.Itoa(seconds)}}
	}
	return a
}
