package operate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"vizstop/internal/actions"
	"vizstop/internal/caller"
	"vizstop/internal/control"
	"vizstop/internal/estimate"
	"vizstop/internal/joblist"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/tasks"
	"vizstop/internal/undo"
	"vizstop/internal/when"
)

// cancel prepares the withdrawal of a batch.
func (o *Operator) cancel(ctx context.Context, one *order) error {
	err := o.ofBatch(ctx, one)
	if unknown, ok := errors.AsType[*control.UnknownError](err); ok && unknown.Tick != nil {
		return o.cancelTick(one, unknown)
	}
	if err != nil {
		return err
	}
	if err := one.count(ctx, ledger.InFlight()...); err != nil {
		return err
	}
	if one.plan.Count == 0 {
		if one.Sees == nil { // a tick that goes on to ask, for all projects
			tick, known, err := o.desk.Schedules.Tick(ctx, one.Batch)
			if err != nil {
				return err
			}
			if known && tick.Open && !tick.Canceled {
				return o.cancelTick(one, &control.UnknownError{Batch: one.Batch, Tick: &tick})
			}
		}
		return &NothingError{fmt.Sprintf("every stop of batch %s has an outcome: there is nothing to cancel", one.Batch)}
	}
	one.plan.Effect = "Stops whose call has not gone out are withdrawn. For the others it is too late; no further call goes out for them."
	one.do = func(ctx context.Context, one *order) (*Done, error) {
		r, err := one.batch.Cancel(ctx, "canceled by "+one.By+": "+one.Reason)
		if err != nil {
			return nil, err
		}
		return one.done(r, "%d stops were canceled; for %d it was too late; %d had ended", r.Canceled, r.Sent, r.Ended), nil
	}
	return nil
}

// cancelTick prepares that a schedule's tick which has no stops yet gets none.
func (o *Operator) cancelTick(one *order, unknown *control.UnknownError) error {
	switch {
	case unknown.Tick.Canceled:
		return &NothingError{unknown.Error()}
	case !unknown.Tick.Open:
		return unknown
	}
	one.plan.Scope, one.plan.Target.Schedule = actions.Of("batch", one.Batch), unknown.Tick.Schedule
	one.plan.Effect = "It has no stops in flight: " + unknown.Tick.Words + ". No stop of it is asked for any more."
	one.do = func(ctx context.Context, one *order) (*Done, error) {
		r, err := o.desk.CancelTick(ctx, one.Batch, "canceled by "+one.By+": "+one.Reason)
		if err != nil {
			return nil, err
		}
		done := one.done(r, "the tick of schedule %s is canceled: no stop of it is asked for any more", unknown.Tick.Schedule)
		if done.Schedule = unknown.Tick.Schedule; r.Canceled+r.Sent+r.Ended > 0 {
			done.Words += fmt.Sprintf("; of the stops that it had asked for meanwhile %d were canceled, and for %d it was too late", r.Canceled, r.Sent)
		}
		return done, nil
	}
	return nil
}

// allow prepares that stops pass the limits.
func (o *Operator) allow(ctx context.Context, one *order) error {
	if one.Batch == "" {
		return o.allowProject(one)
	}
	if err := o.ofBatch(ctx, one); err != nil {
		return err
	}
	if one.batch.Shadow() {
		return refused("batch %s is a shadow batch, for which nothing is stopped: no limit holds it", one.Batch)
	}
	if err := one.count(ctx); err != nil {
		return err
	}
	for s, err := range one.batch.Stops(ctx, string(ledger.Pending), string(ledger.Stopping)) {
		if err != nil {
			return err
		}
		if s.Unconfirmed {
			one.plan.Count++
		}
	}
	if n := one.Target.Count; n > 0 { // which of them depends on how many are left
		one.left = one.plan.Count
		one.plan.Count = min(one.plan.Count, n)
	}
	if one.plan.Count == 0 {
		return &NothingError{fmt.Sprintf("no stop of batch %s waits that nobody has confirmed: there is nothing to allow", one.Batch)}
	}
	one.plan.Effect = "No limit holds these stops any more: their stop calls go out as fast as the rate lets them. They are confirmed by whoever allows them."
	one.do = func(ctx context.Context, one *order) (*Done, error) {
		n, err := one.batch.Allow(ctx, one.plan.Count)
		if err != nil {
			return nil, err
		}
		return one.done(control.Allowed{Kind: "allow", Batch: one.Batch, Allowed: n}, "%d stops are confirmed: no limit holds them any more", n), nil
	}
	return nil
}

