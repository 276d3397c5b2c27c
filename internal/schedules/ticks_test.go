package schedules

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// timing is one that runs every day.
func timing(t testing.TB, zoneName string, at ...string) Timing {
	t.Helper()
	tm := Timing{Days: EveryDay, Location: zone(t, zoneName)}
	for _, text := range at {
		one, ok := timeOfDay(text)
		if !ok {
			t.Fatalf("%q is no time", text)
		}
		tm.At = append(tm.At, one)
	}
	return tm
}

// first are the first n ticks after a time, as the zone's clock and UTC show them.
func first(tm Timing, from time.Time, n int) (local, utc []string) {
	for tick := range tm.Ticks(from) {
		local = append(local, tick.In(tm.Location).Format("01-02 15:04"))
		utc = append(utc, tick.Format("01-02 15:04"))
		if len(local) == n {
			break
		}
	}
	return local, utc
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	v, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTicks(t *testing.T) {
	christmas := map[Date]bool{{2026, 12, 25}: true}
	for _, tt := range []struct {
		name  string
		tm    Timing
		from  string // UTC
		local []string
		utc   []string
	}{
		{"spring in Berlin", timing(t, "Europe/Berlin", "02:30"), "2026-03-28 00:00",
			[]string{"03-28 02:30", "03-29 03:00", "03-30 02:30"}, []string{"03-28 01:30", "03-29 01:00", "03-30 00:30"}},
		{"two times in one gap are one tick", timing(t, "Europe/Berlin", "02:00", "02:30"), "2026-03-29 00:30",
			[]string{"03-29 03:00", "03-30 02:00", "03-30 02:30"}, []string{"03-29 01:00", "03-30 00:00", "03-30 00:30"}},
		{"autumn in Berlin", timing(t, "Europe/Berlin", "02:30"), "2026-10-24 12:00",
			[]string{"10-25 02:30", "10-26 02:30"}, []string{"10-25 00:30", "10-26 01:30"}},
		{"between the two in autumn", timing(t, "Europe/Berlin", "02:30"), "2026-10-25 00:30",
			[]string{"10-26 02:30"}, []string{"10-26 01:30"}},
		{"no midnight in Cairo", timing(t, "Africa/Cairo", "00:00"), "2026-04-23 00:00",
			[]string{"04-24 01:00", "04-25 00:00"}, []string{"04-23 22:00", "04-24 21:00"}},
		{"a skipped date", timing(t, "Pacific/Apia", "20:00"), "2011-12-29 00:00",
			[]string{"12-28 20:00", "12-29 20:00", "12-31 20:00"}, []string{"12-29 06:00", "12-30 06:00", "12-31 06:00"}},
		{"working days", Timing{At: []TimeOfDay{20 * 60}, Days: 1<<time.Thursday | 1<<time.Friday, Location: time.UTC, Skip: christmas,
			Extra: map[Date]bool{{2026, 12, 27}: true}}, "2026-12-24 00:00",
			[]string{"12-24 20:00", "12-27 20:00", "12-31 20:00"}, []string{"12-24 20:00", "12-27 20:00", "12-31 20:00"}},
		{"just after", timing(t, "UTC", "20:00"), "2026-12-24 20:00", []string{"12-25 20:00"}, []string{"12-25 20:00"}},
		{"just before", timing(t, "UTC", "20:00"), "2026-12-24 19:59", []string{"12-24 20:00"}, []string{"12-24 20:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			local, utc := first(tt.tm, at(t, tt.from), len(tt.local))
			if !slices.Equal(local, tt.local) || !slices.Equal(utc, tt.utc) {
				t.Errorf("ticks are %v (%v UTC)\nwant      %v (%v UTC)", local, utc, tt.local, tt.utc)
			}
		})
	}
}

// A schedule whose days are all skipped has no tick, and looking for one ends.
func TestNoTick(t *testing.T) {
	tm := timing(t, "UTC", "20:00")
	tm.Skip = map[Date]bool{}
	from := at(t, "2026-01-01 00:00")
	for d := from; d.Before(from.Add(Ahead).AddDate(0, 0, 2)); d = d.AddDate(0, 0, 1) {
		tm.Skip[dateOf(d)] = true
	}
	if next := tm.Next(from); !next.IsZero() {
		t.Errorf("the next tick is %v", next)
	}
}

// The zones of TestEveryTransition: hours, half hours and two hours put forward, at
// night and at midnight; Ramadan; dates skipped; zones that gave it up.
var zones = []string{
	"Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Havana", "America/Santiago", "Asia/Beirut", "Asia/Tehran",
	"Africa/Cairo", "Africa/Casablanca", "Australia/Lord_Howe", "Antarctica/Troll", "Pacific/Apia", "Pacific/Fakaofo", "Asia/Pyongyang", "Asia/Shanghai",
}

// reading is what a zone's clock shows at a moment.
type reading struct {
	at   time.Time
	wall string // sorts by time
}

// step is finer than what the zones' clocks were ever put forward or back by, from 2000
// on, and the moments at which they were are multiples of it.
const step = 15 * time.Minute

// clock goes through five days around a moment.
func clock(around time.Time, z *time.Location) []reading {
	all := make([]reading, 0, 5*24*time.Hour/step)
	for at := around.Add(-60 * time.Hour); at.Before(around.Add(60 * time.Hour)); at = at.Add(step) {
		in := at.In(z)
		year, month, day := in.Date()
		hour, min, _ := in.Clock()
		all = append(all, reading{at, wallText(year, int(month), day, hour, min)})
	}
	return all
}

func wallText(year, month, day, hour, min int) string {
	digits := func(n int) []byte { return []byte{byte('0' + n/10), byte('0' + n%10)} }
	return string(slices.Concat(digits(year/100), digits(year%100), digits(month), digits(day), digits(hour), digits(min)))
}

// wanted is the moment that docs/schedules.md gives a date and time, read off a clock: of
// a time that it shows, the first; of one that it skips, the first after it; none for a
// date that it never shows.
func wanted(shown []reading, date, time string) (reading, bool) {
	exists := false
	for i, m := range shown {
		exists = exists || m.wall[:8] == date
		if m.wall == date+time {
			return m, true
		}
		if i > 0 && shown[i-1].wall < date+time && m.wall > date+time {
			dateShown := slices.ContainsFunc(shown, func(m reading) bool { return m.wall[:8] == date })
			return m, dateShown
		}
	}
	return reading{}, exists
}

// Every tick on the days around every transition of the zones, from 2000 to 2040, is
// where the rules of docs/schedules.md put it.
func TestEveryTransition(t *testing.T) {
	times := map[string]string{"20:00": "2000", "02:30": "0230", "00:00": "0000"}
	for _, name := range zones {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z, seen := zone(t, name), 0
			for at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() <= 2040; {
				before := at
				_, end := at.In(z).ZoneBounds()
				if end.IsZero() {
					break
				}
				if at = end; !end.After(before) { // ZoneBounds errs on the last day of a leap year
					at = before.AddDate(0, 0, 1)
					continue
				}
				_, offset := before.In(z).Zone()
				if _, then := end.In(z).Zone(); then == offset { // only the name changes, or the table of transitions ends
					continue
				}
				if !end.Truncate(step).Equal(end) {
					t.Fatalf("the transition at %v needs finer steps", end)
				}
				shown := clock(end, z)
				seen++
				for days := -1; days <= 1; days++ {
					day := end.In(z).AddDate(0, 0, days)
					d := Date{day.Year(), day.Month(), day.Day()}
					date := fmt.Sprintf("%04d%02d%02d", d.Year, d.Month, d.Day)
					for text, digits := range times {
						tod, _ := timeOfDay(text)
						want, ok := wanted(shown, date, digits)
						if got, gotOK := moment(d, tod, z); gotOK != ok || ok && !got.Equal(want.at) {
							t.Errorf("%s %s is at %v, %v; want %v, %v (the clock shows %s)", d, text, got, gotOK, want.at, ok, want.wall)
						}
					}
				}
			}
			if seen == 0 && name != "Asia/Shanghai" {
				t.Error("no transition was seen")
			}
		})
	}
}

