package tasks

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/plain"
	"vizstop/internal/tracing"
)

// NoProject stands in the ledger for the project of a task that names none. It
// is not a valid id, so no project can be mistaken for it.
const NoProject = "-none-"

// projectOf is the project under which the ledger has what a task asks for.
func projectOf(p Payload) string {
	if jobs.ValidateID("project", p.ProjectID) != nil {
		return NoProject
	}
	return p.ProjectID
}

// adopter makes foreign tasks stops of their own, which are then carried by tasks
// of ours: a foreign one's options (timeout, retries) are its producer's.
type adopter struct {
	ledger     *ledger.Ledger
	inShadow   func(projectID string) bool
	recorder   Recorder
	pull       func(projectID string, after time.Duration)
	pullShadow func(projectID string, after time.Duration)
	deadline   time.Duration // from now
}

// task adopts one foreign task of that type; it may take until life from now. A
// malformed task becomes a stop that was rejected, one for a project in a shadow account
// a shadow stop.
func (a *adopter) task(ctx context.Context, typ, name string, p Payload, bad error, life time.Duration) (result, error) {
	projectID := projectOf(p)
	ask := ledger.Ask{JobID: p.JobID, Deadline: a.ledger.Now().Add(life), Shadow: typ == TypeShadow || a.inShadow(projectID)}
	if p.Shadow && typ != TypeShadow {
		bad = errors.Join(bad, errShadowPayload)
	}
	if bad != nil {
		ask.JobID, ask.Fault = "", oneLine(bad)
	}
	books, pull := a.ledger, a.pull
	if ask.Shadow {
		books, pull = a.ledger.Shadow(), a.pullShadow
	}
	ctx, ask.Trace = tracing.Join(ctx, "")
	pull(projectID, 0)
	opening, err := books.OpenForeign(ctx, projectID, name, ask)
	if err != nil {
		return result{}, err
	}
	pull(projectID, 0)
	if opening.Result == ledger.Joined {
		a.recorder.Duplicate()
	}
	s, err := books.Get(ctx, projectID, opening.StopID)
	if err != nil {
		return result{}, err
	}
	switch {
	case bad != nil:
		return result{stop: s, what: "stop ended", note: s.Reason}, nil
	case opening.Result != ledger.Opened:
		return result{stop: s, what: "task " + string(opening.Result)}, nil
	}
	return result{stop: s, what: "task adopted"}, nil
}

// Adopt adopts a foreign task that asynq itself does not carry any more, and logs
// that. life is what is left of the task's time; if it is over, the stop ends as
// expired. Other tasks it leaves alone.
func (h *Handlers) Adopt(ctx context.Context, info *asynq.TaskInfo, life time.Duration) error {
	if info.Type != TypeShadow && (info.Type != TypeStop || !isForeign(info.ID, info.Payload)) {
		return nil // what a task of ours carried is found by its step
	}
	p, bad := DecodePayload(info.Payload)
	res, err := h.Stop.adopt.task(ctx, info.Type, info.ID, p, bad, life)
	if err != nil {
		return err
	}
	h.logger.tell(ctx, res, nil, "task", info.ID, "type", info.Type, "abandoned", cmp.Or(info.LastErr, "its worker died"))
	return nil
}

// Removed logs and counts a task that was taken out of the queue, if nobody can
// carry it out: one of another type, or one whose message can't be read (nil).
func (h *Handlers) Removed(ctx context.Context, id string, info *asynq.TaskInfo) {
	switch {
	case info == nil:
		h.recorder.Dropped(DroppedUnreadable)
		note := "its message in Redis can't be read: look which program writes to the queue " + Queue
		h.logger.tell(ctx, result{what: "task dropped", note: note}, nil, "task", id)
	case info.Type != TypeStop && info.Type != TypePoll && info.Type != TypeShadow:
		h.logger.tell(ctx, dropped(h.recorder), nil, "task", id, "type", info.Type)
	}
}

// shadow adopts a task of TypeShadow, each of which is foreign.
func (h *Handlers) shadow(ctx context.Context, t *asynq.Task) (result, error) {
	name, _ := asynq.GetTaskID(ctx)
	p, bad := DecodePayload(t.Payload())
	return h.Stop.adopt.task(ctx, TypeShadow, name, p, bad, h.Stop.adopt.deadline)
}

// drop does nothing for a task of a type that is not ours.
func (h *Handlers) drop(context.Context, *asynq.Task) (result, error) {
	return dropped(h.recorder), nil
}

func dropped(r Recorder) result {
	r.Dropped(DroppedType)
	return result{what: "task dropped", note: "the queue " + Queue + " is for tasks of types " + TypeStop + " and " + TypeShadow + " only"}
}

// isForeign reports whether a task of that id is another producer's, or is not
// what we would have written.
func isForeign(name string, payload []byte) bool {
	_, ours := parseTaskID(name)
	p, bad := DecodePayload(payload)
	return !ours || bad != nil && p.JobID != ""
}

// maxReason bounds a reason, in characters.
const maxReason = 1000

func oneLine(err error) string {
	return plain.Line(strings.ReplaceAll(err.Error(), "\n", "; "), maxReason)
}
