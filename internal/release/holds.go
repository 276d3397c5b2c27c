package release

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/plain"
)

// Reason is why calls are held back: a closed set, fit for a metric label.
type Reason string

// The reasons of a hold.
const (
	Paused      Reason = "paused"       // a person holds stop calls back; looks go on
	QueuePaused Reason = "queue_paused" // somebody has paused asynq's queue itself
	Throttled   Reason = "throttled"    // the API answered 429
	Credentials Reason = "credentials"  // the API refuses who we are
	Permission  Reason = "permission"   // the API refuses what we do
	NoAPI       Reason = "no_api"       // the endpoint does not offer the API
	Outage      Reason = "outage"       // the API does not answer, or only with errors

	// Of stop calls that nobody confirmed; looks go on.
	WindowLimit Reason = "window_limit" // a project has got as many within an hour as it may
	BatchLimit  Reason = "batch_limit"  // a batch is larger than it may be, or than it stated
	BadOutcomes Reason = "bad_outcomes" // too many stops of a batch were rejected or not found
)

// Reasons lists the reasons that a hold can have.
func Reasons() []Reason {
	return []Reason{Paused, QueuePaused, Throttled, Credentials, Permission, NoAPI, Outage, WindowLimit, BatchLimit, BadOutcomes}
}

// Scope is what a hold holds back: a closed set, fit for a metric label.
type Scope string

// The scopes of a hold.
const (
	ScopeProject    Scope = "project"
	ScopeCredential Scope = "credential"
	ScopeFleet      Scope = "fleet"
	ScopeBatch      Scope = "batch"
)

// Scopes lists the scopes that a hold for this reason can have.
func (r Reason) Scopes() []Scope {
	switch r {
	case Paused:
		return []Scope{ScopeProject, ScopeFleet}
	case QueuePaused:
		return []Scope{ScopeFleet}
	case Credentials:
		return []Scope{ScopeProject, ScopeCredential}
	case BatchLimit, BadOutcomes:
		return []Scope{ScopeBatch}
	}
	return []Scope{ScopeProject}
}

// Hold is something that holds calls back.
type Hold struct {
	Reason    Reason
	Scope     Scope
	ProjectID string    // of ScopeProject and ScopeBatch
	Batch     string    // of ScopeBatch
	Account   string    // whose calls are held; "" of ScopeFleet. A project has the account that this process knows for it
	Since     time.Time // zero: not known
	By        string    // of a pause: who made it
	Detail    string    // the API's words, or why somebody paused
	Probes    int       // failed ones so far
	Until     time.Time // when it ends or, if calls end it, when the next one tries; zero: a person ends it
}

// ByPerson reports whether a person ends the hold.
func (h Hold) ByPerson() bool { return h.Reason == Paused || h.Reason == QueuePaused }

// ByLimit reports whether a limit on what nobody confirmed holds: "enqueue allow" lets
// more through.
func (h Hold) ByLimit() bool {
	return h.Reason == WindowLimit || h.Reason == BatchLimit || h.Reason == BadOutcomes
}

// maxSaid bounds what a hold says of itself, in characters.
const maxSaid = 2048

// String is one line for people.
func (h Hold) String() string {
	var text string
	switch h.Reason {
	case Paused:
		text = fmt.Sprintf("%s paused since %s by %s", h.what("stop calls"), stamp(h.Since), h.By)
		if h.Detail != "" {
			text += ": " + h.Detail
		}
		text += "; to end it: " + h.Command()
	case QueuePaused:
		since := ""
		if !h.Since.IsZero() {
			since = " since " + stamp(h.Since)
		}
		text = "all calls held" + since + ": the queue " + Queue + " is paused in asynq; to end it: " + h.Command()
	case Throttled:
		text = fmt.Sprintf("%s held until %s, throttled: the API answered 429", h.what("calls"), stamp(h.Until))
	case WindowLimit:
		text = fmt.Sprintf("stop calls of project %s that nobody confirmed held since %s by --window-limit: %s; the next ones can go out at %s, or: enqueue allow --project %s --count N --reason TEXT",
			h.ProjectID, stamp(h.Since), h.Detail, stamp(h.Until), h.ProjectID)
	case BatchLimit, BadOutcomes:
		text = fmt.Sprintf("batch %s of project %s held since %s: %s; look at it with enqueue stops %s, then: enqueue allow %s --reason TEXT, or: enqueue cancel %s",
			h.Batch, h.ProjectID, stamp(h.Since), h.Detail, h.Batch, h.Batch, h.Batch)
	default:
		text = fmt.Sprintf("%s held since %s, %s: %s; %d probes failed, next at %s", h.what("calls"), stamp(h.Since), h.Reason,
			h.Detail, h.Probes, stamp(h.Until))
		if h.Reason == Credentials && !jobs.KeyLocked(h.Detail) { // else the words say what to do
			text = plain.Line(text, maxSaid-len(mendKey)) + mendKey
		}
	}
	return plain.Line(text, maxSaid)
}

