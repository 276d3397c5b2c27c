package when

import (
	"fmt"
	"time"
)

// parseAt is the time that --at means, in now's location and not before now.
func parseAt(text string, now time.Time) (time.Time, error) {
	t, err := lookUp(text, now)
	switch {
	case err != nil:
		return time.Time{}, err
	case t.After(now.Add(maxAhead)):
		return time.Time{}, fmt.Errorf("%s is more than %d days away", text, maxAhead/(24*time.Hour))
	case over(t, now):
		return time.Time{}, fmt.Errorf("%s is over: it is %s", text, now.Format(time.RFC3339))
	case t.Before(now):
		return now, nil
	}
	return t.In(now.Location()), nil
}

// over says whether t is too long ago to mean now.
func over(t, now time.Time) bool { return now.Sub(t) >= justNow }

// lookUp is the time in any of its forms, and may be over.
func lookUp(text string, now time.Time) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02T15:04:05"} {
		if wall, err := time.Parse(layout, text); err == nil {
			return onClock(wall, now)
		}
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if wall, err := time.Parse(layout, text); err == nil {
			return nextOnClock(wall, now)
		}
	}
	return time.Time{}, fmt.Errorf("%.80q is not a time such as 20:00, 2026-11-23 20:00 or 2026-11-23T20:00:00+01:00", text)
}

// nextOnClock is the next time that the clock shows wall's hour and minute.
func nextOnClock(wall, now time.Time) (time.Time, error) {
	year, month, day := now.Date()
	h, m, s := wall.Clock()
	today := time.Date(year, month, day, h, m, s, 0, time.UTC)
	// Just after midnight, the last minute of yesterday is still now.
	for _, wall := range []time.Time{today.AddDate(0, 0, -1), today} {
		t, err := onClock(wall, now)
		if err == nil && !over(t, now) || err != nil && sameClock(now).Before(wall) {
			return t, err
		}
	}
	return onClock(today.AddDate(0, 0, 1), now)
}

// onClock is when the clock at now's location shows what wall shows, whose own
// location says nothing. Of two such times it is the first that is not over, or
// else the second.
func onClock(wall, now time.Time) (time.Time, error) {
	zone := now.Location()
	wall = sameClock(wall)
	var found []time.Time
	// Whichever offset applies, it is that of a day before or after. No zone
	// changes its clock twice in so short a time.
	for _, day := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		_, offset := wall.Add(day).In(zone).Zone()
		t := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if sameClock(t).Equal(wall) {
			found = append(found, t)
		}
	}
	if len(found) == 0 {
		return time.Time{}, fmt.Errorf("%s does not exist in %s: the clock is put forward over it",
			wall.Format(time.DateTime), zoneName(zone))
	}
	first, last := found[0], found[len(found)-1]
	if last.Before(first) {
		first, last = last, first
	}
	if over(first, now) {
		return last, nil
	}
	return first, nil
}

func zoneName(zone *time.Location) string {
	if zone == time.Local {
		return "the local time zone"
	}
	return zone.String()
}

// sameClock is the time at which a clock in UTC shows what t shows.
func sameClock(t time.Time) time.Time {
	year, month, day := t.Date()
	h, m, s := t.Clock()
	return time.Date(year, month, day, h, m, s, 0, time.UTC)
}
