// Package report tells people and scripts how a batch stands: while it runs,
// and when its last stop has an outcome.
package report

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"vizstop/internal/estimate"
	"vizstop/internal/ledger"
	"vizstop/internal/plain"
	"vizstop/internal/when"
)

// Summary is how a batch of one project stands.
type Summary struct {
	Batch     string            `json:"batch"`
	ProjectID string            `json:"project_id"`
	Created   time.Time         `json:"created"`
	Ended     *time.Time        `json:"ended"` // when its last stop ended; null while one is in flight
	Requester string            `json:"requester"`
	Reason    string            `json:"reason"`
	Labels    map[string]string `json:"labels"`
	Shadow    bool              `json:"shadow"`    // nothing is stopped for it
	Requested int               `json:"requested"` // its stops, joined ones among them
	Joined    int               `json:"joined"`    // of these, stops that were active already for another batch
	InFlight  map[string]int    `json:"in_flight"` // by state; every state is present
	Outcomes  map[string]int    `json:"outcomes"`  // by outcome; every outcome is present
	Undone    int               `json:"undone"`    // of those with outcome stopped: "enqueue undo" has restarted their job
	UndoneAt  *time.Time        `json:"undone_at"` // when the last restart of them was accepted; null: none was
	Duration  Quantiles         `json:"duration_seconds"`

	GivenUp  int       `json:"-"` // jobs that may still run: expired or rejected, and not a task that names none
	at       time.Time // when it was so, by the fleet's time
	standing estimate.Standing
	overdue  int       // of InFlight: their deadline has passed
	since    time.Time // when the first of them had its deadline
	next     time.Time // when the first of the others has its deadline; zero: there are none
}

// Quantiles describe the time from when a stop was due until it was confirmed,
// over the stops with outcome stopped, in seconds. All are 0 without such stops. A
// stop that another batch wanted earlier may be confirmed before it is due: then
// its time is 0.
type Quantiles struct {
	P50 float64 `json:"p50"`
	P95 float64 `json:"p95"`
	Max float64 `json:"max"`
}

// Done is how many of the requested stops have an outcome.
func (s *Summary) Done() int {
	n := 0
	for _, k := range s.Outcomes {
		n += k
	}
	return n
}

// Good reports whether every stop has reached its goal: the job does not run or, of a
// shadow batch, would not. It
// may be that some other outcomes are good enough, too.
func (s *Summary) Good(also ...ledger.State) bool {
	good := 0
	for _, o := range ledger.AllOutcomes() {
		if o.Good() || slices.Contains(also, o) {
			good += s.Outcomes[string(o)]
		}
	}
	return good == s.Requested
}

const pageSize = 1000

// Summarize reads every stop of a batch. It returns ledger.ErrNotFound for a
// batch that the ledger doesn't have.
func Summarize(ctx context.Context, l *ledger.Ledger, projectID, batch string) (*Summary, error) {
	b, err := l.Batch(ctx, projectID, batch)
	if err != nil {
		return nil, err
	}
	s := &Summary{Batch: batch, ProjectID: projectID, Created: b.Created, Requester: b.Meta.Requester, Reason: b.Meta.Reason,
		Labels: b.Meta.Labels, Shadow: b.Meta.Shadow, InFlight: zero(ledger.InFlight()), Outcomes: zero(ledger.AllOutcomes())}
	if !b.Ended.IsZero() {
		s.Ended = &b.Ended
	}
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	var took []time.Duration
	now := l.Now() // as the times of stops
	s.at = now
	begin := now.Add(-estimate.Window)
	count := func(stops []*ledger.Stop) {
		for _, stop := range stops {
			s.Requested++
			s.stand(stop, begin)
			if !stop.State.Ended() {
				s.InFlight[string(stop.State)]++
				s.late(stop, now)
				continue
			}
			s.Outcomes[string(stop.State)]++
			if stop.JobID != "" && (stop.State == ledger.Expired || stop.State == ledger.Rejected) {
				s.GivenUp++
			}
			if stop.State == ledger.Stopped {
				took = append(took, max(0, stop.Ended.Sub(stop.Due))) // an earlier wish may have ended it before
			}
		}
	}
	for offset := 0; ; {
		stops, next, err := l.BatchStops(ctx, projectID, batch, offset, pageSize)
		if err != nil {
			return nil, err
		}
		count(stops)
		if next == 0 {
			break
		}
		offset = next
	}
	s.Joined, s.Undone, s.UndoneAt = b.Joined, b.Undone, b.LastUndone()
	s.Duration = quantiles(took)
	return s, nil
}

