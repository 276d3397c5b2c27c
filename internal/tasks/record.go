package tasks

import (
	"context"
	"errors"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/tracing"
)

// Recorder is told what is worth counting. Its methods must be safe for
// concurrent use. Durations are never negative. A trace is the id of the trace
// that shows what is counted; "" if nobody traces it.
type Recorder interface {
	// StopEnded is called once for each stop, by whoever ended it, with the time
	// from when the stop was due and the number of detail calls.
	StopEnded(outcome string, took time.Duration, polls int, trace string)
	// StopPhase tells a part of that time; phase is one of Phases.
	StopPhase(phase string, took time.Duration, trace string)
	PollStarted(lag time.Duration, trace string) // planned to actual start
	Repaired(kind string)                        // one of RepairKinds
	Screened(result string)                      // a list of stopping jobs was asked for; one of ScreenResults
	Duplicate()                                  // an ask that joined an active stop, or a task that came again
}

// The phases of a stop.
const (
	phaseQueued     = "queued"     // due to first stop call
	phaseAccepting  = "accepting"  // first stop call to latest acceptance
	phaseConfirming = "confirming" // latest acceptance to confirmation
)

// Phases lists the phases of a stop, in order.
func Phases() []string { return []string{phaseQueued, phaseAccepting, phaseConfirming} }

// finish ends s and counts it, if nobody else has.
func (h *handler) finish(ctx context.Context, s *ledger.Stop, outcome ledger.State, reason string) (bool, error) {
	took := time.Duration(0)
	if outcome == ledger.Stopped && s.Resends == 0 && !s.Accepted.IsZero() {
		took = h.stopTime(s)
	}
	moved, err := h.Ledger.Finish(ctx, s, outcome, reason, took)
	if err == nil && moved {
		record(h.Recorder, s)
	}
	return moved, err
}

// stopTime is how long the job of s, which was just found to have stopped, took
// to stop: some time between the latest sight of it as stopping and now. A random
// one is right on average, whatever the times between looks; always taking one
// end would have the looks drift away from the truth.
func (h *handler) stopTime(s *ledger.Stop) time.Duration {
	seen := s.Accepted
	if s.Looked.After(seen) {
		seen = s.Looked
	}
	return since(s.Accepted, seen) + time.Duration(h.Schedule.Jitter()*float64(since(seen, h.Now()))) + time.Millisecond
}

func record(r Recorder, s *ledger.Stop) {
	trace := tracing.ID(s.Trace)
	r.StopEnded(string(s.State), since(s.Due, s.Ended), s.Polls, trace)
	if !s.Called.IsZero() {
		r.StopPhase(phaseQueued, since(s.Due, s.Called), trace)
	}
	if !s.Accepted.IsZero() {
		r.StopPhase(phaseAccepting, since(s.Called, s.Accepted), trace)
		if s.State == ledger.Stopped {
			r.StopPhase(phaseConfirming, since(s.Accepted, s.Ended), trace)
		}
	}
}

func since(from, to time.Time) time.Duration { return max(0, to.Sub(from)) }

func apiError(err error) *modelarts.APIError {
	apiErr, _ := errors.AsType[*modelarts.APIError](err)
	return apiErr
}
