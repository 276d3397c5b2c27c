package tasks

import (
	"context"
	"strings"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/plain"
	"vizstop/internal/tracing"
)

// NoProject stands in the ledger for the project of a task that names none. It
// is not a valid id, so no project can be mistaken for it.
const NoProject = "-none-"

// projectOf is the project under which the ledger has what a task asks for.
func projectOf(p Payload) string {
	if modelarts.ValidateID("project", p.ProjectID) != nil {
		return NoProject
	}
	return p.ProjectID
}

// adopter makes foreign tasks stops of their own, which are then carried by tasks
// of ours: a foreign one's options (timeout, retries) are its producer's.
type adopter struct {
	ledger   *ledger.Ledger
	recorder Recorder
	pull     func(projectID string, after time.Duration)
	deadline time.Duration // from now
}

// task adopts one foreign task; it may take until life from now. A malformed task
// becomes a stop that was rejected.
func (a *adopter) task(ctx context.Context, name string, p Payload, bad error, life time.Duration) (result, error) {
	projectID, ask := projectOf(p), ledger.Ask{JobID: p.JobID, Deadline: a.ledger.Now().Add(life)}
	if bad != nil {
		ask.JobID, ask.Fault = "", oneLine(bad)
	}
	ctx, ask.Trace = tracing.Join(ctx, "")
	a.pull(projectID, 0)
	opening, err := a.ledger.OpenForeign(ctx, projectID, name, ask)
	if err != nil {
		return result{}, err
	}
	a.pull(projectID, 0)
	if opening.Result == ledger.Joined {
		a.recorder.Duplicate()
	}
	s, err := a.ledger.Get(ctx, projectID, opening.StopID)
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

// GivenUp adopts a foreign task that asynq itself has given up before a worker
// could take it. life is what is left of its deadline.
func (h *Handlers) GivenUp(ctx context.Context, name string, payload []byte, life time.Duration) (*ledger.Stop, error) {
	p, bad := DecodePayload(payload)
	res, err := h.Stop.adopt.task(ctx, name, p, bad, life)
	return res.stop, err
}

// IsForeign reports whether a task of that id is another producer's, or is not
// what we would have written.
func IsForeign(name string, payload []byte) bool {
	_, ours := parseTaskID(name)
	p, bad := DecodePayload(payload)
	return !ours || bad != nil && p.JobID != ""
}

// maxReason bounds a reason, in characters.
const maxReason = 1000

func oneLine(err error) string {
	return plain.Line(strings.ReplaceAll(err.Error(), "\n", "; "), maxReason)
}
