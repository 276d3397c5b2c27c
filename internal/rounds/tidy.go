package rounds

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/tasks"
)

const (
	tidyInterval    = 15 * time.Second
	restoreInterval = 15 * time.Second
	sweepInterval   = time.Minute
)

// Tidy adopts the foreign tasks that asynq has given up before a worker could take
// them, removes what asynq still holds of ours, restores rounds that Redis has lost, and
// forgets old batches and actions. Nobody waits for it. It returns when ctx ends.
func (l *Loop) Tidy(ctx context.Context) {
	tidy, again, sweep := time.NewTicker(tidyInterval), time.NewTicker(restoreInterval), time.NewTicker(sweepInterval)
	defer tidy.Stop()
	defer again.Stop()
	defer sweep.Stop()
	all := l.restorers()
	for err := restore(ctx, all); ; {
		if err != nil && ctx.Err() == nil {
			l.Logger.WarnContext(ctx, "tidying up is not finished", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
			err = restore(ctx, all)
		case <-tidy.C:
			err = l.tidyQueue(ctx)
		case <-sweep.C:
			err = errors.Join(l.Ledger.Sweep(ctx, l.Retention), l.Ledger.Shadow().Sweep(ctx, l.Retention), l.Actions.Forget(ctx, l.Retention))
		}
	}
}

// tidyQueue looks through the tasks that asynq itself does not carry any more, and
// takes each out of the queue. A foreign one that asynq has archived longer ago than
// its deadline is left alone: it would stop a job that may have been restarted.
func (l *Loop) tidyQueue(ctx context.Context) error {
	abandoned, err := l.Queue.Abandoned(ctx, tasks.Queue, time.Now().Add(-l.Schedule.Deadline))
	if err != nil {
		return err
	}
	var failed error
	for _, task := range abandoned {
		if task.Info != nil {
			if err := l.Handlers.Adopt(ctx, task.Info, l.lifeOf(task.Info)); err != nil {
				failed = errors.Join(failed, fmt.Errorf("adopt task %s: %w", task.ID, err)) // the others may do
				continue
			}
		}
		removed, err := l.Queue.RemoveAbandoned(ctx, tasks.Queue, task)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("remove task %s: %w", task.ID, err))
			continue
		}
		if removed {
			l.Handlers.Removed(ctx, task.ID, task.Info)
		}
	}
	return failed
}

// lifeOf is what is left of the time of a task; negative if it is over.
func (l *Loop) lifeOf(info *asynq.TaskInfo) time.Duration {
	heard := info.LastFailedAt
	if heard.IsZero() {
		heard = time.Now()
	}
	deadline := heard.Add(l.Schedule.Deadline)
	// By its seconds: a Time made of a very large number compares as one long ago.
	if !info.Deadline.IsZero() && info.Deadline.Unix() < deadline.Unix() {
		deadline = info.Deadline
	}
	return time.Until(deadline)
}
