package pages

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/console/snapshot"
	"vizstop/internal/control"
	"vizstop/internal/estimate"
	"vizstop/internal/lasthour"
	"vizstop/internal/release"
)

// overview answers in one look: is it working, how fast, why not, what does it cost.
type overview struct {
	*snapshot.State
	Verdict           verdict
	Pending, Stopping int
	Oldest            time.Time
	All, Waiting      snapshot.Hours
	Held              holdList
	Then              bool // all of it is from before Redis ceased to answer
	Paused            bool // all stop calls are
	Unseen            bool // what concerns whole accounts holds projects back, and is not for this reader
	Notes             []string
	Hour              *hour
	LastMinutes       minuteRow // of the last whole minutes, added up
	Minutes           int       // how many those are: five, or as many as there are since the first stop ended within the hour
	Reduced           int       // projects that may make fewer calls than configured
	Busy              []snapshot.Project
	MoreProjects      int
	Newest            []snapshot.Batch
}

// verdict is whether it works, in few words.
type verdict struct {
	Class   string // good, warn, bad or quiet
	Word    string
	Said    string
	Heading string // of the runbook
	// Hold is the first of the holds, about which the sentence is; nil: it is about none.
	Hold *holdView
}

const (
	// shownBusy and shownNewest are how many projects and batches the overview shows.
	shownBusy, shownNewest = 10, 10
	// quietMinutes is for how many minutes nothing may be confirmed before that is said.
	quietMinutes = 5
)

func (p *pages) overview(w http.ResponseWriter, r *http.Request) error {
	kept, err := p.state(r)
	if err != nil {
		return err
	}
	st := kept.Value
	if kept.Trouble == nil && r.URL.RawQuery == "" && sameTag(w, r, st.Version+"-"+who(r).Name+"-"+fmt.Sprint(p.mayAct(r))) {
		return nil
	}
	o := &overview{State: st, Held: newHolds(st.Holds, st.At, p.mayAct(r), who(r).All()), Oldest: st.Oldest()}
	o.Pending, o.Stopping = st.InFlight()
	o.All, o.Waiting = st.Hours()
	o.LastMinutes, o.Minutes = lastMinutes(st.Hour)
	o.Verdict = newVerdict(st, o)
	if kept.Trouble != nil { // nothing of it need be so any more
		o.Then = true
		o.Verdict = verdict{Class: "bad", Word: "Redis does not answer", Heading: "vizstopredisunreachable",
			Said: "Nobody can tell what moves, and nothing can be asked for. All that is below is from before."}
		if _, ok := errors.AsType[redis.Error](kept.Trouble); ok {
			o.Verdict.Word = "Redis can't be read"
		}
	}
	o.Paused = slices.ContainsFunc(st.Holds, func(h release.Hold) bool { return h.Scope == release.ScopeFleet && h.Reason == release.Paused })
	o.Unseen = !who(r).All() && len(st.Holds) == 0 && slices.ContainsFunc(st.Projects, func(p snapshot.Project) bool { return p.Held && p.InFlight() > 0 })
	o.Notes = p.notes(st)
	if who(r).All() {
		o.Hour = newHour(st.Hour, st.HourTrouble)
	}
	for _, one := range st.Projects {
		if one.Detailed && one.Allowance.Reduced() {
			o.Reduced++
		}
	}
	o.Busy = st.Projects[:min(len(st.Projects), shownBusy)]
	o.MoreProjects = len(st.Projects) - len(o.Busy)
	o.Newest = st.Batches[:min(len(st.Batches), shownNewest)]
	v := p.newView(r, "Overview", "/", o).kept(kept.Read, kept.Trouble)
	v.Now = st.At
	if v.Did, err = p.whatDid(r); err != nil {
		return err
	}
	return p.show(w, r, "overview", v)
}

// lastMinutes adds up the last five minutes before the one that still runs, or those since the first stop ended.
func lastMinutes(minutes []lasthour.Minute) (minuteRow, int) {
	if len(minutes) == 0 {
		return minuteRow{}, 0
	}
	whole := minutes[:len(minutes)-1]
	first := max(0, slices.IndexFunc(whole, func(m lasthour.Minute) bool { return len(m.Outcomes) > 0 }))
	whole = whole[max(first, len(whole)-quietMinutes):]
	return newRow(lasthour.Sum(whole...)), len(whole)
}