// On the last day of a leap year the zone's bounds are wrong in Go; ticks are not.
func TestLastDayOfLeapYear(t *testing.T) {
	for _, name := range []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe"} {
		local, _ := first(timing(t, name, "00:00", "20:00"), at(t, "2040-12-29 16:00"), 6)
		if want := "12-31 20:00"; !slices.Contains(local, want) || !slices.Contains(local, "01-01 00:00") {
			t.Errorf("%s: ticks are %v", name, local)
		}
	}
}

// A date that a zone skips is not among the days around its end, by the zone's own
// calendar; so it is looked at by itself.
func TestSkippedDates(t *testing.T) {
	for _, name := range []string{"Pacific/Apia", "Pacific/Fakaofo"} {
		for _, text := range []string{"00:00", "02:30", "20:00", "23:59"} {
			tod, _ := timeOfDay(text)
			if got, ok := moment(Date{2011, 12, 30}, tod, zone(t, name)); ok {
				t.Errorf("%s: 2011-12-30 %s is at %v", name, text, got)
			}
		}
	}
}

func TestFingerprint(t *testing.T) {
	a, b, c := timing(t, "UTC", "20:00"), timing(t, "UTC", "20:00"), timing(t, "UTC", "20:00")
	b.Skip = map[Date]bool{{2026, 1, 2}: true, {2026, 1, 1}: true}
	c.Skip = map[Date]bool{{2026, 1, 1}: true, {2026, 1, 2}: true}
	if a.Fingerprint() == b.Fingerprint() || b.Fingerprint() != c.Fingerprint() {
		t.Errorf("fingerprints %s %s %s", a.Fingerprint(), b.Fingerprint(), c.Fingerprint())
	}
}

// An id is that of a tick if BatchID has made it.
func TestOfBatch(t *testing.T) {
	tick := time.Date(2026, 11, 26, 20, 0, 0, 0, time.UTC)
	for _, name := range []string{"s", "a-b_c-1"} {
		if got, is, ok := OfBatch(BatchID(name, tick)); got != name || !is.Equal(tick) || !ok {
			t.Errorf("%s: %s, %v, %v", name, got, is, ok)
		}
	}
	for _, id := range []string{"", "sched-", "sched--20261126T200000Z", "sched-20261126T200000Z", "sched-s-20261126T2000Z", "sched-s-20261126T200000.0004Z", "s-20261126T200000Z"} {
		if name, _, ok := OfBatch(id); ok {
			t.Errorf("%q is of schedule %s", id, name)
		}
	}
}
