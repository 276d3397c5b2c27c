package rounds

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vizstop/internal/fleet"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

// ShadowConfig is what the rounds of shadow stops work with. Every field is needed.
type ShadowConfig struct {
	Ledger   *ledger.Ledger // of shadow stops
	Release  release.Shadow
	Member   *fleet.Member
	Looker   *tasks.ShadowLooker
	Recorder tasks.Recorder
	Parallel int // API calls at once
	Logger   *slog.Logger
}

// Shadow makes the rounds of shadow stops: it looks at the jobs of those that are
// due, without tasks, takes back what dead workers have left, and ends those whose
// time is up. Run it once; the other methods are safe for concurrent use.
type Shadow struct {
	cfg ShadowConfig
	*pulls
	work   sync.WaitGroup
	atWork atomic.Int64 // looks that are under way, or wait for a slot
}

// NewShadow returns rounds of shadow stops; Run makes them.
func NewShadow(cfg ShadowConfig) *Shadow {
	return &Shadow{cfg: cfg, pulls: newPulls()}
}

const (
	// shadowIdle is the time between two looks at the rounds while there is no work:
	// whoever gives some says so.
	shadowIdle = 5 * time.Second
	// restingWait is the least time between two rounds while calls of a project rest.
	restingWait = 250 * time.Millisecond
	// shadowPart of a worker's calls are looks at jobs of shadow stops, at most.
	shadowPart = 4
)

// Pull says that a project needs a round after that long, at the latest.
func (s *Shadow) Pull(projectID string, after time.Duration) {
	if s.add(projectID, after) { // the loop may rest for long
		s.Wake()
	}
}

// Run makes rounds until ctx ends, and returns when what they have started has
// ended, too.
func (s *Shadow) Run(ctx context.Context) {
	defer s.work.Wait()
	var over []release.Settled
	for ctx.Err() == nil {
		over = append(over, s.drain()...)
		due, err := s.cfg.Release.Turns(ctx, over, release.Room{})
		wait := errorWait
		switch {
		case err == nil:
			over, wait = nil, shadowIdle
			for _, turn := range due.Turns {
				done := release.Settled{Turn: turn, Next: s.round(ctx, turn.ProjectID)}
				over = append(over, done)
				if done.Next >= 0 {
					wait = min(wait, done.Next)
				}
			}
			if due.Next >= 0 {
				wait = min(wait, due.Next)
			}
			if len(over) > 0 { // it is to be told
				wait = min(wait, busyWait)
			}
		case ctx.Err() == nil:
			s.cfg.Logger.WarnContext(ctx, "rounds of shadow stops are held up", "error", err)
		}
		s.rest(ctx, max(wait, leastWait))
	}
}

func (s *Shadow) rest(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.bell:
	case <-ctx.Done():
	}
}

// round makes the round of one project, and returns when the next one is due.
func (s *Shadow) round(ctx context.Context, projectID string) time.Duration {
	room := max(0, max(1, s.cfg.Parallel/shadowPart)-int(s.atWork.Load()))
	resting := s.cfg.Release.Resting(projectID)
	if resting { // what is taken would be given back
		room = 0
	}
	r, err := s.cfg.Release.Round(ctx, projectID, room, fleet.Silence)
	if err == nil {
		err = s.look(ctx, projectID, r.Taken)
	}
	if err == nil && len(r.Late) > 0 {
		err = s.late(ctx, projectID, r.Late)
	}
	if err == nil && len(r.Silent) > 0 {
		err = s.recover(ctx, projectID, r.Silent)
	}
	if err == nil && r.Count {
		err = count(ctx, s.cfg.Ledger, s.cfg.Recorder, projectID)
	}
	if err != nil {
		if ctx.Err() == nil {
			s.cfg.Logger.WarnContext(ctx, "a round of shadow stops is not finished", "project", projectID, "error", err)
		}
		return errorWait
	}
	if resting && r.Next >= 0 {
		return max(r.Next, restingWait)
	}
	return r.Next
}

