package httpapi

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"vizstop/internal/caller"
	"vizstop/internal/console/problem"
	"vizstop/internal/control"
	"vizstop/internal/joblist"
	"vizstop/internal/jobs"
	"vizstop/internal/limits"
	"vizstop/internal/release"
	"vizstop/internal/selection"
)

// listing lets one project be listed at a time: an access key locks after five refusals, for the workers, too.
type listing struct{ mu sync.Mutex }

// list applies a rule to the jobs of a project, unless its credential is known to be refused.
func (a *ask) list(ctx context.Context, project string, rule selection.Rule) (*selection.Selection, error) {
	a.listing.mu.Lock()
	defer a.listing.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	holds, err := a.Desk.Release.Holds(ctx)
	if err != nil {
		return nil, err
	}
	account, _, _, _ := a.API.Serving(project)
	for _, h := range holds {
		if h.Reason == release.Credentials && (h.ProjectID == project || h.Account == account) {
			return nil, problem.New(problem.APIFailed, "Nothing was recorded: "+h.String())
		}
	}
	calls := &caller.Caller{API: a.API, Rate: a.Desk.CallRate()}
	found, err := selection.Select(jobs.All(ctx, calls, project), rule, a.Desk.Ledger.Now())
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, problem.New(problem.APIFailed, fmt.Sprintf("Nothing was recorded: the jobs of project %s can't be listed: %.500s", project, err))
	}
	return found, nil
}

// chooseByRule lists the jobs of the project and takes those that the rule chooses.
func (a *ask) chooseByRule(ctx context.Context) (*selected, error) {
	rule, err := a.rule.selection()
	switch {
	case err != nil:
		return nil, err
	case a.ProjectID == "":
		return nil, invalid("A rule chooses jobs of a project.", problem.Fault{Pointer: "/project_id", Detail: "is missing"})
	case !a.by.Sees(a.ProjectID):
		return nil, denied(a.ProjectID)
	case a.API == nil:
		return nil, problem.New(problem.NoCredentials, "To choose jobs by rule the console has to list them. Name the jobs, give the console credentials, or use enqueue where there are some.")
	}
	found, err := a.list(ctx, a.ProjectID, rule)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, job := range found.Jobs {
		seen[a.ProjectID+"/"+job.ID] = true
	}
	survey, err := control.NewSurvey(func() iter.Seq2[joblist.Item, error] {
		return func(yield func(joblist.Item, error) bool) {
			for _, job := range found.Jobs { // with an id that a call can be made with
				if !yield(joblist.Item{ProjectID: a.ProjectID, JobID: job.ID}, nil) {
					return
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	left := []leftOut{{ProjectID: a.ProjectID, Unstoppable: found.Unstoppable, Excluded: found.Excluded, OverLimit: found.OverLimit, Ageless: found.Ageless}}
	return &selected{Survey: survey, left: left, running: map[string]int{a.ProjectID: found.Running}, found: seen}, nil
}

// running is how many jobs of a project run; less than 0: that is not known, or no limit depends on it.
func (a *ask) running(ctx context.Context, project string, own limits.Limits) int {
	const unknown = -1
	if n, ok := a.jobs.running[project]; ok {
		return n
	}
	n := a.jobs.Each[project]
	if a.API == nil || own.Over(limits.Size{Stops: n, All: a.jobs.Count, Running: unknown}) == "" ||
		own.Over(limits.Size{Stops: n, All: a.jobs.Count}) != "" { // it is over a limit, or within all, whatever runs
		return unknown
	}
	found, err := a.list(ctx, project, selection.Rule{All: true})
	if err != nil {
		a.Log.WarnContext(ctx, "how many jobs run is not known, so a batch is held", "project", project, "batch", a.batch, "error", err)
		return unknown
	}
	return found.Running
}
