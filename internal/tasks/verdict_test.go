package tasks

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	v1 "vizstop/internal/modelarts/v1"
)

func apiErr(kind jobs.Kind) error {
	return &jobs.Error{Operation: "stop", Kind: kind, HTTPStatus: 400}
}

func refused(status v1.Status) error {
	return &jobs.Error{Operation: "stop", Kind: jobs.KindNotAllowed, HTTPStatus: 400,
		JobStatus: status.Job()}
}

var (
	pending  = ledger.Stop{State: ledger.Pending}
	unsure   = ledger.Stop{State: ledger.Pending, Unsure: true}
	listed   = ledger.Stop{State: ledger.Pending, Listed: true}
	stopping = ledger.Stop{State: ledger.Stopping, Accepted: time.UnixMilli(1)}

	// The job was seen stopping, after a refused call or one that got lost.
	seen       = ledger.Stop{State: ledger.Stopping}
	seenUnsure = ledger.Stop{State: ledger.Stopping, Unsure: true}

	// The stop call has to wait, and a look is made instead.
	unsureRests = ledger.Stop{State: ledger.Pending, Unsure: true, Instead: true}
	rests       = ledger.Stop{State: ledger.Stopping, Accepted: time.UnixMilli(1), Instead: true}

	withdrawn = ledger.Stop{State: ledger.Pending, Withdrawn: "by somebody"}

	absent = chance{absent: true}
)

// Every kind of answer to a stop call, alone and as the system's fault.
func TestJudgeStop(t *testing.T) {
	for _, tt := range []struct {
		name   string
		stop   ledger.Stop
		may    chance
		ended  bool // the answer showed the job ended
		err    error
		system bool
		want   verdict
	}{
		{name: "accepted", stop: pending, want: verdict{action: actAccept, stopping: true}},
		{name: "accepted and ended", stop: pending, ended: true, want: verdict{action: actAccept, ended: true}},
		{name: "accepted again and ended", stop: stopping, ended: true, want: verdict{action: actAccept, ended: true}},
		{name: "no such job", stop: pending, err: apiErr(jobs.KindNotFound), want: verdict{action: actAbsent}},
		{name: "no such job, again", stop: pending, may: absent, err: apiErr(jobs.KindNotFound), want: end(ledger.NotFound, "")},
		{name: "no such job any more", stop: listed, err: apiErr(jobs.KindNotFound), want: verdict{action: actAbsent}},
		{name: "no such job any more, again", stop: listed, may: absent, err: apiErr(jobs.KindNotFound), want: end(ledger.Gone, "")},
		{name: "gone on a resend", stop: stopping, may: absent, err: apiErr(jobs.KindNotFound), want: end(ledger.Gone, "")},
		{name: "malformed", stop: pending, err: apiErr(jobs.KindInvalid), want: end(ledger.Rejected, "")},
		{name: "malformed after a call that was lost", stop: unsure, err: apiErr(jobs.KindInvalid), want: verdict{action: actLook}},
		{name: "malformed though accepted once", stop: stopping, err: apiErr(jobs.KindInvalid), want: verdict{action: actPoll}},
		{name: "lone 500", stop: pending, err: apiErr(jobs.KindUnavailable), want: verdict{action: actRetry}},
		{name: "lone timeout", stop: pending, err: apiErr(jobs.KindTimeout), want: verdict{action: actRetry}},
		{name: "lone 500 on a resend", stop: stopping, err: apiErr(jobs.KindUnavailable), want: verdict{action: actPoll}},
		{name: "outage", stop: pending, err: apiErr(jobs.KindUnavailable), system: true, want: verdict{action: actWait}},
		{name: "429", stop: pending, err: apiErr(jobs.KindThrottled), system: true, want: verdict{action: actWait}},
		{name: "credentials", stop: pending, err: apiErr(jobs.KindCredentials), system: true, want: verdict{action: actWait}},
		{name: "permission", stop: pending, err: apiErr(jobs.KindPermission), system: true, want: verdict{action: actWait}},
		{name: "no API", stop: pending, err: apiErr(jobs.KindNoAPI), system: true, want: verdict{action: actWait}},
		{name: "no route", stop: pending, err: apiErr(jobs.KindUnreachable), system: true, want: verdict{action: actWait}},
		{name: "not ours", stop: pending, err: context.Canceled, system: true, want: verdict{action: actWait}},
		{name: "refused without a status", stop: pending, err: apiErr(jobs.KindNotAllowed), want: verdict{action: actLook}},
	} {
		check(t, tt.name, judgeStop(&tt.stop, jobs.Accepted{Ended: tt.ended}, tt.err, tt.system, tt.may), tt.want)
	}
}

