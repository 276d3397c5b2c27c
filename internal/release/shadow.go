package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/luascript"
)

const shadowRoundsKey = "vizstop:{-}:rounds:shadow" // as roundsKey, for shadow stops

// ShadowWake is what WakeChannel says when there is something to do for shadow stops.
const ShadowWake = "shadow"

// Shadow releases and claims the looks of shadow stops, for which nothing else is
// done: they keep to the rate and the holds of their project, have no tasks, and leave
// no mark of a stop call. It is safe for concurrent use.
type Shadow struct {
	*Rounds
	r *Releaser
}

// Shadow is the part for shadow stops.
func (r *Releaser) Shadow() Shadow {
	return Shadow{&Rounds{base: r.base, key: shadowRoundsKey, wake: ShadowWake}, r}
}

// Windows is that of Releaser.
func (s Shadow) Windows(ctx context.Context, projectIDs ...string) ([]Window, error) {
	return s.r.Windows(ctx, projectIDs...)
}

// ShadowRound is what one round has taken, and what else there is to do.
type ShadowRound struct {
	Next   time.Duration   // when the next round is due; less than 0: nothing is left to do
	Count  bool            // stops ended outside of a worker, and are to be counted
	Taken  []ledger.Member // to be claimed and looked at by this worker
	Late   []string        // ids of stops whose time is up
	Silent []ledger.Member // steps that have been silent for long
}

// Round makes a round of the shadow stops of one project, and takes at most so many.
// What was taken for longer than silence is told of.
func (s Shadow) Round(ctx context.Context, projectID string, most int, silence time.Duration) (ShadowRound, error) {
	k, of := ledger.Keys(projectID), ledger.ShadowKeys(projectID)
	keys := []string{k.Control(), k.Small(), k.Large(), of.Control(), of.Look(), of.Released(), of.Latest(), of.Uncounted()}
	rate, burst := s.r.rate(projectID)
	answer, err := shadowScript.Run(ctx, s.r.rdb, keys, s.r.now().UnixMilli(), rate, burst, min(most, releasedAtOnce), s.r.holds(projectID),
		silence.Milliseconds(), s.r.probeTime().Milliseconds(), s.r.Endpoint(projectID)).Slice()
	if err != nil {
		return ShadowRound{}, fmt.Errorf("take shadow stops of project %s: %w", projectID, err)
	}
	return ShadowRound{
		Next: time.Duration(answer[0].(int64)) * time.Millisecond, Count: answer[1].(int64) == 1,
		Taken: members(answer[2]), Late: texts(answer[3]), Silent: members(answer[4]),
	}, nil
}

// ShadowClaim is a shadow stop that is this worker's to look at.
type ShadowClaim struct {
	Stop *ledger.Stop
	At   time.Time // when it was claimed, by the fleet's time
	Ill  bool      // calls of the project have failed lately: a success is worth a report
	// Held says why a stop call of the project would be held back until a person ends
	// that: a Reason; "": it would not.
	Held Reason
}

// Claim claims what a round has taken. What somebody else has moved on is left out.
func (s Shadow) Claim(ctx context.Context, projectID string, steps []ledger.Member) ([]ShadowClaim, error) {
	if len(steps) == 0 {
		return nil, nil
	}
	k, of, now, nonce := ledger.Keys(projectID), ledger.ShadowKeys(projectID), s.r.now(), newNonce()
	keys := []string{k.Control(), of.Control(), of.Look(), of.Released()}
	rate, burst := s.r.rate(projectID)
	args := []any{now.UnixMilli(), s.r.worker, s.r.holds(projectID), s.r.Endpoint(projectID), nonce, rate, burst, s.r.probeTime().Milliseconds()}
	stops := make([]string, len(steps))
	for i, m := range steps {
		stops[i] = of.Stop(m.StopID)
		args = append(args, m.StopID, m.Hop, m.JobID)
	}
	answer, read, err := luascript.RunAndRead(ctx, s.r.rdb, shadowClaimScript, append(keys, stops...), args, stops)
	if err != nil {
		return nil, fmt.Errorf("claim %d shadow stops of project %s: %w", len(steps), projectID, err)
	}
	var claimed []ShadowClaim
	for i, m := range steps {
		if answer[2+i].(int64) != gotIt || read[i]["claimed"] != read[i]["hop"]+" "+nonce {
			continue // what has gone on without us is somebody else's
		}
		c := ShadowClaim{Stop: ledger.Decode(projectID, m.StopID, read[i]), At: now, Ill: answer[0].(int64)&isIll != 0, Held: Reason(answer[1].(string))}
		c.Stop.Shadow = true
		claimed = append(claimed, c)
	}
	if answer[0].(int64)&turnPassed != 0 { // another probe is to be made, of whatever kind
		return claimed, errors.Join(Ask(ctx, s.r.rdb, projectID), s.Ask(ctx, projectID))
	}
	return claimed, nil
}

// Resting is that of Releaser.
func (s Shadow) Resting(projectID string) bool { return s.r.Resting(projectID) }

// Recover is that of Releaser.
func (s Shadow) Recover(ctx context.Context, projectID string, steps []ledger.Member, lost func(i int) bool) ([]ledger.Member, error) {
	return s.r.recover(ctx, projectID, ledger.ShadowKeys(projectID), steps, lost)
}

// Settle notes when shadow stops that have come up as late are next, and forgets those
// that have ended.
func (s Shadow) Settle(ctx context.Context, projectID string, stops []*ledger.Stop) error {
	return s.r.hasten(ctx, projectID, ledger.ShadowKeys(projectID), stops)
}
