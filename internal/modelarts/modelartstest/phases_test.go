package modelartstest

import (
	"testing"
	"time"
	v1 "vizstop/internal/modelarts/v1"
)

func TestPhases(t *testing.T) {
	for status, want := range map[v1.Status]string{
		PhaseCreating: "Creating", PhasePending: "Pending", PhaseRunning: "Running", PhaseTerminating: "Terminating",
		PhaseTerminated: "Terminated", PhaseCompleted: "Completed", PhaseFailed: "Failed", PhaseAbnormal: "Abnormal",
		4: "Creating", 77: "Undocumented",
	} {
		if got := (Job{Status: status}).Phase(); got != want {
			t.Errorf("status %v is %s, want %s", status, got, want)
		}
	}
}

func TestPhasesOfACreation(t *testing.T) {
	r := start(t, Config{Phases: Phases{Create: Fixed(30 * time.Second)}})
	j := r.AddJob("p1", Job{Generation: V2, Status: PhaseCreating})
	for _, want := range []string{"Creating", "Creating", "Pending", "Running"} {
		if got := r.phase(j.ID); got != want {
			t.Errorf("phase = %s, want %s", got, want)
		}
		r.clock.advance(10 * time.Second)
	}
}
