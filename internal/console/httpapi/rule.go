package httpapi

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"vizstop/internal/caller"
	"vizstop/internal/console/problem"
	"vizstop/internal/control"
	"vizstop/internal/joblist"
	"vizstop/internal/jobs"
	"vizstop/internal/limits"
	"vizstop/internal/release"
	"vizstop/internal/selection"
)

// listing lets one project of an account be listed at a time: an access key locks after five refusals, for the workers,
// too. It remembers how many jobs run. It is safe for concurrent use.
type listing struct {
	mu      sync.Mutex
	turns   map[string]chan struct{} // by account; whoever lists has a place in it
	running map[string]counted       // by project
}

// counted is how many jobs of a project ran.
type counted struct {
	jobs int
	at   time.Time
}

const (
	// countGood is how long it is good enough how many jobs ran.
	countGood = 15 * time.Second
	// mostCounted bounds for how many projects that is remembered.
	mostCounted = 1000
)

// turn waits for the turn of an account. The error is ctx's.
func (l *listing) turn(ctx context.Context, account string) (over func(), err error) {
	l.mu.Lock()
	turns := l.turns[account]
	if turns == nil {
		if l.turns == nil {
			l.turns = map[string]chan struct{}{}
		}
		turns = make(chan struct{}, 1)
		l.turns[account] = turns
	}
	l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// count is how many jobs of a project ran a moment ago.
func (l *listing) count(project string) (jobs int, known bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, known := l.running[project]
	return c.jobs, known && time.Since(c.at) < countGood
}

func (l *listing) remember(project string, jobs int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running == nil || len(l.running) >= mostCounted {
		l.running = map[string]counted{}
	}
	l.running[project] = counted{jobs, time.Now()}
}

// list applies a rule to the jobs of a project, when it is its account's turn.
func (a *ask) list(ctx context.Context, project string, rule selection.Rule) (*selection.Selection, error) {
	account, _, _, _ := a.API.Serving(project)
	over, err := a.listing.turn(ctx, account)
	if err != nil {
		return nil, err
	}
	defer over()
	return a.listNow(ctx, project, account, rule)
}

// listNow lists a project, unless its credential is known to be refused.
func (a *ask) listNow(ctx context.Context, project, account string, rule selection.Rule) (*selection.Selection, error) {
	holds, err := a.Desk.Release.Holds(ctx)
	if err != nil {
		return nil, err
	}
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
	a.listing.remember(project, found.Running)
	return found, nil
}

// countRunning lists a project, unless somebody else has done so a moment ago, or while it was waited for the turn.
func (a *ask) countRunning(ctx context.Context, project string) (int, error) {
	if n, known := a.listing.count(project); known {
		return n, nil
	}
	account, _, _, _ := a.API.Serving(project)
	over, err := a.listing.turn(ctx, account)
	if err != nil {
		return 0, err
	}
	defer over()
	if n, known := a.listing.count(project); known {
		return n, nil
	}
	found, err := a.listNow(ctx, project, account, selection.Rule{All: true})
	if err != nil {
		return 0, err
	}
	return found.Running, nil
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
	running, err := a.countRunning(ctx, project)
	if err != nil {
		a.Log.WarnContext(ctx, "how many jobs run is not known, so a batch is held", "project", project, "batch", a.batch, "error", err)
		return unknown
	}
	return running
}
