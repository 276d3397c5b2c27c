package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/estimate"
	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
)

const project = "0123456789abcdef0123456789abcdef"

// slow is a rate at which twenty stops take 40 s.
var slow = estimate.Rate{Calls: 1, Stops: 0.8}

// recorded is a ledger with twenty stops of a batch.
func recorded(t *testing.T, due time.Time) *ledger.Ledger {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: redistest.Start(t).Addr})
	t.Cleanup(func() { rdb.Close() })
	l := ledger.New(rdb, time.Now)
	var asks []ledger.Ask
	for i := range 20 {
		asks = append(asks, ledger.Ask{JobID: fmt.Sprint(i), Due: due.Add(time.Duration(i) * time.Second), Deadline: due.Add(time.Hour)})
	}
	if _, err := l.Open(t.Context(), project, "b", asks); err != nil {
		t.Fatal(err)
	}
	return l
}

// sights is a Progress that a test looks at.
type sights struct {
	all  []Sight
	then func(n int)
}

func (s *sights) Show(one Sight) {
	s.all = append(s.all, one)
	s.then(len(s.all))
}

func (s *sights) Close() {}

func TestWait(t *testing.T) {
	t.Parallel()
	due := time.Now()
	l := recorded(t, due)
	seen := &sights{then: func(n int) {
		if n < 2 {
			return
		}
		stops, _, err := l.BatchStops(t.Context(), project, "b", 0, 20)
		if err != nil {
			t.Error(err)
		}
		for _, s := range stops {
			if _, err := l.Withdraw(t.Context(), project, s.ID, "b", "changed my mind"); err != nil {
				t.Error(err)
			}
		}
	}}
	if err := Wait(t.Context(), Watch{Ledger: l, Batch: "b", Projects: []string{project}, Progress: seen, Rate: slow}); err != nil {
		t.Fatal(err)
	}
	if len(seen.all) != 3 || seen.all[0].Done != 0 || seen.all[0].Total != 20 || seen.all[2].Done != 20 {
		t.Errorf("seen: %+v", seen.all)
	}
	if after := seen.all[0].End.Sub(due); after < 40*time.Second || after > time.Minute {
		t.Errorf("the end is expected after %v, want 40 s", after)
	}
	if last := seen.all[2]; !last.End.IsZero() {
		t.Errorf("at its end: %+v", last)
	}
}

// What keeps a batch from moving is told, and no end is expected meanwhile.
func TestWaitTellsWhy(t *testing.T) {
	t.Parallel()
	l := recorded(t, time.Now())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reasons := []string{"no worker is alive"}
	asked := 0
	why := func(context.Context) ([]string, error) { asked++; return reasons, nil }
	seen := &sights{then: func(n int) {
		if n == 3 {
			cancel()
		}
	}}
	err := Wait(ctx, Watch{Ledger: l, Batch: "b", Projects: []string{project}, Progress: seen, Rate: slow, Why: why})
	if !errors.Is(err, context.Canceled) || asked != 1 {
		t.Errorf("%v, asked %d times why within a second", err, asked)
	}
	for _, s := range seen.all {
		if !slices.Equal(s.Why, reasons) || !s.End.IsZero() {
			t.Errorf("seen: %+v", s)
		}
	}
	broken := errors.New("no Redis")
	why = func(context.Context) ([]string, error) { return nil, broken }
	err = Wait(t.Context(), Watch{Ledger: l, Batch: "b", Projects: []string{project}, Progress: seen, Why: why})
	if !errors.Is(err, broken) {
		t.Errorf("with a broken Why: %v", err)
	}
}

func TestEndOfSummary(t *testing.T) {
	t.Parallel()
	due := time.Now().Add(time.Minute)
	l := recorded(t, due)
	s, err := Summarize(t.Context(), l, project, "b")
	if err != nil {
		t.Fatal(err)
	}
	end, ok := End(slow, nil, []*Summary{s})
	if after := end.Sub(due); !ok || after.Round(time.Second) != 40*time.Second {
		t.Errorf("the end is expected %v after it is due, %v", after, ok)
	}
	if end, ok := End(estimate.Rate{}, nil, []*Summary{s}); ok {
		t.Errorf("without a rate it is %v", end)
	}
}

// The pace of a batch is read from its stops.
func TestStand(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	var s Summary
	for _, stop := range []ledger.Stop{
		{State: ledger.Pending, Due: ago(time.Hour)},
		{State: ledger.Pending, Due: ago(2 * time.Hour)},
		{State: ledger.Stopping, Due: ago(time.Hour), Accepted: ago(time.Second)},
		{State: ledger.Stopping, Due: ago(time.Hour), Accepted: ago(time.Hour)},
		{State: ledger.Stopped, Due: ago(time.Hour), Accepted: ago(time.Second), Ended: ago(0)},
		{State: ledger.Stopped, Due: ago(time.Hour), Accepted: ago(10 * time.Minute), Ended: ago(10 * time.Second)},
		{State: ledger.Stopped, Due: ago(time.Hour), Accepted: ago(10 * time.Minute), Ended: ago(5 * time.Minute)},
		{State: ledger.Gone, Due: ago(time.Hour), Ended: ago(time.Second)},
		{State: ledger.Expired, Due: ago(time.Hour), Accepted: ago(time.Second), Ended: ago(0)},
		{State: ledger.Canceled, Due: ago(time.Minute), Ended: ago(0)},
	} {
		s.stand(&stop, ago(time.Minute))
	}
	want := estimate.Standing{Pending: 2, Stopping: 2, Pace: estimate.Pace{Accepted: 2, Ended: 3}, First: ago(2 * time.Hour), Last: ago(time.Minute)}
	if s.standing != want {
		t.Errorf("standing is %+v, want %+v", s.standing, want)
	}
}
