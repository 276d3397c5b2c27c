package scheduler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/estimate"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/limits"
	"vizstop/internal/luascript"
	"vizstop/internal/notify"
	"vizstop/internal/plain"
	"vizstop/internal/schedules"
	"vizstop/internal/selection"
	"vizstop/internal/when"
)

// errLost is returned when another worker has the tick now, or it was settled.
var errLost = errors.New("the tick is no longer this worker's")

// firstRetry and mostRetry bound the wait after a try that failed whole.
const (
	firstRetry = 30 * time.Second
	mostRetry  = 5 * time.Minute
)

// maxSaid bounds an error in a result, in characters.
const maxSaid = 500

// carry carries out a tick that this worker has claimed.
func (s *Scheduler) carry(ctx context.Context, one *schedules.Schedule, c claim) {
	end := timeOf(c.Tick).Add(one.CatchUp)
	limited, cancel := context.WithTimeout(ctx, end.Sub(s.Fleet.Now()))
	defer cancel()
	result, err := s.attempt(limited, one, &c)
	switch {
	case errors.Is(err, errLost) || ctx.Err() != nil: // others go on
	case err != nil:
		err = s.giveBack(ctx, one, c, err)
	default:
		err = s.finish(ctx, one, c, result)
	}
	if err != nil && !errors.Is(err, errLost) && ctx.Err() == nil {
		s.Logger.WarnContext(ctx, "a tick is gone on with later", "schedule", one.Name, "tick", timeOf(c.Tick).Format(time.RFC3339), "error", err)
	}
}

// attempt chooses the jobs of a tick, unless a try before has, and asks for their stops.
func (s *Scheduler) attempt(ctx context.Context, one *schedules.Schedule, c *claim) (Result, error) {
	if c.Chosen == nil {
		if err := s.choose(ctx, one, c); err != nil {
			return Result{}, err
		}
	}
	return s.ask(ctx, one, *c)
}

// mine changes the record of a schedule while this worker has the claim.
func (s *Scheduler) mine(ctx context.Context, name string, c claim, do func(*state) []Result) error {
	for {
		r, err := s.state(ctx, name)
		if err != nil {
			return err
		}
		if !s.has(&r, c) {
			return errLost
		}
		results := do(&r.state)
		err = s.change(ctx, name, &r, results...)
		if errors.Is(err, errChanged) {
			continue
		}
		return err
	}
}

// has reports whether this worker still has a claim.
func (s *Scheduler) has(r *record, c claim) bool {
	return r.Claim != nil && r.Claim.Tick == c.Tick && r.Claim.Try == c.Try && r.Claim.Worker == s.me
}

// giveBack leaves a tick whose try has failed to whoever looks at it first after a while.
func (s *Scheduler) giveBack(ctx context.Context, one *schedules.Schedule, c claim, cause error) error {
	wait := min(mostRetry, firstRetry<<min(c.Try-1, 10))
	said := plain.Line(cause.Error(), maxSaid)
	err := s.mine(ctx, one.Name, c, func(st *state) []Result {
		back := *st.Claim
		back.Worker, back.RetryAt, back.Error = "", s.Fleet.Now().Add(wait).UnixMilli(), said
		st.Claim = &back
		return nil
	})
	if err == nil {
		s.Logger.WarnContext(ctx, "a try to carry out a tick failed", "schedule", one.Name, "tick", timeOf(c.Tick).Format(time.RFC3339),
			"try", c.Try, "again_in", wait, "error", said)
	}
	return err
}

