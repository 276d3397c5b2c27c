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
	"vizstop/internal/plain"
	"vizstop/internal/schedules"
	"vizstop/internal/selection"
	"vizstop/internal/when"
)

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
	kept := false // from being carried out
	err = s.mine(ctx, one.Name, *c, func(st *state) []Result {
		taken := *st.Claim
		if kept = st.canceled(c.Tick) != "" || st.suspension(c.since(), s.Fleet.Now()) != ""; kept {
			taken.Worker = "" // whoever looks at it next settles it
		} else {
			taken.Chosen = picked
		}
		st.Claim = &taken
		return nil
	})
	if err == nil && kept {
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