// Every status that a refusal can name.
func TestJudgeRefusal(t *testing.T) {
	for status := v1.Status(-1); status <= 30; status++ {
		for _, s := range []ledger.Stop{pending, unsure, stopping, seen, seenUnsure} {
			want := verdict{action: actLook}
			switch status {
			case 9:
				want = verdict{action: actSeen, stopping: true}
			case 3, 5, 10, 11, 12, 13, 16, 17, 20, 21, 22:
				if s.State == ledger.Pending && !s.Unsure {
					want = end(ledger.AlreadyStopped, "")
				}
			case 1, 2, 4, 7, 8, 15, 18, 19:
				want = verdict{action: actRetry}
				if s.State == ledger.Stopping {
					want = verdict{action: actPoll}
				}
			}
			name := status.Job().String() + " " + string(s.State)
			check(t, name, judgeStop(&s, jobs.Accepted{}, refused(status), false, chance{}), want)
		}
	}
}

// Every status that the detail endpoint can tell, with all that may still be done.
func TestJudgePollStatus(t *testing.T) {
	for status := v1.Status(-1); status <= 30; status++ {
		job := &jobs.Job{Status: status.Job()}
		for _, may := range chances() {
			for _, s := range []ledger.Stop{pending, unsure, unsureRests, withdrawn, stopping, rests, seen, seenUnsure} {
				want := verdict{action: actPoll}
				switch status {
				case 3, 5, 10, 11, 12, 13, 16, 17, 20, 21, 22: // stopped needs an acceptance, or a call that may have been accepted
					want = end(ledger.AlreadyStopped, "")
					if !s.Accepted.IsZero() || s.Unsure {
						want = end(ledger.Stopped, "")
					}
				case 9:
					want.stopping = true
					if s.State == ledger.Pending {
						want.action = actSeen
					}
				case 1, 2, 4, 7, 8, 15, 18, 19:
					want = wantOfActive(s, may)
				}
				check(t, fmt.Sprintf("%v %s %+v", status, s.State, may), judgePoll(&s, job, nil, false, may), want)
			}
		}
	}
}

// A worker that died while it looked at a job's kind leaves a mark, as of a stop call. No call
// goes out for a job of another kind, so such a job was not stopped when it has ended.
func TestJudgePollOfAnotherKind(t *testing.T) {
	job := &jobs.Job{Status: v1.StatusCompleted.Job(), Refusal: "not a visualization job"}
	s := unsure
	check(t, "unsure", judgePoll(&s, job, nil, false, chance{lost: true}), end(ledger.Rejected, "not a visualization job"))
	s = stopping
	check(t, "accepted", judgePoll(&s, job, nil, false, chance{}), end(ledger.Stopped, ""))
}

// However often a job is seen active before its stop is accepted, the reason says so once.
func TestTheReasonDoesNotGrow(t *testing.T) {
	for _, met := range []string{"", "modelarts stop: timeout"} {
		s := unsure
		s.Reason = met
		first := ""
		for range 3 {
			s.Reason = judgePoll(&s, &jobs.Job{Status: v1.StatusRunning.Job()}, nil, false, chance{}).reason
			if first == "" {
				first = s.Reason
			}
		}
		if s.Reason != first {
			t.Errorf("%q, at first %q", s.Reason, first)
		}
	}
}

