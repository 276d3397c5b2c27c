package simulation

import (
	"context"
	"slices"
	"sync"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/release"
	"vizstop/internal/undo"
)

// restarted is a restart call of an undo.
type restarted struct {
	batch, job string
	looked, at time.Time
	err        error
}

// undo restarts what a batch has stopped.
func (d *day) undo() {
	batch := d.batch()
	var stops []*ledger.Stop
	for _, s := range d.stops(project, batch) {
		if slices.Contains(undo.States(), string(s.State)) {
			stops = append(stops, s)
		}
	}
	if len(stops) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	api := &undoing{day: d, client: d.client(d.rdb), batch: batch, looked: map[string]time.Time{},
		rate: release.New(d.rdb, "", time.Now, d.cfg.Release)}
	// On a bad day it fails; what it has done by then is checked.
	_ = undo.New(d.ledger, api, batch).RestartAll(ctx, stops, 10*time.Second)
}

// undoing is the calls of an undo.
type undoing struct {
	*day
	client jobs.API
	rate   *release.Releaser
	batch  string

	mu     sync.Mutex
	looked map[string]time.Time
}

func (u *undoing) Restarts(projectID string) bool { return u.client.Restarts(projectID) }

func (u *undoing) Get(ctx context.Context, projectID, jobID string) (*jobs.Job, error) {
	if err := u.rate.Spend(ctx, projectID); err != nil {
		return nil, err
	}
	at := time.Now()
	job, err := u.client.Get(ctx, projectID, jobID)
	u.record(recordedCall{at: at, project: projectID, operation: jobs.OperationDetail, job: jobID, err: err})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.looked[jobID] = at
	return job, err
}

func (u *undoing) Restart(ctx context.Context, projectID, jobID string) (string, error) {
	if err := u.rate.Spend(ctx, projectID); err != nil {
		return "", err
	}
	at := time.Now()
	id, err := u.client.Restart(ctx, projectID, jobID)
	u.record(recordedCall{at: at, project: projectID, operation: jobs.OperationRestart, job: jobID, err: err})
	u.mu.Lock()
	defer u.mu.Unlock()
	u.restarts = append(u.restarts, restarted{u.batch, jobID, u.looked[jobID], at, err})
	if err == nil {
		u.began[jobID] = append(u.began[jobID], at)
	}
	u.byUndo[jobID] = true
	return id, err
}

// revive is an owner who restarts a job.
func (d *day) revive() {
	job := d.job()
	if d.sim.SetStatus(project, job, v1.StatusRunning) {
		d.began[job] = append(d.began[job], time.Now())
		d.byUndo[job] = false
	}
}

// end has a job that runs end without us: by itself or, if an undo has restarted it,
// perhaps by the hand of its owner. Nothing tells such an end from that of a stop,
// but that an undo has been there before.
func (d *day) end() {
	id := d.job()
	job, ok := d.sim.Job(project, id)
	if !ok || job.Status.Job().State != jobs.Active {
		return
	}
	status := v1.StatusCompleted
	if d.byUndo[id] && d.random.IntN(4) > 0 {
		status = v1.StatusKilled
	}
	d.sim.SetStatus(project, id, status)
}

// checkRestarts: an undo restarts only what a stop of its batch has stopped,
// provably, what nobody else wants stopped, and what nobody has restarted since.
func (d *day) checkRestarts(stops []*ledger.Stop, byJob map[string][]recordedCall) {
	for _, r := range d.restarts {
		var s *ledger.Stop
		for _, one := range stops {
			if one.JobID == r.job && wish(one, r.batch) != nil && one.State == ledger.Stopped && !one.Ended.After(r.at) {
				s = one
			}
		}
		if s == nil {
			d.t.Errorf("undo of batch %s restarted job %s at %v, which it has not stopped", r.batch, r.job, r.at)
			continue
		}
		accepted := false
		for _, c := range byJob[r.job] {
			accepted = accepted || c.operation == jobs.OperationStop && c.err == nil && d.within(c, s)
		}
		if !accepted {
			d.t.Errorf("undo of batch %s restarted job %s at %v, and no stop call was accepted: %+v", r.batch, r.job, r.at, s)
		}
		for _, other := range stops {
			if other.JobID == r.job && other.Asked.After(s.Asked) && other.Asked.Before(r.looked) && other.State != ledger.Canceled {
				d.t.Errorf("undo of batch %s restarted job %s at %v, which was asked to stop again: %+v", r.batch, r.job, r.at, other)
			}
		}
		for _, w := range s.Wishes {
			wanted := d.withdrawn(s, w.Batch).answer == "" && (w.Undone.IsZero() || w.Undone.After(r.at))
			if w.Batch != r.batch && wanted && w.Asked.Before(r.looked) {
				d.t.Errorf("undo of batch %s restarted job %s at %v, which %s wants stopped, too", r.batch, r.job, r.at, w.Batch)
			}
		}
		for _, began := range d.began[r.job] {
			if began.After(s.Ended) && began.Before(r.looked) {
				d.t.Errorf("undo of batch %s restarted job %s at %v, which was restarted at %v, after its stop had ended at %v",
					r.batch, r.job, r.at, began, s.Ended)
			}
		}
	}
}

// wish is what a batch wants of a stop; nil if it is none of its.
func wish(s *ledger.Stop, batch string) *ledger.Wish {
	for i := range s.Wishes {
		if s.Wishes[i].Batch == batch {
			return &s.Wishes[i]
		}
	}
	return nil
}