// finish settles a tick, and forgets its selection.
func (s *Scheduler) finish(ctx context.Context, one *schedules.Schedule, c claim, result Result) error {
	err := s.mine(ctx, one.Name, c, func(st *state) []Result {
		if c.By == "" {
			st.Settled = max(st.Settled, c.Tick)
			st.Next = millis(one.Next(timeOf(st.Settled)))
		}
		if result.Outcome == Done || result.Outcome == Partial {
			st.LastDone = max(st.LastDone, c.Tick)
		}
		st.Claim = nil
		return []Result{result}
	})
	if err != nil {
		return err
	}
	s.tellResult(ctx, one.Name, result)
	if err := s.rdb.Del(ctx, chosenKey(one.Name, c.Tick, c.Chosen.Try)).Err(); err != nil {
		s.Logger.WarnContext(ctx, "the selection of a tick is forgotten later", "schedule", one.Name, "error", err)
	}
	return nil
}

// chunk is jobs of one project that are asked for together.
type chunk struct {
	ProjectID string   `json:"project"`
	Jobs      []string `json:"jobs"`
	Size      *size    `json:"size,omitempty"` // of the first chunk of a project
}

// size is how many stops a tick has in a project, and which limit that is over; "": none.
type size struct {
	Stops int    `json:"stops"`
	Held  string `json:"held,omitempty"`
}

const (
	// chosenLife is when Redis forgets the selection of a tick that nobody has finished.
	chosenLife = 8 * 24 * time.Hour
	// chunksAtOnce is how many chunks are written or read at once.
	chunksAtOnce = 40
	// toldUnlisted is how many projects that were left out are told.
	toldUnlisted = 20
)

// choose chooses the jobs of a tick and writes them down, whole, before the first is
// asked for.
func (s *Scheduler) choose(ctx context.Context, one *schedules.Schedule, c *claim) error {
	chunks, shares, picked, err := s.pick(ctx, one, c.shadow(one))
	if err != nil {
		return err
	}
	if err := s.plan(ctx, one, shares, picked); err != nil {
		return err
	}
	picked.Try, picked.Chunks = c.Try, len(chunks)
	picked.Shadow = picked.Shadow || c.shadow(one)
	// A fail-over may have lost the claim. Another worker then makes the same try of the tick,
	// and may have written down its own jobs there.
	switch r, err := s.state(ctx, one.Name); {
	case err != nil:
		return err
	case !s.has(&r, *c):
		return errLost
	}
	key := chosenKey(one.Name, c.Tick, c.Try)
	for some := range slices.Chunk(chunks, chunksAtOnce) {
		var lines []any
		for _, one := range some {
			line, err := json.Marshal(one)
			if err != nil {
				return err
			}
			lines = append(lines, line)
		}
		pipe := luascript.Together(s.rdb)
		pipe.RPush(ctx, key, lines...)
		pipe.Expire(ctx, key, chosenLife)
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("write down the jobs: %w", err)
		}
	}
	if n, err := s.rdb.LLen(ctx, key).Result(); err != nil || int(n) != len(chunks) { // a repeat, because an answer was lost, wrote some twice
		return errors.Join(fmt.Errorf("write down the jobs: %d of %d chunks are there", n, len(chunks)), err, s.rdb.Del(ctx, key).Err())
	}
	c.Chosen = picked
	suspended := false
	err = s.mine(ctx, one.Name, *c, func(st *state) []Result {
		taken := *st.Claim
		if suspended = st.suspended(s.Fleet.Now()); suspended {
			taken.Worker = "" // whoever looks at it next settles it
		} else {
			taken.Chosen = picked
		}
		st.Claim = &taken
		return nil
	})
	if err == nil && suspended {
		err = errLost
	}
	return err
}

