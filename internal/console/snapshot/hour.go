package snapshot

import (
	"context"
	"time"

	"vizstop/internal/ledger"
)

// Hour tells what happened in the last hour, the oldest minute first; each minute is there, also those in which nothing
// happened.
type Hour func(ctx context.Context) ([]Minute, error)

// Minute is what happened in one minute.
type Minute struct {
	At       time.Time            // when it began
	Outcomes map[ledger.State]int // stops that ended
	// From due until confirmed, of the stops that were confirmed in it; 0: none was.
	P50, P95 time.Duration
	Calls    int // of the API
	Refused  int // of these, that did not succeed
}

// Ended is how many stops ended in it: well, and all.
func (m Minute) Ended() (good, all int) {
	for state, n := range m.Outcomes {
		if all += n; state.Good() {
			good += n
		}
	}
	return good, all
}
