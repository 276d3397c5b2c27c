package rounds

import (
	"math"
	"time"

	"vizstop/internal/release"
)

const (
	// callWorth is the waiting, in seconds summed over jobs that have stopped, for
	// which one list call is well spent.
	callWorth = 32.0
	// peekWorth is the same for a look at its length while nobody leaves it: all may be about to.
	peekWorth = 18.0
	// oneWorth is the same for a list of one page while few leave it: somebody waits for each of them.
	oneWorth = 3.5
	// leastOfOne and mostOfOne bound the interval that follows.
	leastOfOne, mostOfOne = 1500 * time.Millisecond, 2500 * time.Millisecond
	// cheap is how many list calls for each job that leaves are not worth saving.
	cheap         = 0.055
	leastInterval = 250 * time.Millisecond
	mostInterval  = 4 * time.Second
	// leastPause is between the end of a check and the next one.
	leastPause = 50 * time.Millisecond
	// mostOfFew is the longest interval while few leave a list of several pages.
	mostOfFew = 6 * time.Second
	// fewOf: if no more than the fewOf-th part has left a list, nobody knows how many leave
	// it, and its length is looked at before it is read again.
	fewOf = 50
	// someOthers: if no more others than the someOthers-th part stand on a list, its length tells of
	// those who are watched.
	someOthers = 100
	// onset is the longest time to the next look at the length while jobs begin to
	// leave.
	onset = time.Second
	// long: if the list is to be read in that time or more, its length is looked at in
	// between. More may have left it by then than it seemed.
	long = 2500 * time.Millisecond
	// mostOfStill is the longest interval while nothing moves on the list for long.
	mostOfStill = time.Minute
	// lastFew jobs of a list, where none joins, can't wait for long together.
	lastFew = 5
	// careful: fewer leave a list than have left it in as much time. A page that is not there costs a call, one
	// that nobody expected costs everybody the time of a call.
	careful = 0.8
	// listShare is the part of a known rate that list calls may take.
	listShare = 0.2
)

// pace says how long to wait for the next check of a project's list.
type pace struct {
	usual time.Duration // how long jobs take to stop
	rate  float64       // calls a second; 0: without a limit
}

// busy is the time between two checks while so many watched jobs leave the list, on which
// so many jobs stand. Checks every t s cost pages/t calls a second, and jobs that leave r
// times a second wait for r*t/2 s a second: with a call worth w s of waiting, the sum is
// least at t = sqrt(2 * w * pages / r), or less where checks are cheap.
func (p pace) busy(known release.ListState, left, jobs int, now time.Time) time.Duration {
	most := mostInterval
	switch {
	case known.Pages == 1:
		most = p.ofOnePage(known, jobs, now)
	case fewOf*left <= jobs:
		most = mostOfFew
	}
	rate := float64(left) / max(now.Sub(known.Since).Seconds(), 0.001)
	best := math.Sqrt(2 * callWorth * float64(known.Pages) / rate)
	return p.within(known.Pages, min(best, float64(known.Pages)/(cheap*rate)), most)
}

// quiet is the time while hardly anybody leaves the list, on which so many jobs stand: many
// may begin to. The longer nothing moves, the longer all of them take. If a look at its
// length will do, that is the next check.
func (p pace) quiet(known release.ListState, jobs int, now time.Time) time.Duration {
	most := onset
	if known.Pages == 1 {
		most = p.ofOnePage(known, max(known.Watched, jobs), now)
	}
	usual := p.usual
	if moved := later(known.Moved, known.Joined); !moved.IsZero() {
		still := now.Sub(moved)
		most, usual = max(most, min(still/10, mostOfStill)), max(usual, still)
	}
	rate := float64(max(1, known.Watched)) / usual.Seconds()
	return p.within(1, math.Sqrt(peekWorth/rate), most)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ofOnePage is the longest time between two checks of a list of one page: the shorter the more of its jobs are about to
// leave it. For the last few it is longer, unless jobs stop quickly.
func (p pace) ofOnePage(known release.ListState, jobs int, now time.Time) time.Duration {
	rate := float64(max(1, known.Watched)) / p.usual.Seconds()
	most := min(max(time.Duration(math.Sqrt(2*oneWorth/rate)*float64(time.Second)), leastOfOne), mostOfOne)
	if jobs < lastFew && now.Sub(known.Joined) > joining {
		return min(max(most, p.usual/2), mostInterval)
	}
	return most
}

// read is the time to the next check after the list was read, and whether that begins
// with a look at its length. So many watched jobs had left it, so many stood on it.
func (p pace) read(known release.ListState, left, jobs int, now time.Time) (next time.Duration, peek bool) {
	quiet := p.quiet(known, jobs, now)
	if known.Since.IsZero() || fewOf*left <= jobs {
		return quiet, true
	}
	next = p.busy(known, onTheWay(known, left), jobs, now)
	if known.Pages > 1 && beginning(known) && quiet < next {
		return quiet, true
	}
	half := max(next/2, p.share(known.Pages))
	if known.Pages > 1 && next >= long && next-half > leastInterval {
		return half, true
	}
	return next, false
}

// beginning reports whether those who have left the list have begun to only since it was
// checked last: how many do is not known yet.
func beginning(known release.ListState) bool { return known.Since.After(known.Moved) }

// onTheWay is how many would have left the list if they had not begun to only meanwhile.
func onTheWay(known release.ListState, left int) int {
	if beginning(known) {
		return 2 * left
	}
	return left
}

// following is how many more will have left the list by the next check if that reads it: about
// as many as before, in proportion.
func following(known release.ListState, c release.ListCheck) int {
	elapsed := c.Began.Sub(known.Since)
	if c.Peek || known.Since.IsZero() || elapsed <= 0 {
		return 0
	}
	return int(careful * float64(c.Left) * c.Next.Seconds() / elapsed.Seconds())
}

// peeked is when the next check is due after a look at the length (0: the list is to be read
// now), and whether that is to begin with another one.
func (p pace) peeked(known release.ListState, left, jobs int, now time.Time) (next time.Duration, peek bool) {
	quiet := p.quiet(known, jobs, now)
	if left == 0 {
		return quiet, true
	}
	next = p.busy(known, onTheWay(known, left), jobs, now) - now.Sub(known.Since)
	switch {
	case next <= leastInterval:
		return 0, false
	case beginning(known) && quiet < next:
		return max(quiet, p.share(known.Pages)-now.Sub(known.Since)), true
	case next >= long || fewOf*left <= jobs:
		return max(leastInterval, min(next/2, onset), p.share(1), p.share(known.Pages)-now.Sub(known.Since)), true
	}
	return next, false
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

// mayPeek reports whether the length of the list is worth a call of its own: when the
// last check said so and it has several pages, or when nobody was seen leaving it and the
// watched jobs fill more pages than it had. What was long unseen is looked at, so the list is
// read in time all the same, as far as its share of the rate allows.
func (p pace) mayPeek(known release.ListState, filled int, now time.Time, unseen time.Duration) bool {
	most := unseen - mostInterval
	if someOthers*known.Others > known.Watched && !known.Moved.Before(known.Read) { // they may join as fast as watched jobs leave
		most = mostInterval
	}
	peek, pages := known.Peek, known.Pages
	if known.Joined.After(known.Read) && known.Moved.Before(known.Read) && filled > pages {
		peek, pages = true, filled
	}
	return peek && pages > 1 && now.Sub(known.Read) < max(most, p.share(pages))
}