// EachMinute is how many stops were confirmed in one of the last minutes, in words.
func (o *overview) EachMinute() string {
	each := float64(o.LastMinutes.Good) / float64(max(1, o.Minutes))
	if each >= 100 {
		return estimate.Count(int(math.Round(each)))
	}
	return fmt.Sprintf("%.1f", each)
}

func newVerdict(st *snapshot.State, o *overview) verdict {
	inFlight := o.Pending + o.Stopping
	moving := estimate.Count(inFlight) + " in flight"
	pausedAll := slices.ContainsFunc(st.Holds, func(h release.Hold) bool { return h.Scope == release.ScopeFleet })
	held := 0
	for _, p := range st.Projects {
		if p.Held && p.InFlight() > 0 {
			held++
		}
	}
	busy := 0
	for _, p := range st.Projects {
		if p.InFlight() > 0 {
			busy++
		}
	}
	because := func(word, class, said string, is func(release.Hold) bool) verdict {
		h := newHold(st.Holds[max(0, slices.IndexFunc(st.Holds, is))], st.At)
		v := verdict{Class: class, Word: word, Hold: &h, Said: h.What + ": " + h.Why + ". " + said}
		if more := len(st.Holds) - 1; more > 0 {
			v.Said += " " + plural(more, "more hold is", "more holds are") + " listed below."
		}
		return v
	}
	moreThanLimit := func(h release.Hold) bool { return !h.ByLimit() }
	fleet := func(h release.Hold) bool { return h.Scope == release.ScopeFleet }
	switch {
	case st.Refuses != "":
		return verdict{Class: "bad", Word: "Redis refuses writes", Heading: "vizstopredisrefuseswrites",
			Said: sentence(strings.TrimPrefix(st.Refuses, "Redis refuses writes: ")) + " Until then nothing moves; " + moving + "."}
	case len(st.Workers.Alive) == 0:
		return verdict{Class: "bad", Word: "No worker is alive", Said: sentence(noWorker(st.At, st.Workers.Seen)), Heading: "vizstopworkersabsent"}
	case pausedAll:
		return because("Paused", "warn", "No stop call goes out anywhere; "+moving+".", fleet)
	case busy > 0 && held == busy && slices.ContainsFunc(st.Holds, moreThanLimit):
		return because("Standing still", "bad", "Everything in flight is held; "+moving+".", moreThanLimit)
	case busy > 0 && held == busy: // by what this reader does not see
		return verdict{Class: "bad", Word: "Standing still", Said: "Everything in flight is held, by what concerns the whole account; " + moving + "."}
	case inFlight > 0 && len(st.Hour) > 0 && !o.Oldest.IsZero() && st.At.Sub(o.Oldest) > (quietMinutes+1)*time.Minute && o.LastMinutes.Good == 0 && len(st.Holds) == 0:
		return verdict{Class: "warn", Word: "Nothing is confirmed", Said: fmt.Sprintf("No stop was confirmed in the last %d minutes, although %s.", quietMinutes, moving),
			Heading: "vizstopnothingconfirmed"}
	case len(st.Holds) > 0:
		return because("Working, in part", "warn", moving+".", func(release.Hold) bool { return true })
	case held > 0: // by what this reader does not see, too
		return verdict{Class: "warn", Word: "Working, in part", Said: "What concerns a whole account holds " + plural(held, "project", "projects") + " back; " + moving + "."}
	case inFlight > 0:
		return verdict{Class: "good", Word: "Working", Said: moving + ", and nothing holds them back."}
	}
	return verdict{Class: "good", Word: "Idle", Said: "Nothing is in flight, and nothing is held."}
}

// noWorker says that no worker lives, as control.NoWorker does, with a time as pages have it.
func noWorker(now, seen time.Time) string {
	if seen.IsZero() {
		return control.NoWorker(seen)
	}
	return "No worker has been seen since " + clock(now, seen) + ": nothing moves until one is started (worker run)."
}

// notes are what should not be so, and holds nothing back.
func (p *pages) notes(st *snapshot.State) (notes []string) {
	if !st.Ticks.Agreed() {
		notes = append(notes, "Workers have different schedules files: only the one with the highest revision is run.")
	}
	for _, w := range st.Workers.Alive {
		if w.Limits.WithDefaults() != st.Limits {
			notes = append(notes, "Workers are told different limits: the strictest counts for all.")
			break
		}
	}
	return notes
}
