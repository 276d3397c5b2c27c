package pages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"vizstop/internal/actions"
	"vizstop/internal/console/operate"
	"vizstop/internal/console/problem"
	"vizstop/internal/console/site"
	"vizstop/internal/console/snapshot"
	"vizstop/internal/control"
	"vizstop/internal/plain"
	"vizstop/internal/principals"
)

// deed is an action that people order on a page.
type deed struct {
	operate.Action
	Verb string // of its button
	// Asks is what the person has to say before it can be planned: "count", "until" or nothing.
	Asks string
	// Grave is set for what stops, restarts or withdraws something: its button says so by its colour, too.
	Grave bool
}

// deeds are the actions, by the last part of their page's address.
var deeds = map[string]deed{
	"pause":            {operate.Pause, "Pause", "", false},
	"resume":           {operate.Resume, "Resume", "", true},
	"cancel":           {operate.Cancel, "Cancel", "", true},
	"retry":            {operate.Retry, "Retry", "", true},
	"undo":             {operate.Undo, "Undo", "", true},
	"allow":            {operate.Allow, "Allow", "count", true},
	"run-schedule":     {operate.RunSchedule, "Run now", "", true},
	"suspend-schedule": {operate.SuspendSchedule, "Suspend", "until", false},
	"resume-schedule":  {operate.ResumeSchedule, "Resume", "", true},
}

// mostReason bounds a reason, in characters.
const mostReason = 250

// confirmation is the page that confirms an action.
type confirmation struct {
	Deed   deed
	Slug   string
	Target url.Values // as hidden fields
	Plan   *operate.Plan
	Expect string // what the person is shown; "": nothing is planned yet
	Ask    string // what is asked for before
	Asked  string // what was answered, if that was no good
	Reason string
	Typed  string
	Fault  string          // why it was not done
	Back   string          // where to go without doing it
	Before *snapshot.Batch // that has asked again already, of a retry; nil: none
	Shadow bool
}

// targetFields are the fields of a target, in forms and addresses.
var targetFields = []string{"batch", "project", "schedule", "count", "until", "outcome", "shadow"}

// confirm shows what an action would do. It does nothing.
func (p *pages) confirm(w http.ResponseWriter, r *http.Request) error {
	return p.ask(w, r, http.StatusOK, r.URL.Query(), "")
}

// ask shows the page of an action as it comes out now, with why it was not done, if it was ordered already.
func (p *pages) ask(w http.ResponseWriter, r *http.Request, status int, values url.Values, fault string) error {
	c, order, err := p.order(r, values)
	if err != nil {
		return err
	}
	c.Fault = fault
	if c.Ask == "" {
		if c.Plan, err = p.operator.Plan(r.Context(), order); err != nil {
			return p.nothing(w, r, c, err)
		}
		c.Expect = c.Plan.Expect
		c.Back = p.back(c.Plan.Target)
	}
	if order.Action == operate.Retry {
		if c.Before, err = p.retried(r, order.Batch); err != nil {
			return err
		}
	}
	return p.showAs(w, r, status, "act", p.newView(r, c.Deed.Verb, "", c))
}

// act does what was confirmed.
func (p *pages) act(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		if told, ok := errors.AsType[*problem.Problem](err); ok { // of how it came
			return told
		}
		return problem.New(problem.MalformedBody, "The form, or the query of its address, is not written as browsers write it.")
	}
	values := r.PostForm
	c, order, err := p.order(r, values)
	if err != nil {
		return err
	}
	order.Expect = values.Get("expect")
	fault := ""
	switch count := operate.CountOf(order.Expect); {
	case c.Ask != "":
	case count < 0:
		return problem.New(problem.InvalidRequest, "The form has no plan that was confirmed. Begin with the page that confirms the action.")
	case c.Reason == "":
		fault = "Say why. The reason is recorded, and shown to others."
	case utf8.RuneCountInString(c.Reason) > mostReason:
		fault = "The reason is too long: write at most " + strconv.Itoa(mostReason) + " characters."
	case (&operate.Plan{Count: count}).Typed() && strings.ReplaceAll(c.Typed, ",", "") != strconv.Itoa(count):
		fault = "Type the number that the action concerns, to confirm it."
	}
	if c.Ask != "" || fault != "" {
		return p.ask(w, r, http.StatusUnprocessableEntity, values, fault)
	}
	done, err := p.operator.Do(r.Context(), order)
	p.source.Forget()
	if changed, ok := errors.AsType[*operate.ChangedError](err); ok {
		c.Plan, c.Expect, c.Typed = changed.Plan, changed.Plan.Expect, ""
		c.Fault = "It has changed since you looked. Nothing was done. Look again: this is how it comes out now."
		return p.showAs(w, r, http.StatusConflict, "act", p.newView(r, "It has changed: look again", "", c))
	}
	if err != nil {
		return p.nothing(w, r, c, err)
	}
	if done.Finished {
		p.results.keep(result{who(r).Name, order.Action, done.Scope, done.Words})
	}
	http.Redirect(w, r, with(p.after(order, done), "did", c.Slug), http.StatusSeeOther)
	return nil
}

