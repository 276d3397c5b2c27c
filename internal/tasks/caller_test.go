package tasks

import (
	"slices"
	"testing"
	"time"
)

// A look is tried twice where one answer may be slow, and once where all are. Both tries end in the
// time of a probe.
func TestLookLimits(t *testing.T) {
	const s = time.Second
	for _, row := range []struct {
		usual, timeout time.Duration
		want           []time.Duration
	}{
		{0, 30 * s, []time.Duration{leastLookTime, 30 * s}},
		{s / 10, 30 * s, []time.Duration{leastLookTime, 30 * s}},
		{s, 30 * s, []time.Duration{3 * s, 28*s + s/2}},
		{5 * s, 30 * s, []time.Duration{15 * s, 16*s + s/2}},
		{6 * s, 30 * s, []time.Duration{30 * s}},
		{s, 2 * s, []time.Duration{2 * s}},
		{0, 2 * s, []time.Duration{leastLookTime, 2 * s}},
		{0, s, []time.Duration{s}},
	} {
		if got := lookLimits(row.usual, row.timeout); !slices.Equal(got, row.want) {
			t.Errorf("looks take %v, a call may take %v: %v, want %v", row.usual, row.timeout, got, row.want)
		}
	}
}
