package estimate

import (
	"testing"
	"time"
)

func TestWords(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 300_000: "300,000", 12_345_678: "12,345,678", -1000: "-1,000"} {
		if got := Count(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
	for rate, want := range map[float64]string{40: "40", 26.4: "26.4", 1: "1", 9.96: "10", 0.04: "0.04", 80_000: "80,000", 99.94: "99.9", 133.3: "133"} {
		if got := perSecond(rate); got != want {
			t.Errorf("%v a second is %s, want %s", rate, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0 s", time.Millisecond: "less than 1 s", 1400 * time.Millisecond: "1 s", 59 * time.Second: "59 s",
		59*time.Second + 600*time.Millisecond: "1 min", 200 * time.Second: "3 min 20 s", 7500 * time.Second: "2 h 5 min",
		time.Hour: "1 h", 3599*time.Second + 700*time.Millisecond: "1 h", 2*time.Hour + 29*time.Second: "2 h",
		51 * time.Hour: "2 d 3 h", 24*time.Hour - 20*time.Second: "1 d",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{400 * time.Minute: "6h40m", time.Hour: "1h", 61 * time.Minute: "1h1m", 720 * time.Hour: "720h", 90 * time.Second: "1m30s"} {
		if got := Flag(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
		if back, err := time.ParseDuration(Flag(d)); err != nil || back != d {
			t.Errorf("%s is read as %v, %v", Flag(d), back, err)
		}
	}
	if got := Clock(evening.Add(-24*time.Hour), evening); got != withOffset("2026-11-22 20:00:00 OFF") {
		t.Errorf("yesterday is %s", got)
	}
}
