package worker

import (
	"context"
	"fmt"
	"maps"
	"math"
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
		Paused: map[string]bool{"fleet": false, "project": false}, Unfit: w.fitness.unfit(),
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
		if _, known := s.Halted[string(h.Reason)]; known { // labels come from closed sets, whatever Redis holds
			s.Halted[string(h.Reason)] = true
		}
	}
	for _, p := range pauses {
		if p.ProjectID == "" {
			s.Paused["fleet"] = true
		} else {
			s.Paused["project"] = true
		}
	}
	allowances, err := w.throttle.Rates(ctx, slices.Collect(maps.Keys(load.Projects)))
	if err != nil {
		return metrics.Snapshot{}, err
	}
	s.ConfiguredRate = w.cfg.Throttle.Rate
	if s.ConfiguredRate <= 0 {
		s.ConfiguredRate = math.Inf(1)
	}
	s.Rate = s.ConfiguredRate
	for _, a := range allowances {
		s.Rate = min(s.Rate, a.Rate)
	}
	s.Queues, err = w.queues()
	return s, err
}

func (w *Worker) queues() ([]metrics.Queue, error) {
	existing, err := w.inspect.Queues()
	if err != nil {
		return nil, fmt.Errorf("list queues: %w", err)
	}
	var all []metrics.Queue
	for name := range tasks.Queues() {
		info := &asynq.QueueInfo{} // of a queue into which nothing was ever put
		if slices.Contains(existing, name) {
			if info, err = w.inspect.GetQueueInfo(name); err != nil {
				return nil, fmt.Errorf("read queue %s: %w", name, err)
			}
		}
		all = append(all, metrics.Queue{Name: name, Latency: info.Latency, Tasks: map[string]int{
			"pending": info.Pending, "active": info.Active, "scheduled": info.Scheduled, "retry": info.Retry, "archived": info.Archived,
		}})
	}
	return all, nil
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
// halts that leave other projects at work, projects slowed down, and risks that
// Redis runs.
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
	allowances, err := w.throttle.Rates(ctx, slices.Sorted(maps.Keys(load.Projects)))
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
	for _, a := range allowances {
		if a.Reduced() {
			notes = append(notes, a.String())
		}
	}
	return faults, append(notes, w.fitness.notes()...)
}
