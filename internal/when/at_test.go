package when

import (
	"strings"
	"testing"
	"time"
)

// first parses --at on a clock in Berlin.
func first(t *testing.T, now, text string) (time.Time, error) {
	t.Helper()
	plan, err := Parse(Spec{At: text, Timezone: "Europe/Berlin"}, at(t, now))
	return plan.First, err
}

func TestAt(t *testing.T) {
	const now = "2026-11-23T18:00:00+01:00"
	for text, want := range map[string]string{
		"20:00":                     "2026-11-23T20:00:00+01:00",
		"18:00":                     "2026-11-23T18:00:00+01:00",
		"17:59":                     "2026-11-24T17:59:00+01:00",
		"9:05":                      "2026-11-24T09:05:00+01:00",
		"00:00":                     "2026-11-24T00:00:00+01:00",
		"20:00:30":                  "2026-11-23T20:00:30+01:00",
		"2026-11-23 20:00":          "2026-11-23T20:00:00+01:00",
		"2026-11-23T20:00":          "2026-11-23T20:00:00+01:00",
		"2026-12-24 20:00:59":       "2026-12-24T20:00:59+01:00",
		"2027-07-01T20:00:00":       "2027-07-01T20:00:00+02:00",
		"2026-11-23T20:00:00+01:00": "2026-11-23T20:00:00+01:00",
		"2026-11-23T20:00:00Z":      "2026-11-23T21:00:00+01:00",
		"2026-11-23T18:00:00-05:00": "2026-11-24T00:00:00+01:00",
	} {
		got, err := first(t, now, text)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s is %v, %v, want %s", text, got, err, want)
		}
	}
}

func TestAtNow(t *testing.T) {
	const now = "2026-11-23T20:00:59.5+01:00"
	for _, text := range []string{"20:00", "2026-11-23 20:00", "2026-11-23T20:00:00+01:00"} {
		if got, err := first(t, now, text); err != nil || !got.Equal(at(t, now)) {
			t.Errorf("%s is %v, %v", text, got, err)
		}
	}
	if got, err := first(t, "2026-11-23T20:01:00+01:00", "20:00"); err != nil || got.Day() != 24 {
		t.Errorf("a minute later it is %v, %v", got, err)
	}
	for now, want := range map[string]string{
		"2026-11-24T00:00:49+01:00": "2026-11-24T00:00:49+01:00",
		"2026-11-24T00:00:50+01:00": "2026-11-24T23:59:50+01:00",
	} {
		if got, err := first(t, now, "23:59:50"); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("after midnight it is %v, %v, want %s", got, err, want)
		}
	}
}

