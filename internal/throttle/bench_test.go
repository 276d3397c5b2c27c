package throttle

import (
	"testing"

	"vizstop/internal/redistest"
)

// BenchmarkEnter is what leave for one call costs, against a real Redis.
func BenchmarkEnter(b *testing.B) {
	for _, test := range []struct {
		name string
		rate float64
	}{{"no limit", 0}, {"never reached", 1e9}} {
		b.Run(test.name, func(b *testing.B) {
			th := New(redistest.Start(b).Client(b), Config{Rate: test.rate})
			b.ReportAllocs()
			for b.Loop() {
				if _, w, err := th.Enter(b.Context(), project, Stop, false); err != nil || w.For > 0 {
					b.Fatal(w, err)
				}
			}
		})
	}
}

// BenchmarkPlace is what a place in line costs.
func BenchmarkPlace(b *testing.B) {
	th := New(redistest.Start(b).Client(b), Config{Rate: 1e5, Burst: 1, Sitters: -1})
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := th.Enter(b.Context(), project, Poll, false); err != nil {
			b.Fatal(err)
		}
	}
}
