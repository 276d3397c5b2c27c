package schedules

import (
	"crypto/sha256"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"
)

// Date is a day of the calendar.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// String is such as 2026-12-24.
func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day) }

// naive is midnight of the day on a clock that runs in UTC.
func (d Date) naive() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }

func (d Date) next() Date { return dateOf(d.naive().AddDate(0, 0, 1)) }

func dateOf(t time.Time) Date {
	year, month, day := t.Date()
	return Date{year, month, day}
}

// Ahead is how far ticks are looked for: a schedule whose days are all skipped for so
// long has none.
const Ahead = 4 * 366 * 24 * time.Hour

// Ticks yields the times at which the schedule is carried out, in UTC and ascending:
// those after from, up to Ahead later. The rules are those of docs/schedules.md:
//
//   - A tick is at the first moment at which the zone's clock shows its date and time. So
//     of a time that the clock shows twice, it is the first.
//   - A time that the clock skips is right after the gap.
//   - A date that the zone skips has no tick.
//   - Two ticks at one moment are one.
func (t *Timing) Ticks(from time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		last := from
		// The date at from may have begun to be yesterday's by a clock that was put back.
		for date := dateOf(from.In(t.Location).AddDate(0, 0, -1)); date.naive().Before(from.Add(Ahead)); date = date.next() {
			if !t.runs(date) {
				continue
			}
			for _, at := range t.At {
				tick, ok := moment(date, at, t.Location)
				if !ok || !tick.After(last) {
					continue
				}
				last = tick
				if !yield(tick) {
					return
				}
			}
		}
	}
}

// Next is the first tick after a time; zero if there is none up to Ahead later.
func (t *Timing) Next(after time.Time) time.Time {
	for tick := range t.Ticks(after) {
		return tick
	}
	return time.Time{}
}

// runs reports whether a date has ticks.
func (t *Timing) runs(d Date) bool {
	return !t.Skip[d] && (t.Extra[d] || t.Days.Has(d.naive().Weekday()))
}

// moment is when the clock of a zone first shows a date and time or, if it skips them,
// the end of the gap. It is false for a date that the zone skips.
func moment(d Date, at TimeOfDay, zone *time.Location) (time.Time, bool) {
	midnight := reached(d.naive(), zone)
	if midnight.Equal(reached(d.next().naive(), zone)) {
		return time.Time{}, false
	}
	return reached(d.naive().Add(time.Duration(at)*time.Minute), zone), true
}

// reached is the first moment at which the clock of a zone has reached what a clock in
// UTC shows at wall.
func reached(wall time.Time, zone *time.Location) time.Time {
	// No clock is more than a day off UTC: at the start, it has not reached it.
	for at := wall.Add(-48 * time.Hour); ; {
		in := at.In(zone)
		start, end := in.ZoneBounds()
		if !end.IsZero() && !end.After(at) { // on the last day of a leap year, ZoneBounds errs (Go 1.26): nothing changes then
			end = at.Add(24 * time.Hour)
		}
		_, offset := in.Zone()
		moment := wall.Add(-time.Duration(offset) * time.Second)
		switch {
		case !end.IsZero() && !moment.Before(end): // not while this offset is in force
			at = end
		case moment.Before(start): // the clock was put forward over it
			return start.UTC()
		default:
			return moment
		}
	}
}

// Fingerprint is the same for timings that have the same ticks by their words: 16
// hexadecimal digits.
func (t *Timing) Fingerprint() string {
	days := func(set map[Date]bool) []string {
		var all []string
		for d := range maps.Keys(set) {
			all = append(all, d.String())
		}
		slices.Sort(all)
		return all
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%v %d %s %v %v", t.At, t.Days, t.Location, days(t.Skip), days(t.Extra)))
	return fmt.Sprintf("%x", sum[:8])
}