// stand counts one stop for the expected end. begin is the beginning of what counts as the latest pace.
func (s *Summary) stand(stop *ledger.Stop, begin time.Time) {
	at := &s.standing
	if at.First.IsZero() || stop.Due.Before(at.First) {
		at.First = stop.Due
	}
	if stop.Due.After(at.Last) {
		at.Last = stop.Due
	}
	switch stop.State {
	case ledger.Pending:
		at.Pending++
	case ledger.Stopping:
		at.Stopping++
	case ledger.Expired, ledger.Canceled:
		return // at no pace of the API's
	default:
		if stop.Ended.After(begin) {
			at.Ended++
		}
	}
	if stop.Accepted.After(begin) {
		at.Accepted++
	}
}

// late notes the deadline of one stop in flight.
func (s *Summary) late(stop *ledger.Stop, now time.Time) {
	if stop.TimeUp(now) {
		s.overdue++
		s.since = earlier(s.since, stop.Deadline)
		return
	}
	s.next = earlier(s.next, stop.LastDeadline())
}

// earlier is the earlier of two times, of which the zero one is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Deadlines says what deadlines do to stops in flight that nothing moves: how many have had theirs, and what becomes of
// them, else from when on they expire; "" if none is in flight. A worker ends stops that have had their deadline within
// two minutes: say it where none may be there to do so.
func Deadlines(projects []*Summary) string {
	n, since, next := 0, time.Time{}, time.Time{}
	for _, s := range projects {
		n, since, next = n+s.overdue, earlier(since, s.since), earlier(next, s.next)
	}
	switch {
	case n > 0:
		return fmt.Sprintf("the deadline of %s stops has passed, the first at %s: no stop call goes out for them any more; "+
			"a worker ends them as expired, unless a last look shows that the job has stopped",
			estimate.Count(n), when.Stamp(since))
	case !next.IsZero():
		return "deadlines run on: stops expire from " + when.Stamp(next) + " on"
	}
	return ""
}

// End is about when the last stop of a batch will have its outcome, at the rate that is known; false if that can't be
// told.
func End(rate estimate.Rate, of RateOf, projects []*Summary) (time.Time, bool) {
	if len(projects) == 0 {
		return time.Time{}, false
	}
	now := projects[0].at
	standings := make([]estimate.Standing, len(projects))
	for i, s := range projects {
		standings[i] = s.standing
		standings[i].Rate = of.rate(s.ProjectID)
		standings[i].Over = min(estimate.Window, max(0, now.Sub(s.standing.First)))
	}
	return rate.End(now, standings)
}

func zero(states []ledger.State) map[string]int {
	m := make(map[string]int, len(states))
	for _, s := range states {
		m[string(s)] = 0
	}
	return m
}

func quantiles(took []time.Duration) Quantiles {
	if len(took) == 0 {
		return Quantiles{}
	}
	slices.Sort(took)
	at := func(q float64) float64 { // nearest rank
		i := int(math.Ceil(q*float64(len(took)))) - 1
		return math.Round(took[max(0, i)].Seconds()*1000) / 1000
	}
	return Quantiles{P50: at(0.5), P95: at(0.95), Max: at(1)}
}

// WriteTable writes s for people.
func (s *Summary) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "outcome\tstops\t\n")
	always := ledger.Stopped
	if s.Shadow {
		always = ledger.WouldStop
	}
	for _, o := range append(ledger.AllOutcomes(), ledger.InFlight()...) {
		n := s.Outcomes[string(o)] + s.InFlight[string(o)]
		if n > 0 || o == always {
			fmt.Fprintf(t, "%s\t%d\t\n", o, n)
		}
	}
	fmt.Fprintf(t, "requested\t%d\t\n", s.Requested)
	if s.Undone > 0 {
		fmt.Fprintf(t, "restarted by undo\t%d\t\n", s.Undone)
	}
	if s.Outcomes[string(ledger.Stopped)] > 0 {
		fmt.Fprintf(t, "\t\t\ntime to confirmed\tseconds\t\np50\t%.1f\t\np95\t%.1f\t\nmax\t%.1f\t\n",
			s.Duration.P50, s.Duration.P95, s.Duration.Max)
	}
	err := t.Flush()
	if s.UndoneAt != nil && err == nil {
		_, err = fmt.Fprintf(w, "undo restarted the last job at %s\n", when.Stamp(*s.UndoneAt))
	}
	return err
}

// WriteJSON writes v as one indented JSON object, in which nothing is left raw
// that a terminal would obey.
func WriteJSON(w io.Writer, v any) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, plain.Escape(b.String()))
	return err
}
