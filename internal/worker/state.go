package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/metrics"
	"vizstop/internal/tasks"
	"vizstop/internal/throttle"
)

// snapshot reads what Redis holds, for a scrape.
func (w *Worker) snapshot(ctx context.Context) (metrics.Snapshot, error) {
	load, err := w.ledger.Load(ctx)
	if err != nil {
		return metrics.Snapshot{}, err
	}
	halts, pauses, err := w.brakes(ctx)
	if err != nil {
		return metrics.Snapshot{}, err
	}
	s := metrics.Snapshot{
		InFlight: map[string]int{}, Oldest: map[string]time.Time{}, Halted: map[string]bool{},
		Paused: map[string]bool{"fleet": false, "project": false},
	}
	for state, n := range load.Count {
		s.InFlight[string(state)] = n
	}
	for state, due := range load.Oldest {
		s.Oldest[string(state)] = due
	}
	for _, r := range throttle.HaltReasons() {
		s.Halted[string(r)] = false
	}
	for _, h := range halts {
		s.Halted[string(h.Reason)] = true
	}
	for _, p := range pauses {
		if p.ProjectID == "" {
			s.Paused["fleet"] = true
		} else {
			s.Paused["project"] = true
		}
	}
	for name := range tasks.Queues() {
		q, err := w.queue(name)
		if err != nil {
			return metrics.Snapshot{}, err
		}
		s.Queues = append(s.Queues, q)
	}
	return s, nil
}

func (w *Worker) queue(name string) (metrics.Queue, error) {
	q := metrics.Queue{Name: name, Tasks: map[string]int{}}
	info, err := w.inspect.GetQueueInfo(name)
	if errors.Is(err, asynq.ErrQueueNotFound) { // nothing was ever enqueued
		info, err = &asynq.QueueInfo{}, nil
	}
	if err != nil {
		return q, fmt.Errorf("read queue %s: %w", name, err)
	}
	q.Latency = info.Latency
	q.Tasks["pending"] = info.Pending
	q.Tasks["active"] = info.Active
	q.Tasks["scheduled"] = info.Scheduled
	q.Tasks["retry"] = info.Retry
	q.Tasks["archived"] = info.Archived
	return q, nil
}

// brakes lists what holds calls back: halts and pauses.
func (w *Worker) brakes(ctx context.Context) ([]throttle.Halt, []throttle.Pause, error) {
	projects, err := w.projects(ctx)
	if err != nil {
		return nil, nil, err
	}
	halts, err := w.throttle.Halts(ctx, projects)
	if err != nil {
		return nil, nil, err
	}
	pauses, err := w.throttle.Pauses(ctx, projects)
	return halts, pauses, err
}

// projects lists the projects whose jobs can be called for.
func (w *Worker) projects(ctx context.Context) ([]string, error) {
	ids, err := w.ledger.Projects(ctx)
	return slices.DeleteFunc(ids, func(id string) bool { return id == tasks.NoProject }), err
}

// Ready reports whether the worker can do its work now: Redis answers, and
// calls of the API are not halted for the fleet or for every project that has
// stops in flight. If it can't, faults say why, one line each; notes are pauses,
// and halts that leave other projects at work.
func (w *Worker) Ready(ctx context.Context) (faults, notes []string) {
	select {
	case <-w.stopping:
		return []string{"shutting down"}, nil
	default:
	}
	load, err := w.ledger.Load(ctx)
	if err != nil {
		return []string{"Redis: " + err.Error()}, nil
	}
	halts, pauses, err := w.brakes(ctx)
	if err != nil {
		return []string{"Redis: " + err.Error()}, nil
	}
	working := load.Projects
	for _, h := range halts {
		if h.ProjectID == "" {
			faults = append(faults, h.String())
			continue
		}
		delete(working, h.ProjectID)
		notes = append(notes, h.String())
	}
	if len(working) == 0 && len(notes) > 0 {
		faults, notes = append(faults, notes...), nil
	}
	for _, p := range pauses {
		notes = append(notes, p.String())
	}
	return faults, notes
}
