package operate

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// An order of one plan, or with one key, is carried out once, by whichever console gets it, and its repeats get its
// answer.
func TestOrdersAreCarriedOutOnce(t *testing.T) {
	d := desk(t)
	consoles := []*Operator{operator(t, d), operator(t, d)}
	ask(t, d, project, "b", false, 30)
	for i := range 5 {
		end(t, d, "b", fmt.Sprint(26+i), ledger.Expired)
	}
	window := func() int {
		w, err := d.Release.Windows(t.Context(), project)
		if err != nil {
			t.Fatal(err)
		}
		return w[0].Allowed
	}
	unconfirmed := func() (n int) {
		b, err := d.Batch(t.Context(), "b")
		if err != nil {
			t.Fatal(err)
		}
		for s, err := range b.Stops(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if s.Unconfirmed && !s.State.Ended() {
				n++
			}
		}
		return n
	}
	batches := func() int {
		ids, err := d.Ledger.Batches(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(ids)
	}
	for name, c := range map[string]struct {
		order Order
		state func() int
		step  int // of state, by one doing
	}{
		"allow calls": {Order{Action: Allow, Target: Target{ProjectID: project, Count: 500}}, window, 500},
		"allow stops": {Order{Action: Allow, Target: Target{Batch: "b", Count: 10}}, unconfirmed, -10},
		"retry":       {Order{Action: Retry, Target: Target{Batch: "b"}}, batches, 1},
	} {
		c.order.By, c.order.Reason = "ada", "test"
		first, err := consoles[0].Plan(t.Context(), c.order)
		if err != nil {
			t.Fatal(name, err)
		}
		second, err := consoles[0].Plan(t.Context(), c.order)
		if err != nil || first.Expect == second.Expect {
			t.Fatalf("%s: two plans are one wish: %s, %v", name, first.Expect, err)
		}
		planned, keyed := c.order, c.order
		planned.Expect, keyed.Key = first.Expect, name
		for _, ord := range []Order{planned, keyed} {
			before := c.state()
			var group sync.WaitGroup
			answers := make([]*Done, 6)
			for i := range answers {
				group.Go(func() {
					var err error
					if answers[i], err = consoles[i%2].Do(t.Context(), ord); err != nil {
						t.Error(name, err)
					}
				})
			}
			group.Wait()
			if got := c.state() - before; got != c.step {
				t.Errorf("%s (key %q): six orders have done %d, want %d", name, ord.Key, got, c.step)
			}
			again, err := consoles[1].Do(t.Context(), ord)
			if err != nil || !again.Repeated || !again.Finished {
				t.Fatalf("%s: the repeat gets %+v, %v", name, again, err)
			}
			for _, a := range answers {
				if a != nil && a.Finished && (a.Words != again.Words || a.Batch != again.Batch) {
					t.Errorf("%s: answers differ: %+v, %+v", name, a, again)
				}
			}
		}
	}
	reused := Order{Action: Allow, Target: Target{ProjectID: project, Count: 501}, By: "ada", Reason: "test", Key: "allow calls"}
	if _, err := consoles[0].Do(t.Context(), reused); !isA[*ReusedError](err) {
		t.Errorf("a key of another order: %v", err)
	}
	reused.By = "bob" // keys belong to their principals
	if _, err := consoles[0].Do(t.Context(), reused); err != nil {
		t.Error(err)
	}

	// Who else has confirmed some of a batch changes what is confirmed.
	some := Order{Action: Allow, Target: Target{Batch: "b", Count: 2}, By: "ada", Reason: "test"}
	plan, err := consoles[0].Plan(t.Context(), some)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := consoles[0].Do(t.Context(), some); err != nil {
		t.Fatal(err)
	}
	some.Expect = plan.Expect
	if _, err := consoles[0].Do(t.Context(), some); !isA[*ChangedError](err) {
		t.Errorf("other stops were allowed than were confirmed: %v", err)
	}
}

// What has failed may be done again if that does no harm; else it is told.
func TestOrdersThatFail(t *testing.T) {
	d := desk(t)
	o := operator(t, d)
	for _, c := range []struct {
		action Action
		want   func(error) bool
	}{
		{Cancel, func(err error) bool { return err == nil }},
		{Retry, isA[*SpentError]},
	} {
		ord := Order{Action: c.action, By: "ada", Key: string(c.action)}
		once := o.ticketOf(ord)
		for range 2 { // the second one finds out what became of the first one
			done, err := once.take(t.Context(), ord)
			if done != nil || !c.want(err) && err != nil {
				t.Errorf("%s: %+v, %v", c.action, done, err)
			}
			if err == nil {
				if busy, err := once.take(t.Context(), ord); err != nil || busy == nil || busy.Finished {
					t.Errorf("%s was taken by two: %+v, %v", c.action, busy, err)
				}
				once.settle(nil, errors.New("a fault"))
			}
		}
		if _, err := once.look(t.Context(), ord); !c.want(err) {
			t.Errorf("%s that has failed, again: %v", c.action, err)
		}
	}
}

func TestOldPlansAreLookedAtAgain(t *testing.T) {
	one := &order{plan: &Plan{Count: 3}}
	now := time.Now()
	one.plan.Expect = one.expectation(now)
	if !one.covered(one.plan.Expect, now.Add(time.Hour)) || one.covered(one.plan.Expect, now.Add(planLife+time.Minute)) {
		t.Error("a plan counts for too long, or not long enough")
	}
}
