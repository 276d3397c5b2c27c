package worker

import (
	"context"
	"iter"

	"vizstop/internal/caller"
	"vizstop/internal/estimate"
	"vizstop/internal/jobs"
	"vizstop/internal/metrics"
	"vizstop/internal/release"
	"vizstop/internal/scheduler"
	"vizstop/internal/schedules"
	"vizstop/internal/tasks"
)

// newScheduler returns what carries out the schedules of the configuration, by the
// worker's own clock, ledger and rate.
func (w *Worker) newScheduler() *scheduler.Scheduler {
	calls := &caller.Caller{API: w.cfg.API, Rate: caller.FleetRate{Rate: w.release, Ledger: w.ledger}}
	return scheduler.New(scheduler.Config{
		Redis: w.cfg.Redis, Fleet: w.member, Ledger: w.ledger, File: w.cfg.Schedules, Recorder: w.cfg.Metrics, Logger: w.cfg.Logger,
		Producer: tasks.NewProducer(w.ledger, w.cfg.Redis).Traced(w.cfg.Tracer).At(w.release.Endpoint),
		Projects: w.cfg.Projects,
		Jobs: func(ctx context.Context, projectID string) iter.Seq2[jobs.Job, error] {
			return jobs.All(ctx, calls, projectID)
		},
		Account:  w.release.Account,
		InShadow: w.release.InShadow,
		Refused:  w.refusedAccounts,
		Rate: func(ctx context.Context) (estimate.Rate, error) {
			rate, _, err := release.AnnouncedRate(ctx, w.cfg.Redis)
			return estimate.Rate{Calls: rate, Stops: release.StopShare * rate}, err
		},
	})
}

// refusedAccounts says of each account whose credential is held back why.
func (w *Worker) refusedAccounts(ctx context.Context) (map[string]string, error) {
	holds, err := w.release.Holds(ctx)
	refused := map[string]string{}
	for _, h := range holds {
		if h.Scope == release.ScopeCredential {
			refused[h.Account] = h.String()
		}
	}
	return refused, err
}

// SetSchedules takes up another schedules file. The worker must have had one from the
// start.
func (w *Worker) SetSchedules(f *schedules.File) { w.scheduler.Set(f) }

// schedules is how the schedules stand, for a scrape; nil without any.
func (w *Worker) schedules(ctx context.Context) (*metrics.Schedules, error) {
	if w.scheduler == nil {
		return nil, nil
	}
	next, done, err := w.scheduler.Times(ctx)
	return &metrics.Schedules{InForce: w.scheduler.InForce(), Revision: w.scheduler.Revision(), Next: next, Done: done}, err
}
