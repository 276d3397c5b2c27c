package report

import (
	"testing"
	"time"

	"vizstop/internal/estimate"
	"vizstop/internal/ledger"
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
