// Package estimate tells how long stops take at the rate that the API allows: before a batch is recorded, and while it
// goes on.
//
// A stop takes about two calls, the stop call and the look that confirms it, or three where a look comes before.
// How long a job itself takes to stop is not known here: it comes on top.
package estimate

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// callsPerStop is the stop call and the look that confirms it.
const callsPerStop = 2

// Rate is how many calls a second one project gets. The zero Rate means that there is no limit, or that none is known.
type Rate struct {
	Calls float64 // of all kinds
	Stops float64 // stop calls, as long as stops wait: the rest is kept for looks
	// PerStop is how many calls a stop takes; 0 means two, the stop call and the look that confirms it.
	PerStop int
}

func (r Rate) perStop() int { return cmp.Or(r.PerStop, callsPerStop) }

// known reports whether there is anything to reckon with.
func (r Rate) known() bool { return r.Calls > 0 && r.Stops > 0 }

// seconds is x seconds, or as long as a Duration can be.
func seconds(x float64) time.Duration {
	const most = math.MaxInt64 / int64(time.Second)
	return time.Duration(min(x, float64(most)) * float64(time.Second))
}

// Share is a batch's stops in one project. From First to Last they are due at even distances.
type Share struct {
	ProjectID   string
	Stops       int
	First, Last time.Time
	Rate        Rate // zero: that of the batch
}

// Batch is when the stops of a batch would be called and confirmed, if the projects had nothing else to do.
type Batch struct {
	Known            bool      // false: no rate is known, and nothing else here says anything
	LastCall         time.Time // the last stop call
	LastConfirmation time.Time

	now     time.Time
	mixed   bool // shares have different rates
	shares  []Share
	slowest Share // the one whose last stop call comes latest after it was due
}

// Of looks ahead at a batch whose projects have that rate, unless a share has one of its own.
func Of(now time.Time, rate Rate, shares []Share) *Batch {
	b := &Batch{now: now, shares: slices.Clone(shares)}
	for i := range b.shares {
		s := &b.shares[i]
		s.Rate = cmp.Or(s.Rate, rate)
		b.Known = b.Known || s.Rate.known()
		b.mixed = b.mixed || s.Rate != b.shares[0].Rate
	}
	if !b.Known {
		return b
	}
	for _, s := range b.shares {
		b.LastCall = latest(b.LastCall, s.Last.Add(s.callLag()))
		b.LastConfirmation = latest(b.LastConfirmation, s.Last.Add(s.confirmationLag()))
		if b.slowest.Stops == 0 || s.callLag() > b.slowest.callLag() {
			b.slowest = s
		}
	}
	return b
}

// callLag is how long after it is due the last stop call of a share goes out.
func (s Share) callLag() time.Duration { return s.lag(float64(s.Stops), s.Rate.Stops) }

// confirmationLag is how long after it is due the last stop of a share is confirmed.
func (s Share) confirmationLag() time.Duration {
	return s.lag(float64(s.Rate.perStop()*s.Stops), s.Rate.Calls)
}

// lag is how long after they are due so many calls are made at a rate.
func (s Share) lag(calls, rate float64) time.Duration {
	if !s.Rate.known() {
		return 0
	}
	return max(0, seconds(calls/rate)-s.Last.Sub(s.First))
}

// lag is the longest time from when a stop is due until it is confirmed.
func (b *Batch) lag() time.Duration {
	var longest time.Duration
	for _, s := range b.shares {
		longest = max(longest, s.confirmationLag())
	}
	return longest
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