func (o *Operator) allowProject(one *order) error {
	switch id := one.ProjectID; {
	case jobs.ValidateID("project", id) != nil:
		return refused("allow: name a batch, or a project: %v", jobs.ValidateID("project", id))
	case one.Sees != nil && !one.Sees(id):
		return &ForbiddenError{"project " + id + " is none of yours"}
	case one.Target.Count <= 0:
		return refused("allow: say how many stop calls may go out beyond the window limit")
	}
	one.plan.Count, one.plan.Unit, one.plan.Scope = one.Target.Count, "stop calls", "project "+one.ProjectID
	one.plan.Effect = "So many stop calls that nobody has confirmed may go out beyond the window limit, within the next hour."
	one.do = func(ctx context.Context, one *order) (*Done, error) {
		if err := o.desk.Release.Allow(ctx, one.ProjectID, one.plan.Count); err != nil {
			return nil, err
		}
		return one.done(control.Allowed{Kind: "allow", Project: one.ProjectID, Allowed: one.plan.Count}, "%d more stop calls may go out within the next hour", one.plan.Count), nil
	}
	return nil
}

// Retried is the result of Retry for programs.
type Retried struct {
	Kind  string `json:"kind"`  // "retry"
	Batch string `json:"batch"` // the new one
	*control.Asked
}

// retry prepares a new batch of what failed in another.
func (o *Operator) retry(ctx context.Context, one *order) error {
	if err := o.ofBatch(ctx, one); err != nil {
		return err
	}
	outcomes := slices.Clone(one.Outcomes)
	if len(outcomes) == 0 {
		outcomes = one.batch.Failed()
	}
	states := make([]ledger.State, len(outcomes))
	for i, word := range outcomes {
		if states[i] = ledger.State(word); control.CheckState(word) != nil || !states[i].Ended() {
			return refused("retry: %.40q is no outcome", word)
		}
	}
	slices.Sort(outcomes)
	one.plan.Target.Outcomes = outcomes
	if err := one.count(ctx, states...); err != nil {
		return err
	}
	if one.plan.Count == 0 {
		return &NothingError{fmt.Sprintf("no stop of batch %s is %s: there is nothing to ask for again", one.Batch, strings.Join(outcomes, " or "))}
	}
	one.plan.Effect = "Their jobs are asked for again, in a new batch: those that are " + strings.Join(outcomes, " or ") + "."
	one.do = o.askAgain
	return nil
}

func (o *Operator) askAgain(ctx context.Context, one *order) (*Done, error) {
	now := o.desk.Ledger.Now()
	plan, err := when.Parse(when.Spec{}, now)
	if err != nil {
		return nil, err
	}
	jobs, err := control.NewSurvey(func() iter.Seq2[joblist.Item, error] {
		return one.batch.Jobs(ctx, one.plan.Count, one.plan.Target.Outcomes...)
	})
	if err != nil {
		return nil, err
	}
	if _, err := jobs.LookAhead(now, &plan, o.desk.Rate(), func(string) estimate.Rate { return o.desk.Rate() }, control.Deadline{}); err != nil {
		return nil, refused("%v", err)
	}
	batch := ledger.NewBatchID(now)
	asked, err := o.desk.Ask(ctx, tasks.NewProducer(one.batch.Ledger, o.desk.Redis), control.Ask{
		Batch: batch, Projects: jobs.Projects, Total: jobs.Count, Plan: plan, Confirmed: true,
		Meta: ledger.Meta{Requester: one.By, Reason: one.Reason, Labels: map[string]string{"retry_of": one.Batch}, Shadow: one.batch.Shadow()},
		Jobs: jobs.Items(),
	})
	if err != nil {
		return nil, fmt.Errorf("batch %s: %w", batch, err)
	}
	done := one.done(Retried{"retry", batch, asked}, "%d jobs were asked for again in batch %s", asked.Accepted+asked.Joined, batch)
	done.Batch = batch
	return done, nil
}

