package lasthour

import (
	"math"
	"time"
)

const (
	leastLag    = 250 * time.Millisecond
	perDoubling = 4
	bounds      = 14*perDoubling + 1 // 250 ms and four steps to each double: the last is 1 h 8 min 16 s
)

// Lag counts times by bucket, and knows the longest. Bucket i has those of at most
// LagBound(i) and of more than the bound before; the last one has what is longer than
// every bound.
type Lag struct {
	buckets [bounds + 1]int
	longest time.Duration // of whole milliseconds, rounded up; 0: none is known
}

// LagBound is the upper bound of a bucket; 0 for the last one, which has none.
func LagBound(bucket int) time.Duration {
	if bucket >= bounds {
		return 0
	}
	bound := float64(leastLag) * math.Exp2(float64(bucket)/perDoubling)
	return time.Duration(bound).Round(time.Millisecond)
}

// observe counts a time.
func (l *Lag) observe(d time.Duration) {
	i := 0
	for i < bounds && d > LagBound(i) {
		i++
	}
	l.buckets[i]++
	l.longest = max(l.longest, (d + time.Millisecond - 1).Truncate(time.Millisecond))
}

func (l *Lag) add(other Lag) {
	for i, n := range other.buckets {
		l.buckets[i] += n
	}
	l.longest = max(l.longest, other.longest)
}

// Count is how many times there are.
func (l Lag) Count() (n int) {
	for _, in := range l.buckets {
		n += in
	}
	return n
}

// Quantile estimates the time that a share q of all, from 0 to 1, did not exceed, such as
// 0.95. It is an estimate, at most a fifth off: times are taken to lie evenly within a
// bucket. It never exceeds the longest. 0 if there are none.
func (l Lag) Quantile(q float64) time.Duration {
	rank, below := math.Min(math.Max(q, 0), 1)*float64(l.Count()), 0.0
	for i, n := range l.buckets[:bounds] {
		if n > 0 && below+float64(n) >= rank {
			upper, lower := LagBound(i), time.Duration(0)
			if i > 0 {
				lower = LagBound(i - 1)
			}
			return min(l.longest, lower+time.Duration((rank-below)/float64(n)*float64(upper-lower)))
		}
		below += float64(n)
	}
	return l.longest
}
