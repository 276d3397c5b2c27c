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

// fleetHolds are the holds of more than one project: those of the whole fleet and those of accounts.
type fleetHolds struct {
	*base
	rounds *Rounds // of the projects that wait for them to end
	fleet  fleetState
}

// holds is what the scripts are told of what holds a project's calls back besides
// the project itself.
func (h *fleetHolds) holds(projectID string) string {
	f, account := &h.fleet, h.Account(projectID)
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
func (h *fleetHolds) queuePaused() bool {
	f := &h.fleet
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
func (h *fleetHolds) Refresh(ctx context.Context) error {
	asked := time.Now()
	pipe := h.rdb.Pipeline()
	control := pipe.HMGet(ctx, fleetKey, "paused")
	queue := pipe.Exists(ctx, queuePausedKey)
	names := pipe.SMembers(ctx, troubledKey)
	_, err := pipe.Exec(ctx)
	var troubles map[string]trouble
	if err == nil {
		troubles, err = h.troubles(ctx, names.Val())
	}
	if err != nil {
		return fmt.Errorf("look what holds the fleet back: %w", err)
	}
	return h.wake(ctx, h.fleet.note(asked, control.Val()[0] != nil, queue.Val() > 0, h.window(), troubles))
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
func (h *fleetHolds) wake(ctx context.Context, e ended) error {
	if !e.fleet && len(e.accounts) == 0 {
		return nil
	}
	asked := h.rounds.AskAll
	if !e.fleet {
		asked = func(ctx context.Context) error { return h.askAccounts(ctx, e.accounts...) }
	}
	if err := asked(ctx); err != nil {
		return err
	}
	f := &h.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wake = f.wake && !e.fleet
	for _, name := range e.accounts {
		f.account(name).wake = false
	}
	return nil
}