// retried is the newest batch that asks again for what failed in one; nil if there is none among the newest batches.
func (p *pages) retried(r *http.Request, batch string) (*snapshot.Batch, error) {
	kept, err := p.source.List(r.Context(), snapshot.Query{Text: "retry_of=" + batch}, who(r))
	if err != nil {
		return nil, err
	}
	for _, b := range kept.Value.Batches {
		if b.Meta.Labels["retry_of"] == batch {
			return &b, nil
		}
	}
	return nil, nil
}

// nothing tells calmly that nothing was done, and why; other errors are returned.
func (p *pages) nothing(w http.ResponseWriter, r *http.Request, c *confirmation, err error) error {
	if known := unknownBatch(r, c.Target.Get("batch"), err); known != nil {
		return known
	}
	_, none := errors.AsType[*operate.NothingError](err)
	_, refused := errors.AsType[*operate.RefusedError](err)
	_, busy := errors.AsType[*operate.BusyError](err)
	status := http.StatusOK
	switch {
	case !none && !refused && !busy:
		return err
	case r.Method == http.MethodPost:
		status = http.StatusConflict
	}
	c.Fault = plain.Line(err.Error(), 1000)
	return p.showAs(w, r, status, "nothing", p.newView(r, "Nothing was done", "", c))
}

// unknownBatch says that there is no such batch, in words for the reader, if that is what err says; nil if not.
func unknownBatch(r *http.Request, id string, err error) error {
	unknown, ok := errors.AsType[*control.UnknownError](err)
	switch {
	case !ok:
		return nil
	case !who(r).All():
		return problem.New(problem.NotFound, "There is no batch "+text(id)+", or it is in no project that is yours to see.")
	case unknown.Tick != nil:
		return problem.New(problem.NotFound, "Batch "+text(id)+" has no stops: "+text(unknown.Tick.Words)+".")
	case unknown.Empty:
		return problem.New(problem.NotFound, "Batch "+text(id)+" has no stops.")
	}
	return problem.New(problem.NotFound, "There is no batch "+text(id)+", or it ended so long ago that it is not kept any more.")
}

// order is what a form or an address orders, without reason and expectation being checked.
func (p *pages) order(r *http.Request, values url.Values) (*confirmation, operate.Order, error) {
	slug := r.PathValue("action")
	one, ok := deeds[slug]
	if !ok {
		return nil, operate.Order{}, problem.New(problem.NotFound, "There is no such action.")
	}
	get := func(name string) string { return strings.TrimSpace(values.Get(name)) }
	c := &confirmation{Deed: one, Slug: slug, Target: url.Values{}, Reason: strings.Join(strings.Fields(values.Get("reason")), " "), Typed: get("typed")}
	for _, name := range targetFields {
		if v := values[name]; len(v) > 0 && v[0] != "" {
			c.Target[name] = v
		}
	}
	target := operate.Target{Batch: get("batch"), ProjectID: get("project"), Schedule: get("schedule"), Shadow: get("shadow") != ""}
	for _, o := range values["outcome"] {
		if o != "" {
			target.Outcomes = append(target.Outcomes, o)
		}
	}
	slices.Sort(target.Outcomes)
	switch {
	case one.Asks == "count" && target.Batch == "":
		n, err := strconv.Atoi(get("count"))
		if target.Count = n; err != nil || n <= 0 || n > 1e9 {
			c.Ask, c.Asked = "count", get("count")
		}
	case one.Asks == "until":
		until, err := untilOf(get("until"), p.site.Desk.Fleet.Now())
		if target.Until = until; err != nil {
			c.Ask, c.Asked = "until", get("until")
		} else {
			c.Target.Set("until", until.Format(time.RFC3339))
		}
	}
	if c.Ask != "" {
		c.Target.Del(c.Ask)
	}
	c.Back = p.back(target)
	return c, operate.Order{Action: one.Action, Target: target, By: who(r).Name, From: "console, " + site.Remote(r), Reason: c.Reason, Sees: sees(who(r))}, nil
}

