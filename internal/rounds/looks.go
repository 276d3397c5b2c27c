package rounds

import (
	"context"

	"golang.org/x/sync/errgroup"

	"vizstop/internal/ledger"
	"vizstop/internal/release"
)

// take takes stops without a task. Each that it returns, also with an error, is at
// work until the caller ends that.
func (l *Loop) take(ctx context.Context, projectID string, stops []ledger.Member) ([]release.Claimed, error) {
	for _, s := range stops {
		l.Handlers.AtWork.Begin(s.StopID)
	}
	claimed, err := l.Release.Take(ctx, projectID, stops)
	for _, c := range claimed {
		l.Handlers.AtWork.Begin(c.Stop.ID)
	}
	for _, s := range stops {
		l.Handlers.AtWork.End(s.StopID)
	}
	return claimed, err
}

// takeJobs takes the stops of watched jobs.
func (l *Loop) takeJobs(ctx context.Context, projectID string, jobs []string) ([]release.Claimed, error) {
	ids, err := l.Ledger.Active(ctx, projectID, jobs)
	if err != nil {
		return nil, err
	}
	watched := make([]ledger.Member, len(jobs))
	for i, job := range jobs {
		watched[i] = ledger.Member{StopID: ids[i], JobID: job}
	}
	return l.take(ctx, projectID, watched)
}

// lookAt looks at jobs that the list has not shown, which count as inline until then.
func (l *Loop) lookAt(ctx context.Context, projectID string, left []release.Sighting) {
	outside := l.outsideSeams(projectID, left)
	jobs, seen := make([]string, len(outside)), make(map[string]release.Sighting, len(outside))
	for i, s := range outside {
		jobs[i], seen[s.JobID] = s.JobID, s
	}
	claimed, err := l.takeJobs(ctx, projectID, jobs)
	if err != nil {
		l.Logger.WarnContext(ctx, "jobs that have left the list are looked at later", "project", projectID, "error", err)
	}
	l.inline.end(projectID, len(left)-len(claimed))
	var group errgroup.Group
	for _, c := range claimed {
		group.Go(func() error {
			defer l.inline.end(projectID, 1)
			defer l.Handlers.AtWork.End(c.Stop.ID)
			return l.Handlers.Looker.Left(ctx, c, seen[c.Stop.JobID])
		})
	}
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		l.Logger.WarnContext(ctx, "a job that has left the list was not looked at", "project", projectID, "error", err)
	}
}
