package rounds

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"vizstop/internal/fleet"
	"vizstop/internal/jobs"
	"vizstop/internal/release"
)

// Beat says every second that this worker lives, learns who else does and what
// holds the fleet back, and tries credentials that were refused. It returns when ctx
// ends.
func (l *Loop) Beat(ctx context.Context) {
	ticker := time.NewTicker(fleet.BeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := errors.Join(l.Member.Beat(ctx), l.noteDeaths(ctx), l.Release.Refresh(ctx), l.tryCredentials(ctx))
		if err != nil && ctx.Err() == nil {
			l.Logger.WarnContext(ctx, "the fleet does not hear of this worker", "error", err)
		}
	}
}

// afterDeath is for how long after this worker has heard of another's death steps are looked after
// that have been silent for no more than a beat.
const afterDeath = 3 * time.Second

// noteDeaths has what a dead worker held looked after in every project, when its death
// becomes known.
func (l *Loop) noteDeaths(ctx context.Context) error {
	fell := l.Member.Census().Fell
	l.mu.Lock()
	news := fell.After(l.fell)
	if news {
		l.fell, l.deaths = fell, time.Now()
	}
	l.mu.Unlock()
	if !news || l.ended.Load() {
		return nil
	}
	defer l.Wake()
	return l.Release.AskAll(ctx)
}

// silence is for how long a step at work may be silent until rounds look after it.
func (l *Loop) silence() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.deaths) < afterDeath {
		return fleet.BeatInterval
	}
	return fleet.Silence
}

// tryCredentials has the probes made of credentials that were refused, if they are
// due and rounds are made.
func (l *Loop) tryCredentials(ctx context.Context) error {
	if l.ended.Load() {
		return nil
	}
	projects, err := l.Release.CredentialProbes(ctx)
	if len(projects) > 0 {
		l.mu.Lock()
		for _, p := range projects {
			l.probes[p] = true
		}
		l.mu.Unlock()
		l.Wake()
	}
	return err
}

// probed takes the projects in which a credential is to be tried.
func (l *Loop) probed() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	projects := slices.Collect(maps.Keys(l.probes))
	clear(l.probes)
	return projects
}

// probe makes a call of a project that says nothing about any stop, to see whether
// the API answers and accepts it.
func (l *Loop) probe(ctx context.Context, projectID string) {
	at := l.Member.Now()
	slot, err := l.Slots.Acquire(ctx, projectID, true)
	if err != nil {
		return
	}
	account := l.Release.Account(projectID)
	callCtx, cancel := context.WithTimeout(ctx, l.Schedule.CallTimeout)
	_, err = l.Lists.List(callCtx, projectID, jobs.Query{Page: 1, PerPage: 1})
	cancel()
	slot.Free()
	if _, rerr := l.Release.Report(context.WithoutCancel(ctx), release.Call{ProjectID: projectID, At: at, Account: account, Ill: true}, err); rerr != nil {
		l.Logger.WarnContext(ctx, "the fleet did not learn of an answer", "project", projectID, "error", rerr)
	}
	l.Pull(projectID, 0) // the round that asked for the probe knew only when its answer must have come
}

// Listen wakes the loop when a producer has given the ledger something to do, and shows
// that this process lives. It returns when ctx ends.
func (l *Loop) Listen(ctx context.Context) {
	sub := l.Redis.Subscribe(ctx, l.Member.Channel(), release.WakeChannel) // a cluster's node is that of the first
	defer sub.Close()
	messages := sub.Channel()
	for {
		select {
		case <-ctx.Done():
			return
		case m, open := <-messages:
			switch {
			case !open:
				return
			case m.Channel != release.WakeChannel:
			case m.Payload == release.ShadowWake:
				l.ShadowWoken()
			default:
				l.Wake()
			}
		}
	}
}
