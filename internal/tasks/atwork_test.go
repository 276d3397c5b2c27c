package tasks

import (
	"testing"

	"vizstop/internal/ledger"
)

func TestAtWork(t *testing.T) {
	t.Parallel()
	a := NewAtWork()
	a.Begin("s")
	a.Begin("s") // its task came again
	a.End("s")
	if !a.Has("s") || a.Has("t") {
		t.Error("the stop that is at work is not known, or another one is")
	}
	if a.End("s"); a.Has("s") || len(a.stops) > 0 {
		t.Error("a stop that is done is still at work")
	}
}

func TestWaiting(t *testing.T) {
	t.Parallel()
	a := NewAtWork()
	one, two := ledger.Member{StopID: "s", Hop: 1, JobID: "j"}, ledger.Member{StopID: "s", Hop: 2, JobID: "j"}
	first, again := a.wait("p", one), a.wait("p", one) // its task came again
	other := a.wait("q", two)
	first()
	if got := a.Waiting(); len(got) != 2 || len(got["p"]) != 1 || got["p"][0] != one || len(got["q"]) != 1 || got["q"][0] != two {
		t.Errorf("%v waits, want %v in p and %v in q", got, one, two)
	}
	again()
	other()
	if got := a.Waiting(); len(got) > 0 || len(a.waiting) > 0 {
		t.Errorf("%v waits still", got)
	}
}
