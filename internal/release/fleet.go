package release

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"vizstop/internal/fleet"
)

// Queue is the asynq queue that carries every task.
const Queue = "visualization"

// queuePausedKey is asynq's note that somebody has paused the queue.
const queuePausedKey = "asynq:{" + Queue + "}:paused"

// fleetState is what a process knows of what holds the whole fleet back. It lives
// in another slot of a Redis Cluster than the projects, so it is read once a
// second: a pause or a hold of all projects takes effect within that time.
type fleetState struct {
	mu       sync.Mutex
	read     time.Time // when it was read last
	paused   bool
	queue    bool // asynq's queue is paused
	held     bool // the credential is
	probeAt  time.Time
	probe    string // project that the credential was refused in last
	failures bool   // the credential was refused lately
	wake     bool   // what held the fleet back has ended, and projects have not been told

	accepted bool // since this process started
	doubted  bool // a call of this process was refused since one was accepted
}

// FleetDelay is how old what a process knows of the fleet may be, and so how long
// after a pause of all projects the last stop call is claimed. A process that stood
// still, or lost Redis, lets nothing out before it has read it again; one that
// never reads it is not held back by it.
const FleetDelay = 2 * time.Second

// holds is what the scripts are told.
func (f *fleetState) holds() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.held || f.queue || f.stale():
		return "1"
	case f.paused:
		return "stops"
	}
	return ""
}

// stale reports whether the fleet was read too long ago, by a process that does.
func (f *fleetState) stale() bool { return !f.read.IsZero() && fleet.Passed(f.read) > FleetDelay }

// succeeded notes that the credential was accepted, and reports whether that has
// to be told.
func (f *fleetState) succeeded() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.accepted, f.doubted = true, false
	tell := f.failures || f.held
	f.failures, f.held = false, false
	return tell
}

func (f *fleetState) refused() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failures, f.doubted = true, true
}

// Few is how many calls may be under way at once, because an access key locks after
// more than five failures in five minutes: three until the credential was accepted,
// and one at a time once a call was refused, until another is accepted. 0: any
// number.
func (r *Releaser) Few() int {
	f := &r.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.failures || f.doubted:
		return 1
	case !f.accepted:
		return 3
	}
	return 0
}

// Doubt notes that a call was refused for its credential, which is not told to the
// fleet: it was of a list, and calls of stops say whether it is that or the list.
func (r *Releaser) Doubt() {
	r.fleet.mu.Lock()
	defer r.fleet.mu.Unlock()
	r.fleet.doubted = true
}

// Refresh reads what holds the whole fleet back. Call it every second.
func (r *Releaser) Refresh(ctx context.Context) error {
	asked := time.Now()
	pipe := r.rdb.Pipeline()
	control := pipe.HMGet(ctx, fleetKey, "paused", "hold", "probe_at", "probe_project", "failures")
	queue := pipe.Exists(ctx, queuePausedKey)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("look what holds the fleet back: %w", err)
	}
	v := control.Val()
	text := func(i int) string { s, _ := v[i].(string); return s }
	f := &r.fleet
	f.mu.Lock()
	was := f.paused || f.held || f.queue || f.stale()
	f.read = asked
	f.paused, f.held, f.queue = v[0] != nil, v[1] != nil, queue.Val() > 0
	f.probeAt, f.probe, f.failures = millis(text(2)), text(3), v[4] != nil
	f.wake = (f.wake || was) && !f.paused && !f.held && !f.queue
	wake := f.wake
	f.mu.Unlock()
	if !wake {
		return nil
	}
	if err := r.AskAll(ctx); err != nil {
		return err // the next Refresh tells them
	}
	f.mu.Lock()
	f.wake = false
	f.mu.Unlock()
	return nil
}

// CredentialProbe returns the project in which the credential is to be tried now,
// by any call; "" for none. Of all workers one gets it.
func (r *Releaser) CredentialProbe(ctx context.Context) (string, error) {
	f := &r.fleet
	f.mu.Lock()
	due, project := f.held && !f.probeAt.After(r.now()), f.probe
	before := f.probeAt.UnixMilli()
	f.mu.Unlock()
	if !due || project == "" {
		return "", nil
	}
	got, err := probeScript.Run(ctx, r.rdb, []string{fleetKey}, before, r.now().Add(r.cfg.CredentialProbe).UnixMilli(),
		inCredential(Call{ProjectID: project}), rand.Text()[:10]).Bool()
	if err != nil {
		return "", fmt.Errorf("take the probe of the credential: %w", err)
	}
	if !got {
		return "", r.Refresh(ctx)
	}
	return project, nil
}

// ProbeSoon makes the next probe of every hold due now: for a worker that starts,
// perhaps with the credentials that everybody waits for.
func (r *Releaser) ProbeSoon(ctx context.Context) error {
	held, err := r.heldControls(ctx)
	if err != nil {
		return err
	}
	for _, h := range held {
		if h.fields["hold"] == "" {
			continue
		}
		if err := r.rdb.HSet(ctx, controlKey(h.project), "probe_at", 1).Err(); err != nil {
			return fmt.Errorf("bring the next probe forward: %w", err)
		}
		if h.project != "" {
			if err := Ask(ctx, r.rdb, h.project); err != nil {
				return err
			}
		}
	}
	return nil
}