// wantOfActive is what is to happen to a stop whose job is still active.
func wantOfActive(s ledger.Stop, may chance) verdict {
	switch {
	case s.State == ledger.Stopping && s.Instead && may.call:
		return verdict{action: actRest}
	case s.State == ledger.Stopping && may.resend && may.call:
		return verdict{action: actCall} // an accepted call was lost
	case s.State == ledger.Stopping:
		return verdict{action: actPoll}
	case !may.over:
		return verdict{action: actAwait} // it may yet take effect
	case s.Withdrawn != "":
		return end(ledger.Canceled, "")
	case may.never != "":
		return end(ledger.Rejected, "")
	case s.Instead && may.call:
		return verdict{action: actRest}
	case may.lost && may.call:
		return verdict{action: actCall}
	}
	return verdict{action: actRetry}
}

// chances lists all that may still be done.
func chances() (all []chance) {
	for i := range 32 {
		may := chance{call: i&1 > 0, lost: i&2 > 0, over: i&4 > 0, resend: i&8 > 0, absent: i&16 > 0}
		all = append(all, may)
		if !may.call {
			may.never = "a shadow account"
			all = append(all, may)
		}
	}
	return all
}

// No error of a detail call but "not found", a second time, ends a stop.
func TestJudgePollErrors(t *testing.T) {
	for _, kind := range jobs.Kinds()[1:] {
		for _, system := range []bool{false, true} {
			for _, may := range chances() {
				for _, s := range []ledger.Stop{pending, unsure, unsureRests, listed, stopping, rests} {
					want := verdict{action: actAgain}
					switch {
					case kind == jobs.KindNotFound && !may.absent:
						want = verdict{action: actAbsent}
					case kind == jobs.KindNotFound && s.Seen():
						want = end(ledger.Gone, "")
					case kind == jobs.KindNotFound:
						want = end(ledger.NotFound, "")
					case system:
						want = verdict{action: actWait}
					case s.Instead && may.call: // the call need not wait for a look
						want = verdict{action: actRest}
					case s.State == ledger.Pending && !may.lost && may.over && may.call: // nothing was accepted yet, or is under way: the stop call again
						want = verdict{action: actRetry}
					}
					check(t, fmt.Sprintf("%v %s %+v", kind, s.State, may), judgePoll(&s, nil, apiErr(kind), system, may), want)
				}
			}
		}
	}
}

// A refused credential or permission is not tried again soon by the same stop: an
// access key locks after some refusals.
func TestRefusedStopsWait(t *testing.T) {
	for kind, want := range map[jobs.Kind]time.Duration{
		jobs.KindCredentials: 100 * time.Second, jobs.KindPermission: 5 * time.Second, jobs.KindNoAPI: 5 * time.Second,
		jobs.KindThrottled: 0, jobs.KindUnavailable: 0,
	} {
		stop, look := judgeStop(&pending, jobs.Accepted{}, apiErr(kind), true, chance{}), judgePoll(&stopping, nil, apiErr(kind), true, chance{})
		if stop.after != want || look.after != want {
			t.Errorf("%v: a stop call waits for %v and a look for %v, want %v", kind, stop.after, look.after, want)
		}
	}
}

// The reason of a job that is still active also tells what the stop call met with.
func TestReasonOfAnActiveJob(t *testing.T) {
	s := pending
	s.Reason = "500"
	got := judgePoll(&s, &jobs.Job{Status: v1.Status(7).Job()}, nil, false, chance{call: true, over: true})
	if !strings.HasPrefix(got.reason, "500; then job status is still ") {
		t.Errorf("reason %q", got.reason)
	}
}

// check compares all but the reason, and wants one wherever all is not well.
func check(t *testing.T, name string, got, want verdict) {
	t.Helper()
	if got.action != want.action || got.outcome != want.outcome || got.stopping != want.stopping || got.ended != want.ended {
		t.Errorf("%s: got %+v, want %+v", name, got, want)
	}
	if got.reason == "" && (got.action == actEnd || got.action == actRetry || got.action == actWait) {
		t.Errorf("%s: no reason given for %v", name, got.action)
	}
}