// pick applies the rule to every project. It fails if no project could be listed. Unless the
// stops are shadow stops anyway, projects in shadow accounts are left out; where there are
// no others, the stops are shadow stops.
func (s *Scheduler) pick(ctx context.Context, one *schedules.Schedule, shadow bool) (chunks []chunk, shares []estimate.Share, picked *chosen, err error) {
	projects, err := s.Projects(one.Rule)
	if err != nil {
		return nil, nil, nil, err
	}
	rule, err := one.Selection(s.Fleet.Now(), one.Location)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("the protected jobs: %w", err)
	}
	refused, err := s.Refused(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	picked = &chosen{}
	all, faults := len(projects), []error(nil)
	if !shadow {
		others, left := s.outOfShadow(projects)
		if picked.Shadow = len(others) == 0; !picked.Shadow {
			projects, faults = others, left
		}
	}
	sizes := map[string]limits.Size{}
	list := func(project string) iter.Seq2[jobs.Job, error] { return s.list(ctx, project, refused) }
	for _, found := range selection.Across(projects, list, rule, s.Fleet.Now(), 1, nil) { // one at a time: see list
		if found.Err != nil {
			faults = append(faults, found.Err)
			continue
		}
		if n := len(found.Jobs); n > 0 {
			shares = append(shares, estimate.Share{ProjectID: found.ProjectID, Stops: n})
			picked.Jobs += n
			sizes[found.ProjectID] = limits.Size{Stops: n, Running: found.Running}
		}
		for some := range slices.Chunk(found.Jobs, ledger.OpenChunk) {
			c := chunk{ProjectID: found.ProjectID}
			for _, job := range some {
				c.Jobs = append(c.Jobs, job.ID)
			}
			chunks = append(chunks, c)
		}
	}
	if ctx.Err() != nil {
		return nil, nil, nil, context.Cause(ctx)
	}
	own := s.limits(one)
	for i := range chunks {
		if of, first := sizes[chunks[i].ProjectID]; first {
			of.All = picked.Jobs
			chunks[i].Size = &size{of.Stops, own.Over(of)}
			delete(sizes, chunks[i].ProjectID)
		}
	}
	if len(faults) > 0 && len(faults) == all {
		return nil, nil, nil, errors.Join(faults...)
	}
	for i, fault := range faults {
		if i == toldUnlisted {
			picked.Left = len(faults) - i
			break
		}
		picked.Unlisted = append(picked.Unlisted, plain.Line(fault.Error(), maxSaid))
	}
	return chunks, shares, picked, nil
}

// outOfShadow sorts out projects in shadow accounts, each with the reason.
func (s *Scheduler) outOfShadow(projects []string) (others []string, left []error) {
	for _, p := range projects {
		if s.InShadow(p) {
			left = append(left, fmt.Errorf("project %s: account %s is a shadow account: no stop call is made for its projects; give them a schedule of their own", p, s.Account(p)))
			continue
		}
		others = append(others, p)
	}
	return others, left
}

// limits are those of a schedule or, where it says nothing, of the fleet.
func (s *Scheduler) limits(one *schedules.Schedule) limits.Limits {
	l := s.Fleet.Limits()
	l.Batch, l.Share = cmp.Or(one.BatchLimit, l.Batch), cmp.Or(one.BatchShare, l.Share)
	return l
}

// list lists the jobs of a project, unless the credential of its account is refused:
// each further call could lock an access key.
func (s *Scheduler) list(ctx context.Context, project string, refused map[string]string) iter.Seq2[jobs.Job, error] {
	return func(yield func(jobs.Job, error) bool) {
		account := s.Account(project)
		if why, is := refused[account]; is {
			yield(jobs.Job{}, errors.New(why))
			return
		}
		for job, err := range s.Jobs(ctx, project) {
			if jobs.KindOf(err) == jobs.KindCredentials {
				refused[account] = fmt.Sprintf("the credential of account %s was refused in project %s", account, project)
			}
			if !yield(job, err) {
				return
			}
		}
	}
}

