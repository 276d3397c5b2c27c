package tasks

import (
	"context"
	"errors"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/tracing"
)

// StopHandler handles visualization:stop.
type StopHandler struct {
	claims *claimer
	calls  *caller
	moves  *mover
	look   *Looker
	adopt  *adopter
}

// process asks ModelArts once to stop the job of the stop named in t, and
// schedules the first look when the call is accepted. A foreign task is adopted
// first.
func (h *StopHandler) process(ctx context.Context, t *asynq.Task) (result, error) {
	name, _ := asynq.GetTaskID(ctx)
	payload, bad := DecodePayload(t.Payload())
	id, ours := parseTaskID(name)
	if !ours || bad != nil && payload.JobID != "" {
		return h.adopt.task(ctx, TypeStop, name, payload, bad, h.adopt.deadline)
	}
	step := ledger.Member{StopID: id.stopID, Hop: id.hop, JobID: payload.JobID}
	h.claims.work.Begin(id.stopID)
	defer h.claims.work.End(id.stopID)
	c, res, err := h.claims.claim(ctx, projectOf(payload), step, ledger.KindStop)
	s := c.Stop
	if err != nil || s == nil {
		return res, err
	}
	defer c.slot.Free()
	ctx, s.Trace = tracing.Join(ctx, s.Trace)
	return h.moves.guarded(ctx, s, func() (result, error) {
		refusal := h.moves.inShadow(s)
		switch {
		case refusal == "" && h.moves.wanted(s) && !c.MayCall: // it was no call when it was claimed: in a shadow account, past its deadline, or withdrawn
			return h.moves.next(ctx, s, "given back", ledger.KindStop, 0)
		case refusal == "" && h.moves.wanted(s):
			accepted, callErr, system := h.calls.stop(ctx, c)
			if errors.Is(callErr, jobs.ErrLate) {
				return h.moves.next(ctx, s, "given back", ledger.KindStop, 0)
			}
			return h.moves.apply(ctx, s, judgeStop(s, accepted, callErr, system, h.moves.chance(s)))
		case s.Unsure || s.State == ledger.Stopping: // a call may have worked: have a last look
			return h.look.claimed(ctx, c)
		case s.Withdrawn != "":
			return h.moves.end(ctx, s, ledger.Canceled, s.Withdrawn)
		case refusal != "" && h.moves.wanted(s):
			return h.moves.end(ctx, s, ledger.Rejected, refusal)
		default:
			return h.moves.expire(ctx, s)
		}
	})
}
