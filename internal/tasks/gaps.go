package tasks

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"vizstop/internal/ledger"
)

// stopTimes is how long the latest jobs of a project took to stop, ascending.
type stopTimes []time.Duration

const (
	// leastTimes is how many jobs have to have stopped before their times tell
	// anything.
	leastTimes = 20
	// leastGap is the shortest learned time between two looks at one job.
	leastGap = 500 * time.Millisecond
)

// gap is how long to wait for the next look at a job that is still stopping
// after so long: until a third of those that took longer have stopped. A job
// that takes longer than (almost) all others is looked at after a tenth of its
// time again: it may stop at any moment, and such jobs are few. It reports false
// when too little is known.
func (p stopTimes) gap(elapsed time.Duration) (time.Duration, bool) {
	if len(p) < leastTimes {
		return 0, false
	}
	first, _ := slices.BinarySearch(p, elapsed+1)
	longer := p[first:]
	if len(longer) < 3 {
		return elapsed / 10, true
	}
	return longer[len(longer)/3] - elapsed, true
}

// gaps says how long to wait for the next look at a job, and learns it from how
// long other jobs of the project took to stop.
type gaps struct {
	schedule Schedule
	ledger   *ledger.Ledger
	log      *slog.Logger

	mu    sync.Mutex
	known map[string]knownTimes
}

type knownTimes struct {
	times stopTimes
	till  time.Time
}

// timesLife is how long stop times are used before they are read again.
const timesLife = 5 * time.Second

// times is what is known of a project now; nothing when Redis can't tell.
func (g *gaps) times(ctx context.Context, projectID string) stopTimes {
	now := time.Now()
	g.mu.Lock()
	k, ok := g.known[projectID]
	g.mu.Unlock()
	if ok && now.Before(k.till) {
		return k.times
	}
	times, err := g.ledger.StopTimes(ctx, projectID)
	if err != nil {
		g.log.WarnContext(ctx, "polls keep to the fixed schedule", "project", projectID, "error", err)
	}
	slices.Sort(times)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= mostKnown { // of projects that were busy once
		clear(g.known)
	}
	g.known[projectID] = knownTimes{times, now.Add(timesLife)}
	return times
}

// mostKnown bounds the projects whose stop times are kept in memory.
const mostKnown = 1000

// next is how long to wait for the next look at s, whose job is stopping: by what
// is known of other jobs, else by the schedule.
func (g *gaps) next(ctx context.Context, s *ledger.Stop) time.Duration {
	elapsed := max(0, g.ledger.Now().Sub(stoppingSince(s)))
	d, ok := g.times(ctx, s.ProjectID).gap(elapsed)
	if !ok {
		return g.schedule.poll(elapsed)
	}
	d = time.Duration(float64(d) * (0.9 + 0.2*g.schedule.Jitter()))
	return min(max(d, leastGap), g.schedule.PollMax)
}

// stoppingSince is about since when the job of s is stopping: the latest accepted stop
// call or, if none was, the first one.
func stoppingSince(s *ledger.Stop) time.Time {
	switch {
	case !s.Accepted.IsZero():
		return s.Accepted
	case !s.Called.IsZero():
		return s.Called
	}
	return s.Marked // its worker died in the middle of it
}

// Usual is how long jobs of a project usually take to stop: the median of the
// latest, or twice the first poll gap where too little is known.
func (h *Handlers) Usual(ctx context.Context, projectID string) time.Duration {
	g := h.Poll.look.moves.gaps
	times := g.times(ctx, projectID)
	if len(times) < leastTimes {
		return 2 * g.schedule.PollFirst
	}
	return times[len(times)/2]
}
