// Package snapshot reads for the pages what Redis holds: at most once a second however many look, and only while
// somebody looks. When Redis is away it gives what was read last, and says so.
package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"vizstop/internal/actions"
	"vizstop/internal/control"
	"vizstop/internal/estimate"
	"vizstop/internal/fleet"
	"vizstop/internal/lasthour"
	"vizstop/internal/ledger"
	"vizstop/internal/limits"
	"vizstop/internal/principals"
	"vizstop/internal/redisconn"
	"vizstop/internal/release"
	"vizstop/internal/scheduler"
)

// Fresh is how long what was read is good. What takes long to read is read less often.
const Fresh = time.Second

const (
	// newest is how many batches are read with each snapshot.
	newest = 50
	// listed is how many batches a list goes back.
	listed = 1000
	// deepListed is how many a search goes back that finds too little among those.
	deepListed = 10_000
	// deepFresh is how long the older of them are good, deepTime how long reading them takes at most, and deepParts how
	// many batches in projects are kept of them.
	deepFresh = time.Minute
	deepTime  = 5 * time.Second
	deepParts = 50_000
	// shownProjects is of how many projects rate and window are read, those with most in flight.
	shownProjects = 100
	// atOnce is how many commands or batches are read at the same time.
	atOnce = 16
)

// Source reads. It is safe for concurrent use.
type Source struct {
	desk *control.Desk
	hour Hour

	state    memo[struct{}, *State]
	list     memo[struct{}, []Batch]
	deep     memo[struct{}, []Batch]
	ticks    memo[struct{}, scheduler.Overview]
	people   memo[struct{}, []actions.Action]
	details  memo[string, *Detail]
	digests  memo[string, map[string]*Digest]
	pages    memo[pageKey, StopsPage]
	jobs     memo[[2]string, []*ledger.Stop]
	found    memo[string, []string]
	follower followers
	dues     dues
	kept     keptDigests
}

// New returns a source that has read nothing. hour tells of the last hour; nil: nobody knows.
func New(desk *control.Desk, hour Hour) *Source { return newSource(desk, hour, time.Now) }

func newSource(desk *control.Desk, hour Hour, clock func() time.Time) *Source {
	s := &Source{desk: desk, hour: hour}
	s.state = memo[struct{}, *State]{fresh: Fresh, most: 1, clock: clock}
	s.list = memo[struct{}, []Batch]{fresh: 5 * Fresh, most: 1, clock: clock}
	s.deep = memo[struct{}, []Batch]{fresh: deepFresh, most: 1, clock: clock}
	s.ticks = memo[struct{}, scheduler.Overview]{fresh: Fresh, most: 1, clock: clock}
	s.people = memo[struct{}, []actions.Action]{fresh: Fresh, most: 1, clock: clock}
	s.details = memo[string, *Detail]{fresh: Fresh, most: keptBatches, clock: clock}
	s.digests = memo[string, map[string]*Digest]{fresh: digestFresh, most: keptBatches, clock: clock}
	s.pages = memo[pageKey, StopsPage]{fresh: 2 * Fresh, most: keptBatches, clock: clock}
	s.jobs = memo[[2]string, []*ledger.Stop]{fresh: Fresh, most: keptBatches, clock: clock}
	s.found = memo[string, []string]{fresh: 2 * Fresh, most: keptBatches, clock: clock}
	s.follower.of = map[string]*follower{}
	return s
}

// keptBatches is how many batches, pages and jobs are remembered for those who look at them.
const keptBatches = 200

// State is how everything stands at one moment. Nobody changes it.
type State struct {
	At      time.Time // by the fleet's clock
	Version string    // changes when anything of it does

	Workers  fleet.Census
	Refuses  string         // why Redis refuses writes, in words, so that nobody can tell who lives; "": it takes them
	Projects []Project      // that have work, those with most in flight first; at most 1,000
	Queue    map[string]int // tasks by asynq's state; only for who sees all
	Holds    []release.Hold
	Rate     estimate.Rate // announced, of a project without one of its own; zero: nobody knows
	Limits   limits.Limits
	Batches  []Batch            // the newest first, at most 50
	Ticks    scheduler.Overview // without results

	Hour []lasthour.Minute // oldest first; nil: for who sees some projects only, or nobody knows
	// HourTrouble is why the last hour is not told; "": it is.
	HourTrouble string
}

// Project is one project with work.
type Project struct {
	ID                string
	Pending, Stopping int
	Oldest            time.Time // when the oldest stop in flight was due; zero: none is
	Hours             Hours     // since the stops in flight were due
	Waiting           Hours     // of those, the ones that are pending while something holds all calls of the project back
	Held              bool      // something holds all stop calls of it back
	Limited           bool      // a limit holds some of them back
	Allowance         release.Allowance
	Window            release.Window
	Detailed          bool // Allowance and Window were read
}

// InFlight is how many stops have no outcome.
func (p *Project) InFlight() int { return p.Pending + p.Stopping }

