package rounds

import (
	"math"
	"time"

	"vizstop/internal/release"
)

const (
	// callWorth is the waiting, in seconds summed over jobs that have stopped, for
	// which one list call is well spent.
	callWorth = 12.5
	// cheap is how many list calls for each job that leaves are not worth saving.
	cheap         = 0.06
	leastInterval = 250 * time.Millisecond
	mostInterval  = 4 * time.Second
	// onset is the longest time to the next look at the length while jobs begin to
	// leave.
	onset = time.Second
	// mostIntervalOfOne is the longest interval while the list has one page: a check
	// costs little then.
	mostIntervalOfOne = 2500 * time.Millisecond
	// fewOf: if no more than the fewOf-th part has left a list, its length is looked at
	// before it is read again.
	fewOf = 50
	// listShare is the part of a known rate that list calls may take.
	listShare = 0.2
)

// pace says how long to wait for the next check of a project's list.
type pace struct {
	usual time.Duration // how long jobs take to stop
	rate  float64       // calls a second; 0: without a limit
}

// busy is the time between two checks while so many watched jobs leave the list.
// Checks every t s cost pages/t calls a second, and jobs that leave r times a second
// wait for r*t/2 s a second: with a call worth w s of waiting, the sum is least at
// t = sqrt(2 * w * pages / r), or less where checks are cheap.
func (p pace) busy(known release.ListState, left int, now time.Time) time.Duration {
	most := mostInterval
	if known.Pages == 1 {
		most = mostIntervalOfOne
	}
	rate := float64(left) / max(now.Sub(known.Since).Seconds(), 0.001)
	best := math.Sqrt(2 * callWorth * float64(known.Pages) / rate)
	return p.within(known.Pages, min(best, float64(known.Pages)/(cheap*rate)), most)
}

// quiet is the time while hardly anybody leaves the list: many may begin to. If a look at
// its length will do, that is the next check.
func (p pace) quiet(known release.ListState) time.Duration {
	most := time.Second
	if known.Pages == 1 {
		most = 1500 * time.Millisecond
	}
	rate := float64(max(1, known.Watched)) / p.usual.Seconds()
	return p.within(1, math.Sqrt(2*callWorth/rate), most)
}

// within keeps a time in seconds to the limits.
func (p pace) within(pages int, seconds float64, most time.Duration) time.Duration {
	next := min(max(time.Duration(seconds*float64(time.Second)), leastInterval), most)
	return max(next, p.share(pages))
}

// share is how long so many list calls take at their share of a known rate.
func (p pace) share(pages int) time.Duration {
	if p.rate <= 0 {
		return 0
	}
	return time.Duration(float64(pages) / (listShare * p.rate) * float64(time.Second))
}

// mayPeek reports whether the length of the list is worth a call of its own: when it
// has several pages, and nobody knows how many leave it, because few had when it was
// read. What was long unseen is looked at, so the list is read in time all the same, as
// far as its share of the rate allows.
func (p pace) mayPeek(known release.ListState, now time.Time, unseen time.Duration) bool {
	return known.Quiet && known.Pages > 1 && now.Sub(known.Read) < max(unseen-mostInterval, p.share(known.Pages))
}
