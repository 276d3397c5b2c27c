package httpapi

import (
	"math"
	"net/http"
	"time"

	"vizstop/internal/console/snapshot"
	"vizstop/internal/lasthour"
	"vizstop/internal/ledger"
	"vizstop/internal/principals"
)

// overview is what GET /v1/overview answers with.
type overview struct {
	Kind     string         `json:"kind"` // "overview"
	At       time.Time      `json:"at"`
	Stale    bool           `json:"stale"` // Redis does not answer now: this was read before
	Workers  workers        `json:"workers"`
	InFlight map[string]int `json:"in_flight"`  // by state
	Oldest   *time.Time     `json:"oldest_due"` // when the oldest stop in flight was due
	JobHours hours          `json:"job_hours"`  // that the jobs in flight have run since they were to be stopped
	Projects []projectRow   `json:"projects"`   // with work, those with most in flight first
	Holds    []holdRow      `json:"holds"`
	LastHour []minuteRow    `json:"last_hour"` // null: for who sees some projects only, or nobody knows
}

type workers struct {
	Alive   *int       `json:"alive"`   // null: nobody can tell
	Slots   *int       `json:"slots"`   // calls that they make at once; null: nobody can tell
	Seen    *time.Time `json:"seen"`    // when one was last seen
	Unknown string     `json:"unknown"` // why nobody can tell how many live, in words; "": it is known
}

// hours are between the two; of very many stops only some are looked at.
type hours struct {
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
}

type projectRow struct {
	ProjectID string         `json:"project_id"`
	InFlight  map[string]int `json:"in_flight"`
	Oldest    *time.Time     `json:"oldest_due"`
	JobHours  hours          `json:"job_hours"`
	Held      bool           `json:"held"`        // something holds all of its stop calls back
	Limited   bool           `json:"limited"`     // a limit holds some of them back
	Rate      *float64       `json:"rate"`        // calls a second that it may make now; null: no limit, or not read
	Used      *int           `json:"window_used"` // stop calls of the last hour that nobody confirmed; null: not read
}

type minuteRow struct {
	Start    time.Time      `json:"start"`
	Outcomes map[string]int `json:"outcomes"` // stops that ended; outcomes without any are not there
	Lag      lagRow         `json:"lag_seconds"`
	Calls    callRow        `json:"api_calls"`
}

// lagRow estimates the time from due to confirmed.
type lagRow struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
}

type callRow struct {
	Good      int `json:"good"`
	Bad       int `json:"bad"`
	Throttled int `json:"throttled"`
}

func (a *api) getOverview(w http.ResponseWriter, r *http.Request) error {
	if err := newQuery(r).done(); err != nil {
		return err
	}
	if _, err := accepted(r, typeJSON); err != nil {
		return err
	}
	kept, err := a.Snapshot.State(r.Context())
	if err != nil {
		return err
	}
	p := principals.FromContext(r.Context())
	state, stale := kept.Value.For(p), kept.Trouble != nil
	tag := `"` + state.Version + `"`
	if stale {
		tag = `"` + state.Version + `-stale"`
	}
	w.Header().Set("ETag", tag)
	if matches(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return write(w, http.StatusOK, newOverview(state, stale))
}

func newOverview(s *snapshot.State, stale bool) overview {
	pending, stopping := s.InFlight()
	all, _ := s.Hours()
	o := overview{Kind: "overview", At: s.At.UTC(), Stale: stale, InFlight: inFlight(pending, stopping), Oldest: orNull(s.Oldest()), JobHours: hours(all),
		Workers: workers{Seen: orNull(s.Workers.Seen), Unknown: s.Refuses}, Projects: []projectRow{}, Holds: []holdRow{}}
	if alive := len(s.Workers.Alive); s.Refuses == "" { // otherwise their beats are refused, too
		o.Workers.Alive, o.Workers.Slots = &alive, &s.Workers.Slots
	}
	for _, one := range s.Projects {
		row := projectRow{ProjectID: one.ID, InFlight: inFlight(one.Pending, one.Stopping), Oldest: orNull(one.Oldest), JobHours: hours(one.Hours),
			Held: one.Held, Limited: one.Limited}
		if one.Detailed {
			row.Used = &one.Window.Used
			if !math.IsInf(one.Allowance.Rate, 0) {
				row.Rate = &one.Allowance.Rate
			}
		}
		o.Projects = append(o.Projects, row)
	}
	for _, h := range s.Holds {
		o.Holds = append(o.Holds, newHoldRow(h))
	}
	for _, m := range s.Hour {
		o.LastHour = append(o.LastHour, newMinuteRow(m))
	}
	return o
}

func inFlight(pending, stopping int) map[string]int {
	return map[string]int{string(ledger.Pending): pending, string(ledger.Stopping): stopping}
}

func newMinuteRow(m lasthour.Minute) minuteRow {
	row := minuteRow{Start: m.Start.UTC(), Outcomes: map[string]int{}, Lag: lagRow{m.Lag.Quantile(0.5).Seconds(), m.Lag.Quantile(0.95).Seconds()}}
	for outcome, n := range m.Outcomes {
		row.Outcomes[string(outcome)] = n
	}
	for _, c := range m.Calls {
		row.Calls.Good, row.Calls.Bad, row.Calls.Throttled = row.Calls.Good+c.Good, row.Calls.Bad+c.Bad, row.Calls.Throttled+c.Throttled
	}
	return row
}
