package modelartstest

import (
	"slices"
	"testing"
	"time"
)

func TestLognormal(t *testing.T) {
	const n = 10_000
	latency, again := Lognormal(80*time.Millisecond, 0.5, 3), Lognormal(80*time.Millisecond, 0.5, 3)
	times := make([]time.Duration, n)
	for i := range times {
		times[i] = latency(OpStop)
		if again(OpDetail) != times[i] {
			t.Fatal("the same seed gives another sequence")
		}
	}
	slices.Sort(times)
	// Of a lognormal distribution, 84.1 % lie below the median times e to the spread: here 132 ms.
	for _, q := range []struct {
		share      float64
		from, upto time.Duration
	}{
		{0.5, 77 * time.Millisecond, 83 * time.Millisecond},
		{0.841, 127 * time.Millisecond, 137 * time.Millisecond},
	} {
		if got := times[int(q.share*n)]; got < q.from || got > q.upto {
			t.Errorf("quantile %v = %v, want %v to %v", q.share, got, q.from, q.upto)
		}
	}
	if got := Lognormal(time.Second, 0, 3)(OpList); got != time.Second {
		t.Errorf("without a spread: %v", got)
	}
}
