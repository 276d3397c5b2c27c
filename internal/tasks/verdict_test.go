package tasks

import (
	"context"
	"testing"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
)

func apiErr(kind modelarts.Kind) error {
	return &modelarts.APIError{Operation: "stop", Kind: kind, HTTPStatus: 400}
}

func refused(status modelarts.Status) error {
	return &modelarts.APIError{Operation: "stop", Kind: modelarts.KindNotAllowed, HTTPStatus: 400,
		JobStatus: status, HasJobStatus: true}
}

var (
	pending  = ledger.Stop{State: ledger.Pending}
	unsure   = ledger.Stop{State: ledger.Pending, Unsure: true}
	stopping = ledger.Stop{State: ledger.Stopping}
)

// Every kind of answer to a stop call, alone and as the system's fault.
func TestJudgeStop(t *testing.T) {
	for _, tt := range []struct {
		name   string
		stop   ledger.Stop
		err    error
		system bool
		want   verdict
	}{
		{name: "accepted", stop: pending, want: verdict{action: actAccept}},
		{name: "no such job", stop: pending, err: apiErr(modelarts.KindNotFound), want: end(ledger.Gone, "")},
		{name: "no such job any more", stop: stopping, err: apiErr(modelarts.KindNotFound), want: end(ledger.Gone, "")},
		{name: "malformed", stop: pending, err: apiErr(modelarts.KindInvalid), want: end(ledger.Rejected, "")},
		{name: "malformed though accepted once", stop: stopping, err: apiErr(modelarts.KindInvalid), want: verdict{action: actPoll}},
		{name: "lone 500", stop: pending, err: apiErr(modelarts.KindUnavailable), want: verdict{action: actRetry}},
		{name: "lone timeout", stop: pending, err: apiErr(modelarts.KindTimeout), want: verdict{action: actRetry}},
		{name: "lone 500 on a resend", stop: stopping, err: apiErr(modelarts.KindUnavailable), want: verdict{action: actPoll}},
		{name: "outage", stop: pending, err: apiErr(modelarts.KindUnavailable), system: true, want: verdict{action: actWait}},
		{name: "429", stop: pending, err: apiErr(modelarts.KindThrottled), system: true, want: verdict{action: actWait}},
		{name: "credentials", stop: pending, err: apiErr(modelarts.KindCredentials), system: true, want: verdict{action: actWait}},
		{name: "permission", stop: pending, err: apiErr(modelarts.KindPermission), system: true, want: verdict{action: actWait}},
		{name: "no API", stop: pending, err: apiErr(modelarts.KindNoAPI), system: true, want: verdict{action: actWait}},
		{name: "no route", stop: pending, err: apiErr(modelarts.KindUnreachable), system: true, want: verdict{action: actWait}},
		{name: "not ours", stop: pending, err: context.Canceled, system: true, want: verdict{action: actWait}},
		{name: "refused without a status", stop: pending, err: apiErr(modelarts.KindNotAllowed), want: verdict{action: actLook}},
	} {
		check(t, tt.name, judgeStop(&tt.stop, tt.err, tt.system), tt.want)
	}
}

// Every status that a refusal can name.
func TestJudgeRefusal(t *testing.T) {
	for status := modelarts.Status(-1); status <= 30; status++ {
		for _, s := range []ledger.Stop{pending, unsure, stopping} {
			want := verdict{action: actLook}
			switch status {
			case 9:
				want = verdict{action: actAccept}
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
			name := status.String() + " " + string(s.State)
			check(t, name, judgeStop(&s, refused(status), false), want)
		}
	}
}

// Every status that the detail endpoint can tell.
func TestJudgePollStatus(t *testing.T) {
	for status := modelarts.Status(-1); status <= 30; status++ {
		job := &modelarts.VisualizationJob{Status: status}
		for _, mayResend := range []bool{false, true} {
			for _, s := range []ledger.Stop{pending, unsure, stopping} {
				want := verdict{action: actPoll}
				switch status {
				case 3, 5, 10, 11, 12, 13, 16, 17, 20, 21, 22:
					want = end(ledger.Stopped, "")
					if s.State == ledger.Pending && !s.Unsure {
						want = end(ledger.AlreadyStopped, "")
					}
				case 9:
					if s.State == ledger.Pending {
						want = verdict{action: actAccept}
					}
				case 1, 2, 4, 7, 8, 15, 18, 19:
					if s.State == ledger.Pending {
						want = verdict{action: actRetry}
					} else if mayResend {
						want = verdict{action: actResend}
					}
				}
				check(t, status.String()+" "+string(s.State), judgePoll(&s, job, nil, false, mayResend), want)
			}
		}
	}
}

// No error of a detail call but "not found" ends a stop.
func TestJudgePollErrors(t *testing.T) {
	for _, kind := range modelarts.Kinds()[1:] {
		for _, system := range []bool{false, true} {
			want := verdict{action: actPoll}
			switch {
			case kind == modelarts.KindNotFound:
				want = end(ledger.Gone, "")
			case system:
				want = verdict{action: actWait}
			}
			check(t, kind.String(), judgePoll(&stopping, nil, apiErr(kind), system, true), want)
			if want.action == actPoll { // nothing was accepted yet: the stop call again
				want.action = actRetry
			}
			check(t, kind.String()+" on a look", judgePoll(&unsure, nil, apiErr(kind), system, true), want)
		}
	}
}

// check compares all but the reason, and wants one wherever all is not well.
func check(t *testing.T, name string, got, want verdict) {
	t.Helper()
	if got.action != want.action || got.outcome != want.outcome {
		t.Errorf("%s: got %v %s, want %v %s", name, got.action, got.outcome, want.action, want.outcome)
	}
	if got.reason == "" && (got.action == actEnd || got.action == actRetry || got.action == actWait) {
		t.Errorf("%s: no reason given for %v", name, got.action)
	}
}
