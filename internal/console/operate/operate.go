// Package operate does what a person or program orders through the console: it says
// beforehand what would be done to how much, does that and nothing else, and records who
// ordered it.
package operate

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"vizstop/internal/actions"
	"vizstop/internal/caller"
	"vizstop/internal/control"
	"vizstop/internal/ledger"
)

// Action is what is ordered. Its text is the name of the command line's command.
type Action string

// The actions.
const (
	Pause           Action = "pause"
	Resume          Action = "resume"
	Cancel          Action = "cancel"
	Retry           Action = "retry"
	Undo            Action = "undo"
	Allow           Action = "allow"
	RunSchedule     Action = "schedules run"
	SuspendSchedule Action = "schedules suspend"
	ResumeSchedule  Action = "schedules resume"
)

// Target is what an action is done to.
type Target struct {
	Batch     string    // of cancel, retry, undo and allow
	ProjectID string    // of pause and resume ("": everything), and of allow without a batch
	Schedule  string    // of the actions on schedules; in the plan of a cancel: its tick is canceled, as the batch has no stops yet
	Outcomes  []string  // of retry: which stops; none: those that failed
	Count     int       // of allow: so many; of a batch 0 means all that wait
	Until     time.Time // of schedules suspend
	Shadow    bool      // of schedules run
}

// Order is an action that somebody wants, or has confirmed.
type Order struct {
	Action Action
	Target
	By     string                      // who
	From   string                      // from where; "": this machine
	Reason string                      // why; needed by Do
	Sees   func(projectID string) bool // which projects are theirs; nil: all

	// Expect is that of the plan that was confirmed; "": whatever it comes to now. What it confirms is done once.
	Expect string
	// Key makes an order without Expect one that is carried out once: another one of the same By with it gets the first
	// one's answer. "": none.
	Key string
}

// Plan is what an order comes to at this moment. Nothing has been done.
type Plan struct {
	Action Action
	Target Target
	Scope  string // what it is done to, such as "batch 20261126-…"
	Count  int    // how many stops, jobs or calls it concerns
	Unit   string // what Count counts: "stops", "jobs" or "stop calls"
	Effect string // what happens, in a sentence
	Expect string // for the order that confirms it; each plan has another one
}

// typedAbove is up to how many need no number typed, as on the command line.
const typedAbove = 20

// Typed reports whether whoever confirms it types the number.
func (p *Plan) Typed() bool { return p.Count > typedAbove }

// Done is what an order has come to.
type Done struct {
	Action   Action
	Scope    string
	Finished bool   // false: it goes on in the background (see Operator.Running)
	Repeated bool   // the same was ordered before: this is what became of it, and nothing was done now
	Batch    string // the new batch of a retry or a schedule's run; "": there is none
	Schedule string // whose tick was canceled; "": none
	Words    string // what was done, in a sentence
	Result   any    // the same for programs, as the command line's --json: nil until it is finished; a json.RawMessage, or nil if it was long, when repeated
}

// ChangedError says that an order would do more, or something else, than what was
// confirmed. Nothing was done.
type ChangedError struct{ Plan *Plan } // as it is now

// Error says what to do.
func (e *ChangedError) Error() string {
	return fmt.Sprintf("it has changed since it was confirmed: it would now concern %d %s of %s; look again", e.Plan.Count, e.Plan.Unit, e.Plan.Scope)
}

// NothingError says that there is nothing to be done. Nothing was done.
type NothingError struct{ words string }

// Error says why.
func (e *NothingError) Error() string { return e.words }

// RefusedError says why an order can't be carried out as it is. Nothing was done.
type RefusedError struct{ words string }

// Error says why, and what to do.
func (e *RefusedError) Error() string { return e.words }

// ForbiddenError says that an order reaches beyond the projects of who gave it. Nothing
// was done.
type ForbiddenError struct{ words string }

// Error says what is out of reach.
func (e *ForbiddenError) Error() string { return e.words }

