package throttle

import (
	"context"
	"testing"

	"vizstop/internal/redistest"
)

// BenchmarkEnter asks for leave that is given, without and with a rate.
func BenchmarkEnter(b *testing.B) {
	for name, rate := range map[string]float64{"unlimited": 0, "limited": 1e6} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			t := New(redistest.Start(b).Client(b), Config{Rate: rate})
			for b.Loop() {
				permit, wait, err := t.Enter(context.Background(), project, Stop, false)
				if err != nil || wait.For > 0 {
					b.Fatal(wait, err)
				}
				if _, err := t.Report(context.Background(), permit, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
