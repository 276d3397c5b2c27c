package tasks

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

func seconds(n ...float64) (p stopTimes) {
	for _, s := range n {
		p = append(p, time.Duration(s*float64(time.Second)))
	}
	return p
}

func TestGap(t *testing.T) {
	p := seconds()
	for i := range 30 {
		p = append(p, time.Duration(i+1)*time.Second)
	}
	for _, c := range []struct{ elapsed, want time.Duration }{
		{0, 11 * time.Second},               // a third of thirty have stopped by then
		{20 * time.Second, 4 * time.Second}, // of the ten that take longer, 24 s is the fourth
		{27 * time.Second, 2 * time.Second},
		{28 * time.Second, 28 * time.Second / 10}, // too few take longer to tell
		{time.Minute, time.Minute / 10},
	} {
		if got, ok := p.gap(c.elapsed); !ok || got != c.want {
			t.Errorf("after %v: %v, %v; want %v", c.elapsed, got, ok, c.want)
		}
	}
	if _, ok := p[:leastTimes-1].gap(0); ok {
		t.Error("the times of too few jobs tell a gap")
	}
}

// What is learned follows the jobs, up and down, although a stop is only
// noticed when somebody looks.
func TestGapsFollowTheJobs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	schedule := Schedule{Jitter: random.Float64}.WithDefaults()
	var now time.Time
	m := &mover{ledger: ledger.New(nil, func() time.Time { return now }), schedule: schedule}
	var times stopTimes // newest first
	// stop plays one stop of a job that takes so long, and learns from it.
	stop := func(takes time.Duration) (polls int, lag time.Duration) {
		known := slices.Clone(times)
		slices.Sort(known)
		began := time.Unix(0, 0)
		s := &ledger.Stop{Accepted: began}
		for at := time.Duration(0); ; {
			gap, ok := known.gap(at)
			if !ok {
				gap = schedule.poll(at)
			}
			at += min(max(gap, leastGap), schedule.PollMax)
			polls++
			now = began.Add(at)
			if at >= takes {
				times = slices.Insert(times, 0, m.stopTime(s))[:min(len(times)+1, 200)]
				return polls, at - takes
			}
			s.Looked = now
		}
	}
	for _, median := range []float64{20, 120, 3} {
		polls, lag := 0, time.Duration(0)
		for i := range 600 {
			p, l := stop(time.Duration(median * math.Exp(0.4*random.NormFloat64()) * float64(time.Second)))
			if i >= 300 {
				polls, lag = polls+p, lag+l
			}
		}
		meanPolls, meanLag := float64(polls)/300, lag.Seconds()/300
		t.Logf("median %v s: %.1f polls, %.2f s of lag", median, meanPolls, meanLag)
		if meanPolls > 5 || meanLag > max(1.5, 0.15*median) {
			t.Errorf("median %v s: %.1f polls and %.2f s of lag", median, meanPolls, meanLag)
		}
	}
}
