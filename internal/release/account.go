package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/plain"
)

// DefaultAccount is the account of every project that is not said to have another.
const DefaultAccount = "default"

// Nowhere is the Endpoint of a project that is in no account of this process.
const Nowhere = "-"

// Serving is what serves a project.
type Serving struct {
	// Account is the name of the account whose credential its calls are made with: fit
	// for a key and a metric label. "" means DefaultAccount.
	Account string
	// Endpoint is the API endpoint that this process calls. The first worker that claims
	// a step of a project, or the producer that knows, ties the project to its endpoint
	// while stops are in flight; workers with another one leave the project alone. "":
	// any endpoint is this worker's. Nowhere: none is, but a project that is tied to
	// none is claimed, so that somebody says that it is in no account.
	Endpoint string
	// Rate is how many calls a second the project may make; 0: Config.Rate.
	Rate float64
	// Shadow says that the account is a shadow account: no stop call is made for the
	// project, and a claim of one leaves no mark.
	Shadow bool
}

func (b *base) serving(projectID string) (s Serving) {
	if b.cfg.Serving != nil {
		s = b.cfg.Serving(projectID)
	}
	s.Account = cmp.Or(s.Account, DefaultAccount)
	return s
}

// Account is the account of a project.
func (b *base) Account(projectID string) string { return b.serving(projectID).Account }

// InShadow reports whether the account of a project is a shadow account.
func (b *base) InShadow(projectID string) bool { return b.serving(projectID).Shadow }

// Endpoint is the API endpoint that this process calls for a project; "" for any.
func (b *base) Endpoint(projectID string) string { return b.serving(projectID).Endpoint }

// credential is what a process knows of the credential of an account.
type credential struct {
	trouble
	accepted bool // since this process started
	doubted  bool // a call of this process was refused since one was accepted
	wake     bool // a hold has ended, and the account's projects have not been told

	attempt string // at getting the probe, to which Redis has not answered yet: its project and a nonce; "": none
}

// trouble is what Redis told last of a credential that was refused; the zero value
// is none.
type trouble struct {
	failures bool // it was refused since it was accepted
	held     bool
	probeAt  time.Time
	probe    string // project that it was refused in last
}

// accountKey is the control hash of an account: how often its credential was
// refused, and the hold.
func accountKey(account string) string { return accountKeys + account }