// plan settles when the stops are due and how long they may take, as enqueue does.
func (s *Scheduler) plan(ctx context.Context, one *schedules.Schedule, shares []estimate.Share, picked *chosen) error {
	rate, err := s.Rate(ctx)
	if err != nil {
		return err
	}
	now := s.Fleet.Now()
	spread, at := when.Plan{First: now, Spread: one.Spread}, 0
	for i := range shares {
		shares[i].First, shares[i].Last = spread.Due(at, picked.Jobs), spread.Due(at+shares[i].Stops-1, picked.Jobs)
		at += shares[i].Stops
	}
	batch := estimate.Of(now, rate, shares)
	deadline := one.Deadline
	if deadline == 0 {
		deadline = batch.Deadline()
	}
	if err := batch.Refuse(deadline, "deadline "+estimate.Flag(deadline)); err != nil {
		picked.Note = plain.Line(err.Error(), maxSaid)
	}
	picked.First, picked.Deadline, picked.Spread = now.UnixMilli(), deadline.Milliseconds(), one.Spread.Milliseconds()
	return nil
}

// ask asks for the stops of what was chosen. Doing it twice is harmless: the tick's batch
// has one id.
func (s *Scheduler) ask(ctx context.Context, one *schedules.Schedule, c claim) (Result, error) {
	tick, picked := timeOf(c.Tick), c.Chosen
	r := Result{Tick: tick, Outcome: Done, Worker: s.me, Reason: picked.Note, Chosen: picked.Jobs, Unlisted: append([]string{}, picked.Unlisted...),
		Left: picked.Left, Tries: c.Try, Shadow: c.shadow(one), By: c.By}
	if picked.Jobs > 0 {
		r.Batch = schedules.BatchID(one.Name, tick)
		if err := s.askAll(ctx, one, c, &r); err != nil {
			return r, err
		}
	}
	if r.Outcome == Done && (len(r.Unlisted) > 0 || r.Refused > 0) {
		r.Outcome = Partial
	}
	r.At = s.Fleet.Now()
	return r, nil
}

func (s *Scheduler) askAll(ctx context.Context, one *schedules.Schedule, c claim, r *Result) error {
	meta := ledger.Meta{Requester: "schedule " + one.Name, Reason: one.Reason, Shadow: r.Shadow}
	if c.By != "" {
		meta.Requester = c.By
	}
	plan := when.Plan{First: timeOf(c.Chosen.First), Spread: time.Duration(c.Chosen.Spread) * time.Millisecond,
		Deadline: time.Duration(c.Chosen.Deadline) * time.Millisecond}
	b := &brake{s: s, name: one.Name, c: c, batch: r.Batch, books: s.books(r.Shadow), canceledIn: map[string]bool{}}
	i := 0
	for part, err := range s.chunks(ctx, one.Name, c) {
		if err != nil {
			return err
		}
		here, err := b.pulled(ctx, part.ProjectID)
		if err != nil {
			return err
		}
		if b.why != "" {
			break
		}
		var asks []ledger.Ask
		for _, job := range part.Jobs {
			due := plan.Due(i, c.Chosen.Jobs)
			asks = append(asks, ledger.Ask{JobID: job, Due: due, Deadline: plan.DeadlineOf(due), Listed: true, Shadow: r.Shadow})
			i++
		}
		if here {
			continue
		}
		if err := s.askFor(ctx, one, part, asks, meta, b.books, r); err != nil {
			return err
		}
	}
	if b.why == "" {
		if i != c.Chosen.Jobs {
			return fmt.Errorf("only %d of the %d jobs that were written down are in Redis", i, c.Chosen.Jobs)
		}
		if _, err := b.pulled(ctx, ""); err != nil { // during the last chunk
			return err
		}
	}
	r.tellLate(s.Fleet.Now(), one.Name)
	if err := b.tell(ctx, r); err != nil {
		return err
	}
	if one.Notify == "" || r.Accepted+r.Joined+r.Known == 0 {
		return nil
	}
	return notify.Arm(ctx, s.rdb, r.Batch, one.Notify)
}

// books are those of shadow stops or of real ones.
func (s *Scheduler) books(shadow bool) *ledger.Ledger {
	if shadow {
		return s.Ledger.Shadow()
	}
	return s.Ledger
}

