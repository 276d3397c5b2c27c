// Package scheduler carries out the schedules of package schedules. Every worker with a
// schedules file runs one; there is no leader. Redis has a record of each schedule, which
// is changed by compare-and-set only: whoever claims a tick there carries it out, and
// whoever finds that its worker is gone goes on with it.
package scheduler

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/estimate"
	"vizstop/internal/fleet"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/limits"
	"vizstop/internal/release"
	"vizstop/internal/schedules"
)

// Fleet is this worker's place in the fleet, as *fleet.Member is.
type Fleet interface {
	ID() string
	Now() time.Time
	Census() fleet.Census
	Limits() limits.Limits
}

// Producer asks for stops, as *tasks.Producer does.
type Producer interface {
	Ask(ctx context.Context, projectID, batch string, asks []ledger.Ask) ([]ledger.Opening, error)
}

// Recorder counts ticks, as *metrics.Metrics does.
type Recorder interface {
	// Ticked counts a tick that has a result. Each counts once in the sum over all workers.
	Ticked(schedule, outcome string)
	// Schedule makes every series of a schedule exist before its first tick.
	Schedule(name string)
}

// Config settles a Scheduler. All fields are needed but Logger and Interval.
type Config struct {
	Redis    redis.UniversalClient
	Fleet    Fleet
	Ledger   *ledger.Ledger
	Producer Producer
	File     *schedules.File

	// Projects lists the ids of the projects that a rule names.
	Projects func(schedules.Rule) ([]string, error)
	// Jobs lists all jobs of a project, as jobs.All does.
	Jobs func(ctx context.Context, projectID string) iter.Seq2[jobs.Job, error]
	// Account is the account of a project: after its credential was refused once, a try
	// asks for no other project of it.
	Account func(projectID string) string
	// InShadow reports whether the account of a project is a shadow account: no stop call
	// is made there.
	InShadow func(projectID string) bool
	// Refused says of each account whose credential is known to be refused why; its
	// projects are not asked for.
	Refused func(ctx context.Context) (map[string]string, error)
	// Rate is how many calls a second the fleet makes.
	Rate func(ctx context.Context) (estimate.Rate, error)

	Recorder Recorder
	Logger   *slog.Logger // nil: silent

	// Interval is how often the schedules are looked at when no tick is due; default 2 s.
	// A run by hand begins within that time.
	Interval time.Duration
}

// carriedAtOnce is how many ticks one worker carries out at once.
const carriedAtOnce = 4

// Scheduler carries out schedules. Run is called once; the other methods are safe for
// concurrent use.
type Scheduler struct {
	Config
	store
	release *release.Releaser
	file    atomic.Pointer[schedules.File]
	fault   atomic.Pointer[string] // why its file is not in force
	again   chan struct{}

	said time.Time // when this worker said which file it has
	hash string    // of which file

	mu      sync.Mutex
	carries map[string]bool // schedules of which a tick is carried out here
	work    sync.WaitGroup
}

// New returns a scheduler that does nothing yet.
func New(cfg Config) *Scheduler {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Interval <= 0 {
		cfg.Interval = 2 * time.Second
	}
	s := &Scheduler{Config: cfg, store: store{cfg.Redis, cfg.Fleet.ID()}, release: release.New(cfg.Redis, "", cfg.Fleet.Now, release.Config{}), again: make(chan struct{}, 1), carries: map[string]bool{}}
	s.Set(cfg.File)
	return s
}

// Set takes up another schedules file.
func (s *Scheduler) Set(f *schedules.File) {
	for _, one := range f.Schedules {
		s.Recorder.Schedule(one.Name)
	}
	s.file.Store(f)
	s.wake()
}

func (s *Scheduler) wake() {
	select {
	case s.again <- struct{}{}:
	default:
	}
}

// InForce reports whether the file of this worker is in force, as far as it has seen.
func (s *Scheduler) InForce() bool { fault := s.fault.Load(); return fault != nil && *fault == "" }

