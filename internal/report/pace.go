package report

import (
	"time"

	"vizstop/internal/estimate"
	"vizstop/internal/ledger"
)

// moved is how many stops have got somewhere.
type moved struct {
	accepted int // or were answered so that they ended at once
	ended    int // with a look or an answer of the API: stops that expired or were canceled say nothing about the pace
}

func movedOf(counts map[ledger.State]int) moved {
	ended := counts[ledger.Stopped] + counts[ledger.AlreadyStopped] + counts[ledger.Gone] + counts[ledger.NotFound] +
		counts[ledger.Rejected]
	for state, n := range counts {
		if state.Would() {
			ended += n
		}
	}
	return moved{accepted: counts[ledger.Stopping] + ended, ended: ended}
}

// meter measures the pace of a batch while it is looked at.
type meter struct {
	samples []sample // oldest first, about a second apart, the first one of them about estimate.Window old
}

type sample struct {
	at time.Time
	moved
}

// see takes in what has moved until now, and returns the pace since the oldest sample.
func (m *meter) see(now time.Time, have moved) estimate.Pace {
	if n := len(m.samples); n == 0 || now.Sub(m.samples[n-1].at) >= time.Second {
		m.samples = append(m.samples, sample{now, have})
	}
	for len(m.samples) > 1 && now.Sub(m.samples[1].at) >= estimate.Window {
		m.samples = m.samples[1:]
	}
	oldest := m.samples[0]
	return estimate.Pace{
		Over:     now.Sub(oldest.at),
		Accepted: max(0, have.accepted-oldest.accepted), // a stop that expires after its acceptance is taken out of both
		Ended:    max(0, have.ended-oldest.ended),
	}
}