func TestAtRefused(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-23T17:59:00+01:00": "2026-11-23T17:59:00+01:00 is over: it is 2026-11-23T18:00:00+01:00",
		"2026-11-23 17:59":          "2026-11-23 17:59 is over: it is 2026-11-23T18:00:00+01:00",
		"2062-11-23 20:00":          "2062-11-23 20:00 is more than 366 days away",
		"0000-01-01 20:00":          "0000-01-01 20:00 is over: it is 2026-11-23T18:00:00+01:00",
		"9999-12-31T23:59:59Z":      "9999-12-31T23:59:59Z is more than 366 days away",
		"2027-02-29 20:00":          `"2027-02-29 20:00" is not a time such as`,
		"24:00":                     `"24:00" is not a time such as`,
		"8pm":                       `"8pm" is not a time such as`,
		" 20:00":                    `" 20:00" is not a time such as`,
	} {
		if _, err := first(t, "2026-11-23T18:00:00+01:00", text); err == nil || !strings.HasPrefix(err.Error(), "--at: "+want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

// On 2026-03-29 the clock goes from 02:00 to 03:00.
func TestClockIsPutForward(t *testing.T) {
	const gap = "--at: 2026-03-29 02:30:00 does not exist in Europe/Berlin: the clock is put forward over it"
	for _, tt := range []struct{ now, text, want string }{
		{"2026-03-28T20:00:00+01:00", "02:30", gap},
		{"2026-03-29T01:59:00+01:00", "02:30", gap},
		{"2026-03-20T00:00:00+01:00", "2026-03-29 02:30", gap},
		{"2026-03-29T03:00:00+02:00", "02:30", "2026-03-30T02:30:00+02:00"},
		{"2026-03-29T01:59:00+01:00", "03:00", "2026-03-29T03:00:00+02:00"},
		{"2026-03-28T20:00:00+01:00", "01:59", "2026-03-29T01:59:00+01:00"},
		{"2026-03-28T02:30:00+01:00", "02:30", "2026-03-28T02:30:00+01:00"},
		{"2026-03-28T20:00:00+01:00", "20:00", "2026-03-28T20:00:00+01:00"},
		{"2026-03-28T20:01:00+01:00", "20:00", "2026-03-29T20:00:00+02:00"},
	} {
		got, err := first(t, tt.now, tt.text)
		if err != nil && err.Error() != tt.want || err == nil && got.Format(time.RFC3339) != tt.want {
			t.Errorf("%s at %s: %v, %v, want %s", tt.text, tt.now, got, err, tt.want)
		}
	}
}

// On 2026-10-25 the clock goes from 03:00 back to 02:00.
func TestClockIsPutBack(t *testing.T) {
	for _, tt := range []struct{ now, text, want string }{
		{"2026-10-24T20:00:00+02:00", "02:30", "2026-10-25T02:30:00+02:00"},
		{"2026-10-24T20:00:00+02:00", "2026-10-25 02:30", "2026-10-25T02:30:00+02:00"},
		{"2026-10-24T20:00:00+02:00", "2026-10-25T02:30:00+01:00", "2026-10-25T02:30:00+01:00"},
		{"2026-10-25T02:31:00+02:00", "02:30", "2026-10-25T02:30:00+01:00"},
		{"2026-10-25T02:31:00+02:00", "2026-10-25 02:30", "2026-10-25T02:30:00+01:00"},
		{"2026-10-25T02:10:00+01:00", "02:30", "2026-10-25T02:30:00+01:00"},
		{"2026-10-25T02:31:00+01:00", "02:30", "2026-10-26T02:30:00+01:00"},
		{"2026-10-24T20:00:00+02:00", "03:00", "2026-10-25T03:00:00+01:00"},
	} {
		if got, err := first(t, tt.now, tt.text); err != nil || got.Format(time.RFC3339) != tt.want {
			t.Errorf("%s at %s: %v, %v, want %s", tt.text, tt.now, got, err, tt.want)
		}
	}
}

func TestOddZones(t *testing.T) {
	for _, tt := range []struct{ zone, now, text, want string }{
		// Samoa went without a day.
		{"Pacific/Apia", "2011-12-29T12:00:00-10:00", "2011-12-30 12:00",
			"--at: 2011-12-30 12:00:00 does not exist in Pacific/Apia: the clock is put forward over it"},
		{"Pacific/Apia", "2011-12-29T12:00:00-10:00", "2011-12-31 12:00", "2011-12-31T12:00:00+14:00"},
		// Half an hour, and at midnight.
		{"Australia/Lord_Howe", "2026-04-04T12:00:00+11:00", "2026-04-05 01:45", "2026-04-05T01:45:00+11:00"},
		{"America/Havana", "2026-03-07T12:00:00-05:00", "00:30",
			"--at: 2026-03-08 00:30:00 does not exist in America/Havana: the clock is put forward over it"},
		{"Asia/Kathmandu", "2026-11-23T12:00:00+05:45", "11:59", "2026-11-24T11:59:00+05:45"},
	} {
		plan, err := Parse(Spec{At: tt.text, Timezone: tt.zone}, at(t, tt.now))
		if err != nil && err.Error() != tt.want || err == nil && plan.First.Format(time.RFC3339) != tt.want {
			t.Errorf("%s: %v, %v, want %s", tt.text, plan.First, err, tt.want)
		}
	}
}

// Without --timezone, the clock is that of now.
func TestZoneOfNow(t *testing.T) {
	now := at(t, "2026-11-23T12:00:00Z").In(zone(t, "Asia/Shanghai"))
	plan, err := Parse(Spec{At: "20:30"}, now)
	if err != nil || plan.First.Format(time.RFC3339) != "2026-11-23T20:30:00+08:00" {
		t.Errorf("%v, %v", plan.First, err)
	}
}
