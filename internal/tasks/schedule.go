package tasks

import (
	"math"
	"math/rand/v2"
	"time"
)

// Schedule settles when things happen. The zero value of each field means its
// default.
type Schedule struct {
	PollFirst  time.Duration // from acceptance to the first poll: default 5 s
	PollFactor float64       // growth from one poll to the next: default 1.6, at least 1
	PollMax    time.Duration // longest time between polls: default 60 s

	// ListFrom is how many jobs of a project have to be stopping for one list call to
	// look for them all, and then for the last few of them: default 5; negative means
	// never.
	ListFrom int

	RetryFirst  time.Duration // the longest first wait after a failure: default 400 ms, doubled each time
	RetryMax    time.Duration // the longest wait after any failure: default 60 s
	MaxAttempts int           // attempts of one stop before it is rejected: default 10

	ResendAfter time.Duration // how long after acceptance an active job gets the stop call again: default 60 s
	MaxResends  int           // how often: default 3; negative means never

	Deadline    time.Duration // of a foreign task's stop, from now: default 1 h
	CallTimeout time.Duration // of one API call: default 30 s

	// Jitter returns a random number in [0, 1). nil means math/rand; tests set it.
	Jitter func() float64
}

// WithDefaults fills the zero fields.
func (s Schedule) WithDefaults() Schedule {
	setDefault(&s.PollFirst, 5*time.Second)
	setDefault(&s.PollFactor, 1.6)
	setDefault(&s.PollMax, time.Minute)
	setDefault(&s.ListFrom, 5)
	setDefault(&s.RetryFirst, 400*time.Millisecond)
	setDefault(&s.RetryMax, time.Minute)
	setDefault(&s.MaxAttempts, 10)
	setDefault(&s.ResendAfter, time.Minute)
	setDefault(&s.MaxResends, 3)
	setDefault(&s.Deadline, time.Hour)
	setDefault(&s.CallTimeout, 30*time.Second)
	if s.Jitter == nil {
		s.Jitter = rand.Float64
	}
	return s
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// poll is the time until the next poll of a job that was accepted that long
// ago. Gaps in a fixed ratio are the first gap plus a fixed share of the time
// gone by, so no count of polls is needed, and a poll that had to wait doesn't
// shift the others. The jitter lies in the upper half.
func (s Schedule) poll(sinceAccepted time.Duration) time.Duration {
	gap := float64(s.PollFirst) + (s.PollFactor-1)*float64(max(0, sinceAccepted))
	return time.Duration(min(gap, float64(s.PollMax)) * (1 + s.Jitter()) / 2)
}

// retry is the wait after n failures in a row, n from 1: exponential, with jitter
// in the upper half.
func (s Schedule) retry(n int) time.Duration {
	limit := float64(s.RetryFirst) * math.Pow(2, float64(max(1, n)-1))
	return time.Duration(min(limit, float64(s.RetryMax)) * (1 + s.Jitter()) / 2)
}