// Note says why nothing of this worker's file is run; "" if it is in force.
func (s *Scheduler) Note() string {
	if fault := s.fault.Load(); fault != nil {
		return *fault
	}
	return ""
}

// Unfit says which schedules of this worker's file it can't carry out as things stand, and
// why: their rules choose no project.
func (s *Scheduler) Unfit() (notes []string) {
	for _, one := range s.file.Load().Schedules {
		if _, err := s.Projects(one.Rule); err != nil {
			notes = append(notes, "schedule "+one.Name+" can't be carried out as things stand: "+err.Error())
		}
	}
	return notes
}

// Revision is that of this worker's file.
func (s *Scheduler) Revision() int { return s.file.Load().Revision }

// Times reads, of the schedules of this worker's file, the first tick without a result
// and the newest one that is done; a schedule is absent where there is none.
func (s *Scheduler) Times(ctx context.Context) (next, done map[string]time.Time, err error) {
	var names []string
	for _, one := range s.file.Load().Schedules {
		names = append(names, one.Name)
	}
	records, err := s.states(ctx, names)
	if err != nil {
		return nil, nil, err
	}
	next, done = map[string]time.Time{}, map[string]time.Time{}
	for i, r := range records {
		if r.Next != 0 {
			next[names[i]] = timeOf(r.Next)
		}
		if r.LastDone != 0 {
			done[names[i]] = timeOf(r.LastDone)
		}
	}
	return next, done, nil
}

// Run carries out schedules until ctx ends, and returns when no tick is being carried out
// here any more. What it was at is gone on with by others.
func (s *Scheduler) Run(ctx context.Context) {
	defer s.work.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.again:
		}
		wait, err := s.look(ctx)
		if err != nil && ctx.Err() == nil {
			s.Logger.WarnContext(ctx, "the schedules are looked at later", "error", err)
			wait = min(wait, afterError)
		}
		timer.Reset(wait)
	}
}

// afterError is how soon the schedules are looked at again when that was not possible.
const afterError = time.Minute

// recheck is how soon a tick that another worker carries out is looked at again.
const recheck = fleet.Silence

// look goes through the schedules once, and says when to do it again.
func (s *Scheduler) look(ctx context.Context) (wait time.Duration, err error) {
	wait = s.Interval
	file := s.file.Load()
	force, err := s.inForce(ctx, file)
	if err != nil {
		return wait, err
	}
	names := make([]string, len(file.Schedules))
	for i, one := range file.Schedules {
		names[i] = one.Name
	}
	refusal := force.refusal(file)
	s.tell(ctx, refusal)
	if refusal != "" {
		return wait, nil
	}
	records, err := s.states(ctx, names)
	if err != nil {
		return wait, err
	}
	for i := range records {
		entry, _ := force.find(names[i])
		if err := s.visit(ctx, file.Schedules[i], entry, &records[i]); err != nil && !errors.Is(err, errChanged) {
			return wait, err
		}
		wait = min(wait, s.soon(&records[i].state))
	}
	if err := s.settleLeft(ctx, force.Left); err != nil {
		return wait, err
	}
	return max(wait, 10*time.Millisecond), nil
}

// settleLeft gives what is open of schedules that left a result.
func (s *Scheduler) settleLeft(ctx context.Context, left []Left) error {
	names := make([]string, len(left))
	for i, one := range left {
		names[i] = one.Name
	}
	records, err := s.states(ctx, names)
	if err != nil {
		return err
	}
	for i := range records {
		r, one := &records[i], left[i]
		if r.Claim == nil && r.Run == nil && r.Next == 0 {
			continue
		}
		s.mu.Lock()
		busy := s.carries[one.Name]
		s.mu.Unlock()
		v := view{schedule: &schedules.Schedule{Name: one.Name, Shadow: one.Shadow}, now: s.Fleet.Now(), me: s.me, census: s.Fleet.Census(), busy: busy}
		next := r.Next
		results := v.leave(&r.state, one.Revision)
		if len(results) == 0 && r.Next == next {
			continue // a worker is at it still
		}
		if err := s.withdrawCanceled(ctx, &r.state, results); err != nil {
			return err
		}
		switch err := s.change(ctx, one.Name, r, results...); {
		case errors.Is(err, errChanged):
			continue
		case err != nil:
			return err
		}
		for _, result := range results {
			s.tellResult(ctx, v.schedule, result)
		}
	}
	return nil
}

