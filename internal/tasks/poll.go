package tasks

import (
	"context"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/throttle"
	"vizstop/internal/tracing"
)

// PollHandler handles visualization:poll.
type PollHandler struct{ *handler }

// process asks the detail endpoint once where the job of the stop named in t
// stands, and ends the stop or schedules what comes next.
func (h *PollHandler) process(ctx context.Context, t *asynq.Task) (result, error) {
	name, _ := asynq.GetTaskID(ctx)
	payload, bad := DecodePayload(t.Payload())
	id, ours := parseTaskID(name)
	if bad != nil || !ours {
		return result{what: "foreign poll task dropped", note: TypePoll + " is not for other producers: enqueue " + TypeStop}, nil
	}
	claimed := h.Now()
	s, res, err := h.claim(ctx, id, payload.ProjectID)
	if err != nil || s == nil {
		return res, err
	}
	ctx, s.Trace = tracing.Join(ctx, s.Trace)
	return h.poll(ctx, s, claimed)
}

// poll asks the detail endpoint where the job of s stands, and ends s or moves it
// to what comes next. claimed is when s was read from the ledger.
func (h *handler) poll(ctx context.Context, s *ledger.Stop, claimed time.Time) (result, error) {
	if s.Slot.IsZero() {
		h.Recorder.PollStarted(max(0, h.Now().Sub(s.Next)), tracing.IDFrom(ctx))
	}
	var job *modelarts.VisualizationJob
	wait, system, callErr, err := h.call(ctx, errand{s.ProjectID, throttle.Poll, !s.Slot.IsZero(), claimed, func(ctx context.Context) (err error) {
		job, err = h.Jobs.ShowVisualizationJob(ctx, s.ProjectID, s.JobID)
		return err
	}})
	if err != nil {
		return result{stop: s}, err
	}
	if wait.For > 0 {
		return h.wait(ctx, s, wait)
	}
	h.notePoll(ctx, s, job, callErr)
	mayResend := s.Resends < h.Schedule.MaxResends && h.Now().Sub(s.Accepted) >= h.Schedule.ResendAfter &&
		h.Now().Before(s.Deadline)
	return h.apply(ctx, s, judgePoll(s, job, callErr, system, mayResend))
}

// notePoll keeps what a detail call has told besides its verdict, also about
// the list that asked for it.
func (h *handler) notePoll(ctx context.Context, s *ledger.Stop, job *modelarts.VisualizationJob, err error) {
	s.Polls++
	if err != nil {
		if apiErr := apiError(err); apiErr != nil {
			s.RequestID = apiErr.RequestID
		}
		return
	}
	s.Status, s.RequestID = int(job.Status), job.RequestID
	stopping := job.Status.Class() == modelarts.ClassStopping
	if stopping {
		s.Looked = h.Now()
	}
	if s.Screened == ledger.ScreenedLeft && stopping || s.Screened == ledger.ScreenedLate && !stopping {
		if err := h.Ledger.ScreenWrong(ctx, s.ProjectID); err != nil {
			h.Logger.WarnContext(ctx, "a wrong list was not noted", "project", s.ProjectID, "error", err)
		}
	}
}
