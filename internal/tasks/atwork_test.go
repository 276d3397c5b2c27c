package tasks

import (
	"testing"

	"vizstop/internal/ledger"
)

func TestAtWork(t *testing.T) {
	t.Parallel()
	a, step := NewAtWork(), ledger.Member{StopID: "s", Hop: 2, JobID: "j"}
	a.Begin(step)
	a.Begin(step) // its task came again
	a.End(step)
	if !a.Has(step) || a.Has(ledger.Member{StopID: "s", Hop: 3, JobID: "j"}) {
		t.Error("the step that is at work is not known, or another one is")
	}
	if a.End(step); a.Has(step) || len(a.steps) > 0 {
		t.Error("a step that has ended is still at work")
	}
}
