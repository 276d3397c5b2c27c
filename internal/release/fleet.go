package release

import (
	"context"
	"fmt"
	"sync"
	"time"

	"vizstop/internal/fleet"
)

// Queue is the asynq queue that carries every task.
const Queue = "visualization"

// queuePausedKey is asynq's note that somebody has paused the queue.
const queuePausedKey = "asynq:{" + Queue + "}:paused"

// fleetState is what a process knows of what holds projects back that are not its
// own to know: the whole fleet, or an account. It lives in another slot of a Redis
// Cluster than the projects, so it is read once a second: a pause or a hold takes
// effect within FleetDelay.
type fleetState struct {
	mu       sync.Mutex
	read     time.Time // when it was read last
	paused   bool
	queue    bool // asynq's queue is paused
	wake     bool // what held the whole fleet back has ended, and projects have not been told
	window   int  // the window limit as it was read last; 0: none
	accounts map[string]*credential
}

// FleetDelay is how old what a process knows of the fleet may be, and so how long
// after a pause of all projects the last stop call is claimed. A process that stood
// still, or lost Redis, lets nothing out before it has read it again; one that
// never reads it is not held back by it.
const FleetDelay = 2 * time.Second

// holds is what the scripts are told of what holds a project's calls back besides
// the project itself.
func (r *Releaser) holds(projectID string) string {
	f, account := &r.fleet, r.Account(projectID)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.queue || f.stale() || f.account(account).held:
		return "1"
	case f.paused:
		return "stops"
	}
	return ""
}

// queuePaused reports whether asynq's queue is paused, so that no task is delivered;
// false if that was read too long ago.
func (r *Releaser) queuePaused() bool {
	f := &r.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.queue && !f.stale()
}

// stale reports whether the fleet was read too long ago, by a process that does.
func (f *fleetState) stale() bool { return !f.read.IsZero() && fleet.Passed(f.read) > FleetDelay }

// account is what is known of an account. The lock must be held.
func (f *fleetState) account(name string) *credential {
	c := f.accounts[name]
	if c == nil {
		if f.accounts == nil {
			f.accounts = make(map[string]*credential)
		}
		c = new(credential)
		f.accounts[name] = c
	}
	return c
}

// Refresh reads what holds the whole fleet and its accounts back. Call it every
// second. It costs the same however many accounts there are that are in no trouble.
func (r *Releaser) Refresh(ctx context.Context) error {
	asked := time.Now()
	pipe := r.rdb.Pipeline()
	control := pipe.HMGet(ctx, fleetKey, "paused")
	queue := pipe.Exists(ctx, queuePausedKey)
	names := pipe.SMembers(ctx, troubledKey)
	_, err := pipe.Exec(ctx)
	var troubles map[string]trouble
	if err == nil {
		troubles, err = r.troubles(ctx, names.Val())
	}
	if err != nil {
		return fmt.Errorf("look what holds the fleet back: %w", err)
	}
	return r.wake(ctx, r.fleet.note(asked, control.Val()[0] != nil, queue.Val() > 0, r.window(), troubles))
}

// ended is what no longer holds projects back: something of the whole fleet, or
// accounts. A window limit that is higher than before is something of the whole fleet; a
// worker that starts does not know what it was.
type ended struct {
	fleet    bool
	accounts []string
}

// note keeps what was read, and returns what has ended and was not told.
func (f *fleetState) note(asked time.Time, paused, queue bool, window int, troubles map[string]trouble) (e ended) {
	f.mu.Lock()
	defer f.mu.Unlock()
	raised := f.read.IsZero() || f.window > 0 && (window == 0 || window > f.window)
	was := f.paused || f.queue || f.stale() || raised
	f.read, f.paused, f.queue, f.window = asked, paused, queue, window
	f.wake = (f.wake || was) && !paused && !queue
	e.fleet = f.wake
	for name := range troubles {
		f.account(name)
	}
	for name, c := range f.accounts {
		was := c.held
		c.trouble = troubles[name]
		c.wake = (c.wake || was) && !c.held
		if c.wake {
			e.accounts = append(e.accounts, name)
		}
	}
	return e
}

// wake asks for a round of each project that something held back which has ended.
// If it fails, the next Refresh does it.
func (r *Releaser) wake(ctx context.Context, e ended) error {
	if !e.fleet && len(e.accounts) == 0 {
		return nil
	}
	asked := r.AskAll
	if !e.fleet {
		asked = func(ctx context.Context) error { return r.askAccounts(ctx, e.accounts...) }
	}
	if err := asked(ctx); err != nil {
		return err
	}
	f := &r.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wake = f.wake && !e.fleet
	for _, name := range e.accounts {
		f.account(name).wake = false
	}
	return nil
}

// ProbeSoon makes the next probe of every hold due now: for a worker that starts,
// perhaps with the credentials that everybody waits for. Accounts that it does not
// serve are left alone.
func (r *Releaser) ProbeSoon(ctx context.Context) error {
	held, err := r.heldControls(ctx)
	if err != nil {
		return err
	}
	for _, h := range held {
		if h.fields["hold"] == "" || h.scope == ScopeCredential && r.Account(h.fields["probe_project"]) != h.account {
			continue
		}
		if err := r.rdb.HSet(ctx, h.key, "probe_at", 1).Err(); err != nil {
			return fmt.Errorf("bring the next probe forward: %w", err)
		}
		if h.scope == ScopeProject {
			if err := Ask(ctx, r.rdb, h.project); err != nil {
				return err
			}
		}
	}
	return nil
}
