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
	"vizstop/internal/redisconn"
	"vizstop/internal/redisfit"
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
	s.Unfit[string(redisfit.RefusesWrites)] = w.loop.RefusesWrites()
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

// readyTimeout is how long Ready waits for Redis: less than those do who ask for it.
const readyTimeout = 1500 * time.Millisecond

// Ready reports whether the worker can do its work now: Redis answers and takes what
// this worker tells it each second and puts into the queue, and calls of the API are not held for the fleet, for all
// accounts of this worker or for every project that has stops in flight. If it can't, faults
// say why, one line each; notes are pauses, holds that leave other projects at work, projects
// slowed down or whose rounds fail, tasks that no worker will take, and risks that Redis runs.
// It answers within 2 s, whatever Redis does.
func (w *Worker) Ready(ctx context.Context) (faults, notes []string) {
	select {
	case <-w.stopping.Done():
		return []string{"shutting down"}, nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	now, err := w.state(ctx)
	if err != nil {
		return []string{unread(ctx, err)}, nil
	}
	queue, err := w.queue(ctx)
	if err != nil {
		return []string{unread(ctx, err)}, nil
	}
	faults, notes = w.refused()
	if n := queue.Tasks["aggregating"]; n > 0 {
		notes = append(notes, grouped(n))
	}
	working, held, refused := maps.Clone(now.load.Projects), make(map[string]string), make(map[string]string)
	for _, h := range release.Told(now.holds) {
		switch {
		case h.Reason == release.Paused || h.Reason == release.Throttled || h.ByLimit():
			notes = append(notes, h.String())
		case h.Scope == release.ScopeFleet:
			faults = append(faults, h.String())
		case h.Scope == release.ScopeCredential:
			refused[h.Account] = h.String()
		default:
			held[h.ProjectID] = h.String()
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
	maps.DeleteFunc(working, func(id string, _ int) bool { return ofRefused(id) || held[id] != "" })
	lines = slices.Sorted(maps.Values(held))
	maps.DeleteFunc(held, func(id string, _ string) bool { return ofRefused(id) })
	if len(held) > 0 && len(working) == 0 {
		faults = append(faults, lines...)
	} else {
		notes = append(notes, lines...)
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

// grouped tells of tasks that asynq keeps in groups.
func grouped(n int) string {
	if n == 1 {
		return "1 task in the queue has an asynq Group: no worker will take it; enqueue it without"
	}
	return fmt.Sprintf("%d tasks in the queue have an asynq Group: no worker will take them; enqueue them without", n)
}

// unread is why Redis could not be read, in words.
func unread(ctx context.Context, err error) string {
	if ctx.Err() != nil {
		return fmt.Sprintf("Redis: no answer within %v", readyTimeout)
	}
	return "Redis: " + err.Error()
}

// shownFailing is how many projects are named whose rounds fail.
const shownFailing = 10

// refused tells what Redis refuses: of this worker's beats, without which no other knows that it lives, of tasks for
// the queue, and of the rounds of projects.
func (w *Worker) refused() (faults, notes []string) {
	projects, beat, queue := w.loop.Refused()
	all := redisconn.WritesRefused(beat)
	switch {
	case all != "":
		faults = append(faults, all)
	case beat != nil:
		faults = append(faults, "Redis refuses what this worker does every second: "+beat.Error())
	}
	if all == "" && queue != nil {
		faults = append(faults, fmt.Sprintf("%s; it is the node of the queue %s: no task can be enqueued",
			redisconn.WritesRefused(queue), tasks.Queue))
	}
	for id, f := range projects {
		if all == "" || redisconn.WritesRefused(f.Err) == "" {
			notes = append(notes, fmt.Sprintf("rounds of project %s fail since %s, so its stops stand still or are late: %v", id, f.Since.UTC().Format(time.RFC3339), f.Err))
		}
	}
	slices.Sort(notes)
	if more := len(notes) - shownFailing; more > 0 {
		notes = append(notes[:shownFailing], fmt.Sprintf("so do those of %d more", more))
	}
	return faults, notes
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
