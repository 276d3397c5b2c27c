package tasks

import "testing"

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
