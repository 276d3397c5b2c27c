package release

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/coalesce"
	"vizstop/internal/ledger"
	"vizstop/internal/luascript"
)

// Claimed is the answer to a claim.
type Claimed struct {
	Stop    *ledger.Stop // nil: there is nothing to do
	At      time.Time    // when it was claimed, by the fleet's time
	Account string       // that the project had then: its credential is the one that calls
	Ill     bool         // calls of the project have failed lately: a success is worth a report
	Held    bool         // something holds the step back: it waits again
	MayCall bool         // a stop call may go out now, by the mark that the claim has left: otherwise none may
	Passed  bool         // a step that was to be the probe of a hold makes no call: the project needs a round, for another
}

// claim is an item of the claim script.
type claim struct {
	ledger.Member
	kind  ledger.Kind
	nonce string
}

// Claims is one attempt to get a step, which may be repeated when Redis does not
// answer: the same attempt gets the same answer, unless something holds the call back
// by then.
type Claims struct {
	r         *claimer
	projectID string
	claim
}

const (
	// claimsAtOnce is how many steps one script claims at most.
	claimsAtOnce = 50
	// claimPace is the least time between two scripts that claim steps of a project:
	// little against a call of the API, for which a slot waits meanwhile.
	claimPace = 2 * time.Millisecond
)

// claimer claims steps for a worker.
type claimer struct {
	*base
	*fleetHolds
	worker   string
	together *coalesce.Caller[claim, Claimed] // what is claimed at the same time goes to Redis in one script
}

func newClaimer(b *base, fleet *fleetHolds, worker string) *claimer {
	r := &claimer{base: b, fleetHolds: fleet, worker: worker}
	r.together = coalesce.New(claimsAtOnce, claimPace, r.runClaims)
	return r
}

// NewClaim is an attempt to claim the step that a task carries.
func (r *claimer) NewClaim(projectID string, step ledger.Member, kind ledger.Kind) Claims {
	return Claims{r, projectID, claim{step, kind, newNonce()}}
}

func newNonce() string { return rand.Text()[:10] }

// Do claims the step. A claim of a stop call that may go out is marked. The caller
// must begin the call within 3 seconds, or not at all. A stop whose deadline has
// passed, that was withdrawn, or that is in a shadow account is returned, too: no stop
// call may go out for it. One that is in a shadow account since an attempt before has
// marked its call comes back as a look.
func (c Claims) Do() (Claimed, error) {
	return c.r.together.Do(c.projectID, c.claim)
}

func (r *claimer) runClaims(projectID string, items []claim) ([]Claimed, error) {
	k, now := ledger.Keys(projectID), r.now()
	keys := []string{k.Control(), k.Small(), k.Large(), k.Look(), k.Released(), k.Limited(), k.Held(), k.Limits(), k.Window(),
		k.Latest(), k.In(ledger.Pending)}
	noCall := ""
	if r.InShadow(projectID) {
		noCall = "1"
	}
	rate, burst := r.rate(projectID)
	args := []any{now.UnixMilli(), r.worker, r.holds(projectID), r.Endpoint(projectID), r.window(), noCall, rate, burst, r.probeTime().Milliseconds()}
	for _, c := range items {
		args = append(args, c.StopID, c.Hop, c.JobID, string(c.kind), c.nonce)
	}
	claimed, err := r.claim(context.Background(), claimScript, projectID, keys, args, items, now)
	if err != nil {
		return nil, fmt.Errorf("claim %d steps of project %s: %w", len(items), projectID, err)
	}
	return claimed, nil
}

// What the scripts answer for the project.
const (
	isIll      = 1
	turnPassed = 2
)

// What the scripts answer for an item, besides 0 for nothing done.
const (
	gotIt    = 1
	heldBack = 2
	gotCall  = 3 // its stop call may go out
)

// claim runs a script that claims steps, whose stops are the last of its keys, and
// reads them.
func (r *claimer) claim(ctx context.Context, script *luascript.Script, projectID string, keys []string, args []any, items []claim, now time.Time) ([]Claimed, error) {
	k, stops, account := ledger.Keys(projectID), make([]string, len(items)), r.Account(projectID)
	for i, c := range items {
		stops[i] = k.Stop(c.StopID)
	}
	answer, read, err := luascript.RunAndRead(ctx, r.rdb, script, append(keys, stops...), args, stops)
	if err != nil {
		return nil, err
	}
	about, claimed := answer[0].(int64), make([]Claimed, len(items))
	for i, c := range items {
		did, f := answer[1+i].(int64), read[i]
		claimed[i] = Claimed{At: now, Account: account, Ill: about&isIll != 0, Held: did == heldBack, Passed: about&turnPassed != 0}
		if did != gotIt && did != gotCall {
			continue
		}
		if f["claimed"] != f["hop"]+" "+c.nonce { // it has gone on without us: the same attempt tells
			return nil, fmt.Errorf("stop %s was not read as it was claimed", c.StopID)
		}
		claimed[i].Stop, claimed[i].MayCall = ledger.Decode(projectID, c.StopID, f), did == gotCall
	}
	return claimed, nil
}

