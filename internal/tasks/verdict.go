package tasks

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
)

// action is what happens next to a stop.
type action int

const (
	actEnd    action = iota // it ends, with the verdict's outcome
	actAccept               // the stop call was accepted: look at the job from now on
	actSeen                 // the job is stopping, though no call of this stop was accepted: look at it from now on
	actRetry                // the stop call again after a wait; uses up an attempt
	actWait                 // the same call again when the system is well; uses up nothing
	actLook                 // ask the detail endpoint now
	actAgain                // ask the detail endpoint again after a short wait: it gave no answer
	actPoll                 // ask the detail endpoint again, on schedule
	actAwait                // ask the detail endpoint again when a call that got lost need not be waited for any longer
	actAbsent               // there is no such job: ask the detail endpoint a second time, absentWait after the first answer
	actCall                 // the job is active and no call is under way: make the stop call again, now
	actRest                 // the job runs on while its stop call has to wait: that goes on waiting; uses up nothing
)

var actionNames = [...]string{"end", "accept", "seen", "retry", "wait", "look", "again", "poll", "await", "absent", "call", "rest"}

func (a action) String() string { return actionNames[a] }

// verdict is what an answer means for one stop.
type verdict struct {
	action  action
	outcome ledger.State  // of actEnd
	reason  string        // in one line; "" when all is well
	after   time.Duration // of actWait: the shortest wait

	// stopping says that the answer showed the job stopping: of actAccept, actSeen
	// and actPoll. Then the list of stopping jobs can be trusted to hold it.
	stopping bool
	// ended says that the answer showed the job ended, of actAccept: look at it now.
	ended bool
}

func end(outcome ledger.State, reason string) verdict {
	return verdict{action: actEnd, outcome: outcome, reason: reason}
}

// judgeStop says what the answer to a stop call means. It and judgePoll are the
// only place that decides this. system says that a failure is held to be the
// system's rather than this job's.
func judgeStop(s *ledger.Stop, accepted jobs.Accepted, err error, system bool, may chance) verdict {
	if err == nil {
		return verdict{action: actAccept, stopping: !accepted.Ended, ended: accepted.Ended}
	}
	reason := err.Error()
	switch kind := jobs.KindOf(err); {
	case system:
		return verdict{action: actWait, reason: reason, after: refusalWait(kind)}
	case kind == jobs.KindNotFound:
		return judgeAbsent(s, err, may)
	case kind == jobs.KindNotAllowed:
		return judgeRefusal(s, err)
	case s.State == ledger.Stopping: // it was accepted once: only the detail endpoint ends it
		return verdict{action: actPoll, reason: reason}
	case kind == jobs.KindInvalid && s.Unsure: // an earlier call may have worked: look, then try again
		return verdict{action: actLook, reason: reason}
	case kind == jobs.KindInvalid:
		return end(ledger.Rejected, reason)
	default: // an error or no answer, while other calls succeed
		return verdict{action: actRetry, reason: reason}
	}
}

// refusalWait is the shortest wait of a stop whose call was refused as such. An
// access key locks after more than five refusals within five minutes.
func refusalWait(kind jobs.Kind) time.Duration {
	switch kind {
	case jobs.KindCredentials:
		return release.RefusedRest
	case jobs.KindPermission, jobs.KindNoAPI:
		return 5 * time.Second
	}
	return 0
}

// judgeRefusal reads error 0105, "This job can't be stop. job status: N".
func judgeRefusal(s *ledger.Stop, err error) verdict {
	reason := err.Error()
	apiErr, ok := errors.AsType[*jobs.Error](err)
	if !ok || apiErr.JobStatus.Code == "" {
		return verdict{action: actLook, reason: reason}
	}
	switch apiErr.JobStatus.State {
	case jobs.Stopping:
		return verdict{action: actSeen, stopping: true}
	case jobs.Ended:
		if s.Unsure || s.State == ledger.Stopping { // our own call may have ended it
			return verdict{action: actLook}
		}
		return end(ledger.AlreadyStopped, fmt.Sprintf("job status %v before the stop call", apiErr.JobStatus))
	case jobs.Active:
		if s.State == ledger.Stopping {
			return verdict{action: actPoll, reason: reason}
		}
		return verdict{action: actRetry, reason: reason}
	default:
		return verdict{action: actLook, reason: reason}
	}
}

// absentWait is how long after the API has said that there is no such job it has to
// say so again.
const absentWait = 10 * time.Second

