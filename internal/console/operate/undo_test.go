package operate

import (
	"context"
	"strings"
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/undo"
	"vizstop/internal/undo/undotest"
)

// undone plans an undo of a batch and does it. It returns what the plan says, and the result.
func undone(t *testing.T, o *Operator, batch string) (*Plan, *Done, *undo.Report) {
	t.Helper()
	ord := Order{Action: Undo, Target: Target{Batch: batch}, By: "ada", Reason: "wrong list"}
	plan, err := o.Plan(t.Context(), ord)
	if err != nil {
		t.Fatal(err)
	}
	ord.Expect = plan.Expect
	done, err := o.Do(t.Context(), ord)
	if err != nil {
		t.Fatal(err)
	}
	return plan, done, done.Result.(*undo.Report)
}

// What is not stopped yet is counted and said, by the plan, too. It is undone when it has ended.
func TestUndoSaysWhatIsNotStoppedYet(t *testing.T) {
	d, api := desk(t), undotest.New()
	o := New(d, api)
	t.Cleanup(o.Close)
	ask(t, d, project, "b", true, 3)
	endStopped := func(job string) {
		t.Helper()
		s, err := d.Ledger.Get(t.Context(), project, ledger.StopID("b", project, job))
		if err != nil {
			t.Fatal(err)
		}
		s.Accepted, s.Status = time.Now(), undotest.Killed.String()
		if ok, err := d.Ledger.Finish(t.Context(), s, ledger.Stopped, "", 0); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	endStopped("1")
	s, err := d.Ledger.Get(t.Context(), project, ledger.StopID("b", project, "2"))
	if err != nil {
		t.Fatal(err)
	}
	s.State, s.Accepted = ledger.Stopping, time.Now()
	if ok, err := d.Ledger.Advance(t.Context(), s, ledger.Step{Kind: ledger.KindPoll, Due: time.Now()}); err != nil || !ok {
		t.Fatal(ok, err)
	}

	plan, done, r := undone(t, o, "b")
	if plan.Count != 1 || r.Restarted != 1 || r.InFlight != 2 || r.Awaited() != 1 {
		t.Errorf("planned %d, did %+v, want 1 restarted and 2 in flight, one of them stopping", plan.Count, r)
	}
	for _, text := range []string{plan.Effect, done.Words} {
		for _, want := range []string{"1 jobs of batch b are not stopped yet: undo it again when their stops have ended", "1 stops of batch b go on"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not said in %q", want, text)
			}
		}
	}
	if plan, _, r := undone(t, o, "b"); plan.Count != 0 || r.Running != 1 || r.InFlight != 2 {
		t.Errorf("before anything has ended: planned %d, did %+v", plan.Count, r)
	}
	endStopped("2")
	end(t, d, "b", "3", ledger.Canceled)
	if _, _, r := undone(t, o, "b"); r.Restarted != 1 || len(r.Unfinished()) != 0 || api.Restarted["1"] != 1 || api.Restarted["2"] != 1 {
		t.Errorf("then %+v, restarted %v", r, api.Restarted)
	}
	ask(t, d, project, "none", true, 1)
	end(t, d, "none", "1", ledger.AlreadyStopped)
	_, err = o.Plan(t.Context(), Order{Action: Undo, Target: Target{Batch: "none"}})
	if !isA[*NothingError](err) || !strings.Contains(err.Error(), "its stops ended as 1 already_stopped") {
		t.Errorf("nothing to undo: %v", err)
	}
}

// The same list, asked for twice: the first undo says which batch wants the jobs stopped, too, and the second one
// restarts them.
func TestUndoOfJoinedStops(t *testing.T) {
	d, api := desk(t), undotest.New()
	o := New(d, api)
	t.Cleanup(o.Close)
	ask(t, d, project, "one", true, 2)
	ask(t, d, project, "two", true, 2)
	for _, job := range []string{"1", "2"} {
		s, err := d.Ledger.Get(t.Context(), project, ledger.StopID("one", project, job))
		if err != nil {
			t.Fatal(err)
		}
		s.Accepted, s.Status = time.Now(), undotest.Killed.String()
		if ok, err := d.Ledger.Finish(t.Context(), s, ledger.Stopped, "", 0); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	plan, done, r := undone(t, o, "two")
	if plan.Count != 0 || r.Wanted != 2 || r.Restarted != 0 || !strings.HasPrefix(plan.Effect, "No job is restarted now.") {
		t.Errorf("planned %+v, did %+v", plan, r)
	}
	if want := "2 jobs of batch two stay stopped, since other batches want that, too (one)"; !strings.Contains(done.Words, want) || !strings.Contains(plan.Effect, want) {
		t.Errorf("%q is not said in %q and %q", want, plan.Effect, done.Words)
	}
	if _, _, r := undone(t, o, "one"); r.Restarted != 2 || len(api.Restarted) != 2 {
		t.Errorf("the second undo: %+v", r)
	}
}

// A job that another batch gives free after the plan was made is not restarted by it.
func TestUndoKeepsToItsPlan(t *testing.T) {
	d, api := desk(t), undotest.New()
	o := New(d, api)
	t.Cleanup(o.Close)
	ask(t, d, project, "one", true, 2)
	var stops []*ledger.Stop
	for _, job := range []string{"1", "2"} {
		s, err := d.Ledger.Get(t.Context(), project, ledger.StopID("one", project, job))
		if err != nil {
			t.Fatal(err)
		}
		stops = append(stops, s)
	}
	two := []ledger.Ask{{JobID: "2", Deadline: time.Now().Add(time.Hour)}}
	if _, err := d.Ledger.Open(t.Context(), project, "two", two); err != nil {
		t.Fatal(err)
	}
	for _, s := range stops {
		s.Accepted, s.Status = time.Now(), undotest.Killed.String()
		if ok, err := d.Ledger.Finish(t.Context(), s, ledger.Stopped, "", 0); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	api.First = func() { // as the undo of the first job is under way
		if wanted, err := d.Ledger.Renounce(context.Background(), stops[1], "two"); !wanted || err != nil {
			t.Error(wanted, err)
		}
	}
	plan, done, r := undone(t, o, "one")
	if plan.Count != 1 || r.Restarted != 1 || r.Wanted != 1 || api.Restarted["2"] != 0 ||
		!strings.Contains(done.Words, "undo it again") {
		t.Errorf("planned %d, did %+v, restarted %v: %s", plan.Count, r, api.Restarted, done.Words)
	}
	if plan, _, r := undone(t, o, "one"); plan.Count != 1 || r.Restarted != 1 || api.Restarted["2"] != 1 {
		t.Errorf("the second undo: planned %d, did %+v", plan.Count, r)
	}
}