// State is how everything stands. It is for who sees all: For gives others their part.
func (s *Source) State(ctx context.Context) (Kept[*State], error) {
	return s.state.get(ctx, struct{}{}, s.read)
}

// Forget has everything read anew by whoever asks next: an action may have changed any of it.
func (s *Source) Forget() {
	s.state.forget()
	s.list.forget() // the older batches stay: they are many, and rarely change
	s.ticks.forget()
	s.people.forget()
	s.details.forget()
	s.digests.forget()
	s.kept.forget()
	s.pages.forget()
	s.jobs.forget()
}

// ForgetBatch has one batch read anew: somebody has just asked for it.
func (s *Source) ForgetBatch(id string) { s.details.drop(id) }

func (s *Source) read(ctx context.Context) (*State, error) {
	d := s.desk
	if err := d.Refresh(ctx); err != nil {
		return nil, err
	}
	st := &State{At: d.Release.Now(), Workers: d.Fleet.Census(), Rate: d.Rate(), Limits: d.Fleet.Limits().WithDefaults()}
	err := d.Fleet.TryWrite(ctx)
	if st.Refuses = redisconn.WritesRefused(err); err != nil && st.Refuses == "" {
		return nil, err
	}
	if st.Holds, err = d.Release.Holds(ctx); err != nil {
		return nil, err
	}
	if st.Projects, err = s.projects(ctx, st.At, st.Holds); err != nil {
		return nil, err
	}
	ids, err := s.newestIDs(ctx, newest)
	if err != nil {
		return nil, err
	}
	if st.Batches, err = s.batches(ctx, ids, st.Holds); err != nil {
		return nil, err
	}
	st.Batches = st.Batches[:min(len(st.Batches), newest)]
	if st.Ticks, err = s.desk.Schedules.Overview(ctx, 0); err != nil {
		return nil, err
	}
	if s.hour == nil {
		st.HourTrouble = "Nothing is recorded of the last hour."
	} else if st.Hour, err = s.hour(ctx); err != nil {
		st.Hour, st.HourTrouble = nil, "The last hour could not be read."
	}
	st.Version, err = st.version()
	return st, err
}

// projects reads what is in flight in the projects with work, and what of it is held.
func (s *Source) projects(ctx context.Context, now time.Time, holds []release.Hold) ([]Project, error) {
	ids, err := s.desk.Release.Projects(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range holds { // of a project that has nothing to do until a person or a limit lets it
		if h.ProjectID != "" && !slices.Contains(ids, h.ProjectID) {
			ids = append(ids, h.ProjectID)
		}
	}
	all, err := readLoad(ctx, s.desk.Redis, now, ids)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b Project) int { return b.InFlight() - a.InFlight() })
	all = slices.DeleteFunc(all, func(p Project) bool { return p.InFlight() == 0 && !concernsProject(holds, p.ID) })
	some := make([]string, 0, shownProjects)
	for _, p := range all[:min(len(all), shownProjects)] {
		some = append(some, p.ID)
	}
	rates, err := s.desk.Release.Rates(ctx, some)
	if err != nil {
		return nil, err
	}
	windows, err := s.desk.Release.Windows(ctx, some...)
	if err != nil {
		return nil, err
	}
	for i := range some {
		all[i].Allowance, all[i].Window, all[i].Detailed = rates[i], windows[i], true
	}
	for i := range all {
		p := &all[i]
		p.Held = slices.ContainsFunc(holds, func(h release.Hold) bool { return !h.ByLimit() && s.desk.Release.Concerns(h, p.ID) })
		p.Limited = slices.ContainsFunc(holds, func(h release.Hold) bool { return h.ByLimit() && h.ProjectID == p.ID })
		if !p.Held {
			p.Waiting = Hours{}
		}
	}
	return all, nil
}

func concernsProject(holds []release.Hold, id string) bool {
	return slices.ContainsFunc(holds, func(h release.Hold) bool { return h.ProjectID == id })
}

// newestIDs are the newest batches, real and shadow.
func (s *Source) newestIDs(ctx context.Context, n int) ([]string, error) {
	real, err := s.desk.Ledger.Real().Batches(ctx, n)
	if err != nil {
		return nil, err
	}
	shadow, err := s.desk.Ledger.Shadow().Batches(ctx, n)
	return append(real, shadow...), err
}

// version is a mark of all that a page shows. While something is in flight its age is shown, so each second has one.
func (st *State) version() (string, error) {
	copied := *st
	step := time.Minute
	if len(st.Projects) > 0 {
		step = time.Second
	}
	copied.At = st.At.Truncate(step)
	copied.Workers.Seen = time.Time{}
	for i := range copied.Workers.Alive {
		copied.Workers.Seen = copied.Workers.Seen.Add(time.Duration(i + 1)) // how many live
	}
	h := fnv.New64a()
	err := json.NewEncoder(h).Encode(finite(copied))
	return strconv.FormatUint(h.Sum64(), 36), err
}

