package scheduler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/schedules"
)

// Desk is where people look at schedules, suspend them and ask for runs. It needs no
// schedules file. It is safe for concurrent use.
type Desk struct {
	store
	fleet Fleet
}

// NewDesk returns a desk of a process that may be no worker.
func NewDesk(rdb redis.UniversalClient, fleet Fleet) *Desk {
	return &Desk{store{rdb, "desk-" + fleet.ID()}, fleet}
}

// Overview is how all schedules stand.
type Overview struct {
	Force     Force
	Workers   []WorkerFile // what living workers have, the highest revision first
	Schedules []Standing   // in file order
}

// Agreed reports whether every living worker has the file that is in force.
func (o Overview) Agreed() bool {
	for _, w := range o.Workers {
		if w.Revision != o.Force.Revision || w.Hash != o.Force.Hash {
			return false
		}
	}
	return true
}

// Standing is how a schedule stands.
type Standing struct {
	Entry
	Next       time.Time   // the first tick without a result that no suspension keeps out; zero: none within four years, or no worker has looked since it was suspended
	LastDone   time.Time   // the newest tick that is done, shadow runs of a schedule that stops jobs left out; zero: none
	Running    *Running    // nil: no tick is being carried out
	Requested  *Requested  // nil: no run by hand waits
	Suspension *Suspension // nil: it is not suspended
	Results    []Result    // the newest first, and Last if it is older
	Last       *Result     // the newest of Results, trials left out if there is another one; nil: there is none, or none was asked for
}

// Running is a tick that is being carried out, or waits to be tried again.
type Running struct {
	Tick     time.Time
	Batch    string // that it has or will have, if any job is chosen
	Worker   string // "" until Again
	Try      int
	Again    time.Time // zero: at work
	Error    string    // of the try before
	By       string    // who has asked for it by hand
	Started  bool      // its jobs are chosen
	Shadow   bool      // it stops nothing
	Canceled string    // who has canceled it before it had stops, and why; "": nobody
}

// Requested is a run by hand that no worker has begun with yet.
type Requested struct {
	Batch    string
	By       string
	Shadow   bool
	Canceled string // who has canceled it, and why; "": nobody
}

// Suspension is a time in which no tick is carried out.
type Suspension struct {
	From, Until time.Time
	By, Reason  string
}

// Overview reads how all schedules stand, with so many results of each.
func (d *Desk) Overview(ctx context.Context, results int) (o Overview, err error) {
	if o.Force, _, err = d.store.force(ctx); err != nil {
		return o, err
	}
	if o.Workers, err = d.said(ctx, d.fleet.Now(), d.fleet.Census().Lives); err != nil {
		return o, err
	}
	o.Schedules, err = d.standings(ctx, o.Force.Schedules, results)
	return o, err
}

