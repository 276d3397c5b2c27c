package tasks

import (
	"context"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/plain"
	"vizstop/internal/throttle"
	"vizstop/internal/tracing"
)

// StopHandler handles visualization:stop.
type StopHandler struct{ *handler }

// process asks ModelArts once to stop the job of the stop named in t, and
// schedules the first poll when the call is accepted. A bare task of another
// producer is adopted first.
func (h *StopHandler) process(ctx context.Context, t *asynq.Task) (result, error) {
	name, _ := asynq.GetTaskID(ctx)
	payload, bad := DecodePayload(t.Payload())
	id, ours := parseTaskID(name)
	if ours && payload.JobID == "" {
		return h.refuse(ctx, id, payload.ProjectID)
	}
	if bad != nil || !ours {
		return h.adopt(ctx, name, payload, bad, h.Now().Add(h.Schedule.Deadline))
	}
	claimed := h.Now()
	s, res, err := h.claim(ctx, id, payload.ProjectID)
	if err != nil || s == nil {
		return res, err
	}
	ctx, s.Trace = tracing.Join(ctx, s.Trace)
	if !h.Now().Before(s.Deadline) {
		if s.Unsure { // a lost call may have worked: have a last look
			return h.apply(ctx, s, verdict{action: actLook, reason: s.Reason})
		}
		return h.expire(ctx, s)
	}
	var requestID string
	wait, system, callErr, err := h.call(ctx, errand{s.ProjectID, throttle.Stop, !s.Slot.IsZero(), claimed, func(ctx context.Context) (err error) {
		if s.Called.IsZero() {
			s.Called = h.Now()
		}
		requestID, err = h.Jobs.StopVisualizationJob(ctx, s.ProjectID, s.JobID)
		return err
	}})
	if err != nil {
		return result{stop: s}, err
	}
	if wait.For > 0 {
		return h.wait(ctx, s, wait)
	}
	noteCall(s, requestID, callErr)
	return h.apply(ctx, s, judgeStop(s, callErr, system))
}

// noteCall keeps what a stop call has told besides its verdict.
func noteCall(s *ledger.Stop, requestID string, err error) {
	s.Calls++
	apiErr := apiError(err)
	if apiErr == nil {
		s.RequestID = requestID
		return
	}
	s.RequestID = apiErr.RequestID
	s.Unsure = s.Unsure || apiErr.MaybeSent
	if apiErr.HasJobStatus {
		s.Status = int(apiErr.JobStatus)
	}
}

// adopt makes a bare task a stop of its own, which is then carried by a task
// of ours: the bare one's options (timeout, retries) are its producer's. A
// malformed task becomes a stop that is rejected at once.
func (h *handler) adopt(ctx context.Context, name string, p Payload, bad error, deadline time.Time) (result, error) {
	projectID, ask := p.ProjectID, ledger.Ask{JobID: p.JobID, Deadline: deadline}
	if bad != nil {
		ask.JobID = ""
		if modelarts.ValidateID("project", projectID) != nil {
			projectID = NoProject
		}
	}
	ctx, ask.Trace = tracing.Join(ctx, "")
	opening, err := h.Ledger.OpenForeign(ctx, projectID, name, ask)
	if err != nil {
		return result{}, err
	}
	if opening.Result == ledger.Joined {
		h.Recorder.Duplicate()
	}
	s, err := h.Ledger.Get(ctx, projectID, opening.StopID)
	if err != nil {
		return result{}, err
	}
	if bad != nil && !s.State.Ended() {
		return h.end(ctx, s, ledger.Rejected, oneLine(bad))
	}
	if opening.Result == ledger.Joined || opening.Result == ledger.Known {
		return result{stop: s, what: "task " + string(opening.Result)}, nil
	}
	return result{stop: s, what: "task adopted"}, enqueue(ctx, h.Queue, s)
}

// refuse ends the stop of a malformed task that adopt has recorded and then,
// because its worker died or lost Redis, could not end. The repairer's task for
// it names no job.
func (h *StopHandler) refuse(ctx context.Context, id taskID, projectID string) (result, error) {
	if modelarts.ValidateID("project", projectID) != nil {
		projectID = NoProject
	}
	s, res, err := h.claim(ctx, id, projectID)
	if err != nil || s == nil {
		return res, err
	}
	ctx, s.Trace = tracing.Join(ctx, s.Trace)
	return h.end(ctx, s, ledger.Rejected, "the task that asked for it was malformed")
}

// NoProject stands in the ledger for the project of a task that names none. It
// is not a valid id, so no project can be mistaken for it.
const NoProject = "-"

// maxReason bounds a reason, in characters.
const maxReason = 1000

func oneLine(err error) string {
	return plain.Line(strings.ReplaceAll(err.Error(), "\n", "; "), maxReason)
}
