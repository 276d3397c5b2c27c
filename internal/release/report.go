package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// How many failures in a row hold back what.
const (
	// OutageAfter calls of a project without an answer about their job are an outage.
	OutageAfter = 5
	// refusedAfter different stops of a project that were refused hold the project.
	refusedAfter = 3
	// credentialAfter different stops whose credential was refused hold the credential.
	credentialAfter = 2
)

// The vendor advises to wait 2 to 5 seconds after a 429 without Retry-After. The
// rate is lower afterwards, so less is enough.
const (
	parkLeast = time.Second
	parkMost  = 2 * time.Second
)

// Call is a call that was made.
type Call struct {
	ProjectID string
	Step      ledger.Member // for which step; zero for a list call
	At        time.Time     // when it was claimed, by the fleet's time
	Account   string        // that the project had then; "" means: has now
	Ill       bool          // calls of the project had failed lately
}

// step is the step as the scripts know it.
func (c Call) step() string {
	if c.Step.StopID == "" {
		return "list"
	}
	return c.Step.String()
}

// reporter notes how calls ended, and what that holds back.
type reporter struct {
	*base
	*fleetHolds
	failing failing
}

// Report tells how a call ended; err is what the client returned. It reports
// whether the failure, if any, is the system's: then it says nothing about the
// job. A failure counts against the smallest thing that it may be the fault of:
// the stop, then the project, then the credential of its account.
func (r *reporter) Report(ctx context.Context, c Call, err error) (system bool, rerr error) {
	if errors.Is(err, jobs.ErrUnasked) {
		return false, nil
	}
	c.Account = cmp.Or(c.Account, r.Account(c.ProjectID))
	switch kind := jobs.KindOf(err); kind {
	case jobs.KindThrottled:
		return true, r.throttled(ctx, c, c.step(), err)
	case jobs.KindCredentials:
		_, rerr := r.failed(ctx, c, Credentials, refusedAfter, true, err)
		return true, errors.Join(rerr, r.credentialRefused(ctx, c, err))
	case jobs.KindPermission:
		_, rerr := r.failed(ctx, c, Permission, refusedAfter, true, err)
		if apiErr, ok := errors.AsType[*jobs.Error](err); ok && apiErr.Operation == jobs.OperationToken {
			return true, rerr // of a login for this project: nothing was accepted
		}
		return true, errors.Join(rerr, r.credentialAccepted(ctx, c.Account))
	case jobs.KindNoAPI:
		_, rerr := r.failed(ctx, c, NoAPI, refusedAfter, true, err)
		return true, rerr
	case jobs.KindUnavailable, jobs.KindTimeout, jobs.KindDisconnected, jobs.KindUnreachable:
		system, rerr := r.failed(ctx, c, Outage, OutageAfter, false, err)
		return system || kind == jobs.KindUnreachable, rerr
	case jobs.KindCanceled:
		return true, nil
	default: // an answer about the job, good or bad: the system works
		return false, r.answered(ctx, c)
	}
}

// Throttled tells that the API answered 429 to a call that Spend let out.
func (r *reporter) Throttled(ctx context.Context, projectID string, err error) error {
	return r.throttled(ctx, Call{ProjectID: projectID, At: r.now()}, noStep, err)
}

// noStep stands for the step of a call that is no probe, whatever is probed.
const noStep = "-"

// noCut, in place of a limit, parks a project and leaves its rate alone.
const noCut = -1

// throttled parks a project after a 429 to a call of a step.
func (r *reporter) throttled(ctx context.Context, c Call, step string, err error) error {
	d, told, limit := parkLeast+rand.N(parkMost-parkLeast), 0, 0.0
	if apiErr, ok := errors.AsType[*jobs.Error](err); ok {
		if apiErr.RetryAfter > 0 {
			d, told = apiErr.RetryAfter, 1
		}
		limit = apiErr.Limit
		if apiErr.Operation == jobs.OperationToken { // IAM's refusal says nothing about the rate of the API
			limit = noCut
		}
	}
	fresh, rerr := throttledScript.Run(ctx, r.rdb, []string{ledger.Keys(c.ProjectID).Control()},
		r.now().UnixMilli(), d.Milliseconds(), told, c.At.UnixMilli(), r.Rate(c.ProjectID), limit, step).Bool()
	if rerr != nil {
		return fmt.Errorf("park project %s: %w", c.ProjectID, rerr)
	}
	r.failing.note(c.ProjectID, d)
	r.observe(fresh, Began{Reason: Throttled, ProjectID: c.ProjectID, Detail: err.Error()})
	return r.markHeld(ctx, c.ProjectID, fresh)
}

