package worker

import (
	"context"
	"fmt"
	"maps"
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
	used  []release.Window    // of the same
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
	if s.rates, err = w.release.Rates(ctx, busy); err != nil {
		return s, err
	}
	s.used, err = w.release.Windows(ctx, busy...)
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
	w.held(now.holds, s.Held)
	s.ConfiguredRate = w.release.Rate("")
	if s.ConfiguredRate <= 0 {
		s.ConfiguredRate = math.Inf(1)
	}
	s.Rate = s.ConfiguredRate
	for _, a := range now.rates {
		s.Rate = min(s.Rate, a.Rate)
	}
	s.WindowLimit = math.Inf(1)
	if n := w.member.Limits().Window; n > 0 {
		s.WindowLimit = float64(n)
	}
	for _, used := range now.used {
		s.WindowUsed = max(s.WindowUsed, used.Used)
	}
	if s.Schedules, err = w.schedules(ctx); err != nil {
		return s, err
	}
	s.Queue, err = w.queue(ctx)
	return s, err
}

// held says of each reason, scope and account whether a hold is of it. Labels come
// from closed sets, whatever Redis holds: accounts that this worker does not know are
// "", as those of holds that are of none.
func (w *Worker) held(holds []release.Hold, held map[metrics.Hold]bool) {
	own := w.cfg.Accounts()
	for _, reason := range release.Reasons() {
		for _, scope := range reason.Scopes() {
			accounts := []string{""}
			if scope != release.ScopeFleet {
				accounts = append(accounts, own...)
			}
			for _, account := range accounts {
				held[metrics.Hold{Reason: string(reason), Scope: string(scope), Account: account}] = false
			}
		}
	}
	for _, h := range holds {
		label := metrics.Hold{Reason: string(h.Reason), Scope: string(h.Scope)}
		if slices.Contains(own, h.Account) {
			label.Account = h.Account
		}
		if _, known := held[label]; known {
			held[label] = true
		}
	}
}

func (w *Worker) queue(ctx context.Context) (metrics.Queue, error) {
	counts, latency, err := tasks.NewInspector(w.cfg.Redis).Counts(ctx, tasks.Queue)
	return metrics.Queue{Name: tasks.Queue, Latency: latency, Tasks: counts}, err
}

// Ready reports whether the worker can do its work now: Redis answers, and
// calls of the API are not held for the fleet, for all accounts of this worker or
// for every project that has stops in flight. If it can't, faults say why, one line
// each; notes are pauses, holds that leave other projects at work, projects slowed
// down, tasks that no worker will take, and risks that Redis runs.
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
	working, held, refused := maps.Clone(now.load.Projects), []string{}, make(map[string]string)
	for _, h := range now.holds {
		switch {
		case h.Reason == release.Paused || h.Reason == release.Throttled || h.ByLimit():
			notes = append(notes, h.String())
		case h.Scope == release.ScopeFleet:
			faults = append(faults, h.String())
		case h.Scope == release.ScopeCredential:
			refused[h.Account] = h.String()
		default:
			held = append(held, h.ProjectID)
			notes = append(notes, h.String())
		}
	}
	lines := slices.Sorted(maps.Values(refused))
	if slices.ContainsFunc(w.cfg.Accounts(), func(a string) bool { return refused[a] == "" }) {
		notes = append(notes, lines...)
	} else {
		faults = append(faults, lines...)
	}
	// Besides those of refused accounts: are all projects with stops in flight held?
	ofRefused := func(id string) bool { return refused[w.release.Account(id)] != "" }
	held = slices.DeleteFunc(held, ofRefused)
	maps.DeleteFunc(working, func(id string, _ int) bool { return ofRefused(id) || slices.Contains(held, id) })
	if len(held) > 0 && len(working) == 0 {
		faults, notes = append(faults, notes...), nil
	}
	notes = append(notes, w.elsewhere(now.load.Projects)...)
	for _, a := range now.rates {
		if a.Reduced() {
			notes = append(notes, a.String())
		}
	}
	if w.scheduler != nil && w.scheduler.Note() != "" {
		notes = append(notes, w.scheduler.Note())
	}
	if w.scheduler != nil {
		notes = append(notes, w.scheduler.Unfit()...)
	}
	for _, refused := range w.cfg.Refused() {
		notes = append(notes, refused+"; what was there before stays in use")
	}
	if own, all := w.cfg.Limits.WithDefaults(), w.member.Limits(); own != all {
		notes = append(notes, fmt.Sprintf("this worker is told other limits than the strictest of the fleet, which count: window/batch/share %v instead of %v; give all workers the same", own, all))
	}
	return faults, append(notes, w.fitness.notes()...)
}

// elsewhere says which of the projects with stops in flight this worker leaves
// alone.
func (w *Worker) elsewhere(inFlight map[string]int) (notes []string) {
	for project, endpoint := range w.loop.Elsewhere() {
		mine := w.release.Endpoint(project)
		switch {
		case inFlight[project] == 0:
		case mine == release.Nowhere:
			notes = append(notes, fmt.Sprintf("project %s is left alone: its stops are at %s, and this worker has it in no account; give it the accounts file of the others",
				project, endpoint))
		default:
			notes = append(notes, fmt.Sprintf("project %s is left alone: its stops are at %s, and this worker calls %s; they need a worker with that endpoint",
				project, endpoint, mine))
		}
	}
	slices.Sort(notes)
	return notes
}
