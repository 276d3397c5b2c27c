package pages

import (
	"fmt"
	"net/http"
	"slices"
	"time"

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
	Notes             []string
	Hour              *hour
	LastMinutes       minuteRow // of the last five whole minutes, added up
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
	o := &overview{State: st, Held: newHolds(st.Holds, st.At, p.mayAct(r)), Oldest: st.Oldest()}
	o.Pending, o.Stopping = st.InFlight()
	o.All, o.Waiting = st.Hours()
	o.LastMinutes = lastMinutes(st.Hour)
	o.Verdict = newVerdict(st, o)
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

// lastMinutes adds up the last five minutes before the one that still runs.
func lastMinutes(minutes []lasthour.Minute) minuteRow {
	if len(minutes) == 0 {
		return minuteRow{}
	}
	whole := minutes[:len(minutes)-1]
	return newRow(lasthour.Sum(whole[max(0, len(whole)-quietMinutes):]...))
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
	switch {
	case len(st.Workers.Alive) == 0:
		return verdict{"bad", "No worker is alive", sentence(control.NoWorker(st.Workers.Seen)), "vizstopworkersabsent"}
	case pausedAll:
		return verdict{"warn", "Paused", "No stop call goes out anywhere; " + moving + ". What ends it is said below.", "vizstoppausedtoolong"}
	case busy > 0 && held == busy:
		return verdict{"bad", "Standing still", "Everything in flight is held; what holds it is said below.", ""}
	case inFlight > 0 && len(st.Hour) > 0 && !o.Oldest.IsZero() && st.At.Sub(o.Oldest) > (quietMinutes+1)*time.Minute && o.LastMinutes.Good == 0 && o.Pending+o.Stopping > 0 && len(st.Holds) == 0:
		return verdict{"warn", "Nothing is confirmed", fmt.Sprintf("No stop was confirmed in the last %d minutes, although %s.", quietMinutes, moving), "vizstopnothingconfirmed"}
	case len(st.Holds) > 0:
		return verdict{"warn", "Working, in part", fmt.Sprintf("%s; %s below.", moving, plural(len(st.Holds), "hold is listed", "holds are listed")), ""}
	case inFlight > 0:
		return verdict{"good", "Working", moving + ", and nothing holds them back.", ""}
	}
	return verdict{"good", "Idle", "Nothing is in flight, and nothing is held.", ""}
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