func (d *Desk) standings(ctx context.Context, entries []Entry, results int) ([]Standing, error) {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	records, err := d.states(ctx, names)
	if err != nil {
		return nil, err
	}
	all := make([]Standing, len(entries))
	for i, e := range entries {
		all[i] = standing(e, &records[i].state, d.fleet.Now())
		if results > 0 {
			if err := d.look(ctx, &all[i], results); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// look reads the newest n results of a schedule, finds the last one, and counts how its stops stand.
func (d *Desk) look(ctx context.Context, s *Standing, n int) (err error) {
	if s.Results, err = d.results(ctx, s.Name, n); err != nil || len(s.Results) == 0 {
		return err
	}
	counts := func(r Result) bool { return !r.trial(s.Shadow) }
	last := slices.IndexFunc(s.Results, counts)
	if last < 0 {
		older, err := d.results(ctx, s.Name, keptResults)
		if err != nil {
			return err
		}
		if at := slices.IndexFunc(older, counts); at >= 0 {
			last, s.Results = len(s.Results), append(s.Results, older[at])
		}
	}
	s.Last = &s.Results[max(0, last)]
	return d.count(ctx, s.Last)
}

func standing(e Entry, st *state, now time.Time) Standing {
	s := Standing{Entry: e, Next: timeOf(st.Next), LastDone: timeOf(st.LastDone), Results: []Result{}}
	if !st.suspendedUntil(s.Next).IsZero() {
		s.Next = time.Time{} // the next look of a worker reckons which tick is the first after it
	}
	if c := st.Claim; c != nil {
		s.Running = &Running{Tick: timeOf(c.Tick), Batch: schedules.BatchID(e.Name, timeOf(c.Tick)), Worker: c.Worker, Try: c.Try, Again: timeOf(c.RetryAt),
			Error: c.Error, By: c.By, Started: c.Chosen != nil, Shadow: c.shadow(&schedules.Schedule{Shadow: e.Shadow}), Canceled: st.canceled(c.Tick)}
	}
	if r := st.Run; r != nil {
		s.Requested = &Requested{schedules.BatchID(e.Name, timeOf(r.Tick)), r.By, r.Shadow, st.canceled(r.Tick)}
	}
	for _, one := range st.Suspensions {
		if ms := now.UnixMilli(); one.From <= ms && ms < one.Until {
			s.Suspension = &Suspension{timeOf(one.From), timeOf(one.Until), one.By, one.Reason}
		}
	}
	return s
}

// Find is the schedule of that name of the file that is in force. The error says what
// there is.
func (d *Desk) Find(ctx context.Context, name string) (Entry, error) {
	e, _, err := d.entry(ctx, name)
	return e, err
}

// entry is Find, and which file is in force.
func (d *Desk) entry(ctx context.Context, name string) (Entry, Force, error) {
	f, _, err := d.store.force(ctx)
	if err != nil {
		return Entry{}, f, err
	}
	if f.Revision == 0 {
		return Entry{}, f, errors.New("no worker on this Redis has ever had a schedules file: start workers with --schedules (VIZSTOP_SCHEDULES)")
	}
	e, ok := f.find(name)
	if !ok {
		var names []string
		for _, one := range f.Schedules {
			names = append(names, one.Name)
		}
		return e, f, fmt.Errorf("revision %d of the schedules has no schedule %q; there are %s", f.Revision, name, strings.Join(names, ", "))
	}
	return e, f, nil
}

// MayRun says why Run would be refused now; nil if it would not.
func (d *Desk) MayRun(ctx context.Context, name string) error {
	_, err := d.mayRun(ctx, name)
	if err != nil {
		return err
	}
	r, err := d.state(ctx, name)
	if err != nil {
		return err
	}
	return r.mayRun(name, d.fleet.Now())
}

// mayRun is MayRun, but for the state of the schedule.
func (d *Desk) mayRun(ctx context.Context, name string) (Entry, error) {
	one, force, err := d.entry(ctx, name)
	if err != nil {
		return one, err
	}
	workers, err := d.said(ctx, d.fleet.Now(), d.fleet.Census().Lives)
	if err == nil && (len(workers) == 0 || workers[0].Revision != force.Revision) {
		err = fmt.Errorf("no worker runs that has revision %d of the schedules: nothing was asked for", force.Revision)
	}
	return one, err
}

func (st *state) mayRun(name string, now time.Time) error {
	switch {
	case st.suspension(now, now) != "":
		return fmt.Errorf("schedule %s is %s: resume it first", name, st.suspension(now, now))
	case st.Run != nil && st.canceled(st.Run.Tick) != "":
		return fmt.Errorf("the run of schedule %s before, %s, is being canceled: ask again in a few seconds", name, schedules.BatchID(name, timeOf(st.Run.Tick)))
	case st.Run != nil:
		return fmt.Errorf("schedule %s is about to run already, as %s has asked: its batch is %s", name, st.Run.By, schedules.BatchID(name, timeOf(st.Run.Tick)))
	}
	return nil
}

// Run asks the workers for a tick of a schedule now, and returns the batch that it will
// have, and whether that is one of shadow stops. It is refused while the schedule is
// suspended, and if no living worker has the file that is in force.
func (d *Desk) Run(ctx context.Context, name, by string, shadow bool) (batch string, ofShadow bool, err error) {
	one, err := d.mayRun(ctx, name)
	if err != nil {
		return "", false, err
	}
	shadow = shadow || one.Shadow
	var tick time.Time
	err = d.update(ctx, name, func(st *state) error {
		if err := st.mayRun(name, d.fleet.Now()); err != nil {
			return err
		}
		now := d.fleet.Now()
		tick = st.freeTick(now)
		st.Run, st.LastRun = &request{Tick: tick.UnixMilli(), Asked: now.UnixMilli(), By: by, Shadow: shadow}, tick.UnixMilli()
		return nil
	})
	return schedules.BatchID(name, tick), shadow, err
}

// freeTick is the time of a run by hand: the first second from now on that is neither that
// of an earlier run, nor one at which there may be a tick by the clock. So each has a
// batch of its own.
func (st *state) freeTick(now time.Time) time.Time {
	tick := now.Truncate(time.Second)
	if last := timeOf(st.LastRun); !tick.After(last) {
		tick = last.Add(time.Second)
	}
	if tick.Second() == 0 {
		tick = tick.Add(time.Second)
	}
	return tick
}

// Limits says, in words, of what size on a tick of a schedule is held until somebody allows
// it; "": of none.
func (d *Desk) Limits(one Entry) string {
	l := d.fleet.Limits().WithDefaults()
	batch, share := cmp.Or(one.BatchLimit, l.Batch), cmp.Or(one.BatchShare, l.Share)
	var all []string
	if batch > 0 {
		all = append(all, fmt.Sprintf("more than %d stops", batch))
	}
	if share > 0 && share < 100 {
		all = append(all, fmt.Sprintf("more than %g %% of the running jobs of a project", share))
	}
	return strings.Join(all, " or ")
}

// keptSuspensions is how many suspensions of a schedule are kept: a tick that fell into
// an older one has its result long since.
const keptSuspensions = 10

// MaySuspend says why Suspend would be refused now; nil if it would not. The time is told as the person has given it.
func (d *Desk) MaySuspend(until time.Time, given string) error {
	if until.After(d.fleet.Now()) {
		return nil
	}
	return fmt.Errorf("%s is over: nothing was suspended", given)
}

// Suspend keeps a schedule from having ticks carried out until a time. One that is suspended already is suspended until
// then instead. What was due or asked for before, and has asked for no stop yet, is not carried out later either.
func (d *Desk) Suspend(ctx context.Context, name string, until time.Time, by, reason string) error {
	if _, _, err := d.entry(ctx, name); err != nil {
		return err
	}
	return d.update(ctx, name, func(st *state) error {
		now := d.fleet.Now().UnixMilli()
		if err := d.MaySuspend(until, until.Format(time.RFC3339)); err != nil {
			return err
		}
		all := append([]suspension(nil), st.Suspensions...)
		from := now
		if n := len(all); n > 0 && all[n-1].Until > now { // goes on, by other words
			from = all[n-1].From
			all = all[:n-1]
		}
		all = append(all, suspension{from, until.UnixMilli(), by, reason})
		st.Suspensions = all[max(0, len(all)-keptSuspensions):]
		return nil
	})
}

// Resume ends a suspension. Ticks that fell into it are not caught up.
func (d *Desk) Resume(ctx context.Context, name string) (changed bool, err error) {
	if _, _, err := d.entry(ctx, name); err != nil {
		return false, err
	}
	err = d.update(ctx, name, func(st *state) error {
		now := d.fleet.Now().UnixMilli()
		n := len(st.Suspensions)
		if changed = n > 0 && st.Suspensions[n-1].Until > now; changed {
			all := append([]suspension(nil), st.Suspensions...)
			all[n-1].Until = now
			st.Suspensions = all
		}
		return nil
	})
	return changed, err
}

// update changes the record of a schedule by what a person wants.
func (d *Desk) update(ctx context.Context, name string, do func(*state) error) error {
	for {
		r, err := d.state(ctx, name)
		if err != nil {
			return err
		}
		if err := do(&r.state); err != nil {
			return err
		}
		if err := d.change(ctx, name, &r); !errors.Is(err, errChanged) {
			return err
		}
	}
}