const (
	// takesAtOnce is how many stops one script takes.
	takesAtOnce = 50
	// takeAgain is the time between two tries to reach a Redis that is away.
	takeAgain = 300 * time.Millisecond
)

// Take takes stops out of where they wait, or from the list check, for a look by
// this worker itself, without a task. Those that a task has, or that have moved
// on, are left out; but while asynq's queue is paused, a step that no worker has
// claimed is taken from its task if the stop's deadline has passed. Hop 0 is that of
// a watched job, whatever it is; the job is watched no more if its stop, the active
// one or "" for none, is not. It goes on until Redis has answered or ctx ends: what
// it has taken is nobody else's.
func (r *claimer) Take(ctx context.Context, projectID string, stops []ledger.Member) ([]Claimed, error) {
	var all []Claimed
	for some := range slices.Chunk(stops, takesAtOnce) {
		taken, err := r.takeSome(ctx, projectID, some)
		if err != nil {
			return all, fmt.Errorf("take %d stops of project %s: %w", len(some), projectID, err)
		}
		all = append(all, taken...)
	}
	return all, nil
}

func (r *claimer) takeSome(ctx context.Context, projectID string, stops []ledger.Member) ([]Claimed, error) {
	k, now, nonce := ledger.Keys(projectID), r.now(), newNonce()
	keys := []string{k.Control(), k.Small(), k.Large(), k.Look(), k.Released(), k.Watched(), k.Active(), k.Limited(), k.Held()}
	args := []any{now.UnixMilli(), r.worker, nonce, ""}
	if r.queuePaused() {
		args[3] = "1"
	}
	items := make([]claim, len(stops))
	for i, s := range stops {
		args = append(args, s.StopID, s.JobID, s.Hop)
		items[i] = claim{s, ledger.KindPoll, nonce}
	}
	for {
		taken, err := r.claim(ctx, takeScript, projectID, keys, args, items, now)
		if err == nil {
			return slices.DeleteFunc(taken, func(c Claimed) bool { return c.Stop == nil }), nil
		}
		select {
		case <-time.After(takeAgain):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// Recover puts released steps back that are lost, each at once, and lets the
// others be silent for a while longer. A stop call that was marked, or whose stop was
// withdrawn, comes back as a look. It returns those that were put back: somebody else may have done so with the
// others.
func (r *Releaser) Recover(ctx context.Context, projectID string, steps []ledger.Member,
	lost func(i int) bool) ([]ledger.Member, error) {
	return r.recover(ctx, projectID, ledger.Keys(projectID), steps, lost)
}

func (r *Releaser) recover(ctx context.Context, projectID string, k ledger.Keys, steps []ledger.Member,
	lost func(i int) bool) ([]ledger.Member, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	keys := []string{controlKey(projectID), k.Small(), k.Large(), k.Look(), k.Released(), k.Limited(), k.Held()}
	args := []any{r.now().UnixMilli()}
	for i, m := range steps {
		keys = append(keys, k.Stop(m.StopID))
		how := ""
		if lost(i) {
			how = "1"
		}
		args = append(args, m.StopID, m.Hop, m.JobID, how)
	}
	answer, err := recoverScript.Run(ctx, r.rdb, keys, args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("recover %d steps of project %s: %w", len(steps), projectID, err)
	}
	return members(answer), nil
}

// Heard notes that a worker has the tasks of released steps, which wait for a slot: they
// have not been silent until now.
func (r *Releaser) Heard(ctx context.Context, steps map[string][]ledger.Member) error {
	if len(steps) == 0 {
		return nil
	}
	now := float64(r.now().UnixMilli())
	_, err := r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for project, waiting := range steps {
			heard := make([]redis.Z, len(waiting))
			for i, m := range waiting {
				heard[i] = redis.Z{Score: now, Member: m.String()}
			}
			p.ZAddXX(ctx, ledger.Keys(project).Released(), heard...)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("tell that tasks wait for a slot: %w", err)
	}
	return nil
}
