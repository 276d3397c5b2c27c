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
	eachBeat(ctx, func() {
		err := errors.Join(l.Member.Beat(ctx), l.noteDeaths(ctx), l.Release.Refresh(ctx), l.tryCredentials(ctx))
		l.trouble.beaten(err)
		if err != nil && ctx.Err() == nil {
			l.Logger.WarnContext(ctx, "the fleet does not hear of this worker", "error", err)
		}
		l.Slots.Wake()
	})
}

// eachBeat does something every second until ctx ends.
func eachBeat(ctx context.Context, do func()) {
	ticker := time.NewTicker(fleet.BeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

const (
	// afterDeath is for how long after this worker has heard of another's death steps are looked after
	// that have been silent for no more than shortSilence.
	afterDeath = 3 * time.Second
	// shortSilence leaves a worker that lives the time to try once more what Redis did not take.
	shortSilence = 2 * time.Second
)

// noteDeaths has what a dead worker held looked after in every project, when its death
// becomes known.
func (l *Loop) noteDeaths(ctx context.Context) error {
	census := l.Member.Census()
	l.mu.Lock()
	news := census.Reliable && census.Fell.After(l.fell) && !l.ended.Load()
	if news {
		l.deaths = time.Now()
	}
	l.mu.Unlock()
	if !news {
		return nil
	}
	if err := l.Release.AskAll(ctx); err != nil {
		return err // it stays news
	}
	l.mu.Lock()
	l.fell = census.Fell
	l.mu.Unlock()
	l.Wake()
	return nil
}

// ShowWaiting says every second which tasks this worker has that wait for a slot: asynq
// does not tell who has a task. It returns when ctx ends.
//
// Where Redis is slow, in one project or all, others may take these steps for lost, and a
// task comes twice. That harms nobody; a beat that came late would.
func (l *Loop) ShowWaiting(ctx context.Context) {
	eachBeat(ctx, func() {
		tellCtx, cancel := context.WithTimeout(ctx, fleet.BeatInterval)
		err := l.Release.Heard(tellCtx, l.Handlers.AtWork.Waiting())
		cancel()
		if err != nil && ctx.Err() == nil {
			l.Logger.WarnContext(ctx, "the fleet does not hear of tasks that wait here", "error", err)
		}
	})
}

// silence is for how long a step at work may be silent until rounds look after it.
func (l *Loop) silence() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.deaths) < afterDeath {
		return shortSilence
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

// ShowLife listens on a channel of this worker's own, on which nobody says anything: Redis can tell
// that it listens, as long as its process lives. It returns when ctx ends.
func (l *Loop) ShowLife(ctx context.Context) {
	sub := l.Redis.Subscribe(ctx, l.Member.Channel())
	defer sub.Close()
	messages := sub.Channel()
	for open := true; open; {
		select {
		case <-ctx.Done():
			return
		case _, open = <-messages:
		}
	}
}

// Listen wakes the loop when a producer has given the ledger something to do. It
// returns when ctx ends.
func (l *Loop) Listen(ctx context.Context) {
	sub := l.Redis.Subscribe(ctx, release.WakeChannel)
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
			case m.Payload == release.ShadowWake:
				l.ShadowWoken()
			default:
				l.Wake()
			}
		}
	}
}
