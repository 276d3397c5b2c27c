// Package when turns what a person says about time into when stops are due.
package when

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones are known in a container without them, too
)

// The limits of a plan. What is further off is more likely a slip.
const (
	DefaultDeadline = time.Hour
	MaxDeadline     = maxDuration
	maxDuration     = 30 * 24 * time.Hour
	maxAhead        = 366 * 24 * time.Hour
	minDeadline     = time.Second
)

// justNow is how long ago a time may be and still mean now: a cron job that
// starts at 20:00:01 and asks for 20:00 does not mean tomorrow.
const justNow = time.Minute

// Spec is what was said, as text. Empty means that nothing was. Durations are
// written 90s, 10m or 1h30m.
type Spec struct {
	// At is when the first stop is due: a time of day such as 20:00, which is
	// the next such time; a date and time such as "2026-11-23 20:00"; or a
	// time as in RFC 3339, which names its own offset. It excludes In.
	At string
	// In is how long from now the first stop is due, up to 30 days.
	In string
	// Spread is over how long a span the stops are spread, up to 30 days.
	Spread string
	// Deadline is how long after it is due no more stop call goes out, from 1s
	// to 30 days; empty means DefaultDeadline.
	Deadline string
	// Timezone is the zone of At, such as Europe/Berlin; empty means that of now.
	// It needs At.
	Timezone string
}

// Plan says when each stop of a batch is due.
type Plan struct {
	First    time.Time     // never before now; in the zone of the Spec
	Spread   time.Duration // 0 or more
	Deadline time.Duration // of each stop, from when it is due

	fixed bool      // First was named by the clock
	made  time.Time // when the plan was
}

// From is the plan for stops that are asked for at a later time than it was made,
// because somebody had to confirm it: "in an hour" counts from then. A time that
// was named by the clock stays, unless it is over: then it is now.
func (p Plan) From(now time.Time) Plan {
	now = now.Round(0).In(p.First.Location())
	if !p.fixed {
		p.First = p.First.Add(now.Sub(p.made))
	} else if p.First.Before(now) {
		p.First = now
	}
	p.made = now
	return p
}

// Parse makes a plan. The error names every flag with a fault, one a line.
//
// A time of day is looked up on the clock of the zone. One that the clock skips
// is an error, as nobody can say what is meant; of one that it shows twice, the
// first is taken that is not over. A time that is over by less than a minute is
// now; one that is over by more, or more than 366 days off, is an error.
func Parse(spec Spec, now time.Time) (Plan, error) {
	now = now.Round(0) // a plan goes to Redis; other machines' clocks count
	faults := &faults{}
	zone := faults.zone(spec.Timezone, now)
	plan := Plan{
		fixed: spec.At != "", made: now,
		Spread:   faults.duration("--spread", spec.Spread, 0, 0),
		Deadline: faults.duration("--deadline", spec.Deadline, DefaultDeadline, minDeadline),
	}
	in := faults.duration("--in", spec.In, 0, 0)
	plan.First = now.In(zone).Add(in)
	switch {
	case spec.At != "" && spec.In != "":
		faults.add(errors.New("--at and --in exclude each other"))
	case spec.At == "" && spec.Timezone != "" && !faults.badZone:
		faults.add(errors.New("--timezone goes with --at: without it there is no time of day to look up"))
	case spec.At != "" && !faults.badZone:
		first, err := parseAt(spec.At, now.In(zone))
		if err != nil {
			faults.add(fmt.Errorf("--at: %w", err))
		}
		plan.First = first
	}
	if err := errors.Join(faults.all...); err != nil {
		return Plan{}, err
	}
	return plan, nil
}

// Due is when stop i of n is due, with i from 0 to n-1. The stops are spread
// evenly, and the last one is due a step before the end of the span.
func (p Plan) Due(i, n int) time.Time {
	if n <= 1 || i <= 0 {
		return p.First
	}
	hi, lo := bits.Mul64(uint64(p.Spread), uint64(min(i, n)))
	offset, _ := bits.Div64(hi, lo, uint64(n))
	return p.First.Add(time.Duration(offset))
}

// Stamp is a time for people, on this machine's clock and with its offset from UTC.
func Stamp(t time.Time) string { return t.Local().Format(time.DateTime + " -07:00") }

// DeadlineOf is the deadline of a stop that is due at that time.
func (p Plan) DeadlineOf(due time.Time) time.Time { return due.Add(p.Deadline) }

// faults gathers what is wrong with a Spec.
type faults struct {
	all     []error
	badZone bool
}

func (f *faults) add(err error) { f.all = append(f.all, err) }

func (f *faults) zone(name string, now time.Time) *time.Location {
	if name == "" {
		return now.Location()
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		f.add(fmt.Errorf("--timezone: %.80q is not a time zone such as Europe/Berlin or UTC", name))
		f.badZone = true
		return now.Location()
	}
	return zone
}

func (f *faults) duration(flag, text string, unset, least time.Duration) time.Duration {
	if text == "" {
		return unset
	}
	d, err := ParseDuration(text)
	switch {
	case err != nil:
		f.add(fmt.Errorf("%s: %w", flag, err))
	case d < least || d > maxDuration:
		f.add(fmt.Errorf("%s: %v is not between %v and %v", flag, d, least, maxDuration))
	}
	return d
}

// ParseDuration reads a length of time such as 90s. The error of a number of days says how to write it: a day has no
// unit, as not every one has 24 hours.
func ParseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err == nil {
		return d, nil
	}
	err = fmt.Errorf("%.80q is not a duration such as 500ms, 90s or 1h30m", text)
	number, inDays := strings.CutSuffix(text, "d")
	if days, bad := strconv.ParseUint(number, 10, 16); inDays && bad == nil {
		err = fmt.Errorf("%w: write %dh", err, 24*days)
	}
	return 0, err
}
