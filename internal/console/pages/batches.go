package pages

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"vizstop/internal/actions"
	"vizstop/internal/console/operate"
	"vizstop/internal/console/problem"
	"vizstop/internal/console/snapshot"
	"vizstop/internal/control"
	"vizstop/internal/ledger"
)

// batchList is the list of batches and its form.
type batchList struct {
	snapshot.List
	Form     searchForm
	Outcomes []ledger.State
	Jobs     []jobRef // where the job was found that was asked for
	NoJob    bool     // nowhere
	Fault    string   // of the form
	Newer    string   // the address of the page before; "": none
	Older    string
	From, To int
}

// searchForm is what was typed.
type searchForm struct{ Job, Project, Batch, Outcome, Text, Since string }

type jobRef struct{ ProjectID, JobID string }

func (p *pages) batches(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	get := func(name string) string { return strings.TrimSpace(values.Get(name)) }
	list := &batchList{Outcomes: ledger.AllOutcomes(),
		Form: searchForm{get("job"), get("project"), get("batch"), get("outcome"), get("text"), get("since")}}
	page, err := pageNumber(get("page"))
	if err != nil {
		return err
	}
	q := snapshot.Query{Project: list.Form.Project, Batch: list.Form.Batch, Outcome: ledger.State(list.Form.Outcome), Text: list.Form.Text, Page: page}
	if q.Outcome != "" && control.CheckState(list.Form.Outcome) != nil {
		list.Fault, q.Outcome = "There is no such outcome.", ""
	}
	now := p.site.Desk.Fleet.Now()
	if q.Since, err = since(list.Form.Since, now); err != nil {
		list.Fault = sentence(err.Error())
	}
	if list.Form.Job != "" {
		if done, err := p.findJob(w, r, list); done || err != nil {
			return err
		}
	}
	kept, err := p.source.List(r.Context(), q, who(r))
	if err != nil {
		return err
	}
	list.List = kept.Value
	list.From = page*snapshot.PerPage + 1
	list.To = list.From + len(list.Batches) - 1
	turn := func(to int) string {
		values.Set("page", strconv.Itoa(to))
		return p.site.URL("/batches?" + values.Encode())
	}
	if page > 0 {
		list.Newer = turn(page - 1)
	}
	if list.More {
		list.Older = turn(page + 1)
	}
	return p.show(w, r, "batches", p.newView(r, "Batches", "/batches", list).kept(kept.Read, kept.Trouble))
}

// findJob looks where a job was asked for. Found in one project, the reader is led there.
func (p *pages) findJob(w http.ResponseWriter, r *http.Request, list *batchList) (done bool, err error) {
	job := list.Form.Job
	found, err := p.source.FindJob(r.Context(), job)
	if err != nil {
		return false, err
	}
	for _, id := range found.Value {
		if who(r).Sees(id) && (list.Form.Project == "" || list.Form.Project == id) {
			list.Jobs = append(list.Jobs, jobRef{id, job})
		}
	}
	list.NoJob = len(list.Jobs) == 0
	if len(list.Jobs) == 1 {
		http.Redirect(w, r, p.jobURL(list.Jobs[0].ProjectID, job), http.StatusSeeOther)
		return true, nil
	}
	return false, nil
}

func pageNumber(s string) (int, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 10000 {
		return 0, problem.New(problem.InvalidRequest, "There is no page of that number.")
	}
	return n, nil
}

// since is a time as people write it: how long ago, such as 24h or 7d, or a date with or without time, in UTC.
func since(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n > 0 && n < 10000 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%.40q is no time: write how long ago, such as 24h or 7d, or a time in UTC, such as 2026-11-26 18:30", s)
}

// batchPage is one batch.
type batchPage struct {
	*snapshot.Detail
	Segments []segment
	Percent  int
	Held     holdList
	States   []stateRow
	Digest   *snapshot.Digest
	UndoneBy string // who ordered the latest undo; "": that is not recorded any more
	P50, P95 time.Duration
	Max      time.Duration
	Filter   struct{ State, Reason string }
	Page     snapshot.StopsPage
	All      []ledger.State // states that the form offers
	First    string         // the address of the first page of stops; "": this is it
	Next     string
	Actions  []actionLink
	// UndoElsewhere says that it has stopped, or may yet stop, more than the console restarts.
	UndoElsewhere bool
}

// segment is a part of the bar of progress.
type segment struct {
	Class string
	X, W  float64
}

// stateRow is how many stops are in one state.
type stateRow struct {
	State ledger.State
	Stops int
	Href  string
}

// actionLink leads to the page that confirms an action.
type actionLink struct{ Name, Href, Hint string }

const barWidth = 600

