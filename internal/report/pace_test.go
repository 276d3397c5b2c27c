package report

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/estimate"
	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
)

func TestMovedOf(t *testing.T) {
	got := movedOf(map[ledger.State]int{ledger.Pending: 100, ledger.Stopping: 7, ledger.Stopped: 5, ledger.AlreadyStopped: 1,
		ledger.Gone: 1, ledger.Rejected: 1, ledger.Expired: 40, ledger.Canceled: 40})
	if want := (moved{accepted: 15, ended: 8}); got != want {
		t.Errorf("moved is %+v, want %+v", got, want)
	}
}

// The pace is that of the last minute, whatever was before.
func TestMeter(t *testing.T) {
	var m meter
	began := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	at := began
	have := moved{accepted: 1000, ended: 500} // before anybody looked
	m.see(began, have)
	for _, tt := range []struct {
		until         time.Duration
		accept, end   int // a second
		over          time.Duration
		accepted, out int
	}{
		{10 * time.Second, 40, 10, 10 * time.Second, 400, 100},
		{time.Hour, 40, 10, time.Minute, 2400, 600},
		{time.Hour + 30*time.Second, 0, 0, time.Minute, 1200, 300},
		{time.Hour + 90*time.Second, 0, 50, time.Minute, 0, 3000},
		{2 * time.Hour, 0, 0, time.Minute, 0, 0},
	} {
		var got estimate.Pace
		for at.Before(began.Add(tt.until)) {
			at = at.Add(250 * time.Millisecond)
			if at.Sub(began)%time.Second == 0 {
				have.accepted += tt.accept
				have.ended += tt.end
			}
			got = m.see(at, have)
		}
		if want := (estimate.Pace{Over: tt.over, Accepted: tt.accepted, Ended: tt.out}); got != want {
			t.Errorf("after %v the pace is %+v, want %+v", tt.until, got, want)
		}
		if len(m.samples) > 62 {
			t.Errorf("after %v there are %d samples", tt.until, len(m.samples))
		}
	}
	if got := m.see(began.Add(2*time.Hour+time.Second), moved{}); got.Accepted != 0 || got.Ended != 0 {
		t.Errorf("going back is a pace of %+v", got)
	}
}

// status and --wait measure the same pace: a stop that ends as not_found took answers of the API, too.
func TestSamePace(t *testing.T) {
	now := time.Now()
	for _, o := range ledger.AllOutcomes() {
		var s Summary
		s.stand(&ledger.Stop{State: o, Ended: now}, now.Add(-time.Minute))
		if m := movedOf(map[ledger.State]int{o: 1}); m.ended != s.standing.Ended {
			t.Errorf("%s: --wait counts %d as ended, status %d", o, m.ended, s.standing.Ended)
		}
	}
}

// The pace is measured by the fleet's time, as the times of stops are.
func TestPaceByTheFleetsTime(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	t.Cleanup(func() { rdb.Close() })
	now := time.Now().Add(3 * time.Hour) // this machine's clock is behind, or Redis' time was shifted
	l := ledger.New(rdb, func() time.Time { return now })
	var asks []ledger.Ask
	for i := range 20 {
		asks = append(asks, ledger.Ask{JobID: fmt.Sprint(i), Deadline: now.Add(9 * time.Hour), Confirmed: true})
	}
	openings, err := l.Open(t.Context(), project, "b", asks)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range openings[:15] {
		s, err := l.Get(t.Context(), project, o.StopID)
		if err == nil {
			_, err = l.Finish(t.Context(), s, ledger.Stopped, "", 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	now = now.Add(time.Hour) // nothing has moved since
	s, err := Summarize(t.Context(), l, project, "b")
	if err != nil {
		t.Fatal(err)
	}
	if s.standing.Ended != 0 {
		t.Errorf("%d stops count as ended within the last minute, want none", s.standing.Ended)
	}
	if end, ok := End(estimate.Rate{Calls: 0.1, Stops: 0.08}, nil, []*Summary{s}); ok {
		t.Errorf("the end is expected in %v, though nothing has moved for an hour", end.Sub(now))
	}
}