// troubles reads what is known of accounts in trouble.
func (h *fleetHolds) troubles(ctx context.Context, accounts []string) (map[string]trouble, error) {
	if len(accounts) == 0 {
		return nil, nil
	}
	pipe := h.rdb.Pipeline()
	answers := make([]*redis.SliceCmd, len(accounts))
	for i, a := range accounts {
		answers[i] = pipe.HMGet(ctx, accountKey(a), "failures", "hold", "probe_at", "probe_project")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	troubles := make(map[string]trouble, len(accounts))
	for i, a := range accounts {
		v := answers[i].Val()
		text := func(i int) string { s, _ := v[i].(string); return s }
		troubles[a] = trouble{failures: v[0] != nil, held: v[1] != nil, probeAt: millis(text(2)), probe: text(3)}
	}
	return troubles, nil
}

// Few is how many calls of an account may be under way at once, because more
// than five refused calls in a row lock an access key for five minutes: three until the
// credential was accepted, and one at a time once a call was refused, until another
// is accepted. 0: any number.
func (h *fleetHolds) Few(account string) int {
	f := &h.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	switch c := f.account(account); {
	case c.failures || c.doubted:
		return 1
	case !c.accepted:
		return 3
	}
	return 0
}

// Doubt notes that a call of an account was refused for its credential, which is not
// told to the fleet: it was of a list, and calls of stops say whether it is that or
// the list.
func (h *fleetHolds) Doubt(account string) {
	h.fleet.mu.Lock()
	defer h.fleet.mu.Unlock()
	h.fleet.account(account).doubted = true
}

// inCredential is a call as it is known among those of all projects of an account.
// A real stop and a shadow stop of one job are as good as one.
func inCredential(c Call) string { return c.ProjectID + " " + c.Step.JobID }

// credentialRefused counts a refusal against the credential.
func (h *fleetHolds) credentialRefused(ctx context.Context, c Call, err error) error {
	account := c.Account
	h.fleet.refused(account)
	wait := h.cfg.CredentialProbe.Milliseconds()
	answer, rerr := failedScript.Run(ctx, h.rdb, []string{accountKey(account), troubledKey}, h.now().UnixMilli(),
		string(Credentials), err.Error(), inCredential(c), credentialAfter, 1, wait, wait, account, c.ProjectID).Int64Slice()
	if rerr != nil {
		return fmt.Errorf("note a refusal of the credential of account %s: %w", account, rerr)
	}
	h.observe(answer[1] == 1, Began{Reason: Credentials, ProjectID: c.ProjectID, Detail: err.Error()})
	if answer[2] == 1 {
		return h.Refresh(ctx)
	}
	return nil
}

// RefusedRest is how long a step waits whose call was refused for its credential. More than five
// refused calls in a row lock an access key for five minutes.
const RefusedRest = 100 * time.Second

func (f *fleetState) refused(account string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.account(account)
	c.failures, c.doubted = true, true
}

// credentialAccepted ends what holds back an account, if anything does.
func (h *fleetHolds) credentialAccepted(ctx context.Context, account string) error {
	if !h.fleet.accepted(account) {
		return nil
	}
	keys := []string{accountKey(account), troubledKey}
	ended, err := answeredScript.Run(ctx, h.rdb, keys, h.now().UnixMilli(), account).Bool()
	if err == nil && ended {
		h.fleet.ended(account)
		err = h.Refresh(ctx)
	}
	if err != nil {
		return fmt.Errorf("note that the credential of account %s was accepted: %w", account, err)
	}
	return nil
}

// askAccounts makes the next rounds of the projects of some accounts due now, if they have work.
func (h *fleetHolds) askAccounts(ctx context.Context, accounts ...string) error {
	projects, err := h.rounds.withWork(ctx, func(projectID string) bool {
		return slices.Contains(accounts, h.Account(projectID))
	})
	if err != nil {
		return err
	}
	return h.rounds.hasten(ctx, time.Time{}, projects...)
}

// accepted notes that a credential was accepted, and reports whether that has to be
// told.
func (f *fleetState) accepted(account string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := f.account(account)
	tell := c.failures || c.held
	c.wake = c.wake || c.held // if the answer to what is told is lost
	c.accepted, c.doubted, c.failures, c.held = true, false, false, false
	return tell
}

// ended notes that what held an account back has ended, in whichever process it was known.
func (f *fleetState) ended(account string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.account(account).wake = true
}

// Refusal is the latest one of a credential that is not held yet, as the stop of one job alone was refused.
type Refusal struct {
	Account string
	At      time.Time
	Detail  string // the API's words
}

// String is one line for people.
func (f Refusal) String() string {
	text := fmt.Sprintf("the API refused the credential of account %s at %s: %s", f.Account, stamp(f.At), f.Detail)
	next := "; the stop is tried again at " + stamp(f.At.Add(RefusedRest))
	if !jobs.KeyLocked(f.Detail) { // else the words say what to do
		next = "; renew or enable the key, and give it to the workers" + next
	}
	return plain.Line(text, maxSaid-len(next)) + next
}

// Hold is the hold that it may become.
func (f Refusal) Hold() Hold {
	return Hold{Reason: Credentials, Scope: ScopeCredential, Account: f.Account}
}

// Refusals lists those of all accounts whose stops wait for the next try.
func (r *holdReader) Refusals(ctx context.Context) (all []Refusal, err error) {
	controls, err := r.heldControls(ctx)
	since := r.now().Add(-RefusedRest - r.cfg.CallTimeout)
	for _, c := range controls {
		f := c.fields
		if at := millis(f["refused_at"]); c.scope == ScopeCredential && f["hold"] == "" && at.After(since) {
			all = append(all, Refusal{Account: c.account, At: at, Detail: f["refused_words"]})
		}
	}
	return all, err
}

// CredentialProbes returns the projects in which credentials are to be tried now,
// each by any call. Of all workers one gets each.
func (h *fleetHolds) CredentialProbes(ctx context.Context) (projects []string, err error) {
	for account, c := range h.fleet.due(h.now()) {
		project, perr := h.takeProbe(ctx, account, c)
		if perr != nil {
			err = errors.Join(err, fmt.Errorf("take the probe of the credential of account %s: %w", account, perr))
		}
		if project != "" {
			projects = append(projects, project)
		}
	}
	return projects, err
}

// due is what is known of the accounts whose probe is due, or may have been given
// by an answer that was lost.
func (f *fleetState) due(now time.Time) map[string]credential {
	f.mu.Lock()
	defer f.mu.Unlock()
	var due map[string]credential
	for name, c := range f.accounts {
		if !c.held || c.attempt == "" && c.probeAt.After(now) {
			continue
		}
		if due == nil {
			due = make(map[string]credential)
		}
		due[name] = *c
	}
	return due
}

// attempted notes the attempt at getting the probe of an account that is to be
// repeated; "": none.
func (f *fleetState) attempted(account, attempt string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.account(account).attempt = attempt
}

// anyOf draws one of the projects of an account that have work, or in which it was refused last; "": there is none that
// this worker knows. It may be one project alone that refuses the credential.
func (h *fleetHolds) anyOf(ctx context.Context, account, last string) (string, error) {
	projects, err := h.rounds.withWork(ctx, func(p string) bool { return p != last && h.Account(p) == account })
	if last != "" && h.Account(last) == account { // else it has another one now
		projects = append(projects, last)
	}
	if err != nil || len(projects) == 0 {
		return "", err
	}
	return projects[mathrand.IntN(len(projects))], nil
}

// takeProbe returns the project in which the credential of an account is to be
// tried by this worker; "": in none.
func (h *fleetHolds) takeProbe(ctx context.Context, account string, c credential) (string, error) {
	attempt := c.attempt
	if attempt == "" {
		project, err := h.anyOf(ctx, account, c.probe)
		if err != nil || project == "" {
			return "", err
		}
		attempt = project + " " + newNonce()
	}
	h.fleet.attempted(account, attempt)
	project, _, _ := strings.Cut(attempt, " ")
	got, err := probeScript.Run(ctx, h.rdb, []string{accountKey(account)}, c.probeAt.UnixMilli(), h.now().Add(h.cfg.CredentialProbe).UnixMilli(),
		inCredential(Call{ProjectID: project}), attempt).Bool()
	if err != nil {
		return "", err // the same attempt gets the same answer
	}
	h.fleet.attempted(account, "")
	if !got {
		return "", h.Refresh(ctx)
	}
	return project, nil
}
