package tasks

import (
	"context"
	"errors"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
)

// Recorder is told what is worth counting. Its methods must be safe for
// concurrent use. Durations are never negative.
type Recorder interface {
	// StopEnded is called once for each stop, by whoever ended it, with the time
	// from when the stop was due and the number of detail calls.
	StopEnded(outcome string, took time.Duration, polls int)
	// StopPhase tells a part of that time; phase is one of Phases.
	StopPhase(phase string, took time.Duration)
	PollStarted(lag time.Duration) // planned to actual start
	Repaired(kind string)          // one of RepairKinds
	Duplicate()                    // an ask that joined an active stop, or a task that came again
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
	moved, err := h.Ledger.Finish(ctx, s, outcome, reason)
	if err == nil && moved {
		record(h.Recorder, s)
	}
	return moved, err
}

func record(r Recorder, s *ledger.Stop) {
	r.StopEnded(string(s.State), since(s.Due, s.Ended), s.Polls)
	if !s.Called.IsZero() {
		r.StopPhase(phaseQueued, since(s.Due, s.Called))
	}
	if !s.Accepted.IsZero() {
		r.StopPhase(phaseAccepting, since(s.Called, s.Accepted))
		if s.State == ledger.Stopped {
			r.StopPhase(phaseConfirming, since(s.Accepted, s.Ended))
		}
	}
}

func since(from, to time.Time) time.Duration { return max(0, to.Sub(from)) }

func apiError(err error) *modelarts.APIError {
	apiErr, _ := errors.AsType[*modelarts.APIError](err)
	return apiErr
}