// askFor asks for the stops of one chunk.
func (s *Scheduler) askFor(ctx context.Context, one *schedules.Schedule, part chunk, asks []ledger.Ask, meta ledger.Meta, books *ledger.Ledger, r *Result) error {
	if of := part.Size; of != nil {
		err := s.Ledger.Describe(ctx, part.ProjectID, r.Batch, meta)
		if err == nil {
			err = books.StateSize(ctx, part.ProjectID, r.Batch, of.Stops, of.Held)
		}
		if of.Held != "" && !r.Shadow {
			r.Held = of.Held
		}
		if err != nil {
			return err
		}
	}
	asks, err := s.inTime(ctx, books, part.ProjectID, asks, r)
	if err != nil || len(asks) == 0 {
		return err
	}
	openings, err := s.Producer.Ask(ctx, part.ProjectID, r.Batch, asks)
	r.count(openings)
	if elsewhere, ok := errors.AsType[*ledger.ElsewhereError](err); ok { // of this project alone
		r.Refused += len(asks)
		r.Reason = plain.Line(elsewhere.Error(), maxSaid)
		return nil
	}
	return err
}

// inTime leaves out what would be asked for past its deadline, as the tick is gone on with
// late: a stop of which no call may go out any more. What was asked for before stays.
func (s *Scheduler) inTime(ctx context.Context, books *ledger.Ledger, project string, asks []ledger.Ask, r *Result) ([]ledger.Ask, error) {
	now := s.Fleet.Now()
	late := func(a ledger.Ask) bool { return !now.Before(a.Deadline) }
	var ids []string
	for _, a := range asks {
		if late(a) {
			ids = append(ids, a.JobID)
		}
	}
	if len(ids) == 0 {
		return asks, nil
	}
	asked, err := books.Asked(ctx, project, r.Batch, ids)
	if err != nil {
		return nil, err
	}
	left := slices.DeleteFunc(asks, func(a ledger.Ask) bool { return late(a) && !asked[a.JobID] })
	r.late += len(ids) - len(asked)
	return left, nil
}

// count adds what became of asks.
func (r *Result) count(openings []ledger.Opening) {
	for _, o := range openings {
		switch o.Result {
		case ledger.Opened:
			r.Accepted++
		case ledger.Joined:
			r.Joined++
		case ledger.Full:
			r.Refused++
			r.Reason = fmt.Sprintf("job %s: its stop serves %d batches already, as many as it may", o.JobID, ledger.MaxWishes)
		default:
			r.Known++
		}
	}
}

// tellLate says in the result what was not asked for as it was too late.
func (r *Result) tellLate(now time.Time, name string) {
	if r.late == 0 {
		return
	}
	r.Outcome = Partial
	if r.Accepted+r.Joined+r.Known == 0 {
		r.Outcome = Failed
	}
	r.Refused += r.late
	r.Reason = fmt.Sprintf("%d of the %d jobs that were chosen were not asked for: it was gone on with at %s, after the deadline of their stops; to stop them now: enqueue schedules run %s",
		r.late, r.Chosen, now.Format(time.RFC3339), name)
}

// chunks reads what was written down.
func (s *Scheduler) chunks(ctx context.Context, name string, c claim) iter.Seq2[chunk, error] {
	return func(yield func(chunk, error) bool) {
		key := chosenKey(name, c.Tick, c.Chosen.Try)
		for from := int64(0); from < int64(c.Chosen.Chunks); from += chunksAtOnce {
			lines, err := s.rdb.LRange(ctx, key, from, min(from+chunksAtOnce, int64(c.Chosen.Chunks))-1).Result()
			if err != nil && !errors.Is(err, redis.Nil) {
				yield(chunk{}, fmt.Errorf("read the jobs that were written down: %w", err))
				return
			}
			for _, line := range lines {
				var one chunk
				if err := decode(line, &one); err != nil {
					yield(one, fmt.Errorf("the jobs that were written down can't be read: %w", err))
					return
				}
				if !yield(one, nil) {
					return
				}
			}
		}
	}
}
