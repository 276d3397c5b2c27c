package tasks

import (
	"testing"
	"time"
)

func fixedJitter(f float64) func() float64 { return func() float64 { return f } }

func TestPollSchedule(t *testing.T) {
	s := Schedule{Jitter: fixedJitter(1)}.WithDefaults()
	var elapsed time.Duration
	want := []time.Duration{5 * time.Second, 8 * time.Second, 12800 * time.Millisecond, 20480 * time.Millisecond,
		32768 * time.Millisecond, 52428800 * time.Microsecond, time.Minute, time.Minute}
	for i, w := range want {
		got := s.poll(elapsed)
		if diff := (got - w).Abs(); diff > time.Microsecond {
			t.Errorf("gap %d after %v: %v, want %v", i, elapsed, got, w)
		}
		elapsed += got
	}
	if got := s.poll(-time.Hour); got != 5*time.Second {
		t.Errorf("gap with clocks apart: %v, want the first", got)
	}
}

func TestPollJitterLiesInTheUpperHalf(t *testing.T) {
	for _, tt := range []struct {
		jitter float64
		want   time.Duration
	}{{0, 2500 * time.Millisecond}, {0.5, 3750 * time.Millisecond}, {1, 5 * time.Second}} {
		if got := (Schedule{Jitter: fixedJitter(tt.jitter)}).WithDefaults().poll(0); got != tt.want {
			t.Errorf("jitter %v: %v, want %v", tt.jitter, got, tt.want)
		}
	}
}

func TestRetrySchedule(t *testing.T) {
	s := Schedule{Jitter: fixedJitter(1)}.WithDefaults()
	for n, want := range map[int]time.Duration{0: 400 * time.Millisecond, 1: 400 * time.Millisecond, 2: 800 * time.Millisecond, 5: 6400 * time.Millisecond,
		8: 51200 * time.Millisecond, 9: time.Minute, 60: time.Minute, 5000: time.Minute} {
		if got := s.retry(n); got != want {
			t.Errorf("wait after %d failures: %v, want %v", n, got, want)
		}
	}
	if got := (Schedule{Jitter: fixedJitter(0)}).WithDefaults().retry(3); got != 800*time.Millisecond {
		t.Errorf("jitter reaches down to %v, want half of 1.6 s", got)
	}
}