// soon is when a schedule is to be looked at again.
func (s *Scheduler) soon(st *state) time.Duration {
	now := s.Fleet.Now()
	switch c := st.Claim; {
	case c != nil && c.RetryAt != 0:
		return max(min(recheck, timeOf(c.RetryAt).Sub(now)), time.Second)
	case c != nil:
		return recheck
	case st.Next == 0:
		return s.Interval
	}
	return timeOf(st.Next).Sub(now)
}

// inForce puts this worker's file into force if it is to be, and says which one is.
func (s *Scheduler) inForce(ctx context.Context, file *schedules.File) (Force, error) {
	now := s.Fleet.Now()
	if s.hash != file.Hash || now.Sub(s.said) >= sayEvery {
		if err := s.say(ctx, file, now); err != nil {
			return Force{}, err
		}
		s.hash, s.said = file.Hash, now
	}
	return s.adopt(ctx, file, now)
}

// tell says once in the log when the file of this worker is not in force, and when it is
// again.
func (s *Scheduler) tell(ctx context.Context, refusal string) {
	switch before := s.Note(); {
	case refusal == before:
	case refusal == "":
		s.Logger.InfoContext(ctx, "the schedules of this worker are in force", "revision", s.file.Load().Revision, "hash", s.file.Load().Hash)
	default:
		s.Logger.ErrorContext(ctx, refusal)
	}
	s.fault.Store(&refusal)
}

// visit looks at one schedule, and begins to carry out a tick of it if this worker has it.
func (s *Scheduler) visit(ctx context.Context, one *schedules.Schedule, entry Entry, r *record) error {
	s.mu.Lock()
	busy, full := s.carries[one.Name], len(s.carries) >= carriedAtOnce
	s.mu.Unlock()
	v := view{schedule: one, since: entry.Since, now: s.Fleet.Now(), me: s.me, census: s.Fleet.Census(), busy: busy, full: full}
	results, mine, changed := v.decide(&r.state)
	if !changed {
		return nil
	}
	if err := s.withdrawCanceled(ctx, &r.state, results); err != nil {
		return err
	}
	if err := s.change(ctx, one.Name, r, results...); err != nil {
		return err
	}
	for _, result := range results {
		s.tellResult(ctx, one, result)
	}
	if !mine {
		return nil
	}
	s.mu.Lock()
	s.carries[one.Name] = true
	s.mu.Unlock()
	c := *r.Claim
	s.work.Go(func() {
		defer s.wake()
		defer func() {
			s.mu.Lock()
			delete(s.carries, one.Name)
			s.mu.Unlock()
		}()
		s.carry(ctx, one, c)
	})
	return nil
}

// tellResult counts a result, unless it is of a trial, and logs it.
func (s *Scheduler) tellResult(ctx context.Context, one *schedules.Schedule, r Result) {
	if !r.trial(one.Shadow) {
		s.Recorder.Ticked(one.Name, string(r.Outcome))
	}
	level := slog.LevelInfo
	if r.Outcome != Done && r.Outcome != Suspended && r.Outcome != Canceled {
		level = slog.LevelWarn
	}
	s.Logger.Log(ctx, level, "tick of a schedule", "schedule", one.Name, "tick", r.Tick.Format(time.RFC3339),
		"outcome", r.Outcome, "shadow", r.Shadow, "batch", r.Batch, "chosen", r.Chosen, "accepted", r.Accepted, "joined", r.Joined, "left_out", len(r.Unlisted)+r.Left+r.Refused, "reason", r.Reason)
}
