package tasks

import (
	"errors"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
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
	// ShadowEnded is called once, in place of StopEnded and StopPhase, for each stop for
	// which no stop call is made.
	ShadowEnded(outcome string)
	PollStarted(lag time.Duration, trace string) // planned to actual start
	Duplicate()                                  // an ask that joined an active stop, or a task that came again
	Dropped(why string)                          // a task that nobody can carry out; why is one of DropReasons
}

// Why a task is dropped.
const (
	DroppedType       = "type"       // vizstop has no such type, or keeps it to itself
	DroppedUnreadable = "unreadable" // its message can't be decoded, or is gone
)

// DropReasons lists why a task can be dropped.
func DropReasons() []string { return []string{DroppedType, DroppedUnreadable} }

// The phases of a stop.
const (
	phaseQueued     = "queued"     // due to first stop call
	phaseAccepting  = "accepting"  // first stop call to latest acceptance
	phaseConfirming = "confirming" // latest acceptance to confirmation
)

// Phases lists the phases of a stop, in order.
func Phases() []string { return []string{phaseQueued, phaseAccepting, phaseConfirming} }

// Record counts a stop that has ended.
func Record(r Recorder, s *ledger.Stop) {
	if s.Shadow {
		r.ShadowEnded(string(s.State))
		return
	}
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

func apiError(err error) *jobs.Error {
	apiErr, _ := errors.AsType[*jobs.Error](err)
	return apiErr
}
