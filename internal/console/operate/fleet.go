package operate

import (
	"context"
	"fmt"
	"time"

	"vizstop/internal/actions"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/scheduler"
)

// reach checks that an order's project, or everything, is theirs who gave it.
func reach(one *order) error {
	switch id := one.ProjectID; {
	case id == "" && one.Sees != nil:
		return &ForbiddenError{"this concerns all projects, and only some are yours: name one of them"}
	case id == "":
		return nil
	case jobs.ValidateID("project", id) != nil:
		return refused("%v", jobs.ValidateID("project", id))
	case one.Sees != nil && !one.Sees(id):
		return &ForbiddenError{"project " + id + " is none of yours"}
	}
	return nil
}

// waiting counts the stops whose call has not been accepted.
func (o *Operator) waiting(ctx context.Context, one *order) error {
	projects := []string{one.ProjectID}
	if one.ProjectID == "" {
		var err error
		if projects, err = o.desk.Release.Projects(ctx); err != nil {
			return err
		}
	}
	load, err := o.desk.Ledger.Real().Load(ctx, projects)
	one.any, one.plan.Count, one.plan.Scope = true, load.Count[ledger.Pending], actions.Of("project", one.ProjectID)
	return err
}

// pause prepares the brake. However many stops there are when it is pulled, it holds.
func (o *Operator) pause(ctx context.Context, one *order) error {
	if err := reach(one); err != nil {
		return err
	}
	if err := o.waiting(ctx, one); err != nil {
		return err
	}
	one.plan.Effect = "No stop call goes out until somebody resumes. Polls go on. Deadlines run on: a stop whose deadline passes meanwhile expires."
	one.do = func(ctx context.Context, one *order) (*Done, error) {
		b, err := o.desk.Pause(ctx, one.ProjectID, one.By, one.Reason)
		if err != nil {
			return nil, err
		}
		if !b.Changed {
			return one.done(b, "%s was paused already", one.plan.Scope), nil
		}
		return one.done(b, "no stop call of %s goes out any more", one.plan.Scope), nil
	}
	return nil
}

// resume prepares the end of a pause.
func (o *Operator) resume(ctx context.Context, one *order) error {
	if err := reach(one); err != nil {
		return err
	}
	if err := o.waiting(ctx, one); err != nil {
		return err
	}
	one.plan.Effect = "Stop calls go out again."
	one.do = func(ctx context.Context, one *order) (*Done, error) {
		b, err := o.desk.Resume(ctx, one.ProjectID, func() error { return nil }) // the order is recorded
		if err != nil {
			return nil, err
		}
		if !b.Changed {
			return one.done(b, "%s was not paused", one.plan.Scope), nil
		}
		return one.done(b, "stop calls of %s go out again", one.plan.Scope), nil
	}
	return nil
}

// ofSchedule finds the schedule of an order. Schedules concern whatever projects their
// rules name.
func (o *Operator) ofSchedule(ctx context.Context, one *order) (*scheduler.Desk, error) {
	if one.Sees != nil {
		return nil, &ForbiddenError{"schedules concern all projects, and only some are yours"}
	}
	desk := o.desk.Schedules
	if _, err := desk.Find(ctx, one.Schedule); err != nil {
		return nil, refused("%v", err)
	}
	one.plan.Scope, one.plan.Unit = actions.Of("schedule", one.Schedule), "jobs"
	return desk, nil
}

func (o *Operator) runSchedule(ctx context.Context, one *order) error {
	desk, err := o.ofSchedule(ctx, one)
	if err != nil {
		return err
	}
	if err := desk.MayRun(ctx, one.Schedule); err != nil {
		return refused("%v", err)
	}
	if one.Shadow {
		one.plan.Scope += " in the shadow"
	}
	one.plan.Effect = "Workers choose the jobs by the schedule's rule and ask for them now, within the schedule's limits. How many that are is not known before."
	one.do = func(ctx context.Context, one *order) (*Done, error) {
		batch, shadow, err := desk.Run(ctx, one.Schedule, one.By, one.Shadow)
		if err != nil {
			return nil, refused("%v", err)
		}
		done := one.done(scheduler.StartedRun{Kind: "schedules_run", Schedule: one.Schedule, Batch: batch, Shadow: shadow}, "workers carry schedule %s out as batch %s", one.Schedule, batch)
		done.Batch = batch
		return done, nil
	}
	return nil
}

func (o *Operator) suspendSchedule(ctx context.Context, one *order) error {
	desk, err := o.ofSchedule(ctx, one)
	if err != nil {
		return err
	}
	until := one.Until.UTC()
	if err := desk.MaySuspend(until, until.Format(time.RFC3339)); err != nil {
		return refused("%v", err)
	}
	one.plan.Scope += " until " + until.Format(time.RFC3339)
	one.plan.Effect = fmt.Sprintf("No tick of the schedule is carried out until %s; none of them is caught up.", until.Format(time.RFC3339))
	one.do = func(ctx context.Context, one *order) (*Done, error) {
		if err := desk.Suspend(ctx, one.Schedule, until, one.By, one.Reason); err != nil {
			return nil, refused("%v", err)
		}
		return one.done(scheduler.Brake{Kind: "schedules_suspend", Schedule: one.Schedule, Changed: true, Until: &until}, "schedule %s is suspended until %s", one.Schedule, until.Format(time.RFC3339)), nil
	}
	return nil
}

func (o *Operator) resumeSchedule(ctx context.Context, one *order) error {
	desk, err := o.ofSchedule(ctx, one)
	if err != nil {
		return err
	}
	one.plan.Effect = "Ticks of the schedule are carried out again. Those that fell into the suspension are not caught up."
	one.do = func(ctx context.Context, one *order) (*Done, error) {
		changed, err := desk.Resume(ctx, one.Schedule)
		if err != nil {
			return nil, err
		}
		if !changed {
			return one.done(scheduler.Brake{Kind: "schedules_resume", Schedule: one.Schedule, Changed: false, Until: nil}, "schedule %s was not suspended", one.Schedule), nil
		}
		return one.done(scheduler.Brake{Kind: "schedules_resume", Schedule: one.Schedule, Changed: true, Until: nil}, "schedule %s is carried out again", one.Schedule), nil
	}
	return nil
}