func refused(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// Operator carries orders out. It is safe for concurrent use.
type Operator struct {
	desk *control.Desk
	api  caller.API
	work
}

// New returns an operator at a desk. Without an API, which undo needs, api is nil.
func New(desk *control.Desk, api caller.API) *Operator {
	o := &Operator{desk: desk, api: api}
	o.work.begin()
	return o
}

// order is an order with all that is known of it now.
type order struct {
	Order
	plan *Plan
	of   int  // what Count is a part of, such as all stops of the batch: it never shrinks
	left int  // what Count is chosen from: it must be what it was
	any  bool // it is confirmed for however many there are

	batch *control.Batch
	do    func(ctx context.Context, o *order) (*Done, error)
}

// Plan says what an order would do. The errors are a *RefusedError, *NothingError,
// *ForbiddenError or *control.UnknownError, or that of Redis.
func (o *Operator) Plan(ctx context.Context, ord Order) (*Plan, error) {
	prepared, err := o.prepare(ctx, ord)
	if err != nil {
		return nil, err
	}
	return prepared.plan, nil
}

// Do carries an order out, that of one plan or key once. Besides those of Plan the error may be a *ChangedError, *BusyError,
// *SpentError or *ReusedError. What takes longer than ctx or a few seconds goes on in the background.
func (o *Operator) Do(ctx context.Context, ord Order) (*Done, error) {
	if strings.TrimSpace(ord.Reason) == "" {
		return nil, refused("say why: the reason is recorded, and whoever finds it done wants to know")
	}
	once := o.ticketOf(ord)
	if done, err := once.look(ctx, ord); done != nil || err != nil {
		return done, err
	}
	prepared, err := o.prepare(ctx, ord)
	if err == nil && ord.Expect != "" && !prepared.covered(ord.Expect, o.desk.Fleet.Now()) {
		err = &ChangedError{prepared.plan}
	}
	if err != nil { // the same order, given twice at once, may be why
		if done, _ := once.look(ctx, ord); done != nil {
			return done, nil
		}
		return nil, err
	}
	if done, err := once.take(ctx, ord); done != nil || err != nil {
		return done, err
	}
	return o.work.run(ctx, prepared, once, func() error {
		return o.desk.Actions.Record(ctx, actions.Action{What: string(ord.Action), Scope: prepared.plan.Scope, Jobs: prepared.plan.Count,
			By: ord.By, From: ord.From, Reason: ord.Reason})
	})
}

func (o *Operator) prepare(ctx context.Context, ord Order) (*order, error) {
	if err := o.desk.Fresh(ctx); err != nil {
		return nil, err
	}
	one := &order{Order: ord, plan: &Plan{Action: ord.Action, Target: ord.Target, Unit: "stops"}}
	steps := map[Action]func(context.Context, *order) error{
		Pause: o.pause, Resume: o.resume, Cancel: o.cancel, Retry: o.retry, Undo: o.undo, Allow: o.allow,
		RunSchedule: o.runSchedule, SuspendSchedule: o.suspendSchedule, ResumeSchedule: o.resumeSchedule,
	}
	step, ok := steps[ord.Action]
	if !ok {
		return nil, refused("%.40q is no action", ord.Action)
	}
	if err := step(ctx, one); err != nil {
		return nil, err
	}
	one.plan.Expect = one.expectation(o.desk.Fleet.Now())
	return one, nil
}

// expectation names what is to be done, and to how much. No two are the same, so that two wishes are two.
func (o *order) expectation(now time.Time) string {
	t := o.plan.Target
	projects := ""
	if o.batch != nil {
		projects = strings.Join(o.batch.Projects, " ")
	}
	what := sha256.Sum256(fmt.Appendf(nil, "%q", []any{o.Action, t.Batch, t.ProjectID, t.Schedule, t.Outcomes, t.Count, t.Until.Unix(), t.Shadow, projects, o.left}))
	return strings.Join([]string{hex.EncodeToString(what[:12]), strconv.FormatInt(now.Unix(), 36) + "-" + rand.Text()[:10], strconv.Itoa(o.of), strconv.Itoa(o.plan.Count)}, ".")
}

// covered reports whether what is to be done now is all of what was confirmed, or a part
// of that: stops end by themselves meanwhile. A plan of long ago has to be looked at again.
func (o *order) covered(expect string, now time.Time) bool {
	then, is := strings.Split(expect, "."), strings.Split(o.plan.Expect, ".")
	if len(then) != 4 || then[0] != is[0] || then[2] != is[2] {
		return false
	}
	text, _, _ := strings.Cut(then[1], "-")
	made, err := strconv.ParseInt(text, 36, 64)
	if err != nil || now.Sub(time.Unix(made, 0)).Abs() > planLife {
		return false
	}
	count, err := strconv.Atoi(then[3])
	return err == nil && (o.any || o.plan.Count <= count)
}

// CountOf is the count of the plan that an expectation is of: what whoever confirmed it
// has seen; -1 if it is none.
func CountOf(expect string) int {
	parts := strings.Split(expect, ".")
	n, err := strconv.Atoi(parts[len(parts)-1])
	if len(parts) != 4 || err != nil {
		return -1
	}
	return n
}

// ofBatch finds the batch of an order, as far as it lies in the projects of who gave it. What schedules know of one
// without stops is for those only who see all projects.
func (o *Operator) ofBatch(ctx context.Context, one *order) error {
	batch, err := o.desk.Batch(ctx, one.Batch)
	if _, unknown := errors.AsType[*control.UnknownError](err); unknown && one.Sees != nil {
		return &control.UnknownError{Batch: one.Batch}
	}
	if err != nil {
		return err
	}
	if one.Sees != nil {
		batch = batch.In(slices.DeleteFunc(slices.Clone(batch.Projects), func(id string) bool { return !one.Sees(id) }))
	}
	if len(batch.Projects) == 0 {
		return &control.UnknownError{Batch: one.Batch}
	}
	one.batch, one.plan.Scope = batch, actions.Of("batch", batch.ID)
	return nil
}

// count counts the stops of the batch in some states.
func (o *order) count(ctx context.Context, states ...ledger.State) error {
	for _, project := range o.batch.Projects {
		b, err := o.batch.Ledger.Batch(ctx, project, o.batch.ID)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		o.of += b.Total
		for _, s := range states {
			o.plan.Count += b.Counts[s]
		}
	}
	return nil
}
