package main

import (
	"context"
	"time"

	"vizstop/internal/ledger"
)

// standing is how a batch stands in one project. All that the benchmark asks of the ledger's package is here, the rest
// goes through the built programs: asking this way costs one command, a program each time would cost more than some of
// what is measured.
type standing struct {
	total    int
	inFlight int
	accepted int       // of those in flight, the stops whose call was accepted
	ended    int       // confirmed to have ended
	last     time.Time // when the last one ended, if none is in flight
	outcomes map[ledger.State]int
}

func (st *stage) standing(ctx context.Context, project, batch string) (standing, error) {
	b, err := ledger.New(st.redis.rdb, time.Now).Batch(ctx, project, batch)
	if err != nil {
		return standing{}, err
	}
	return standing{
		total: b.Total, inFlight: b.InFlight(), accepted: b.Counts[ledger.Stopping],
		ended: b.Counts[ledger.Stopped] + b.Counts[ledger.AlreadyStopped], last: b.Ended, outcomes: b.Counts,
	}, nil
}

// confirmedState says whether a stop in this state, as enqueue shows it, was confirmed to have ended.
func confirmedState(state string) bool {
	return state == string(ledger.Stopped) || state == string(ledger.AlreadyStopped)
}
