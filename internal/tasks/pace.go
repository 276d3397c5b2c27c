package tasks

import (
	"context"
	"slices"
	"sync"
	"time"

	"vizstop/internal/ledger"
)

// pace is how long the latest jobs of a project took to stop, ascending.
type pace []time.Duration

const (
	// leastPace is how many jobs have to have stopped before a pace tells anything.
	leastPace = 20
	// leastGap is the shortest learned time between two looks at one job.
	leastGap = time.Second
)

// gap is how long to wait for the next look at a job that is still stopping
// after so long: until a third of those that took longer have stopped. A job
// that takes longer than (almost) all others is looked at after a third of its
// time again: it may stop at any moment, and such jobs are few. It reports false
// when too little is known.
func (p pace) gap(elapsed time.Duration) (time.Duration, bool) {
	if len(p) < leastPace {
		return 0, false
	}
	first, _ := slices.BinarySearch(p, elapsed+1)
	longer := p[first:]
	if len(longer) < 3 {
		return elapsed / 3, true
	}
	return longer[len(longer)/3] - elapsed, true
}

// quantile is the time after which the share q of jobs has stopped, or def if
// too few are known.
func (p pace) quantile(q float64, def time.Duration) time.Duration {
	if len(p) < leastPace {
		return def
	}
	return p[int(q*float64(len(p)-1))]
}

// paces remembers the pace of each project for a little while.
type paces struct {
	mu    sync.Mutex
	known map[string]knownPace
}

type knownPace struct {
	pace pace
	till time.Time
}

// paceLife is how long a pace is used before it is read again.
const paceLife = 5 * time.Second

// pace is what is known of a project now; nothing when Redis can't tell.
func (h *handler) pace(ctx context.Context, projectID string) pace {
	now := h.Now()
	h.paces.mu.Lock()
	k, ok := h.paces.known[projectID]
	h.paces.mu.Unlock()
	if ok && now.Before(k.till) {
		return k.pace
	}
	times, err := h.Ledger.StopTimes(ctx, projectID)
	if err != nil {
		h.Logger.WarnContext(ctx, "polls keep to the fixed schedule", "project", projectID, "error", err)
	}
	slices.Sort(times)
	h.paces.mu.Lock()
	defer h.paces.mu.Unlock()
	h.paces.known[projectID] = knownPace{times, now.Add(paceLife)}
	return times
}

// gap is how long to wait for the next look at s, whose job is stopping: by
// what is known of other jobs, else by the schedule.
func (h *handler) gap(ctx context.Context, s *ledger.Stop) time.Duration {
	elapsed := max(0, h.Now().Sub(s.Accepted))
	d, ok := h.pace(ctx, s.ProjectID).gap(elapsed)
	if !ok {
		return h.Schedule.poll(elapsed)
	}
	d = time.Duration(float64(d) * (0.9 + 0.2*h.Schedule.Jitter()))
	return min(max(d, leastGap), h.Schedule.PollMax)
}

// watchFrom is how long after acceptance a screen looks for a job first: when
// one in twenty has stopped.
func (h *handler) watchFrom(ctx context.Context, projectID string) time.Duration {
	return min(h.pace(ctx, projectID).quantile(0.05, h.Schedule.PollFirst), h.Schedule.PollMax)
}

// Screens come so often that each call serves several jobs, and no rarer than a
// fifteenth of the time that the jobs have taken so far.
const (
	// screenCost is how many list calls may be spent on a job that is about to stop.
	screenCost  = 0.15
	leastScreen = time.Second
	mostScreen  = 2500 * time.Millisecond
)

// leaving is how many of a job's kind leave per second once they have been
// stopping for so long. Where nothing is known, a job that has taken longer than
// most is expected to take as long again.
func (p pace) leaving(age, usual time.Duration) float64 {
	if gap, ok := p.gap(age); ok {
		return 1 / (3 * max(gap, leastGap)).Seconds() // a third leaves within the gap
	}
	return 1 / max(usual, age).Seconds()
}

// interval is how long to wait for the next screen: until the jobs that are
// expected to leave meanwhile are worth the calls, within limits.
func (h *handler) interval(ctx context.Context, projectID string, seen sighting) time.Duration {
	now, known := h.Now(), h.pace(ctx, projectID)
	usual := max(leastScreen, known.quantile(0.5, 4*h.Schedule.PollFirst))
	from := h.watchFrom(ctx, projectID)
	perSecond, youngest := 0.0, time.Duration(-1)
	for _, w := range seen.stopping {
		age := now.Sub(w.From) + from
		if youngest < 0 || age < youngest {
			youngest = age
		}
		perSecond += known.leaving(age, usual)
	}
	if perSecond == 0 {
		return leastScreen
	}
	most := min(max(mostScreen, youngest/15), h.Schedule.PollMax)
	if first := seen.stopping[0].From; first.After(now) { // nothing to look for before
		return max(leastScreen, first.Sub(now))
	}
	cheap := time.Duration(float64(max(1, seen.pages)) / (screenCost * perSecond) * float64(time.Second))
	return min(max(cheap, leastScreen), most)
}