// mendKey says what a person does about a refused credential.
const mendKey = "; renew or enable the key, then restart the workers, which try it at once, or wait until then"

// Command is what a person runs to end a pause; "" of other holds.
func (h Hold) Command() string {
	switch {
	case h.Reason == QueuePaused:
		return "asynq queue unpause " + Queue + ", or: redis-cli DEL '" + queuePausedKey + "'"
	case h.Reason == Paused && h.Scope == ScopeProject:
		return "enqueue resume --project " + h.ProjectID
	case h.Reason == Paused:
		return "enqueue resume"
	}
	return ""
}

func (h Hold) what(calls string) string {
	switch h.Scope {
	case ScopeProject:
		return calls + " of project " + h.ProjectID
	case ScopeCredential:
		return calls + " of account " + h.Account
	}
	return "all " + calls
}

// holdReader reads what holds calls back.
type holdReader struct{ *base }

// Concerns reports whether a hold holds back calls of a project, as far as this
// process knows: any credential may be the project's, without Serving.
func (r *holdReader) Concerns(h Hold, projectID string) bool {
	switch h.Scope {
	case ScopeProject, ScopeBatch:
		return h.ProjectID == projectID
	case ScopeCredential:
		return r.cfg.Serving == nil || h.Account == r.Account(projectID)
	}
	return true
}

func stamp(t time.Time) string { return t.Format(time.RFC3339) }

