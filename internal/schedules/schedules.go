// Package schedules says which jobs are stopped when, by the clock of which zone. It
// reads the schedules file and reckons ticks. It knows neither Redis nor the API, and
// needs no credentials. docs/schedules.md is what it says to people.
package schedules

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones are known in a container without them, too

	"vizstop/internal/selection"
)

// File is what a schedules file says. It never changes, so it is safe for concurrent
// use.
type File struct {
	// Revision is counted up by whoever changes the file, from 1 on. Of workers with
	// different files, the one with the higher revision wins.
	Revision  int
	Hash      string // of the content: 12 hexadecimal digits
	Schedules []*Schedule
}

// Schedule is one rule with the times at which it is carried out.
type Schedule struct {
	// Name is 1 to 32 small letters, digits, "-" and "_", a letter first: fit for a
	// metric label, a part of a Redis key and of a batch id.
	Name string
	Timing
	Rule

	// Deadline is how long after it is due no more stop call goes out; 0: what the batch
	// needs, as for enqueue.
	Deadline time.Duration
	Spread   time.Duration // over which the stops are spread; 0: all at once
	// CatchUp is how long after its time a tick may still be carried out, from 1 minute to
	// 7 days.
	CatchUp time.Duration

	// BatchLimit is how many stops one tick may ask for before a person has to allow it;
	// 0: what the workers have by default; NoLimit: any number.
	BatchLimit int
	// BatchShare is the same as a percentage of the jobs that run; 0: what the workers
	// have by default; NoLimit: any share.
	BatchShare float64

	Shadow bool   // nothing is stopped: what would be is recorded
	Reason string // kept with each batch
	Notify string // URL to post the report of each batch to; "": none
}

// NoLimit is a limit that somebody has taken away.
const NoLimit = -1

// Timing is when a schedule is carried out.
type Timing struct {
	At       []TimeOfDay // ascending; at least one
	Days     Weekdays    // at least one
	Location *time.Location
	Skip     map[Date]bool // days without a tick, whatever the weekday
	Extra    map[Date]bool // days with ticks, whatever the weekday
}

// Rule says which jobs of which projects are chosen. It names either projects or
// accounts, or all projects.
type Rule struct {
	Projects    []string // ids
	Accounts    []string // names or globs of accounts of the accounts file
	AllProjects bool     // of the accounts file

	All       bool
	Statuses  []string // names of statuses
	Names     []string
	OlderThan time.Duration
	Exclude   []string
	Protect   string // path of a file, which is read at each tick; "": nothing is protected
	Limit     int    // of each project; 0: none
	Order     string // selection.Oldest or selection.Newest
}

// Selection is the rule as package selection knows it. It reads the file of
// protected jobs; dates in there are those of location.
func (r *Rule) Selection(now time.Time, location *time.Location) (selection.Rule, error) {
	rule := selection.Rule{All: r.All, Statuses: r.Statuses, Names: r.Names, OlderThan: r.OlderThan, Exclude: r.Exclude, Limit: r.Limit, Order: r.Order}
	if r.Protect == "" {
		return rule, nil
	}
	var err error
	rule.Protect, err = readProtected(r.Protect, now.In(location))
	return rule, err
}

// Find is the schedule of that name; nil if there is none.
func (f *File) Find(name string) *Schedule {
	i := slices.IndexFunc(f.Schedules, func(s *Schedule) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return f.Schedules[i]
}

// BatchID is the id of the batch of a tick. The same tick always has the same: that is
// what makes carrying it out twice harmless.
func BatchID(name string, tick time.Time) string {
	return batchPrefix + name + "-" + tick.UTC().Format(batchTime)
}

const (
	batchPrefix = "sched-"
	batchTime   = "20060102T150405Z"
)

// OfBatch is the schedule and the tick that BatchID has made an id of; false if it has not.
func OfBatch(id string) (name string, tick time.Time, ok bool) {
	rest, ok := strings.CutPrefix(id, batchPrefix)
	i := strings.LastIndex(rest, "-")
	if !ok || i < 1 {
		return "", time.Time{}, false
	}
	tick, err := time.Parse(batchTime, rest[i+1:])
	return rest[:i], tick, err == nil && BatchID(rest[:i], tick) == id // also not with fractions of a second
}

// TimeOfDay is minutes since midnight, from 0 to 1439.
type TimeOfDay int

// String is such as 20:00.
func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60) }

// Weekdays is a set of weekdays: bit n is time.Weekday(n).
type Weekdays uint8

// Has reports whether a weekday is in the set.
func (w Weekdays) Has(d time.Weekday) bool { return w&(1<<d) != 0 }

// EveryDay has all of them.
const EveryDay Weekdays = 1<<7 - 1

// dayNames are as people write them, in the order of their week.
var dayNames = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// weekday is the weekday of dayNames[i].
func weekday(i int) time.Weekday { return time.Weekday((i + 1) % 7) }

// String is such as "mon-fri", "mon, wed" or "every day".
func (w Weekdays) String() string {
	if w == EveryDay {
		return "every day"
	}
	var parts []string
	for i := 0; i < len(dayNames); i++ {
		first := i
		for i < len(dayNames) && w.Has(weekday(i)) {
			i++
		}
		switch n := i - first; {
		case n > 2:
			parts = append(parts, dayNames[first]+"-"+dayNames[i-1])
		default:
			parts = append(parts, dayNames[first:i]...)
		}
	}
	return strings.Join(parts, ", ")
}

// String is such as "20:00, mon-fri, Europe/Berlin".
func (t *Timing) String() string {
	var at []string
	for _, one := range t.At {
		at = append(at, one.String())
	}
	return strings.Join(at, " and ") + ", " + t.Days.String() + ", " + t.Location.String()
}
