package modelartstest

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// Fault says which calls go wrong, and how. The zero value meets every call for
// ever and changes nothing, which is useful for counting.
type Fault struct {
	// Which calls: empty fields match any.
	Operation, ProjectID, JobID string
	Generation                  Generation
	Region                      string
	Times                       int       // how many calls; 0 until cleared
	From, Until                 time.Time // arrival in [From, Until); zero is open
	Probability                 float64   // of each call; 0 means every one
	Seed                        uint64    // of the probability, so that runs repeat

	// AfterEffect lets the call do its work before the answer goes wrong. Without
	// it a made-up Reply means that nothing happened. Replies that alter the
	// honest answer, a Hook and a bare Delay always come with the effect.
	AfterEffect bool
	// Delay is waited before the effect, or after it with AfterEffect.
	Delay time.Duration
	// Hook runs after the effect and before Delay and the answer, without any
	// lock held. It gets the call as recorded.
	Hook func(Call)
	// Reply is what the caller gets to see; the zero value is the honest answer.
	Reply Reply
}

// Injected is a fault at work.
type Injected struct {
	s     *Simulator
	fault Fault
	rand  *rand.Rand
	hits  int
}

// Inject adds a fault. A call meets at most one: the first injected that
// applies. Faults come before authentication and rate limits.
func (s *Simulator) Inject(f Fault) *Injected {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := &Injected{s: s, fault: f, rand: rand.New(rand.NewPCG(f.Seed, 0))}
	s.faults = append(s.faults, i)
	return i
}

// ClearFaults removes every fault. Calls already met are still affected.
func (s *Simulator) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Clear removes the fault; again does nothing. Calls already met are still
// affected.
func (i *Injected) Clear() {
	i.s.mu.Lock()
	defer i.s.mu.Unlock()
	i.s.faults = slices.DeleteFunc(i.s.faults, func(o *Injected) bool { return o == i })
}

// Hits is how many calls have met the fault. Go's HTTP client repeats a GET by
// itself when a reused connection is reset, and each counts.
func (i *Injected) Hits() int {
	i.s.mu.Lock()
	defer i.s.mu.Unlock()
	return i.hits
}

// meet picks the fault for a request and counts the hit. The lock is held.
func (s *Simulator) meet(x *exchange) *Fault {
	for _, i := range s.faults {
		if i.applies(x) {
			i.hits++
			return &i.fault
		}
	}
	return nil
}

func (i *Injected) applies(x *exchange) bool {
	f := &i.fault
	matches := func(want, got string) bool { return want == "" || want == got }
	switch {
	case !matches(f.Operation, x.op) || !matches(f.ProjectID, x.projectID) || !matches(f.JobID, x.jobID):
		return false
	case !matches(string(f.Generation), string(x.generation)) || !matches(f.Region, x.region):
		return false
	case f.Times > 0 && i.hits >= f.Times:
		return false
	case !f.From.IsZero() && x.at.Before(f.From), !f.Until.IsZero() && !x.at.Before(f.Until):
		return false
	}
	return f.Probability <= 0 || i.rand.Float64() < f.Probability
}

func (s *Simulator) serveFault(w http.ResponseWriter, x *exchange, f *Fault) {
	if !f.AfterEffect {
		s.pause(x, f.Delay)
	}
	var a answer
	if f.AfterEffect || f.Hook != nil || f.Reply.build == nil || f.Reply.honest {
		a = s.perform(x)
	}
	a = f.Reply.apply(s, x, a)
	c := s.record(x, a, true)
	if f.Hook != nil {
		f.Hook(c)
	}
	if f.AfterEffect {
		s.pause(x, f.Delay)
	}
	s.write(w, x, a)
}