// sees is which projects a principal sees; nil: all.
func sees(me *principals.Principal) func(string) bool {
	if me.All() {
		return nil
	}
	return me.Sees
}

// untilOf is a time to come, as people write it: a span, such as 2h or 3d, or a time in UTC.
func untilOf(s string, now time.Time) (time.Time, error) {
	now = now.UTC().Truncate(time.Second)
	ago, err := since(s, now)
	if err != nil || s == "" {
		return time.Time{}, errors.New("no time")
	}
	if ago.Before(now) && !strings.Contains(s, "-") { // a span
		return now.Add(now.Sub(ago)), nil
	}
	if !ago.After(now) {
		return time.Time{}, errors.New("it is over")
	}
	return ago.UTC(), nil
}

// back is the page from which an action on a target comes.
func (p *pages) back(t operate.Target) string {
	switch {
	case t.Schedule != "": // also of a batch that has no stops yet
		return p.site.URL("/schedules")
	case t.Batch != "" && utf8.ValidString(t.Batch):
		return p.batchURL(t.Batch)
	}
	return p.site.URL("/")
}

// after is the page that shows the true state after an action.
func (p *pages) after(order operate.Order, done *operate.Done) string {
	switch {
	case done.Batch != "" && order.Action == operate.Retry:
		return p.batchURL(done.Batch)
	case done.Schedule != "":
		return p.site.URL("/schedules")
	case order.Action == operate.Allow && order.Batch == "":
		return p.site.URL("/limits")
	}
	return p.back(order.Target)
}

// result is what an order has come to, in words.
type result struct {
	by     string
	action operate.Action
	scope  string
	words  string
}

// results are the latest ones, the oldest first. They are told to who ordered it, on the page that an action leads to.
type results struct {
	mu   sync.Mutex
	kept []result
}

// keptResults is how many are remembered.
const keptResults = 100

// keep remembers a result in place of an earlier one of the same.
func (k *results) keep(r result) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = slices.DeleteFunc(k.kept, func(o result) bool { return o.by == r.by && o.action == r.action && o.scope == r.scope })
	k.kept = append(k.kept[max(0, len(k.kept)+1-keptResults):], r)
}

// of is what such an order came to; "" if that is not remembered.
func (k *results) of(by string, action operate.Action, scope string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, r := range k.kept {
		if r.by == by && r.action == action && r.scope == scope {
			return r.words
		}
	}
	return ""
}

// did is what has just been done, as it was recorded.
type did struct {
	Verb    string
	Action  *actions.Action
	Words   string           // what it came to; "": see Running
	Running *operate.Running // it goes on
}

// didFor is how long after it an action is told of on the page that it leads to.
const didFor = 15 * time.Minute

// whatDid is the action that the address says has just been done, if the reader has done it: the record is asked, so no
// address can make anybody believe what is not so.
func (p *pages) whatDid(r *http.Request) (*did, error) {
	one, ok := deeds[r.URL.Query().Get("did")]
	if !ok {
		return nil, nil
	}
	kept, err := p.source.Actions(r.Context())
	if err != nil {
		return nil, err
	}
	now := p.site.Desk.Fleet.Now()
	for i := range kept.Value {
		a := &kept.Value[i]
		if a.What == string(one.Action) && a.By == who(r).Name && now.Sub(a.At) < didFor {
			d := &did{Verb: one.Verb, Action: a, Words: p.results.of(a.By, one.Action, a.Scope)}
			for _, running := range p.operator.Running() {
				if running.Action == one.Action && running.Scope == a.Scope {
					d.Running = &running
					break
				}
			}
			return d, nil
		}
	}
	return nil, nil
}