// Holds lists everything that holds calls back now.
func (r *holdReader) Holds(ctx context.Context) ([]Hold, error) {
	controls, err := r.heldControls(ctx)
	if err != nil {
		return nil, err
	}
	holds, err := r.queuePause(ctx)
	if err != nil {
		return nil, err
	}
	now, found := r.now(), make([][]Hold, len(controls))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i, c := range controls {
		group.Go(func() (err error) {
			found[i], err = r.heldBy(ctx, c, now)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return append(holds, slices.Concat(found...)...), nil
}

// Told leaves out of holds what only doubles another one for people: that of a project by a credential while the whole
// account is held. The next trial is that of the account.
func Told(holds []Hold) []Hold {
	double := func(h Hold) bool {
		return h.Scope == ScopeProject && h.Reason == Credentials && slices.ContainsFunc(holds, func(of Hold) bool {
			return of.Scope == ScopeCredential && of.Account == h.Account
		})
	}
	var told []Hold
	for _, h := range holds {
		if !double(h) {
			told = append(told, h)
		}
	}
	return told
}

// heldBy lists the holds of one control hash and, if it is a project's, those of its limits. A project that nothing
// holds any more is noted no longer.
func (r *holdReader) heldBy(ctx context.Context, c control, now time.Time) ([]Hold, error) {
	holds := c.holds(now)
	if c.scope != ScopeProject {
		return holds, nil
	}
	limited, noted, err := r.limitHolds(ctx, Hold{Scope: c.scope, ProjectID: c.project, Account: c.account})
	if err != nil {
		return nil, err
	}
	if len(holds)+len(limited) == 0 && !noted {
		_ = r.rdb.SRem(ctx, heldKey, c.project).Err() // a Redis that refuses writes can tell all the same; the next look does it
	}
	return append(holds, limited...), nil
}

// HoldsOf lists what holds calls of one project back now, the limits of its batches among it: what is for all first.
func (r *holdReader) HoldsOf(ctx context.Context, projectID string) ([]Hold, error) {
	account := r.Account(projectID)
	controls := []control{{scope: ScopeFleet, key: fleetKey}, {scope: ScopeCredential, account: account, key: accountKey(account)},
		{scope: ScopeProject, project: projectID, account: account, key: controlKey(projectID)}}
	holds, err := r.queuePause(ctx)
	if err == nil {
		err = r.readControls(ctx, controls)
	}
	if err != nil {
		return nil, err
	}
	for _, c := range controls {
		holds = append(holds, c.holds(r.now())...)
	}
	limited, _, err := r.limitHolds(ctx, Hold{Scope: ScopeProject, ProjectID: projectID, Account: account})
	return append(holds, limited...), err
}

// queuePause is the hold of asynq's queue; none while it is not paused.
func (r *holdReader) queuePause(ctx context.Context) ([]Hold, error) {
	paused, err := r.rdb.Exists(ctx, queuePausedKey).Result()
	if err != nil {
		return nil, fmt.Errorf("look what holds calls back: %w", err)
	}
	if paused == 0 {
		return nil, nil
	}
	h := Hold{Reason: QueuePaused, Scope: ScopeFleet}
	// asynq notes the second. Any other value, set by hand, pauses the queue as well and tells no time.
	if at, err := r.rdb.Get(ctx, queuePausedKey).Int64(); err == nil && at > 1e9 && at < 1e10 { // 2001 to 2286
		h.Since = time.Unix(at, 0).UTC()
	}
	return []Hold{h}, nil
}

// control is the control hash of the fleet, of a project or of an account.
type control struct {
	scope            Scope
	project, account string
	key              string
	fields           map[string]string
}

// controlKey is the key of the control hash of a project, or of the fleet for "".
func controlKey(projectID string) string {
	if projectID == "" {
		return fleetKey
	}
	return ledger.Keys(projectID).Control()
}

// heldControls reads the control hashes of the fleet and of each project and
// account that something may hold back.
func (r *holdReader) heldControls(ctx context.Context) ([]control, error) {
	pipe := r.rdb.Pipeline()
	projects, accounts := pipe.SMembers(ctx, heldKey), pipe.SMembers(ctx, troubledKey)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look what holds calls back: %w", err)
	}
	controls := []control{{scope: ScopeFleet, key: fleetKey}}
	for _, a := range accounts.Val() {
		controls = append(controls, control{scope: ScopeCredential, account: a, key: accountKey(a)})
	}
	for _, p := range projects.Val() {
		controls = append(controls, control{scope: ScopeProject, project: p, account: r.Account(p), key: controlKey(p)})
	}
	return controls, r.readControls(ctx, controls)
}

// readControls reads control hashes by their keys.
func (r *holdReader) readControls(ctx context.Context, controls []control) error {
	pipe := r.rdb.Pipeline()
	answers := make([]*redis.MapStringStringCmd, len(controls))
	for i, c := range controls {
		answers[i] = pipe.HGetAll(ctx, c.key)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("look what holds calls back: %w", err)
	}
	for i, a := range answers {
		controls[i].fields = a.Val()
	}
	return nil
}

// holds are the holds that a control hash tells of.
func (c control) holds(now time.Time) []Hold {
	var holds []Hold
	f, hold := c.fields, Hold{Scope: c.scope, ProjectID: c.project, Account: c.account}
	if f["paused"] != "" {
		h := hold
		h.Reason, h.Since, h.By, h.Detail = Paused, millis(f["paused"]), f["paused_by"], f["paused_why"]
		holds = append(holds, h)
	}
	if until := millis(f["parked"]); until.After(now) {
		h := hold
		h.Reason, h.Until = Throttled, until
		holds = append(holds, h)
	}
	if f["hold"] != "" {
		h := hold
		h.Reason, h.Since, h.Detail, h.Until = Reason(f["hold"]), millis(f["hold_since"]), f["hold_words"], millis(f["probe_at"])
		h.Probes, _ = strconv.Atoi(f["probes"])
		holds = append(holds, h)
	}
	return holds
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

// Pause holds back the stop calls of one project, or of all for "". Looks go on,
// so stops that were accepted before are still confirmed; deadlines run on. It
// reports false, and changes nothing, when they are paused already.
func (r *Releaser) Pause(ctx context.Context, projectID, by, why string) (bool, error) {
	now := strconv.FormatInt(r.now().UnixMilli(), 10)
	var found *redis.SliceCmd
	_, err := r.rdb.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		key := controlKey(projectID)
		tx.HSetNX(ctx, key, "paused", now)
		tx.HSetNX(ctx, key, "paused_by", by)
		tx.HSetNX(ctx, key, "paused_why", why)
		found = tx.HMGet(ctx, key, "paused", "paused_by", "paused_why")
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("pause: %w", err)
	}
	// What is found is ours, also if its answer got lost and the client has asked once more.
	changed := slices.Equal(found.Val(), []any{now, by, why})
	return changed, r.markHeld(ctx, projectID, projectID != "")
}

// Resume lets stop calls out again. It reports false when they were not paused.
func (r *Releaser) Resume(ctx context.Context, projectID string) (bool, error) {
	return r.ResumeAfter(ctx, projectID, func() error { return nil })
}

// ResumeAfter is Resume that calls begin before it ends a pause, and ends none if that fails. Without a pause begin is
// not called.
func (r *Releaser) ResumeAfter(ctx context.Context, projectID string, begin func() error) (bool, error) {
	// Not what was deleted: that is nothing when the client asks once more, as the answer got lost.
	before, err := r.rdb.HMGet(ctx, controlKey(projectID), "paused").Result()
	was := err == nil && before[0] != nil
	if was {
		err = begin()
	}
	if was && err == nil { // if this process dies before it can ask for rounds, there are some all the same
		err = r.expectIn(ctx, projectID)
	}
	if was && err == nil {
		err = r.rdb.HDel(ctx, controlKey(projectID), "paused", "paused_by", "paused_why").Err()
	}
	if err != nil {
		return false, fmt.Errorf("resume: %w", err)
	}
	if projectID == "" {
		return was, r.AskAll(ctx)
	}
	known, err := r.rdb.ZScore(ctx, roundsKey, projectID).Result()
	if err == nil && known >= 0 { // it has work
		err = Ask(ctx, r.rdb, projectID)
	}
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return was, err
}
