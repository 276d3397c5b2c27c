package tasks

import (
	"errors"
	"fmt"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
)

// action is what happens next to a stop.
type action int

const (
	actEnd    action = iota // it ends, with the verdict's outcome
	actAccept               // the stop call was accepted: poll from now on
	actRetry                // the same call again after a backoff; uses up an attempt
	actWait                 // the same call again when the system is well; uses up nothing
	actLook                 // ask the detail endpoint now
	actPoll                 // ask the detail endpoint again, on schedule
	actResend               // the job runs although its stop was accepted: make the stop call again
)

var actionNames = [...]string{"end", "accept", "retry", "wait", "look", "poll", "resend"}

func (a action) String() string { return actionNames[a] }

// verdict is what an answer means for one stop.
type verdict struct {
	action  action
	outcome ledger.State // of actEnd
	reason  string       // in one line; "" when all is well

	// stopping says that the answer showed the job stopping: of actAccept and
	// actPoll. Then the list of stopping jobs can be trusted to hold it.
	stopping bool
}

func end(outcome ledger.State, reason string) verdict {
	return verdict{action: actEnd, outcome: outcome, reason: reason}
}

// judgeStop says what the answer to a stop call means. It and judgePoll are the
// only place that decides this. system says that a failure is held to be the
// system's rather than this job's.
func judgeStop(s *ledger.Stop, err error, system bool) verdict {
	if err == nil {
		return verdict{action: actAccept, stopping: true}
	}
	reason := err.Error()
	switch kind := modelarts.KindOf(err); {
	case system:
		return verdict{action: actWait, reason: reason}
	case kind == modelarts.KindNotFound:
		return end(ledger.Gone, reason)
	case kind == modelarts.KindNotAllowed:
		return judgeRefusal(s, err)
	case s.State == ledger.Stopping: // it was accepted once: only the detail endpoint ends it
		return verdict{action: actPoll, reason: reason}
	case kind == modelarts.KindInvalid:
		return end(ledger.Rejected, reason)
	default: // an error or no answer, while other calls succeed
		return verdict{action: actRetry, reason: reason}
	}
}

// judgeRefusal reads error 0105, "This job can't be stop. job status: N".
func judgeRefusal(s *ledger.Stop, err error) verdict {
	reason := err.Error()
	apiErr, ok := errors.AsType[*modelarts.APIError](err)
	if !ok || !apiErr.HasJobStatus {
		return verdict{action: actLook, reason: reason}
	}
	switch apiErr.JobStatus.Class() {
	case modelarts.ClassStopping:
		return verdict{action: actAccept, stopping: true}
	case modelarts.ClassEnded:
		if s.Unsure || s.State == ledger.Stopping { // our own call may have ended it
			return verdict{action: actLook}
		}
		return end(ledger.AlreadyStopped, fmt.Sprintf("job status %v before the stop call", apiErr.JobStatus))
	case modelarts.ClassActive:
		if s.State == ledger.Stopping {
			return verdict{action: actPoll, reason: reason}
		}
		return verdict{action: actRetry, reason: reason}
	default:
		return verdict{action: actLook, reason: reason}
	}
}

// judgePoll says what the answer of the detail endpoint means. mayResend says
// that the job had time enough to leave its active status since the stop call
// was accepted, and that the stop call may be repeated.
func judgePoll(s *ledger.Stop, job *modelarts.VisualizationJob, err error, system, mayResend bool) verdict {
	if err != nil {
		switch {
		case modelarts.KindOf(err) == modelarts.KindNotFound:
			return end(ledger.Gone, err.Error())
		case system:
			return verdict{action: actWait, reason: err.Error()}
		case s.State == ledger.Pending: // a look that showed nothing
			return verdict{action: actRetry, reason: err.Error()}
		default:
			return verdict{action: actPoll, reason: err.Error()}
		}
	}
	switch job.Status.Class() {
	case modelarts.ClassEnded:
		if s.State == ledger.Pending && !s.Unsure {
			return end(ledger.AlreadyStopped, fmt.Sprintf("job status %v before the stop call", job.Status))
		}
		return end(ledger.Stopped, fmt.Sprintf("job status %v", job.Status))
	case modelarts.ClassStopping:
		if s.State == ledger.Pending {
			return verdict{action: actAccept, stopping: true}
		}
		return verdict{action: actPoll, stopping: true}
	case modelarts.ClassActive:
		reason := fmt.Sprintf("job status is still %v", job.Status)
		switch {
		case s.State == ledger.Pending:
			if s.Reason != "" { // what the stop call met with
				reason = s.Reason + "; then " + reason
			}
			return verdict{action: actRetry, reason: reason}
		case mayResend:
			return verdict{action: actResend, reason: reason}
		default:
			return verdict{action: actPoll, reason: reason}
		}
	default:
		return verdict{action: actPoll, reason: fmt.Sprintf("job status %v says nothing", job.Status)}
	}
}
