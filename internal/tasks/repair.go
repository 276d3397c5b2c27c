package tasks

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
)

// The kinds of repair.
const (
	repairMissing  = "missing"  // the task was not in the queue: lost, or never enqueued
	repairArchived = "archived" // asynq had given the task up
	repairStuck    = "stuck"    // asynq knew the task, but would never have delivered it
)

// RepairKinds lists what a repair can have found.
func RepairKinds() []string { return []string{repairMissing, repairArchived, repairStuck} }

// RepairConfig settles a Repairer. The zero value of each duration means its
// default.
type RepairConfig struct {
	Interval time.Duration // between two rounds: default 15 s
	// Overdue is how long a stop's next task may be overdue before the repairer
	// looks after it: longer than asynq's own recovery takes, which is 30 s of
	// lease, 30 s of grace and up to 60 s between two looks. Default 130 s.
	Overdue time.Duration
	// Stuck is how long a task may be overdue before it is given up although the
	// queue knows it: when it is active, longer than any task may run; when it is
	// scheduled, or pending in a queue that is empty, long after any worker would
	// have moved it. Default 10 min.
	Stuck time.Duration
}

// Repairer gives stops whose task got lost a new one. Any number may run at
// once: each repair is a compare-and-set on the stop's hop.
type Repairer struct {
	*handler
	cfg     RepairConfig
	inspect TaskFinder
}

// TaskFinder looks up a task in a queue, and the queue; *asynq.Inspector is one.
type TaskFinder interface {
	GetTaskInfo(queue, id string) (*asynq.TaskInfo, error)
	GetQueueInfo(queue string) (*asynq.QueueInfo, error)
}

// NewRepairer returns a repairer; Run makes it work.
func NewRepairer(cfg Config, inspect TaskFinder, r RepairConfig) *Repairer {
	setDefault(&r.Interval, 15*time.Second)
	setDefault(&r.Overdue, 130*time.Second)
	setDefault(&r.Stuck, 10*time.Minute)
	return &Repairer{handler: newHandler(cfg), cfg: r, inspect: inspect}
}

// Run repairs in rounds until ctx ends. Errors are logged and the round is
// tried again at the next interval.
func (r *Repairer) Run(ctx context.Context) {
	ticker := time.NewTicker(r.cfg.Interval)
	defer ticker.Stop()
	for {
		if err := r.Round(ctx); err != nil && ctx.Err() == nil {
			r.Logger.WarnContext(ctx, "repair round not finished", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// repairBatch bounds how many overdue stops of one project a round looks at.
const repairBatch = 500

// count counts the stops that enqueue has canceled: it has no metrics page.
func (r *Repairer) count(ctx context.Context, projectID string) error {
	for {
		stops, err := r.Ledger.Uncounted(ctx, projectID, repairBatch)
		for _, s := range stops {
			record(r.Recorder, s)
		}
		if err != nil || len(stops) == 0 {
			return err
		}
	}
}

// Round looks once at every project's overdue stops, and counts those that
// ended outside of a worker.
func (r *Repairer) Round(ctx context.Context) error {
	projects, err := r.Ledger.Projects(ctx)
	if err != nil {
		return err
	}
	for _, p := range projects {
		if err := r.count(ctx, p); err != nil {
			return err
		}
		if err := r.repairScreen(ctx, p); err != nil {
			return err
		}
		stops, err := r.Ledger.Overdue(ctx, p, r.Now().Add(-r.cfg.Overdue), repairBatch)
		if err != nil {
			return err
		}
		for _, s := range stops {
			if err := r.repair(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// repair moves s to a new hop with a new task, unless its task is alive in the
// queue and just has to wait for its turn.
func (r *Repairer) repair(ctx context.Context, s *ledger.Stop) error {
	if s.Kind == ledger.KindWatch {
		watched, err := r.Ledger.IsWatched(ctx, s)
		switch {
		case err != nil:
			return err
		case watched: // the screen is held up
			return r.Ledger.PutBack(ctx, s)
		default:
			return r.replace(ctx, s, ledger.KindPoll, repairMissing)
		}
	}
	_, queue := typeAndQueue(s.Kind)
	id := currentTask(s).String()
	why, err := r.diagnose(queue, id, s.Next)
	if err != nil { // perhaps the task is broken, and not Redis: the others must not wait for it
		r.Logger.WarnContext(ctx, "task not found out about", "lost_task", id, "error", err)
	}
	if why == "" {
		return r.Ledger.PutBack(ctx, s)
	}
	return r.replace(ctx, s, s.Kind, why)
}

// replace gives s a new hop with a new task, due now.
func (r *Repairer) replace(ctx context.Context, s *ledger.Stop, kind ledger.Kind, why string) error {
	lost := currentTask(s).String()
	moved, err := r.advance(ctx, s, kind, 0)
	if moved {
		r.Recorder.Repaired(why)
		r.Logger.WarnContext(ctx, "stop repaired", "stop", s.ID, "project", s.ProjectID, "job", s.JobID, "lost_task", lost, "found", why)
	}
	return err
}

// repairScreen gives the screen of a project a new task, if it should have one
// and that got lost.
func (r *Repairer) repairScreen(ctx context.Context, projectID string) error {
	s, err := r.Ledger.Screen(ctx, projectID)
	if err != nil || !s.On || r.Now().Sub(s.Due) < r.cfg.Overdue {
		return err
	}
	lost := screenID(projectID, s.Hop)
	why, err := r.diagnose(QueuePoll, lost, s.Due)
	if err != nil {
		r.Logger.WarnContext(ctx, "task not found out about", "lost_task", lost, "error", err)
	}
	if why == "" {
		return nil
	}
	moved, err := r.Ledger.AdvanceScreen(ctx, s, r.Now())
	if err != nil || !moved || !s.On {
		return err
	}
	r.Recorder.Repaired(why)
	r.Logger.WarnContext(ctx, "screen repaired", "project", projectID, "lost_task", lost, "found", why)
	return enqueueScreen(ctx, r.Queue, projectID, s.Hop, s.Due)
}

// diagnose says which repair a task that was due then needs; "" means none. A
// task that can't be read (Redis has lost a part of it) is given up as one that
// is stuck.
func (r *Repairer) diagnose(queue, id string, due time.Time) (string, error) {
	info, err := r.inspect.GetTaskInfo(queue, id)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		return repairMissing, nil
	case err != nil && r.Now().Sub(due) > r.cfg.Stuck:
		return repairStuck, err
	case err != nil:
		return "", fmt.Errorf("look for task %s: %w", id, err)
	case info.State == asynq.TaskStateArchived:
		return repairArchived, nil
	case r.Now().Sub(due) <= r.cfg.Stuck:
		return "", nil
	default:
		return r.diagnoseOld(info)
	}
}

// diagnoseOld says whether a task that is long overdue is still on its way. A
// Redis that evicts keys can drop the queue's lists and leave the tasks
// themselves, which then say for ever that they wait.
func (r *Repairer) diagnoseOld(info *asynq.TaskInfo) (string, error) {
	if info.State != asynq.TaskStatePending {
		return repairStuck, nil
	}
	queue, err := r.inspect.GetQueueInfo(info.Queue)
	if err == nil && queue.Pending > 0 {
		return "", nil
	}
	return repairStuck, err // a queue that names lost tasks can't be read either
}
