package tasks

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
)

// The kinds of repair.
const (
	repairMissing  = "missing"  // the task was not in the queue: lost, or never enqueued
	repairArchived = "archived" // asynq had given the task up
	repairOrphaned = "orphaned" // asynq called the task active, and nobody held a lease on it: its worker has died, or lost Redis
	repairStuck    = "stuck"    // asynq knew the task, but would never have delivered it
	repairBare     = "bare"     // asynq had given up another producer's task that no worker had adopted
)

// RepairKinds lists what a repair can have found.
func RepairKinds() []string {
	return []string{repairMissing, repairArchived, repairOrphaned, repairStuck, repairBare}
}

// RepairConfig settles a Repairer. The zero value of each duration means its
// default.
type RepairConfig struct {
	Interval time.Duration // between two rounds: default 15 s
	// Overdue is how long a stop's next task may be overdue before the repairer
	// looks after it: somewhat longer than a worker that has died seems to hold
	// it, which is 30 s of lease and 10 s of grace. Default 45 s.
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
	inspect *Inspector
}

// NewRepairer returns a repairer; Run makes it work.
func NewRepairer(cfg Config, inspect *Inspector, r RepairConfig) *Repairer {
	setDefault(&r.Interval, 15*time.Second)
	setDefault(&r.Overdue, 45*time.Second)
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

// Round looks once at every project's overdue stops and screens, counts the stops
// that ended outside of a worker, and adopts the bare tasks that asynq has given
// up.
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
	return r.adoptGivenUp(ctx)
}

// repair moves s to a new hop with a new task, unless its task is alive in the
// queue and just has to wait for its turn.
func (r *Repairer) repair(ctx context.Context, s *ledger.Stop) error {
	id := currentTask(s).String()
	_, queue := typeAndQueue(s.Kind)
	why, err := r.diagnoseStop(ctx, s, queue, id)
	if err != nil {
		return err
	}
	if why == "" {
		return r.Ledger.PutBack(ctx, s)
	}
	moved, err := r.Ledger.Replace(ctx, s, r.Now())
	if err != nil || !moved {
		return err
	}
	r.Recorder.Repaired(why)
	r.Logger.WarnContext(ctx, "stop repaired", "stop", s.ID, "project", s.ProjectID, "job", s.JobID, "lost_task", id, "found", why)
	if err := enqueue(ctx, r.Queue, s); err != nil {
		return err
	}
	r.remove(ctx, queue, id)
	return nil
}

// remove takes what is left of a replaced task out of its queue: the ledger
// fences it off, and it would lie about for ever. That it can't be removed keeps
// no other stop from its repair.
func (r *Repairer) remove(ctx context.Context, queue, id string) {
	if _, err := r.inspect.Remove(ctx, queue, id); err != nil {
		r.Logger.WarnContext(ctx, "what is left of a lost task stays in its queue", "lost_task", id, "queue", queue, "error", err)
	}
}

// repairScreen gives the screen of a project a new task, if it should have one
// and that got lost.
func (r *Repairer) repairScreen(ctx context.Context, projectID string) error {
	s, err := r.Ledger.Screen(ctx, projectID)
	if err != nil || !s.On || r.Now().Sub(s.Due) < screenQuiet || r.Now().Sub(s.Alive) < screenQuiet {
		return err
	}
	lost := screenID(projectID, s.Hop)
	why, err := r.diagnose(ctx, QueuePoll, lost, s.Due)
	if err == nil && why == "" {
		why, err = r.deadScreen(ctx, lost)
	}
	if err != nil || why == "" {
		return err
	}
	moved, err := r.Ledger.AdvanceScreen(ctx, s, r.Now())
	if err != nil || !moved || !s.On {
		return err
	}
	r.Recorder.Repaired(why)
	r.Logger.WarnContext(ctx, "screen repaired", "project", projectID, "lost_task", lost, "found", why)
	if err := enqueueScreen(ctx, r.Queue, projectID, s.Hop, s.Due); err != nil {
		return err
	}
	r.remove(ctx, QueuePoll, lost)
	return nil
}

// deadScreen says that a screen which should be at work, and says nothing, needs
// a repair although its lease has not run out.
func (r *Repairer) deadScreen(ctx context.Context, id string) (string, error) {
	state, _, err := r.inspect.Find(ctx, QueuePoll, id)
	if err != nil || state != asynq.TaskStateActive.String() {
		return "", err
	}
	return repairOrphaned, nil
}

// diagnoseStop says which repair s needs; "" means none.
func (r *Repairer) diagnoseStop(ctx context.Context, s *ledger.Stop, queue, id string) (string, error) {
	if s.Kind != ledger.KindWatch {
		return r.diagnose(ctx, queue, id, s.Next)
	}
	watched, err := r.Ledger.IsWatched(ctx, s)
	if err != nil || watched { // if it is, the screen is held up
		return "", err
	}
	return repairMissing, nil
}

// diagnose says which repair a task that was due then needs; "" means none. A
// Redis that evicts keys can drop the queue's lists and leave the tasks
// themselves, which then say for ever that they wait.
func (r *Repairer) diagnose(ctx context.Context, queue, id string, due time.Time) (string, error) {
	state, leased, err := r.inspect.Find(ctx, queue, id)
	switch {
	case err != nil:
		return "", err
	case state == "":
		return repairMissing, nil
	case state == asynq.TaskStateArchived.String():
		return repairArchived, nil
	case state == asynq.TaskStateActive.String() && !leased:
		return repairOrphaned, nil
	case r.Now().Sub(due) <= r.cfg.Stuck:
		return "", nil
	case state != asynq.TaskStatePending.String():
		return repairStuck, nil
	}
	waiting, err := r.inspect.Pending(ctx, queue)
	if err != nil || waiting > 0 {
		return "", err
	}
	return repairStuck, nil
}

// adoptGivenUp adopts the bare tasks that asynq has archived before a worker
// could: their producer allowed no retry, and a worker died. asynq's recoverer
// calls nobody when it does that. What lies there for longer than the deadline of
// a bare task is left alone: it would stop a job that may have been restarted.
func (r *Repairer) adoptGivenUp(ctx context.Context) error {
	given, err := r.inspect.GivenUp(ctx, QueueStop, r.Now().Add(-r.Schedule.Deadline))
	if err != nil {
		return err
	}
	for _, info := range given {
		payload, bad := DecodePayload(info.Payload)
		if _, ours := parseTaskID(info.ID); info.Type != TypeStop || bad == nil && ours {
			continue
		}
		deadline := info.LastFailedAt.Add(r.Schedule.Deadline)
		if !info.Deadline.IsZero() && info.Deadline.Before(deadline) {
			deadline = info.Deadline
		}
		res, err := r.adopt(ctx, info.ID, payload, bad, deadline)
		if err != nil {
			return err
		}
		removed, err := r.inspect.Remove(ctx, QueueStop, info.ID)
		if err != nil {
			return err
		}
		if removed { // by this worker and no other
			r.Recorder.Repaired(repairBare)
			r.Logger.WarnContext(ctx, "task adopted that asynq had given up", "task", info.ID, "error", oneLine(errors.New(info.LastErr)),
				"stop", res.stop.ID, "project", res.stop.ProjectID, "job", res.stop.JobID)
		}
	}
	return nil
}
