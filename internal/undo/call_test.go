package undo

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
	"vizstop/internal/undo/undotest"
)

// before does something before each restart call, and answers it with an error, if there is one.
type before struct {
	*undotest.API
	do  func()
	err error
}

func (b before) Restart(ctx context.Context, p, job string) (string, error) {
	b.do()
	if b.err != nil {
		return "", b.err
	}
	return b.API.Restart(ctx, p, job)
}

// Another batch asks for the job and is told that it has stopped while the restart call waits, when it is noted
// already: the undo says so.
func TestAskedAgainBeforeTheCall(t *testing.T) {
	t.Parallel()
	l, api := ledger.New(redistest.Start(t).Limited(t), time.Now), undotest.New()
	for job, err := range map[string]error{"1": nil, "2": &jobs.Error{JobStatus: undotest.Running}} {
		stops := []*ledger.Stop{stopped(t, l, job, "one")}
		r := restartAll(t, New(l, before{api, func() { askedAndHad(t, l, job, "later") }, err}, "one"), stops, 0)
		const reason = "it runs again, but meanwhile batch later has asked to stop it again: stop it once more"
		if r.Failed != 1 || r.Restarted != 0 || r.Jobs[0].Reason != reason {
			t.Errorf("the call is answered with %v: %+v", err, r)
		}
		const says = "1 jobs of batch one run again, although they were asked to stop again meanwhile: stop them once more"
		if got := r.Unfinished(); !slices.Equal(got, []string{says}) {
			t.Errorf("says %q", got)
		}
	}
}

// No answer comes to a restart call, also as its undo is interrupted. It says so, and whether the job was asked to stop
// again meanwhile. No later undo makes the call again; each says so until the job runs.
func TestNoAnswerToTheCall(t *testing.T) {
	t.Parallel()
	const stopIt = "it may run again, but meanwhile batch later has asked to stop it again: if it runs, stop it once more"
	lost := &jobs.Error{Operation: jobs.OperationRestart, Kind: jobs.KindTimeout, MaybeSent: true}
	for _, tt := range []struct {
		name, want         string
		again, interrupted bool
	}{
		{"no answer", "it may run again, or not", false, false},
		{"asked again", stopIt, true, false},
		{"interrupted", "it may run again, or not", false, true},
		{"asked again and interrupted", stopIt, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, api := ledger.New(redistest.Start(t).Limited(t), time.Now), undotest.New()
			stops := []*ledger.Stop{stopped(t, l, "1", "one")}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			u := New(l, before{api, func() {
				if tt.again {
					askedAndHad(t, l, "1", "later")
				}
				if tt.interrupted {
					cancel()
				}
			}, lost}, "one")
			err := u.RestartAll(ctx, stops, 0)
			if (err != nil) != tt.interrupted || err != nil && !strings.HasPrefix(err.Error(), "job 1: "+tt.want+": ") {
				t.Errorf("ends with %v", err)
			}
			const says = "1 jobs of batch one may run again, or not, as their restart calls got no answer: look at them"
			if u.Failed != 1 || !strings.HasPrefix(u.Jobs[0].Reason, tt.want+": ") || !slices.Equal(u.Unfinished(), []string{says}) {
				t.Errorf("did %+v, says %q", u.Report, u.Unfinished())
			}
			if b, err := l.Batch(t.Context(), project, "one"); err != nil || b.Undone != 0 {
				t.Errorf("counts as restarted: %+v, %v", b, err)
			}
			if r := restartAll(t, New(l, api, "one"), stops, 0); r.Restarted != 0 || api.Restarted["1"] != 0 || !tt.again && r.Failed != 1 {
				t.Errorf("a later undo: %+v, restarted %d times", r, api.Restarted["1"])
			}
			api.Restarted["1"] = 1 // it has worked, or somebody has started the job by hand
			if r := restartAll(t, New(l, api, "one"), stops, 0); !tt.again && (r.Running != 1 || len(r.Unfinished()) != 0) {
				t.Errorf("as it runs: %+v", r)
			}
		})
	}
}

// A gateway that turned the call away has not let it through: the next undo restarts the job.
func TestTheCallIsTurnedAway(t *testing.T) {
	t.Parallel()
	l, api := ledger.New(redistest.Start(t).Limited(t), time.Now), undotest.New()
	stops := []*ledger.Stop{stopped(t, l, "1", "one")}
	away := &jobs.Error{Kind: jobs.KindUnavailable, HTTPStatus: 503, MaybeSent: true}
	r := restartAll(t, New(l, before{api, func() {}, away}, "one"), stops, 0)
	if says := r.Unfinished(); r.Failed != 1 || !slices.Equal(says, []string{"1 jobs of batch one could not be restarted"}) {
		t.Errorf("%+v, says %q", r, says)
	}
	if r := restartAll(t, New(l, api, "one"), stops, 0); r.Restarted != 1 {
		t.Errorf("then: %+v", r)
	}
}

// A stop is forgotten while the restart call of its job is refused: the other jobs are restarted.
func TestForgottenAsItsCallIsRefused(t *testing.T) {
	t.Parallel()
	s, api := redistest.Start(t), undotest.New()
	l := ledger.New(s.Limited(t), time.Now)
	stops := []*ledger.Stop{stopped(t, l, "1", "one"), stopped(t, l, "2", "one")}
	forgets := before{api, func() {
		for _, one := range stops {
			s.Client(t).Del(t.Context(), ledger.Keys(project).Stop(one.ID))
		}
	}, &jobs.Error{Message: "not today"}}
	if r := restartAll(t, New(l, forgets, "one"), stops, 0); r.Failed != 2 {
		t.Errorf("%+v", r)
	}
}