// MostUndone is how many stops an undo through the console looks at, stopped or in flight; more are for the command
// line.
const MostUndone = 10_000

// undo prepares the restart of what a batch has stopped.
func (o *Operator) undo(ctx context.Context, one *order) error {
	if err := o.ofBatch(ctx, one); err != nil {
		return err
	}
	switch {
	case one.batch.Shadow():
		return refused("batch %s is a shadow batch, for which nothing was stopped: there is nothing to undo", one.Batch)
	case o.api == nil:
		return refused("this console has no credentials of ModelArts: undo it where there are some: enqueue undo %s", one.Batch)
	}
	if err := one.count(ctx, ledger.Stopped, ledger.Pending, ledger.Stopping); err != nil {
		return err
	}
	if one.plan.Count > MostUndone {
		return refused("batch %s has stopped, or may yet stop, %d jobs, more than the %d that the console restarts: use enqueue undo %s", one.Batch, one.plan.Count, MostUndone, one.Batch)
	}
	var stops []*ledger.Stop
	for s, err := range one.batch.Stops(ctx, undo.States()...) {
		if err != nil {
			return err
		}
		stops = append(stops, s)
	}
	if len(stops) == 0 {
		counts, err := one.batch.Counts(ctx)
		if err != nil {
			return err
		}
		return &NothingError{undo.Nothing(one.Batch, counts)}
	}
	calls := &caller.Caller{API: o.api, Rate: o.desk.CallRate()}
	if err := undo.Possible(calls, stops); err != nil {
		return refused("%v", err)
	}
	u := undo.New(one.batch.Ledger, calls, one.batch.ID)
	if err := u.Pretend(ctx, stops); err != nil {
		return err
	}
	if u.Left == len(stops) {
		return &NothingError{fmt.Sprintf("none of the %d jobs that batch %s has stopped is to be restarted: %s", len(stops), one.Batch, u.Jobs[0].Reason)}
	}
	one.plan.Count, one.plan.Unit = u.Restarted, "jobs"
	effects := []string{"No job is restarted now."}
	if u.Restarted > 0 {
		effects[0] = "These jobs are restarted, and billed again. A job that somebody wants stopped since, or that does not stand as its stop left it, is left as it is."
	}
	for _, line := range u.Unfinished() {
		effects = append(effects, line+".")
	}
	one.plan.Effect = strings.Join(effects, " ")
	one.do = func(ctx context.Context, one *order) (*Done, error) {
		if err := u.RestartAll(ctx, stops, 0); err != nil {
			return nil, fmt.Errorf("the restart of %d of %d jobs was accepted, then: %w", u.Restarted, one.plan.Count, err)
		}
		words := fmt.Sprintf("the restart of %d jobs was accepted; %d ran already, %d are not stopped yet, %d are wanted stopped by others, %d were left as they are, %d failed",
			u.Restarted, u.Running, u.InFlight, u.Wanted, u.Left, u.Failed)
		return one.done(&u.Report, "%s", strings.Join(append([]string{words}, u.Unfinished()...), ". ")), nil
	}
	return nil
}

// done is the end of an order.
func (o *order) done(result any, format string, args ...any) *Done {
	return &Done{Action: o.Action, Scope: o.plan.Scope, Finished: true, Words: fmt.Sprintf(format, args...), Result: result}
}
