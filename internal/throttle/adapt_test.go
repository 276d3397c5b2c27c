package throttle

import (
	"container/heap"
	"testing"
	"time"

	"vizstop/internal/modelarts"
)

// crowd is callers who always want to call an API with a limit of its own, half
// of them to stop jobs and half to poll, in virtual time.
type crowd struct {
	*bench
	api     meter
	latency time.Duration

	due                    agenda
	then                   func(event) // what a caller does after its call; nil: the same again
	asked, called, refused int
}

// meter is a token bucket.
type meter struct {
	perSecond, depth, level float64
	burst                   float64 // the largest so far
	at                      time.Time
}

func (m *meter) take(now time.Time) bool {
	m.level = min(m.depth, m.level+m.perSecond*now.Sub(m.at).Seconds())
	m.at = now
	if m.level < 1 {
		return false
	}
	m.level--
	m.burst = max(m.burst, m.depth-m.level)
	return true
}

// event is a caller that asks or, with a permit, hears from the API.
type event struct {
	at     time.Time
	how    string
	class  Class
	permit *Permit
	err    error
}

type agenda []event

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(e any)        { *a = append(*a, e.(event)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

func newCrowd(t *testing.T, cfg Config, limit, burst float64, callers int) *crowd {
	c := &crowd{bench: newBench(t, cfg), api: meter{perSecond: limit, depth: burst}, latency: 100 * time.Millisecond}
	for i := range callers {
		c.due = append(c.due, event{at: c.now, how: asNew, class: []Class{Stop, Poll}[i%2]})
	}
	heap.Init(&c.due)
	return c
}

// play lets d go by and counts anew.
func (c *crowd) play(d time.Duration) {
	c.t.Helper()
	c.asked, c.called, c.refused = 0, 0, 0
	for over := c.now.Add(d); len(c.due) > 0 && c.due[0].at.Before(over); {
		e := heap.Pop(&c.due).(event)
		if e.at.After(c.now) {
			c.advance(e.at.Sub(c.now))
		}
		if e.permit != nil {
			c.report(*e.permit, e.err)
			if c.then != nil && e.err == nil {
				c.then(e)
				continue
			}
			heap.Push(&c.due, event{at: c.now, how: asNew, class: e.class})
			continue
		}
		heap.Push(&c.due, c.next(e.how, e.class))
	}
}

// next is what happens to a caller that asks now.
func (c *crowd) next(how string, class Class) event {
	c.asked++
	p, w, err := c.ask(c.t.Context(), project, class, how, true)
	switch {
	case err != nil:
		c.t.Fatal(err)
	case w.sit:
		return event{at: c.now.Add(w.For), how: asPaid, class: class}
	case w.Place:
		return event{at: c.now.Add(untilWholeSecond(c.now, w.For)), how: asBack, class: class}
	case w.For > 0:
		return event{at: c.now.Add(w.For), how: asNew, class: class}
	}
	c.called++
	if !c.api.take(c.now) {
		c.refused++
		err = &modelarts.APIError{Kind: modelarts.KindThrottled}
	}
	return event{at: c.now.Add(c.latency), permit: &p, err: err, class: class}
}

// Whatever is configured, the fleet finds the API's limit and stays near it.
func TestTheLimitOfTheAPIIsFoundAndUsed(t *testing.T) {
	const limit = 50
	for _, test := range []struct {
		name       string
		configured float64
	}{
		{"configured above the limit", 75},
		{"nothing configured", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCrowd(t, Config{Rate: test.configured}, limit, limit/5, 200)
			c.play(40 * time.Second)
			warm := float64(c.refused) / float64(c.called)
			c.play(80 * time.Second)
			used := float64(c.called-c.refused) / (80 * limit)
			refused := float64(c.refused) / float64(c.called)
			t.Logf("%.1f %% of the limit used, %.3f %% refused (%.1f %% before), %.2f questions a call",
				100*used, 100*refused, 100*warm, float64(c.asked)/float64(c.called))
			if used < 0.8 { // 90 % as a rule; the window holds two or three parks, and each counts 3 %
				t.Errorf("%.1f %% of the limit used, want 80 %% at least", 100*used)
			}
			if refused > 0.01 {
				t.Errorf("%.2f %% of the calls refused, want 1 %% at most", 100*refused)
			}
		})
	}
}

// A single refusal costs a rest of some seconds, not half a minute of a rate that is
// too low: stops alone use four fifths of it, which says nothing about the rest.
func TestASingleRefusalIsNoProof(t *testing.T) {
	const rate = 50
	c := newCrowd(t, Config{Rate: rate}, rate, 20, 200)
	for i := range c.due {
		c.due[i].class = Stop
	}
	c.play(10 * time.Second)
	c.api.level = -3
	c.play(30 * time.Second)
	lost := 30 - float64(c.called)/(0.8*rate)
	t.Logf("%d refused, lost %.1f s of calls", c.refused, lost)
	if c.refused == 0 || len(c.parked) != 1 || lost > 6 {
		t.Errorf("%d refused, parked %v, lost %.1f s of calls; want a single rest, and 6 s at most", c.refused, c.parked, lost)
	}
}
