package release

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"vizstop/internal/ledger"
)

// Claimed is the answer to a claim.
type Claimed struct {
	Stop *ledger.Stop // nil: there is nothing to do
	At   time.Time    // when it was claimed, by the fleet's time
	Ill  bool         // calls of the project have failed lately: a success is worth a report
	Held bool         // something holds the step back: it waits again
}

// claim is an item of the claim script.
type claim struct {
	ledger.Member
	kind  ledger.Kind
	nonce string
}

// Claims is one attempt to get a step, which may be repeated when Redis does not
// answer: the same attempt gets the same answer.
type Claims struct {
	r         *Releaser
	projectID string
	claim
}

// NewClaim is an attempt to claim the step that a task carries.
func (r *Releaser) NewClaim(projectID string, step ledger.Member, kind ledger.Kind) Claims {
	return Claims{r, projectID, claim{step, kind, rand.Text()[:10]}}
}

// Do claims the step. A claim of a stop call that may go out is marked. The caller
// must begin the call within 3 seconds, or not at all. A stop whose deadline has
// passed, or that was withdrawn, is returned, too: no stop call may go out for it.
func (c Claims) Do() (Claimed, error) {
	return c.r.claims.Do(c.projectID, c.claim)
}

func (r *Releaser) runClaims(projectID string, items []claim) ([]Claimed, error) {
	k, now := ledger.Keys(projectID), r.now()
	keys := []string{k.Control(), k.Small(), k.Large(), k.Look(), k.Released()}
	args := []any{now.UnixMilli(), r.worker, r.holds(projectID), r.Endpoint(projectID)}
	for _, c := range items {
		keys = append(keys, k.Stop(c.StopID))
		args = append(args, c.StopID, c.Hop, c.JobID, string(c.kind), c.nonce)
	}
	answers, err := claimScript.Run(context.Background(), r.rdb, keys, args...).Slice()
	if err != nil {
		return nil, fmt.Errorf("claim %d steps of project %s: %w", len(items), projectID, err)
	}
	claimed := make([]Claimed, len(items))
	for i, a := range answers {
		answer := a.([]any)
		claimed[i].At = now
		switch answer[0].(int64) {
		case 1:
			claimed[i].Stop = ledger.Decode(projectID, items[i].StopID, pairs(answer[1]))
			claimed[i].Ill = answer[2].(int64) == 1
		case 2:
			claimed[i].Held = true
		}
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
// on, are left out. Hop 0 is that of a watched job, whatever it is; the job is
// watched no more if its stop, the active one or "" for none, is not. It goes on
// until Redis has answered or ctx ends: what it has taken is nobody else's.
func (r *Releaser) Take(ctx context.Context, projectID string, stops []ledger.Member) ([]Claimed, error) {
	k, now := ledger.Keys(projectID), r.now()
	var all []Claimed
	for len(stops) > 0 {
		some := stops[:min(takesAtOnce, len(stops))]
		stops = stops[len(some):]
		keys := []string{k.Control(), k.Small(), k.Large(), k.Look(), k.Released(), k.Watched(), k.Latest(), k.Active()}
		args := []any{now.UnixMilli(), r.worker}
		for _, s := range some {
			keys = append(keys, k.Stop(s.StopID))
			args = append(args, s.StopID, s.JobID, s.Hop, rand.Text()[:10])
		}
		answers, err := r.runTake(ctx, keys, args)
		if err != nil {
			return all, fmt.Errorf("take %d stops of project %s: %w", len(some), projectID, err)
		}
		ill := answers[0].(int64) == 1
		for i, a := range answers[1:] {
			if f := pairs(a); f["state"] != "" {
				all = append(all, Claimed{Stop: ledger.Decode(projectID, some[i].StopID, f), At: now, Ill: ill})
			}
		}
	}
	return all, nil
}

// runTake goes on until Redis has answered or ctx ends.
func (r *Releaser) runTake(ctx context.Context, keys []string, args []any) ([]any, error) {
	for {
		answers, err := takeScript.Run(ctx, r.rdb, keys, args...).Slice()
		if err == nil {
			return answers, nil
		}
		select {
		case <-time.After(takeAgain):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func pairs(answer any) map[string]string {
	list := texts(answer)
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i]] = list[i+1]
	}
	return m
}

// Recover puts released steps back that are lost, each at once, and lets the
// others be silent for a while longer. A stop call that was marked comes back as
// a look. It returns how many were put back.
func (r *Releaser) Recover(ctx context.Context, projectID string, steps []ledger.Member, lost func(i int) bool) (int, error) {
	if len(steps) == 0 {
		return 0, nil
	}
	k := ledger.Keys(projectID)
	keys := []string{k.Control(), k.Small(), k.Large(), k.Look(), k.Released()}
	args := []any{r.now().UnixMilli()}
	for i, m := range steps {
		keys = append(keys, k.Stop(m.StopID))
		how := ""
		if lost(i) {
			how = "1"
		}
		args = append(args, m.StopID, m.Hop, m.JobID, how)
	}
	n, err := recoverScript.Run(ctx, r.rdb, keys, args...).Int()
	if err != nil {
		return 0, fmt.Errorf("recover %d steps of project %s: %w", len(steps), projectID, err)
	}
	return n, nil
}
