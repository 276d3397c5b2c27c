package rounds

import (
	"math"
	"testing"
	"time"

	"github.com/hibiken/asynq"
)

// A task has until the deadline of the fleet, or until its own if that is earlier. One that is as late as a number can
// be is not early.
func TestLifeOf(t *testing.T) {
	l := &Loop{}
	l.Schedule.Deadline = time.Hour
	now := time.Now()
	for name, tt := range map[string]struct {
		info asynq.TaskInfo
		want time.Duration
	}{
		"no deadline":           {asynq.TaskInfo{}, time.Hour},
		"an early one":          {asynq.TaskInfo{Deadline: now.Add(time.Minute)}, time.Minute},
		"a late one":            {asynq.TaskInfo{Deadline: now.Add(2 * time.Hour)}, time.Hour},
		"the latest":            {asynq.TaskInfo{Deadline: time.Unix(math.MaxInt64, 0)}, time.Hour}, // as asynq makes it of its number
		"the latest, failed":    {asynq.TaskInfo{Deadline: time.Unix(math.MaxInt64, 0), LastFailedAt: now.Add(-time.Minute)}, 59 * time.Minute},
		"one that is over":      {asynq.TaskInfo{Deadline: now.Add(-time.Minute)}, -time.Minute},
		"one before all others": {asynq.TaskInfo{Deadline: time.Unix(math.MinInt64, 0)}, math.MinInt64},
	} {
		if got := l.lifeOf(&tt.info); (got - tt.want).Abs() > 5*time.Second {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
