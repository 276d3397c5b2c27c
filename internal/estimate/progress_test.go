package estimate

import (
	"testing"
	"time"
)

func TestEnd(t *testing.T) {
	// going is a batch that has been going on for so long at this pace.
	going := func(since time.Duration, pending, stopping, accepted, ended int) Standing {
		return Standing{Pending: pending, Stopping: stopping, First: evening.Add(-since), Last: evening.Add(-since),
			Pace: Pace{Over: min(since, Window), Accepted: accepted, Ended: ended}}
	}
	later := going(0, 5000, 0, 0, 0)
	later.First, later.Last = evening.Add(time.Hour), evening.Add(time.Hour)
	spread := going(10*time.Minute, 10, 0, 0, 0)
	spread.Last = evening.Add(time.Hour)
	for _, tt := range []struct {
		name     string
		rate     Rate
		projects []Standing
		want     time.Duration // from evening; 0: not told
	}{
		{"just begun: the rate says it", fifty, []Standing{going(0, 5000, 0, 0, 0)}, 200 * time.Second},
		{"just begun, no rate", Rate{}, []Standing{going(0, 5000, 0, 0, 0)}, 0},
		{"just begun, and small: the jobs say it", fifty, []Standing{going(0, 100, 0, 0, 0)}, 0},
		{"as the rate allows", fifty, []Standing{going(30*time.Second, 3800, 900, 1200, 300)}, 170 * time.Second},
		{"slower than the rate", fifty, []Standing{going(time.Hour, 3800, 900, 900, 300)}, 425 * time.Second},
		{"nothing moves", fifty, []Standing{going(time.Hour, 3800, 900, 0, 0)}, 0},
		{"nothing moves, no rate", Rate{}, []Standing{going(time.Hour, 3800, 900, 0, 0)}, 0},
		{"no rate, at its own pace", Rate{}, []Standing{going(time.Hour, 3000, 600, 700, 600)}, 6 * time.Minute},
		{"no rate, too little has happened", Rate{}, []Standing{going(time.Hour, 3000, 600, 700, 9)}, 0},
		{"all are accepted: confirmations tell", fifty, []Standing{going(time.Hour, 0, 600, 300, 60)}, 10 * time.Minute},
		{"all are accepted, none confirmed", fifty, []Standing{going(time.Hour, 0, 600, 300, 0)}, 0},
		{"nearly over", fifty, []Standing{going(time.Hour, 0, 5, 300, 300)}, 0},
		{"over", fifty, []Standing{going(time.Hour, 0, 0, 10, 10)}, 0},
		{"due later", fifty, []Standing{later}, time.Hour + 200*time.Second},
		{"due later, no rate", Rate{}, []Standing{later}, 0},
		{"spread: not before the last is due", fifty, []Standing{spread}, time.Hour},
		{"the slower of two projects", fifty, []Standing{going(0, 5000, 0, 0, 0), going(0, 10_000, 0, 0, 0)}, 400 * time.Second},
		{"one of two stands still", fifty, []Standing{going(0, 5000, 0, 0, 0), going(time.Hour, 5, 0, 0, 0)}, 0},
		{"one of two is over", fifty, []Standing{going(time.Hour, 0, 0, 0, 0), going(0, 5000, 0, 0, 0)}, 200 * time.Second},
		{"no project", fifty, nil, 0},
	} {
		end, ok := tt.rate.End(evening, tt.projects)
		if got := end.Sub(evening); ok != (tt.want > 0) || ok && (got-tt.want).Abs() > time.Millisecond {
			t.Errorf("%s: ends %v from now, %v, want %v", tt.name, got, ok, tt.want)
		}
	}
}
