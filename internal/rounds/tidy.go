package rounds

import (
	"context"
	"time"

	"vizstop/internal/tasks"
)

const (
	tidyInterval  = 15 * time.Second
	sweepInterval = time.Minute
)

// Tidy adopts the foreign tasks that asynq has given up before a worker could take
// them, removes what asynq still holds of ours, and forgets old batches. Nobody
// waits for it. It returns when ctx ends.
func (l *Loop) Tidy(ctx context.Context) {
	tidy, sweep := time.NewTicker(tidyInterval), time.NewTicker(sweepInterval)
	defer tidy.Stop()
	defer sweep.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-tidy.C:
			err = l.tidyQueue(ctx)
		case <-sweep.C:
			err = l.Ledger.Sweep(ctx, l.Retention)
		}
		if err != nil && ctx.Err() == nil {
			l.Logger.WarnContext(ctx, "tidying up is not finished", "error", err)
		}
	}
}

// tidyQueue looks through the tasks that asynq itself has archived. A foreign one
// that lies there for longer than its deadline is left alone: it would stop a job
// that may have been restarted.
func (l *Loop) tidyQueue(ctx context.Context) error {
	given, err := l.Queue.GivenUp(ctx, tasks.Queue, time.Now().Add(-l.Schedule.Deadline))
	if err != nil {
		return err
	}
	for _, info := range given {
		if info.Type == tasks.TypeStop && tasks.IsForeign(info.ID, info.Payload) {
			deadline := info.LastFailedAt.Add(l.Schedule.Deadline)
			if !info.Deadline.IsZero() && info.Deadline.Before(deadline) {
				deadline = info.Deadline
			}
			s, err := l.Handlers.GivenUp(ctx, info.ID, info.Payload, time.Until(deadline))
			if err != nil {
				return err
			}
			l.Logger.WarnContext(ctx, "task adopted that asynq had given up", "task", info.ID, "stop", s.ID, "project", s.ProjectID, "job", s.JobID)
		}
		if _, err := l.Queue.Remove(ctx, tasks.Queue, info.ID); err != nil {
			return err
		}
	}
	return nil
}
