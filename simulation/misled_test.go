package simulation

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/release"
)

// neighbour is a project whose jobs are few, and refused more often than others.
const neighbour = "fedcba9876543210fedcba9876543210"

var neighbours = []string{"90", "91"}

// strangers are answers of somebody on the way, who knows nothing of jobs.
var strangers = []modelartstest.Reply{
	modelartstest.ReplyEmpty(http.StatusNotFound),
	modelartstest.ReplyEmpty(http.StatusBadRequest),
	modelartstest.ReplyEmpty(http.StatusConflict),
	modelartstest.ReplyHTML(http.StatusNotFound),
	modelartstest.ReplyHTML(http.StatusBadRequest),
	modelartstest.ReplyError(http.StatusNotFound, "KONG.404", "no Route matched with those values"),
	modelartstest.ReplyError(http.StatusBadRequest, "KONG.400", "the job is invalid"),
	modelartstest.ReplyError(http.StatusNotFound, "APIG.0101", "The API does not exist or has not been published in the environment"),
}

// proxy has a stranger answer for a while: all calls, some of them, those of one
// operation, or those for one job.
func (d *day) proxy() {
	f := modelartstest.Fault{Until: time.Now().Add(d.upTo(10 * time.Minute)), Reply: strangers[d.random.IntN(len(strangers))]}
	switch d.random.IntN(4) {
	case 0:
		f.Probability, f.Seed = 0.4, d.random.Uint64()
	case 1:
		f.Operation = jobs.OperationStop
	case 2:
		f.JobID = d.job()
	}
	d.sim.Inject(f)
}

// refusedAlone has the API refuse all calls for one job, or those of a neighbouring
// project, for a while.
func (d *day) refusedAlone() {
	f := modelartstest.Fault{Until: time.Now().Add(d.upTo(10 * time.Minute)),
		Reply: modelartstest.ReplyError(http.StatusUnauthorized, "APIGW.0301", "Incorrect IAM authentication information")}
	if d.random.IntN(2) == 0 {
		f.Reply = modelartstest.ReplyError(http.StatusForbidden, "ModelArts.0107", "no permission")
	}
	if d.random.IntN(2) == 0 {
		f.JobID = d.job()
	} else {
		f.ProjectID = neighbour
		d.ask(neighbour, d.newBatch(), []ledger.Ask{d.wish(neighbours[d.random.IntN(len(neighbours))])})
	}
	d.sim.Inject(f)
}

// own reports whether a refusal has a code of ModelArts itself, or follows from a look
// that went before a stop call.
func own(err error) bool {
	apiErr, ok := errors.AsType[*jobs.Error](err)
	return ok && (strings.HasPrefix(apiErr.Code, "ModelArts.") || apiErr.HTTPStatus == 0 && apiErr.RequestID != "")
}

// saysAbsent reports whether the API itself says that there is no such job.
func saysAbsent(err error) bool {
	return own(err) && jobs.KindOf(err) == jobs.KindNotFound
}

// ofStranger reports whether a call was turned away by somebody who is not the API. A
// refusal that breaks off in the middle is the API's.
func ofStranger(err error) bool {
	apiErr, ok := errors.AsType[*jobs.Error](err)
	return ok && apiErr.HTTPStatus/100 == 4 && !own(err) && apiErr.Kind != jobs.KindUnavailable
}

// checkOwnWord: an outcome that an answer decides has one of the API itself, and
// what strangers answer uses up no attempt.
func (d *day) checkOwnWord(s *ledger.Stop, calls []recordedCall) {
	most, ended, refused := 0, false, false
	calls = slices.DeleteFunc(slices.Clone(calls), func(c recordedCall) bool { return !d.within(c, s) })
	for _, c := range calls {
		if !ofStranger(c.err) {
			most++
		}
		refused = refused || own(c.err) || c.refusal != ""
		ended = ended || own(c.err) || c.err == nil && c.operation == jobs.OperationDetail
	}
	if s.State == ledger.AlreadyStopped && !ended || s.State == ledger.Rejected && s.JobID != "" && !refused && s.Attempts < attempts {
		d.t.Errorf("job %s is %s (%s), and the API itself has not said so: %v", s.JobID, s.State, s.Reason, calls)
	}
	if s.Attempts > most && !d.troubled(span{s.Asked, s.Ended}) {
		d.t.Errorf("job %s used up %d attempts by %d answers of the API: %v", s.JobID, s.Attempts, most, calls)
	}
}

