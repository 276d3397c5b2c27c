package control

import (
	"context"
	"time"

	"vizstop/internal/accounts"
	"vizstop/internal/estimate"
	"vizstop/internal/release"
	"vizstop/internal/when"
)

// Outlook is what is expected of a batch before it is recorded.
type Outlook struct {
	Deadline         float64    `json:"deadline_seconds"`           // of each stop, from when it is due
	LastCall         *time.Time `json:"expected_last_call"`         // nil: no rate is known
	LastConfirmation *time.Time `json:"expected_last_confirmation"` // nil: no rate is known

	OverWindow int `json:"over_window"` // stops that would wait for the window limit if all were due now

	Sentence string `json:"-"` // for people; "": there is nothing to say
	Tight    string `json:"-"` // a warning that the deadline is hardly long enough; "": it is
}

// Deadline is what somebody has said of a deadline.
type Deadline struct {
	Given bool   // the plan has it; else the batch gets one that fits it
	Words string // how it was said, such as "--deadline 1h"
}

// LookAhead compares batch, rate and deadline. It gives plan a deadline that fits the
// batch if nobody has named one, and refuses one that can't hold with an
// *estimate.Refusal. rate is how many calls a second a project gets.
func (s *Survey) LookAhead(now time.Time, plan *when.Plan, announced estimate.Rate, rate func(projectID string) estimate.Rate, deadline Deadline) (Outlook, error) {
	shares := s.shares(*plan)
	for i := range shares {
		shares[i].Rate = rate(shares[i].ProjectID)
	}
	batch := estimate.Of(now, announced, shares)
	if !deadline.Given {
		plan.Deadline = batch.Deadline()
	}
	o := Outlook{Deadline: plan.Deadline.Seconds(), Sentence: batch.Sentence(plan.Deadline)}
	if batch.Known {
		call, confirmation := batch.LastCall.UTC().Round(time.Millisecond), batch.LastConfirmation.UTC().Round(time.Millisecond)
		o.LastCall, o.LastConfirmation = &call, &confirmation
	}
	if err := batch.Refuse(plan.Deadline, deadline.Words); err != nil {
		return o, err
	}
	o.Tight = batch.Tight(plan.Deadline)
	return o, nil
}

// Waiting is how many stops of an ask would wait for the window limit of their project.
type Waiting struct {
	ProjectID string
	Over      int // so many of the ask's Stops would wait
	Stops     int
	Window    release.Window
}

// LookAtWindows compares what nobody confirms of an ask with what the window limits
// leave. Nothing of them is used up. Projects in which no stop would wait are left out.
func (d *Desk) LookAtWindows(ctx context.Context, s *Survey) ([]Waiting, error) {
	windows, err := d.Release.Windows(ctx, s.Projects...)
	if err != nil {
		return nil, err
	}
	var all []Waiting
	for i, project := range s.Projects {
		w, n := windows[i], s.Each[project]
		if w.Limit > 0 && n+w.Waiting > w.Left() {
			all = append(all, Waiting{project, min(n, n+w.Waiting-w.Left()), n, w})
		}
	}
	return all, nil
}

// RateOf is how many calls a second a project of an accounts file gets, and how many a
// stop takes there; announced is what the workers give those that have no rate of their
// own.
func RateOf(f *accounts.File, projectID string, announced estimate.Rate) estimate.Rate {
	p, ok := f.Project(projectID)
	if !ok {
		return announced
	}
	rate := announced
	if p.Rate > 0 {
		rate = estimate.Rate{Calls: p.Rate, Stops: release.StopShare * p.Rate}
	}
	if p.API != accounts.V1 { // a look comes before; with probe it may
		rate.Stops, rate.PerStop = rate.Stops/2, 3
	}
	return rate
}