// look claims what was taken and has it looked at.
func (s *Shadow) look(ctx context.Context, projectID string, taken []ledger.Member) error {
	for _, step := range taken {
		s.cfg.Looker.AtWork.Begin(step.StopID)
		defer s.cfg.Looker.AtWork.End(step.StopID)
	}
	claims, err := s.cfg.Release.Claim(ctx, projectID, taken)
	err = errors.Join(err, s.limit(ctx, projectID, claims))
	for _, c := range claims {
		s.cfg.Looker.AtWork.Begin(c.Stop.ID)
		s.atWork.Add(1)
		s.work.Go(func() {
			defer s.cfg.Looker.AtWork.End(c.Stop.ID)
			defer s.Pull(projectID, 0) // there is room for another one
			defer s.atWork.Add(-1)
			_ = s.cfg.Looker.Look(ctx, c) // it has told; whoever lives takes the stop back
		})
	}
	return err
}

// limit notes which stops a limit would hold back. It reads what is left of the window,
// and uses nothing up. If it fails, nothing would.
func (s *Shadow) limit(ctx context.Context, projectID string, claims []release.ShadowClaim) error {
	if len(claims) == 0 {
		return nil
	}
	batches := make([]string, len(claims))
	for i, c := range claims {
		batches[i] = c.Stop.Batch
	}
	held, confirmed, err := s.cfg.Ledger.Limited(ctx, projectID, batches)
	if err != nil {
		return err
	}
	left := -1
	if slices.Contains(confirmed, false) {
		windows, err := s.cfg.Release.Windows(ctx, projectID)
		if err != nil {
			return err
		}
		left = windows[0].Left()
	}
	for i := range claims {
		c := &claims[i]
		switch {
		case c.Held != "":
		case held[i] != "":
			c.Held = release.Reason(held[i])
		case !confirmed[i] && left == 0:
			c.Held = release.WindowLimit
		}
	}
	return nil
}

// late ends the stops whose time is up.
func (s *Shadow) late(ctx context.Context, projectID string, ids []string) error {
	stops, err := readable(ctx, s.cfg.Ledger, s.cfg.Logger, projectID, ids)
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(stops))
	var others []*ledger.Stop
	for _, stop := range stops {
		known[stop.ID] = true
		if stop.State.Ended() || s.cfg.Member.Now().Before(stop.Deadline) {
			others = append(others, stop)
		} else {
			err = errors.Join(err, s.cfg.Looker.Expire(ctx, stop))
		}
	}
	for _, id := range ids {
		if !known[id] { // Redis has lost it
			others = append(others, &ledger.Stop{ID: id})
		}
	}
	return errors.Join(err, s.cfg.Release.Settle(ctx, projectID, others))
}

// recover takes back what nobody looks at any more: whoever took it died before or
// after the claim.
func (s *Shadow) recover(ctx context.Context, projectID string, steps []ledger.Member) error {
	ids := make([]string, len(steps))
	for i, step := range steps {
		ids[i] = step.StopID
	}
	stops, err := readable(ctx, s.cfg.Ledger, s.cfg.Logger, projectID, ids)
	if err != nil {
		return err
	}
	byID := make(map[string]*ledger.Stop, len(stops))
	for _, stop := range stops {
		byID[stop.ID] = stop
	}
	census := s.cfg.Member.Census()
	_, err = s.cfg.Release.Recover(ctx, projectID, steps, func(i int) bool {
		stop := byID[steps[i].StopID]
		switch {
		case stop == nil || stop.Hop != steps[i].Hop: // the script forgets it
			return true
		case stop.Claimed != stop.Hop:
			return !s.cfg.Looker.AtWork.Has(stop.ID)
		case stop.Worker == s.cfg.Member.ID():
			return !s.cfg.Looker.AtWork.Has(stop.ID)
		}
		return census.Reliable && !census.Lives(stop.Worker)
	})
	return err
}
