package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vizstop/internal/control"
	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
	"vizstop/internal/schedules"
)

const (
	project = "0123456789abcdef0123456789abcdef"
	other   = "fedcba9876543210fedcba9876543210"
)

func desk(t *testing.T) *control.Desk {
	t.Helper()
	d, err := control.Open(t.Context(), redistest.Start(t).Client(t))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// ask opens stops of jobs 1 to n.
func ask(t *testing.T, d *control.Desk, projectID, batch string, confirmed bool, n int) {
	t.Helper()
	var asks []ledger.Ask
	for i := range n {
		asks = append(asks, ledger.Ask{JobID: fmt.Sprint(i + 1), Deadline: time.Now().Add(time.Hour), Confirmed: confirmed})
	}
	if _, err := d.Ledger.Open(t.Context(), projectID, batch, asks); err != nil {
		t.Fatal(err)
	}
}

func end(t *testing.T, d *control.Desk, batch, job string, outcome ledger.State) {
	t.Helper()
	s, err := d.Ledger.Get(t.Context(), project, ledger.StopID(batch, project, job))
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := d.Ledger.Finish(t.Context(), s, outcome, "test", 0); err != nil || !ok {
		t.Fatal(ok, err)
	}
}

func operator(t *testing.T, d *control.Desk) *Operator {
	o := New(d, nil)
	t.Cleanup(o.Close)
	return o
}

func TestCancelDoesWhatWasConfirmed(t *testing.T) {
	d := desk(t)
	o := operator(t, d)
	ask(t, d, project, "b", true, 30)
	ord := Order{Action: Cancel, Target: Target{Batch: "b"}, By: "ada", From: "127.0.0.1", Reason: "wrong batch"}
	plan, err := o.Plan(t.Context(), ord)
	if err != nil || plan.Count != 30 || plan.Scope != "batch b" || !plan.Typed() || CountOf(plan.Expect) != 30 {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	ord.Expect = plan.Expect

	ask(t, d, project, "b", true, 31) // it grows
	_, err = o.Do(t.Context(), ord)
	changed, ok := errors.AsType[*ChangedError](err)
	if !ok || changed.Plan.Count != 31 {
		t.Fatalf("a batch that has grown was canceled: %v", err)
	}
	if n, _ := d.Actions.Last(t.Context(), 10); len(n) != 0 {
		t.Errorf("what was not done is recorded: %+v", n)
	}
	ord.Expect = changed.Plan.Expect
	end(t, d, "b", "7", ledger.Gone) // fewer are a part of what was confirmed
	done, err := o.Do(t.Context(), ord)
	if err != nil || !done.Finished || done.Result.(*control.Canceled).Canceled != 30 {
		t.Fatalf("done %+v, %v", done, err)
	}
	last, err := d.Actions.Last(t.Context(), 10)
	if err != nil || len(last) != 1 || last[0].By != "ada" || last[0].From != "127.0.0.1" || last[0].Jobs != 30 || last[0].What != "cancel" {
		t.Errorf("recorded %+v, %v", last, err)
	}
	if again, err := o.Do(t.Context(), ord); err != nil || !again.Repeated || again.Words != done.Words {
		t.Errorf("the repeat of an order gets %+v, %v", again, err)
	}
	ord.Expect = ""
	if _, err := o.Do(t.Context(), ord); !isA[*NothingError](err) {
		t.Errorf("canceled twice: %v", err)
	}
}

func isA[E error](err error) bool { _, ok := errors.AsType[E](err); return ok }

func TestRetryAsksAgainInANewBatch(t *testing.T) {
	d := desk(t)
	o := operator(t, d)
	ask(t, d, project, "b", true, 3)
	end(t, d, "b", "1", ledger.Expired)
	end(t, d, "b", "2", ledger.Stopped)
	ord := Order{Action: Retry, Target: Target{Batch: "b"}, By: "ada", Reason: "again"}
	done, err := o.Do(t.Context(), ord)
	if err != nil {
		t.Fatal(err)
	}
	b, err := d.Batch(t.Context(), done.Batch)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for s, err := range b.Stops(t.Context()) {
		if n++; err != nil || s.JobID != "1" || s.Unconfirmed || s.State != ledger.Pending {
			t.Errorf("asked again for %+v, %v", s, err)
		}
	}
	if n != 1 {
		t.Errorf("%d jobs were asked for again, want 1", n)
	}
	ord.Outcomes = []string{"gone"}
	if _, err := o.Plan(t.Context(), ord); !isA[*NothingError](err) {
		t.Errorf("there is nothing gone: %v", err)
	}
	for _, word := range []string{"pending", "nonsense"} {
		ord.Outcomes = []string{word}
		if _, err := o.Plan(t.Context(), ord); !isA[*RefusedError](err) {
			t.Errorf("%s is taken for an outcome: %v", word, err)
		}
	}
}

func TestAllowConfirmsSoMany(t *testing.T) {
	d := desk(t)
	o := operator(t, d)
	ask(t, d, project, "b", false, 5)
	ord := Order{Action: Allow, Target: Target{Batch: "b", Count: 3}, By: "ada", Reason: "looked at"}
	plan, err := o.Plan(t.Context(), ord)
	if err != nil || plan.Count != 3 {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	done, err := o.Do(t.Context(), ord)
	if err != nil || done.Result.(control.Allowed).Allowed != 3 {
		t.Fatalf("done %+v, %v", done, err)
	}
	ord.Target.Count = 0
	if plan, err = o.Plan(t.Context(), ord); err != nil || plan.Count != 2 {
		t.Errorf("then %+v, %v, want the 2 that are left", plan, err)
	}
}

func TestPauseHoldsHoweverMany(t *testing.T) {
	d := desk(t)
	o := operator(t, d)
	ord := Order{Action: Pause, Target: Target{ProjectID: project}, By: "ada", Reason: "fire"}
	plan, err := o.Plan(t.Context(), ord)
	if err != nil || plan.Scope != "project "+project {
		t.Fatal(plan, err)
	}
	ask(t, d, project, "b", true, 5)
	ord.Expect = plan.Expect
	done, err := o.Do(t.Context(), ord)
	if err != nil || len(done.Result.(*control.Brake).Paused) != 1 {
		t.Fatalf("done %+v, %v", done, err)
	}
	ord = Order{Action: Resume, Target: Target{ProjectID: project}, By: "ada", Reason: "out"}
	if done, err = o.Do(t.Context(), ord); err != nil || len(done.Result.(*control.Brake).Paused) != 0 {
		t.Fatalf("done %+v, %v", done, err)
	}
	ord.Expect = plan.Expect // of another action
	if _, err := o.Do(t.Context(), ord); !isA[*ChangedError](err) {
		t.Errorf("what was confirmed for a pause counts for its end: %v", err)
	}
}

func TestOrdersKeepToTheirProjects(t *testing.T) {
	d := desk(t)
	o := operator(t, d)
	ask(t, d, project, "both", true, 2)
	ask(t, d, other, "both", true, 3)
	ask(t, d, other, "foreign", true, 1)
	sees := func(id string) bool { return id == project }
	for name, c := range map[string]struct {
		order Order
		want  func(error) bool
		count int
	}{
		"their part of a batch": {Order{Action: Cancel, Target: Target{Batch: "both"}}, nil, 2},
		"another's batch":       {Order{Action: Cancel, Target: Target{Batch: "foreign"}}, isA[*control.UnknownError], 0},
		"no batch":              {Order{Action: Cancel, Target: Target{Batch: "none"}}, isA[*control.UnknownError], 0},
		"everything":            {Order{Action: Pause}, isA[*ForbiddenError], 0},
		"another's project":     {Order{Action: Pause, Target: Target{ProjectID: other}}, isA[*ForbiddenError], 0},
		"their project":         {Order{Action: Pause, Target: Target{ProjectID: project}}, nil, 2},
		"another's window":      {Order{Action: Allow, Target: Target{ProjectID: other, Count: 1}}, isA[*ForbiddenError], 0},
		"a schedule":            {Order{Action: RunSchedule, Target: Target{Schedule: "s"}}, isA[*ForbiddenError], 0},
		"no id":                 {Order{Action: Pause, Target: Target{ProjectID: "../x"}}, isA[*RefusedError], 0},
		"no action":             {Order{Action: "explode"}, isA[*RefusedError], 0},
		"an undo without API":   {Order{Action: Undo, Target: Target{Batch: "both"}}, isA[*RefusedError], 0},
	} {
		c.order.Sees = sees
		plan, err := o.Plan(t.Context(), c.order)
		switch {
		case c.want != nil && (err == nil || !c.want(err)):
			t.Errorf("%s: %v", name, err)
		case c.want == nil && (err != nil || plan.Count != c.count):
			t.Errorf("%s: %+v, %v, want %d", name, plan, err, c.count)
		}
	}
	if _, err := o.Do(t.Context(), Order{Action: Cancel, Target: Target{Batch: "both"}, Reason: " "}); !isA[*RefusedError](err) {
		t.Errorf("done without a reason: %v", err)
	}
}

func TestLongOrdersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w work
		w.begin()
		release := make(chan struct{})
		one := &order{Order: Order{Action: Undo, By: "ada"}, plan: &Plan{Scope: "batch b"}}
		one.do = func(ctx context.Context, one *order) (*Done, error) {
			select {
			case <-release:
				return one.done(nil, "all of it"), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		recorded := 0
		record := func() error { recorded++; return nil }
		done, err := w.run(t.Context(), one, ticket{}, record)
		if err != nil || done.Finished {
			t.Fatalf("%+v, %v", done, err)
		}
		if _, err := w.run(t.Context(), one, ticket{}, record); !isA[*BusyError](err) || recorded != 1 {
			t.Errorf("the same was begun twice: %v, recorded %d times", err, recorded)
		}
		close(release)
		synctest.Wait()
		if r := w.Running(); len(r) != 1 || r[0].Ended.IsZero() || r[0].Words != "all of it" {
			t.Errorf("running %+v", r)
		}

		release = nil // never
		if done, err = w.run(t.Context(), one, ticket{}, record); err != nil || done.Finished {
			t.Fatalf("%+v, %v", done, err)
		}
		w.Close()
		if r := w.Running(); len(r) != 2 || !strings.Contains(r[0].Words, "order it again") {
			t.Errorf("running %+v", r)
		}
		for range 3 * mostKept {
			w.mu.Lock()
			w.kept = append(w.kept, &Running{Action: Undo, Ended: time.Now()})
			w.mu.Unlock()
		}
		if r, err := w.enter(one); err != nil || len(w.kept) != mostKept || w.kept[len(w.kept)-1] != r {
			t.Errorf("%d orders are kept", len(w.kept))
		}
	})
}

// A tick of a schedule that has no stops yet is canceled by who sees all projects; others are not told that it is
// there.
func TestCancelOfATickWithoutStops(t *testing.T) {
	d := desk(t)
	o := operator(t, d)
	tick := d.Fleet.Now().Truncate(time.Second)
	id := schedules.BatchID("nightly", tick)
	record := fmt.Sprintf(`{"claim":{"tick":%d,"try":1,"retry_at":%d,"error":"http 401"}}`, tick.UnixMilli(), tick.Add(time.Minute).UnixMilli())
	if err := d.Redis.HSet(t.Context(), "vizstop:{-}:schedule:nightly", "record", record).Err(); err != nil {
		t.Fatal(err)
	}
	ord := Order{Action: Cancel, Target: Target{Batch: id}, By: "ada", Reason: "wrong rule"}
	plan, err := o.Plan(t.Context(), ord)
	if err != nil || plan.Count != 0 || plan.Scope != "batch "+id || plan.Target.Schedule != "nightly" || !strings.Contains(plan.Effect, "the try before: http 401. No stop of it") {
		t.Fatalf("plan %+v, %v", plan, err)
	}
	partial := ord
	partial.Sees = func(id string) bool { return id == project }
	if _, err := o.Plan(t.Context(), partial); !isA[*control.UnknownError](err) || strings.Contains(err.Error(), "nightly is") || strings.Contains(err.Error(), "http 401") {
		t.Errorf("to who sees one project: %v", err)
	}
	retry := ord
	retry.Action = Retry
	if _, err := o.Plan(t.Context(), retry); !isA[*control.UnknownError](err) || !strings.Contains(err.Error(), "has no stops yet: the tick of schedule nightly at") {
		t.Errorf("retried: %v", err)
	}
	ord.Expect = plan.Expect
	done, err := o.Do(t.Context(), ord)
	if err != nil || done.Schedule != "nightly" || !done.Result.(*control.Canceled).Tick {
		t.Fatalf("done %+v, %v", done, err)
	}
	if again, err := o.Do(t.Context(), ord); err != nil || !again.Repeated || again.Schedule != "nightly" {
		t.Errorf("the repeat of an order gets %+v, %v", again, err)
	}
	if tick, _, err := d.Schedules.Tick(t.Context(), id); err != nil || !tick.Canceled || !strings.HasSuffix(tick.Words, "asks for no stop: canceled by ada: wrong rule") {
		t.Errorf("it stands as %+v, %v", tick, err)
	}
	ord.Expect = ""
	if _, err := o.Do(t.Context(), ord); !isA[*NothingError](err) {
		t.Errorf("canceled twice: %v", err)
	}
}

// What was confirmed for a tick without stops does not count once it has some; a cancel that was begun withdraws them.
func TestCancelOfATickThatHasStopsSince(t *testing.T) {
	d := desk(t)
	o := operator(t, d)
	tick := d.Fleet.Now().Truncate(time.Second)
	id := schedules.BatchID("nightly", tick)
	record := fmt.Sprintf(`{"claim":{"tick":%d,"try":1,"worker":"w","chosen":{"jobs":3}}}`, tick.UnixMilli())
	if err := d.Redis.HSet(t.Context(), "vizstop:{-}:schedule:nightly", "record", record).Err(); err != nil {
		t.Fatal(err)
	}
	ord := Order{Action: Cancel, Target: Target{Batch: id}, By: "ada", Reason: "wrong rule"}
	plan, err := o.Plan(t.Context(), ord)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, d, project, id, false, 3)
	ord.Expect = plan.Expect
	if _, err := o.Do(t.Context(), ord); !isA[*ChangedError](err) {
		t.Errorf("done though it has changed: %v", err)
	}
	r, err := d.CancelTick(t.Context(), id, "canceled by ada")
	if err != nil || !r.Tick || r.Canceled != 3 {
		t.Errorf("canceled %+v, %v", r, err)
	}
}
