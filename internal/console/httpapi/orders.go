package httpapi

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"vizstop/internal/console/operate"
	"vizstop/internal/console/problem"
	"vizstop/internal/ledger"
	"vizstop/internal/principals"
)

// orderBody is what an action is ordered with.
type orderBody struct {
	Reason       string     `json:"reason"`
	Expect       string     `json:"expect"`
	ValidateOnly bool       `json:"validate_only"`
	Outcomes     []string   `json:"outcomes"` // of retry
	Count        int        `json:"count"`    // of allow
	Until        *time.Time `json:"until"`    // of suspend
	Shadow       bool       `json:"shadow"`   // of run
}

// shapeOf is what the body of an action may have.
func shapeOf(action operate.Action) shape {
	s := shape{"reason": nil, "expect": nil, "validate_only": nil}
	switch action {
	case operate.Retry:
		s["outcomes"] = nil
	case operate.Allow:
		s["count"] = nil
	case operate.SuspendSchedule:
		s["until"] = nil
	case operate.RunSchedule:
		s["shadow"] = nil
	}
	return s
}

// plan is what an action comes to, before it is carried out.
type plan struct {
	Kind   string `json:"kind"` // "plan"
	Action string `json:"action"`
	Scope  string `json:"scope"`
	Count  int    `json:"count"`
	Unit   string `json:"unit"`
	Effect string `json:"effect"`
	Expect string `json:"expect"`
}

func newPlan(p *operate.Plan) plan {
	return plan{"plan", string(p.Action), p.Scope, p.Count, p.Unit, p.Effect, p.Expect}
}

// done is what an action has come to.
type done struct {
	Kind     string `json:"kind"` // "done"
	Action   string `json:"action"`
	Scope    string `json:"scope"`
	Finished bool   `json:"finished"` // false: it goes on
	Nothing  bool   `json:"nothing"`  // there was nothing to do
	Repeated bool   `json:"repeated"` // it was ordered before: this is what became of it, and nothing was done now
	Batch    string `json:"batch"`    // the new batch; "": there is none
	Words    string `json:"words"`
	Result   any    `json:"result"` // null until it is finished
}

// order is the route of an action.
func (a *api) order(pattern string, action operate.Action) route {
	r := a.route(pattern, principals.Operate, func(w http.ResponseWriter, r *http.Request) error { return a.carryOut(w, r, action) }).lasting(orderTime)
	r.Action = true
	return r
}

func (a *api) carryOut(w http.ResponseWriter, r *http.Request, action operate.Action) error {
	if _, err := accepted(r, typeJSON); err != nil {
		return err
	}
	body, err := readOrder(r, action)
	if err != nil {
		return err
	}
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	p := principals.FromContext(r.Context())
	ord := operate.Order{Action: action, By: p.Name, From: host(r), Reason: body.Reason, Expect: body.Expect, Key: key}
	if !p.All() {
		ord.Sees = p.Sees
	}
	ord.Target = operate.Target{Batch: r.PathValue("batch"), ProjectID: r.PathValue("project_id"), Schedule: r.PathValue("schedule"), Outcomes: body.Outcomes,
		Count: body.Count, Shadow: body.Shadow}
	if body.Until != nil {
		ord.Until = *body.Until
	}
	if strings.HasPrefix(r.Pattern, "PUT ") || strings.HasPrefix(r.Pattern, "DELETE ") { // of pauses: "-" is everything
		if ord.ProjectID == "-" {
			ord.ProjectID = ""
		}
	}
	if ord.Batch != "" && ledger.ValidateBatch(ord.Batch) != nil {
		return problem.New(problem.NotFound, "No batch has such an id.")
	}
	if body.ValidateOnly {
		found, err := a.Operator.Plan(r.Context(), ord)
		if err != nil {
			return a.orderFailed(w, action, err)
		}
		return write(w, http.StatusOK, newPlan(found))
	}
	d, err := a.Operator.Do(r.Context(), ord)
	a.Snapshot.Forget()
	if err != nil {
		return a.orderFailed(w, action, err)
	}
	status := http.StatusOK
	if !d.Finished {
		status = http.StatusAccepted
	}
	if d.Repeated {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	return write(w, status, done{"done", string(d.Action), d.Scope, d.Finished, false, d.Repeated, d.Batch, d.Words, d.Result})
}

// readOrder reads the body of an action. That of a DELETE may stand in the query instead: many clients send none.
func readOrder(r *http.Request, action operate.Action) (*orderBody, error) {
	q := newQuery(r)
	if r.Method == http.MethodDelete && r.ContentLength == 0 {
		b := &orderBody{Reason: q.text("reason"), Expect: q.text("expect"), ValidateOnly: q.truth("validate_only")}
		if err := q.done(); err != nil {
			return nil, err
		}
		return b, b.check()
	}
	if err := q.done(); err != nil {
		return nil, err
	}
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); !strings.EqualFold(strings.TrimSpace(media), typeJSON) {
		return nil, problem.New(problem.UnsupportedType, "The body of an action is JSON: say "+typeJSON+" in Content-Type.")
	}
	text, err := readBody(r.Body, maxJSON)
	if err != nil {
		return nil, err
	}
	b := &orderBody{}
	if err := strict(r.Context(), text, shapeOf(action), b); err != nil {
		return nil, err
	}
	return b, b.check()
}

func (b *orderBody) check() error {
	switch {
	case unfit(b.Reason):
		return invalid("The reason can't be recorded.", problem.Fault{Pointer: "/reason", Detail: fmt.Sprintf("is longer than %d bytes, or has characters that can't be shown", maxText)})
	case b.Count < 0 || b.Count > 10*mostMax:
		return invalid("The count makes no sense.", problem.Fault{Pointer: "/count", Detail: fmt.Sprintf("is no number from 0 to %d", 10*mostMax)})
	case !b.ValidateOnly && strings.TrimSpace(b.Reason) == "":
		return invalid("Say why: the reason is recorded.", problem.Fault{Pointer: "/reason", Detail: "is missing"})
	}
	return nil
}

// host is where a request comes from.
func host(r *http.Request) string {
	name, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return name
}

// orderFailed answers with why an action was not carried out. That there is nothing to do is no failure: whoever
// repeats an action whose answer was lost finds it done.
func (a *api) orderFailed(w http.ResponseWriter, action operate.Action, err error) error {
	if nothing, ok := errors.AsType[*operate.NothingError](err); ok {
		return write(w, http.StatusOK, done{Kind: "done", Action: string(action), Finished: true, Nothing: true, Words: nothing.Error()})
	}
	if changed, ok := errors.AsType[*operate.ChangedError](err); ok {
		return &problem.Problem{Type: problem.Changed, Detail: changed.Error(), Now: newPlan(changed.Plan)}
	}
	if no, ok := errors.AsType[*operate.RefusedError](err); ok && action == operate.Undo && a.API == nil {
		return problem.New(problem.NoCredentials, no.Error())
	}
	return err
}