// finite is a state without the rates that JSON can't write.
func finite(st State) State {
	st.Projects = slices.Clone(st.Projects)
	for i := range st.Projects {
		a := &st.Projects[i].Allowance
		a.Rate, a.Configured = min(a.Rate, 1e9), min(a.Configured, 1e9)
	}
	return st
}

// For is what a principal sees of it.
func (st *State) For(p *principals.Principal) *State {
	if p.All() {
		return st
	}
	part := *st
	part.Projects, part.Holds, part.Batches = nil, nil, nil
	part.Queue, part.Hour, part.HourTrouble, part.Ticks = nil, nil, "", scheduler.Overview{}
	for _, one := range st.Projects {
		if p.Sees(one.ID) {
			part.Projects = append(part.Projects, one)
		}
	}
	part.Holds = VisibleHolds(st.Holds, p)
	part.Batches = VisibleBatches(st.Batches, p)
	part.Version = st.Version + "-" + strings.Join(p.Projects, ",")
	return &part
}

// VisibleHolds are those of projects that a principal sees, and those that may hold back any project. What is said of
// whole accounts is not shown, but that they are held.
func VisibleHolds(holds []release.Hold, p *principals.Principal) []release.Hold {
	if p.All() {
		return holds
	}
	var some []release.Hold
	for _, h := range holds {
		if h.Scope == release.ScopeFleet || h.ProjectID != "" && p.Sees(h.ProjectID) {
			some = append(some, h)
		}
	}
	return some
}

// InFlight adds up the projects.
func (st *State) InFlight() (pending, stopping int) {
	for _, p := range st.Projects {
		pending, stopping = pending+p.Pending, stopping+p.Stopping
	}
	return pending, stopping
}

// Hours adds up how long the jobs in flight have run since they were to be stopped, and the part that waits behind a
// hold.
func (st *State) Hours() (all, waiting Hours) {
	for _, p := range st.Projects {
		all, waiting = all.plus(p.Hours), waiting.plus(p.Waiting)
	}
	return all, waiting
}

// Oldest is when the oldest stop in flight was due; zero: none is in flight.
func (st *State) Oldest() (oldest time.Time) {
	for _, p := range st.Projects {
		if !p.Oldest.IsZero() && (oldest.IsZero() || p.Oldest.Before(oldest)) {
			oldest = p.Oldest
		}
	}
	return oldest
}

// Ticks is how the schedules stand, with the last results of each.
func (s *Source) Ticks(ctx context.Context) (Kept[scheduler.Overview], error) {
	return s.ticks.get(ctx, struct{}{}, func(ctx context.Context) (scheduler.Overview, error) {
		if err := s.desk.Fleet.Sync(ctx); err != nil {
			return scheduler.Overview{}, err
		}
		return s.desk.Schedules.Overview(ctx, shownResults)
	})
}

const (
	shownResults = 5
	shownActions = 200
)

// Actions is what people did, the newest first.
func (s *Source) Actions(ctx context.Context) (Kept[[]actions.Action], error) {
	return s.people.get(ctx, struct{}{}, func(ctx context.Context) ([]actions.Action, error) {
		return s.desk.Actions.Last(ctx, shownActions)
	})
}

// Job is the stops of a job, the newest first.
func (s *Source) Job(ctx context.Context, projectID, jobID string) (Kept[[]*ledger.Stop], error) {
	return s.jobs.get(ctx, [2]string{projectID, jobID}, func(ctx context.Context) ([]*ledger.Stop, error) {
		return s.desk.JobStops(ctx, projectID, jobID)
	})
}

// FindJob lists the projects in which a job of that id was asked for, among those that have work or one of the newest
// batches; sorted.
func (s *Source) FindJob(ctx context.Context, jobID string) (Kept[[]string], error) {
	return s.found.get(ctx, jobID, func(ctx context.Context) ([]string, error) {
		projects, err := s.desk.Release.Projects(ctx)
		if err != nil {
			return nil, err
		}
		batches, err := s.list.get(ctx, struct{}{}, s.readList)
		if err != nil {
			return nil, err
		}
		for _, b := range batches.Value {
			for _, part := range b.Parts {
				projects = append(projects, part.ProjectID)
			}
		}
		slices.Sort(projects)
		projects = slices.Compact(projects)
		return s.withJob(ctx, projects[:min(len(projects), 2*listed)], jobID)
	})
}

// withJob are those of some projects that have a stop of the job.
func (s *Source) withJob(ctx context.Context, projects []string, jobID string) ([]string, error) {
	found := make([]bool, len(projects))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, p := range projects {
		group.Go(func() error {
			for _, key := range []string{ledger.Keys(p).Active(), ledger.Keys(p).Last(), ledger.ShadowKeys(p).Active(), ledger.ShadowKeys(p).Last()} {
				_, err := s.desk.Redis.HGet(ctx, key, jobID).Result()
				if err != nil && !errors.Is(err, redis.Nil) {
					return fmt.Errorf("look for a job: %w", err)
				}
				found[i] = found[i] || err == nil
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var some []string
	for i, p := range projects {
		if found[i] {
			some = append(some, p)
		}
	}
	return some, nil
}