// attempts is how many a stop has.
const attempts = 10

// checkAbsent: a job is gone, or was not found, only after the API said twice, at
// least 10 s apart, that there is no such job.
func (d *day) checkAbsent(s *ledger.Stop, calls []recordedCall) {
	if s.State != ledger.Gone && s.State != ledger.NotFound {
		return
	}
	var first, last time.Time
	for _, c := range calls {
		if !saysAbsent(c.err) || !d.within(c, s) {
			continue
		}
		if first.IsZero() || c.end.Before(first) { // calls of two stops of a job can overlap
			first = c.end
		}
		if c.end.After(last) {
			last = c.end
		}
	}
	if last.Sub(first) < 10*time.Second-time.Millisecond {
		d.t.Errorf("job %s is %s: the API said that there is no such job from %v to %v, want 10 s", s.JobID, s.State, first, last)
	}
}

// usualProbe is the time between two probes of a credential, whatever they meet.
const usualProbe = 2 * time.Minute

// checkHolds: a credential is held only after it was refused for two different
// stops, a project only after three of its stops were, or five of its calls got no
// answer. What an undo meets holds back nobody. While something is held, only probes
// go out, of two calls at most.
func (d *day) checkHolds() {
	holds, err := d.release().Holds(context.Background())
	if err != nil {
		d.t.Fatal(err)
	}
	for _, h := range holds {
		if h.ByPerson() || h.ByLimit() || h.Reason == release.Throttled {
			continue
		}
		calls := slices.DeleteFunc(d.recorded(), func(c recordedCall) bool {
			return c.by == nil || h.Scope == release.ScopeProject && c.project != h.ProjectID
		})
		failures, of := d.failuresBefore(h.Since, calls, h.Scope == release.ScopeCredential)
		if h.Scope == release.ScopeCredential && len(of) < 2 || h.Scope == release.ScopeProject && len(of) < 3 && failures < 5 {
			d.t.Errorf("held: %v; but only %d calls had failed before that, for %v", h, failures, of)
		}
		// A probe of a credential that meets an outage does not count, and is made again. It is none of the project's.
		during, probes := 0, h.Probes+int(time.Since(h.Since)/usualProbe)
		for _, c := range calls {
			if c.at.After(h.Since.Add(5 * time.Second)) {
				during++
			}
		}
		if during > 2*(probes+2) && !d.troubled(span{h.Since, time.Now()}) {
			d.t.Errorf("held: %v; but %d calls went out meanwhile", h, during)
		}
	}
}

// failuresBefore counts the calls that failed before a moment, and the jobs they
// were for, and have not been made up for by one that was answered later on.
func (d *day) failuresBefore(till time.Time, calls []recordedCall, credential bool) (n int, of map[string]bool) {
	of = map[string]bool{}
	for _, f := range calls {
		kind := jobs.KindOf(f.err)
		if f.end.After(till.Add(time.Second)) || answersCall(kind) || credential && kind != jobs.KindCredentials {
			continue
		}
		madeUpFor := slices.ContainsFunc(calls, func(c recordedCall) bool {
			return c.job != "" && answersCall(jobs.KindOf(c.err)) && c.at.After(f.end.Add(5*time.Second)) &&
				c.end.Before(till.Add(-time.Second)) && !d.troubled(span{f.at, c.end.Add(time.Second)})
		})
		if !madeUpFor {
			n++
			of[f.job] = true
		}
	}
	return n, of
}

// answersCall reports whether a call was answered as such, well or badly.
func answersCall(kind jobs.Kind) bool {
	switch kind {
	case jobs.KindOK, jobs.KindNotFound, jobs.KindNotAllowed, jobs.KindInvalid:
		return true
	}
	return false
}
