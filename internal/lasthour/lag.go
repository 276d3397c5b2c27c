package lasthour

import (
	"math"
	"time"
)

const (
	leastLag = 250 * time.Millisecond
	bounds   = 15 // 250 ms, doubled each time: the last is 1 h 8 min 16 s
)

// Lag counts times by bucket. Bucket i has those of at most LagBound(i) and of more than
// the bound before; the last one has what is longer than every bound.
type Lag [bounds + 1]int

// LagBound is the upper bound of a bucket; 0 for the last one, which has none.
func LagBound(bucket int) time.Duration {
	if bucket >= bounds {
		return 0
	}
	return leastLag << bucket
}

// observe counts a time.
func (l *Lag) observe(d time.Duration) {
	i := 0
	for i < bounds && d > LagBound(i) {
		i++
	}
	l[i]++
}

// Count is how many times there are.
func (l Lag) Count() (n int) {
	for _, in := range l {
		n += in
	}
	return n
}

// Quantile estimates the time that a share q of all, from 0 to 1, did not exceed, such as
// 0.95. It is an estimate, at most a factor of two off: times are taken to lie evenly
// within a bucket. What is longer than the last bound is told as that bound. 0 if there
// are none.
func (l Lag) Quantile(q float64) time.Duration {
	rank, below := math.Min(math.Max(q, 0), 1)*float64(l.Count()), 0.0
	for i, n := range l[:bounds] {
		if n > 0 && below+float64(n) >= rank {
			upper, lower := LagBound(i), time.Duration(0)
			if i > 0 {
				lower = LagBound(i - 1)
			}
			return lower + time.Duration((rank-below)/float64(n)*float64(upper-lower))
		}
		below += float64(n)
	}
	if l[bounds] > 0 {
		return LagBound(bounds - 1)
	}
	return 0
}
