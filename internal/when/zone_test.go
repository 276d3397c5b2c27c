package when

import (
	"strings"
	"testing"
	"time"
)

func TestZone(t *testing.T) {
	t.Parallel()
	winter, summer := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC), time.Date(2026, 7, 15, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ tz, winter, summer string }{
		{"CST-8", "20:00 +08:00", "20:00 +08:00"},
		{"<+0530>-5:30", "17:30 +05:30", "17:30 +05:30"},
		{"EST5", "07:00 -05:00", "07:00 -05:00"},
		{"CET-1CEST,M3.5.0,M10.5.0/3", "13:00 +01:00", "14:00 +02:00"},
		{":Europe/Berlin", "13:00 +01:00", "14:00 +02:00"},
		{"Asia/Shanghai", "20:00 +08:00", "20:00 +08:00"},
		{"UTC0", "12:00 +00:00", "12:00 +00:00"},
	} {
		zone, err := Zone(tt.tz)
		if err != nil {
			t.Errorf("%s: %v", tt.tz, err)
			continue
		}
		const layout = "15:04 -07:00"
		if w, s := winter.In(zone).Format(layout), summer.In(zone).Format(layout); w != tt.winter || s != tt.summer {
			t.Errorf("%s: %s in winter, %s in summer", tt.tz, w, s)
		}
	}
	for _, tz := range []string{"", ":"} {
		if zone, err := Zone(tz); zone != time.Local || err != nil {
			t.Errorf("%q: %v, %v", tz, zone, err)
		}
	}
	for _, tz := range []string{"Asia/Shangai", "+8", "CST", "../etc/passwd", "/nowhere/zone", "a\nb-1", strings.Repeat("x", 9999)} {
		if zone, err := Zone(tz); err == nil || !strings.HasPrefix(err.Error(), `TZ: "`) {
			t.Errorf("%.20q: %v, %v", tz, zone, err)
		}
	}
}

// A rule is a zone like any other: a time of day is looked up on its clock.
func TestAtInTheZoneOfARule(t *testing.T) {
	t.Parallel()
	zone, err := Zone("CST-8")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC).In(zone)
	plan, err := Parse(Spec{At: "20:00"}, now)
	if want := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC); err != nil || !plan.First.Equal(want) {
		t.Errorf("due %v, %v, want %v", plan.First, err, want)
	}
}