// failed counts a failure against a project, and reports whether it is the
// system's.
func (r *reporter) failed(ctx context.Context, c Call, why Reason, enough int, several bool, err error) (system bool, rerr error) {
	r.failing.note(c.ProjectID, 0)
	first, longest := r.probeWaits(why)
	answer, rerr := failedScript.Run(ctx, r.rdb, []string{ledger.Keys(c.ProjectID).Control()}, r.now().UnixMilli(), string(why),
		err.Error(), c.step(), enough, flag(several), first.Milliseconds(), longest.Milliseconds()).Int64Slice()
	if rerr != nil {
		return true, fmt.Errorf("note a failure of project %s: %w", c.ProjectID, rerr)
	}
	if answer[2] == 1 {
		r.failing.note(c.ProjectID, first)
	}
	r.observe(answer[1] == 1, Began{Reason: why, ProjectID: c.ProjectID, Detail: err.Error()})
	return answer[0] >= int64(enough) || answer[2] == 1, r.markHeld(ctx, c.ProjectID, answer[1] == 1)
}

// outageProbe is the time between two probes of a project whose API is away.
const outageProbe = 1500 * time.Millisecond

// probeWaits are the first and the longest wait for a probe of a project.
func (b *base) probeWaits(why Reason) (first, longest time.Duration) {
	first, longest = 15*time.Second, 2*time.Minute
	if why == Outage {
		first, longest = outageProbe, outageProbe
	}
	if b.cfg.FirstProbe > 0 {
		first = b.cfg.FirstProbe
	}
	if b.cfg.LongestProbe > 0 {
		longest = b.cfg.LongestProbe
	}
	return first, max(first, longest)
}

// answered ends what holds back the project of c, if anything may, and the
// credential, which must have been accepted.
func (r *reporter) answered(ctx context.Context, c Call) error {
	if err := r.credentialAccepted(ctx, c.Account); err != nil {
		return err
	}
	if !r.failing.forget(c.ProjectID) && !c.Ill {
		return nil
	}
	ended, err := answeredScript.Run(ctx, r.rdb, []string{ledger.Keys(c.ProjectID).Control()}, r.now().UnixMilli()).Bool()
	if err == nil && ended {
		err = Ask(ctx, r.rdb, c.ProjectID)
	}
	if err != nil {
		return fmt.Errorf("note that project %s is answered again: %w", c.ProjectID, err)
	}
	return nil
}

// failing are the projects of which this process has seen a call fail since one
// was answered, and until when their calls rest: a claim from before does not tell
// of it.
type failing struct {
	mu       sync.Mutex
	projects map[string]time.Time // zero: only failing
}

// mostFailing bounds the projects that are kept in memory.
const mostFailing = 1000

func (f *failing) note(projectID string, rest time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.projects == nil || len(f.projects) >= mostFailing {
		f.projects = make(map[string]time.Time)
	}
	until := f.projects[projectID]
	if rest > 0 {
		until = time.Now().Add(rest)
	}
	f.projects[projectID] = until
}

// Resting reports whether this process knows that no call of a project may go out
// now: a step that was taken before that waits again.
func (r *reporter) Resting(projectID string) bool {
	r.failing.mu.Lock()
	defer r.failing.mu.Unlock()
	return time.Now().Before(r.failing.projects[projectID]) || r.holds(projectID) == "1"
}

// forget reports whether the project was among them.
func (f *failing) forget(projectID string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, was := f.projects[projectID]
	delete(f.projects, projectID)
	return was
}

// markHeld notes that something holds a project back, so that it is shown.
func (b *base) markHeld(ctx context.Context, projectID string, fresh bool) error {
	if !fresh {
		return nil
	}
	if err := b.rdb.SAdd(ctx, heldKey, projectID).Err(); err != nil {
		return fmt.Errorf("note that project %s is held: %w", projectID, err)
	}
	return nil
}

func (b *base) observe(fresh bool, hold Began) {
	if fresh && b.cfg.Observer != nil {
		b.cfg.Observer.HoldBegan(hold)
	}
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
