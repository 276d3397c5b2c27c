package rounds

import (
	"context"
	"errors"
	"sync"
	"time"
)

// tryTimes is how long the tries of a page may take, one after the other.
type tryTimes [3]time.Duration

const (
	// A page that has not come in unusual times the usual time is asked for once more, but
	// not sooner than in leastPatience, and in the time of a try at the latest.
	unusual       = 4
	leastPatience = 250 * time.Millisecond
	// mostTryTime is how long a try may take where calls are slow. Nobody waits longer for a
	// list, as looks tell no later then.
	mostTryTime = 4 * time.Second
)

// quickTries are for an API that answers in a quarter of a second or less. By the last one
// it is found out that it has become slow.
var quickTries = tryTimes{time.Second, 2 * time.Second, mostTryTime}

// triesFor are for one that takes about so long.
func triesFor(usual time.Duration) tryTimes {
	times := quickTries
	for i := range times {
		times[i] = max(times[i], min(unusual*usual, mostTryTime))
	}
	return times
}

// finalError is an error after which there is no other try.
type finalError struct{ error }

func (e finalError) Unwrap() error { return e.error }

// hedged calls try, and again when that has failed, or once when the first call has not
// returned after so long: calls that hang are rare, and hardly ever two in a row. The first
// answer counts, and ends the other try. A try calls begun when it has got its turn; its
// time counts from then. It must return soon after its context has ended.
func hedged[T any](ctx context.Context, patience time.Duration, times tryTimes,
	try func(ctx context.Context, limit time.Duration, begun func()) (T, error)) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	var tries sync.WaitGroup
	defer tries.Wait()
	defer cancel()
	type result struct {
		answer T
		err    error
	}
	results, late := make(chan result, len(times)), make(chan struct{}, 1)
	next, out := 0, 0
	start := func(begun func()) {
		limit := times[next]
		next, out = next+1, out+1
		tries.Go(func() {
			answer, err := try(ctx, limit, begun)
			results <- result{answer, err}
		})
	}
	start(func() {
		if patience < times[0] { // else the first try ends by then
			time.AfterFunc(patience, func() { late <- struct{}{} })
		}
	})
	for {
		select {
		case <-late:
			if next == 1 {
				start(func() {})
			}
		case r := <-results:
			out--
			var final finalError
			switch {
			case errors.As(r.err, &final):
				return r.answer, final.error
			case r.err == nil || ctx.Err() != nil || next == len(times) && out == 0:
				return r.answer, r.err
			case next < len(times):
				start(func() {})
			}
		}
	}
}

// listTimes is about how long list calls of each project take. It is safe for concurrent
// use; the zero value is ready.
type listTimes struct {
	mu   sync.Mutex
	mean map[string]time.Duration
}

const (
	// listWeight: each call counts as the listWeight-th part of the average.
	listWeight = 8
	// mostListTimes bounds the projects whose times are kept.
	mostListTimes = 1000
)

func (t *listTimes) took(projectID string, d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	mean, ok := t.mean[projectID]
	if !ok {
		mean = d
	}
	if t.mean == nil || !ok && len(t.mean) >= mostListTimes { // of projects that were busy once
		t.mean = make(map[string]time.Duration)
	}
	t.mean[projectID] = mean + (d-mean)/listWeight
}

// patience is how long to wait for a page of a project before it is asked for once more, and
// how long its tries may take. Looks at jobs take about so long (0: nobody knows): what is
// known as long as no page has come.
func (t *listTimes) patience(projectID string, look time.Duration) (time.Duration, tryTimes) {
	t.mu.Lock()
	defer t.mu.Unlock()
	mean, ok := t.mean[projectID]
	if !ok {
		times := triesFor(look)
		return times[0], times
	}
	times := triesFor(mean)
	return min(max(unusual*mean, leastPatience), times[0]), times
}
