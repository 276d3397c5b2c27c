package estimate

import (
	"cmp"
	"time"
)

// Window is how far back the pace of a batch is looked at.
const Window = time.Minute

// settled is how long a batch must have gone on before its pace says more than the rate does.
const settled = 5 * time.Second

// enough is how many confirmations make a pace.
const enough = 10

// Standing is how far a batch is in one project.
type Standing struct {
	Pending  int // without a stop call that was accepted
	Stopping int // accepted, not confirmed
	Pace
	First, Last time.Time // when its first and last stop are due; zero if nobody knows
	Rate        Rate      // of the project; zero: that of the batch
}

// Pace is what happened lately.
type Pace struct {
	Over     time.Duration // for how long it was looked at, up to Window
	Accepted int           // stops that were accepted
	Ended    int           // stops that ended, but for those that expired or were canceled
}

// End is about when the last stop of a batch will have its outcome; false if that can't be told: nothing moves, no
// rate is known and too little has happened, or the end is so near that how long a single job takes matters most.
func (r Rate) End(now time.Time, projects []Standing) (time.Time, bool) {
	var last time.Time
	for _, s := range projects {
		if s.Pending+s.Stopping == 0 {
			continue
		}
		end, ok := cmp.Or(s.Rate, r).end(now, s)
		if !ok {
			return time.Time{}, false
		}
		last = latest(last, end)
	}
	return last, last.Sub(now) >= worthSaying
}

func (r Rate) end(now time.Time, s Standing) (time.Time, bool) {
	left := r.perStop()*s.Pending + s.Stopping
	var byRate time.Time
	if r.known() {
		byRate = latest(s.Last, latest(now, s.First).Add(seconds(float64(left)/r.Calls)))
	}
	switch {
	case now.Before(s.Last) || s.Over < settled || now.Sub(s.First) < settled: // its pace says nothing yet
		return byRate, r.known() && s.Pending > 0
	case r.known() && s.Pending > 0:
		made := callsIn(s.Pace)
		return latest(byRate, after(now, left, made, s.Over)), made > 0
	default: // how long the jobs take counts, so only confirmations tell the pace
		return latest(byRate, after(now, s.Pending+s.Stopping, s.Ended, s.Over)), s.Ended >= enough
	}
}

// callsIn is about how many calls were made: stops that are accepted are so by one, those that end by another.
func callsIn(p Pace) int { return p.Accepted + p.Ended }

// after is when what is left is done, at the pace of so much in the time before now.
func after(now time.Time, left, done int, over time.Duration) time.Time {
	if done <= 0 {
		return now
	}
	return now.Add(seconds(over.Seconds() * float64(left) / float64(done)))
}