func (p *pages) batch(w http.ResponseWriter, r *http.Request) error {
	ctx, id := r.Context(), r.PathValue("batch")
	kept, err := p.source.Batch(ctx, id, who(r))
	if err != nil {
		if unknown := unknownBatch(r, id, err); unknown != nil {
			return unknown
		}
		return err
	}
	d := kept.Value
	b := &batchPage{Detail: d, Held: newHolds(d.Holds, p.site.Desk.Fleet.Now(), p.mayAct(r), who(r).All()), Percent: percent(d.Total()-d.InFlight(), d.Total())}
	b.Segments = segments(&d.Batch)
	here := p.batchURL(id)
	counts := d.Counts()
	for _, s := range append(ledger.InFlight(), ledger.AllOutcomes()...) {
		if counts[s] > 0 {
			b.States = append(b.States, stateRow{s, counts[s], with(here, "state", s) + "#stops"})
			b.All = append(b.All, s)
		}
	}
	digest, err := p.source.Digest(ctx, d)
	if err != nil {
		return err
	}
	b.Digest = digest.Value
	b.P50, b.P95, b.Max = b.Digest.Lag(0.5), b.Digest.Lag(0.95), b.Digest.Lag(1)
	if err := p.stops(r, b, here); err != nil {
		return err
	}
	if b.Undone() > 0 {
		recorded, err := p.source.Actions(ctx)
		if err != nil {
			return err
		}
		b.UndoneBy = undoneBy(recorded.Value, id)
	}
	if p.mayAct(r) {
		b.Actions = p.batchActions(b)
	}
	v := p.newView(r, "Batch "+text(id), "/batches", b).kept(kept.Read, kept.Trouble)
	if v.Did, err = p.whatDid(r); err != nil {
		return err
	}
	return p.show(w, r, "batch", v)
}

// stops is the page of stops that was asked for.
func (p *pages) stops(r *http.Request, b *batchPage, here string) error {
	q := r.URL.Query()
	b.Filter.State, b.Filter.Reason = q.Get("state"), q.Get("reason")
	if b.Filter.State != "" && control.CheckState(b.Filter.State) != nil {
		return problem.New(problem.InvalidRequest, "There is no such outcome, and no such state.")
	}
	from := snapshot.From{}
	if at := q.Get("from"); at != "" {
		if n, err := fmt.Sscanf(at, "%d.%d", &from.Project, &from.Offset); n != 2 || err != nil || from.Project < 0 || from.Offset < 0 {
			return problem.New(problem.InvalidRequest, "There is no page of stops of that name.")
		}
		b.First = with(here, "state", b.Filter.State, "reason", b.Filter.Reason) + "#stops"
	}
	page, err := p.source.Stops(r.Context(), b.Detail, ledger.State(b.Filter.State), b.Filter.Reason, from)
	if err != nil {
		return err
	}
	b.Page = page.Value
	if next := b.Page.Next; next != nil {
		b.Next = with(here, "state", b.Filter.State, "reason", b.Filter.Reason, "from", fmt.Sprintf("%d.%d", next.Project, next.Offset)) + "#stops"
	}
	return nil
}

// FilterBy is the address of the list of stops that failed in this way.
func (b *batchPage) FilterBy(f snapshot.Failure) string {
	reason := f.Reason
	if reason == snapshot.OtherReasons {
		reason = ""
	}
	return "?" + url.Values{"state": {string(f.State)}, "reason": {reason}}.Encode() + "#stops"
}

// segments are the parts of a batch's bar.
func segments(b *snapshot.Batch) (all []segment) {
	total := b.Total()
	if total == 0 {
		return nil
	}
	x := 0.0
	for _, part := range []struct {
		class string
		n     int
	}{{"good", b.Good()}, {"bad", failed(b)}, {"quiet", b.Counts()[ledger.Canceled]}} {
		if part.n > 0 {
			w := max(2, float64(barWidth*part.n)/float64(total))
			all = append(all, segment{part.class, x, min(w, barWidth-x)})
			x += w
		}
	}
	return all
}

// undoneBy is who ordered the newest undo of a batch among the recorded actions.
func undoneBy(recorded []actions.Action, id string) string {
	for _, a := range recorded {
		if a.What == string(operate.Undo) && a.Scope == actions.Of("batch", id) {
			return a.By
		}
	}
	return ""
}

// batchActions are those that make sense for a batch as it stands.
func (p *pages) batchActions(b *batchPage) (links []actionLink) {
	counts := b.Counts()
	add := func(action, name, hint string) {
		links = append(links, actionLink{name, p.actURL(action, "batch", b.ID), hint})
	}
	if b.InFlight() > 0 {
		add("cancel", "Cancel", "withdraw what has no stop call yet")
	}
	if b.Detail.Batch.Held != "" {
		add("allow", "Allow", "let it pass the limit")
	}
	if retried := counts[ledger.NotFound] + counts[ledger.Rejected] + counts[ledger.Expired] + counts[ledger.WouldNotFound] + counts[ledger.WouldHold]; retried > 0 {
		add("retry", "Retry", "ask again for what failed")
	}
	if stopped := counts[ledger.Stopped]; stopped > 0 && !b.Shadow && !b.Restarted() && p.site.API != nil {
		if b.UndoElsewhere = stopped+b.InFlight() > operate.MostUndone; !b.UndoElsewhere {
			add("undo", "Undo", "restart what it has stopped")
		}
	}
	return links
}