// judgeAbsent reads the API's own word that there is no such job. A job that this
// stop never saw may exist in another project or region, or under another id.
func judgeAbsent(s *ledger.Stop, err error, may chance) verdict {
	switch {
	case !may.absent:
		return verdict{action: actAbsent, reason: err.Error()}
	case s.Seen():
		return end(ledger.Gone, err.Error())
	default:
		return end(ledger.NotFound, "the API knows no such job: check the project, the region and the id; "+err.Error())
	}
}

// chance is what may still be done for a stop, as far as time and its producers
// have a say.
type chance struct {
	call   bool   // a stop call may go out: its deadline has not passed, and somebody still wants it
	never  string // why none goes out whatever the time; "": one may
	lost   bool   // a worker has died in the middle of the latest stop call
	over   bool   // no call that got lost so needs to be waited for any longer
	absent bool   // the API said at least absentWait ago that there is no such job, and has not shown it since
	resend bool   // an accepted call was lost: the job was seen stopping since, or had time enough to leave its active status
}

// judgePoll says what the answer of the detail endpoint means.
func judgePoll(s *ledger.Stop, job *jobs.Job, err error, system bool, may chance) verdict {
	if err != nil {
		switch {
		case jobs.KindOf(err) == jobs.KindNotFound:
			return judgeAbsent(s, err, may)
		case system:
			return verdict{action: actWait, reason: err.Error(), after: refusalWait(jobs.KindOf(err))}
		case s.Instead && may.call:
			return verdict{action: actRest, reason: err.Error()}
		case s.State == ledger.Pending && !may.lost && may.over && may.call: // a look that showed nothing
			return verdict{action: actRetry, reason: err.Error()}
		default:
			return verdict{action: actAgain, reason: err.Error()}
		}
	}
	switch job.Status.State {
	case jobs.Ended:
		return judgeEnded(s, job)
	case jobs.Stopping:
		if s.State == ledger.Pending {
			return verdict{action: actSeen, stopping: true}
		}
		return verdict{action: actPoll, stopping: true}
	case jobs.Active:
		return judgeActive(s, job.Status, may)
	default:
		return verdict{action: actPoll, reason: fmt.Sprintf("job status %v says nothing", job.Status)}
	}
}

// judgeEnded says what it means that the job has ended. It was stopped by this
// stop only if a call of it was accepted, or may have been: none goes out for a job that
// is refused.
func judgeEnded(s *ledger.Stop, job *jobs.Job) verdict {
	status := job.Status
	switch {
	case !s.Accepted.IsZero():
		return end(ledger.Stopped, fmt.Sprintf("job status %v", status))
	case s.Unsure && job.Refusal != "":
		return end(ledger.Rejected, job.Refusal)
	case s.Unsure:
		return end(ledger.Stopped, fmt.Sprintf("job status %v, after a stop call whose answer was lost", status))
	case s.State == ledger.Stopping:
		return end(ledger.AlreadyStopped, fmt.Sprintf("job status %v: it was stopping before the stop call", status))
	default:
		return end(ledger.AlreadyStopped, fmt.Sprintf("job status %v before the stop call", status))
	}
}

// judgeActive says what it means that the job is still active.
func judgeActive(s *ledger.Stop, status jobs.Status, may chance) verdict {
	reason := fmt.Sprintf("job status is still %v", status)
	if s.State == ledger.Pending && strings.HasSuffix(s.Reason, reason) { // the look before it said so
		reason = s.Reason
	} else if s.State == ledger.Pending && s.Reason != "" { // what the stop call met with
		reason = s.Reason + "; then " + reason
	}
	switch {
	case s.State == ledger.Pending && !may.over:
		return verdict{action: actAwait, reason: reason}
	case s.State == ledger.Pending && s.Withdrawn != "":
		return end(ledger.Canceled, s.Withdrawn)
	case s.State == ledger.Pending && may.never != "":
		return end(ledger.Rejected, may.never)
	case s.Instead && may.call:
		return verdict{action: actRest, reason: reason}
	case s.State == ledger.Pending && may.lost && may.call:
		return verdict{action: actCall, reason: reason}
	case s.State == ledger.Pending:
		return verdict{action: actRetry, reason: reason}
	case may.resend && may.call:
		return verdict{action: actCall, reason: reason}
	default:
		return verdict{action: actPoll, reason: reason}
	}
}
