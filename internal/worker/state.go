package worker

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/metrics"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

// state is what Redis holds at one moment. Only projects with work are visited.
type state struct {
	load  ledger.Load
	holds []release.Hold
	rates []release.Allowance // of the projects with stops in flight
}

func (w *Worker) state(ctx context.Context) (s state, err error) {
	projects, err := w.release.Projects(ctx)
	if err != nil {
		return s, err
	}
	if s.load, err = w.ledger.Load(ctx, projects); err != nil {
		return s, err
	}
	if s.holds, err = w.release.Holds(ctx); err != nil {
		return s, err
	}
	busy := slices.DeleteFunc(projects, func(id string) bool { return s.load.Projects[id] == 0 })
	s.rates, err = w.release.Rates(ctx, busy)
	return s, err
}

// snapshot reads what Redis holds, for a scrape.
func (w *Worker) snapshot(ctx context.Context) (metrics.Snapshot, error) {
	now, err := w.state(ctx)
	if err != nil {
		return metrics.Snapshot{}, err
	}
	s := metrics.Snapshot{InFlight: map[string]int{}, Oldest: map[string]time.Time{}, Held: map[metrics.Hold]bool{}, Unfit: w.fitness.unfit(),
		Workers: len(w.member.Census().Alive)}
	for state, n := range now.load.Count {
		s.InFlight[string(state)] = n
	}
	for state, due := range now.load.Oldest {
		s.Oldest[string(state)] = due
	}
	for _, reason := range release.Reasons() {
		for _, scope := range release.Scopes() {
			s.Held[metrics.Hold{Reason: string(reason), Scope: string(scope)}] = false
		}
	}
	for _, h := range now.holds {
		hold := metrics.Hold{Reason: string(h.Reason), Scope: string(h.Scope)}
		if _, known := s.Held[hold]; known { // labels come from closed sets, whatever Redis holds
			s.Held[hold] = true
		}
	}
	s.ConfiguredRate = w.release.Rate()
	if s.ConfiguredRate <= 0 {
		s.ConfiguredRate = math.Inf(1)
	}
	s.Rate = s.ConfiguredRate
	for _, a := range now.rates {
		s.Rate = min(s.Rate, a.Rate)
	}
	s.Queue, err = w.queue(ctx)
	return s, err
}

func (w *Worker) queue(ctx context.Context) (metrics.Queue, error) {
	counts, latency, err := tasks.NewInspector(w.cfg.Redis).Counts(ctx, tasks.Queue)
	return metrics.Queue{Name: tasks.Queue, Latency: latency, Tasks: counts}, err
}

// Ready reports whether the worker can do its work now: Redis answers, and
// calls of the API are not held for the fleet or for every project that has
// stops in flight. If it can't, faults say why, one line each; notes are pauses,
// holds that leave other projects at work, projects slowed down, tasks that no
// worker will take, and risks that Redis runs.
func (w *Worker) Ready(ctx context.Context) (faults, notes []string) {
	select {
	case <-w.stopping.Done():
		return []string{"shutting down"}, nil
	default:
	}
	now, err := w.state(ctx)
	if err != nil {
		return []string{"Redis: " + err.Error()}, nil
	}
	queue, err := w.queue(ctx)
	if err != nil {
		return []string{"Redis: " + err.Error()}, nil
	}
	if n := queue.Tasks["aggregating"]; n > 0 {
		notes = append(notes, fmt.Sprintf("%d tasks in the queue have an asynq Group: no worker will take them; enqueue them without", n))
	}
	working := now.load.Projects
	for _, h := range now.holds {
		switch {
		case h.Reason == release.Paused || h.Reason == release.Throttled:
			notes = append(notes, h.String())
		case h.Scope != release.ScopeProject:
			faults = append(faults, h.String())
		default:
			delete(working, h.ProjectID)
			notes = append(notes, h.String())
		}
	}
	if held := slices.ContainsFunc(now.holds, func(h release.Hold) bool {
		return h.Scope == release.ScopeProject && h.Reason != release.Paused && h.Reason != release.Throttled
	}); held && len(working) == 0 {
		faults, notes = append(faults, notes...), nil
	}
	notes = append(notes, w.elsewhere(now.load.Projects)...)
	for _, a := range now.rates {
		if a.Reduced() {
			notes = append(notes, a.String())
		}
	}
	return faults, append(notes, w.fitness.notes()...)
}

// elsewhere says which of the projects with stops in flight this worker leaves
// alone.
func (w *Worker) elsewhere(inFlight map[string]int) (notes []string) {
	for project, endpoint := range w.loop.Elsewhere() {
		if inFlight[project] > 0 {
			notes = append(notes, fmt.Sprintf("project %s is left alone: its stops are at %s, and this worker calls %s; they need a worker with that endpoint",
				project, endpoint, w.cfg.Release.Endpoint))
		}
	}
	slices.Sort(notes)
	return notes
}
