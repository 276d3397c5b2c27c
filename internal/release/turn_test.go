package release

import (
	"fmt"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// outage holds the project, and has a probe be due now.
func (w *world) outage() {
	w.t.Helper()
	w.ok(w.rdb.HSet(w.t.Context(), keys.Control(), "hold", "outage", "probe_at", 1).Err())
}

// spendAll makes as many other calls as the rate has left now, and says how many.
func (w *world) spendAll() (calls int) {
	w.t.Helper()
	for w.spend() == 0 {
		calls++
	}
	return calls
}

// A probe waits for nothing, and counts: while an outage is tried for and an undo uses the
// whole rate, no more calls go out than the rate says.
func TestProbesCount(t *testing.T) {
	eachRedis(t, Config{Rate: 1, Burst: 2}, func(t *testing.T, w *world) {
		w.open("b", 100)
		w.outage()
		probes, spent := 0, 0
		for second := range 60 {
			spent += w.spendAll()
			if second%2 == 0 { // as each probe fails
				w.rdb.HSet(t.Context(), keys.Control(), "probe_at", w.now().UnixMilli())
			}
			went := w.released()
			for _, id := range went {
				if c := w.tryClaim(id); c.Stop == nil {
					t.Fatalf("after %d s: the probe is not claimed: %+v", second, c)
				}
				probes++
			}
			if len(went) == 0 && second%2 == 0 {
				t.Errorf("no probe after %d s", second)
			}
			w.advance(time.Second)
		}
		if all := probes + spent; probes != 30 || all < 59 || all > 64 {
			t.Errorf("%d probes and %d other calls within a minute, want 30, and 60 to 64 in all", probes, spent)
		}
	})
}

// What was to be a probe and is held back by a limit makes no call: it costs nothing, earns
// nothing, and each stop is tried but once. So it is where a list check has left a debt.
func TestProbesOfAHeldBatch(t *testing.T) {
	for _, debt := range []int{0, 30} {
		t.Run(fmt.Sprintf("debt of %d", debt), func(t *testing.T) {
			eachRedis(t, Config{Rate: 1, Burst: 2}, func(t *testing.T, w *world) {
				w.unconfirmed("b", 200)
				w.hold("b")
				w.outage()
				w.rdb.HSet(t.Context(), keys.Control(), "at", w.now().UnixMilli(), "stops", -debt, "looks", 0)
				tried, spent := 0, 0
				for range 40 * 30 { // rounds, 25 ms apart
					for _, id := range w.released() {
						tried++
						if c := w.tryClaim(id); c.Stop != nil {
							t.Fatalf("stop %s of a held batch was claimed", id)
						}
					}
					spent += w.spendAll()
					w.advance(25 * time.Millisecond)
				}
				least, most := 26, 33
				if debt > 0 {
					least, most = 0, 8 // looks keep their fifth
				}
				if tried != 200 || spent < least || spent > most {
					t.Errorf("%d stops were tried as probes in 30 s, want 200; %d other calls at one a second, want %d to %d", tried, spent, least, most)
				}
			})
		})
	}
}

// A list call that fails is the probe only if it was sent as one: a failure of one that was under way before the hold
// puts no probe off.
func TestLateListFailureIsNoProbe(t *testing.T) {
	eachRedis(t, Config{FirstProbe: time.Second, LongestProbe: time.Minute}, func(t *testing.T, w *world) {
		list := Call{ProjectID: project, At: w.now(), Ill: true}
		for range OutageAfter {
			w.report(w.call("x"), answer(jobs.KindUnavailable))
		}
		nextProbe := func() time.Duration {
			w.t.Helper()
			at, err := w.rdb.HGet(t.Context(), keys.Control(), "probe_at").Int64()
			w.ok(err)
			return time.UnixMilli(at).Sub(w.now())
		}
		w.report(list, answer(jobs.KindUnavailable))
		if d := nextProbe(); d != time.Second {
			t.Errorf("after a failure from before the hold the next probe is due in %v, want 1s", d)
		}
		w.advance(time.Second)
		if r := w.round(wide()); !r.Probe {
			t.Fatalf("no probe in %+v", r)
		}
		w.report(list, answer(jobs.KindUnavailable))
		if d := nextProbe(); d != 2*time.Second {
			t.Errorf("after a failed probe the next one is due in %v, want 2s", d)
		}
	})
}

// asLoop is a round as the loop makes them.
func asLoop() Need {
	n := wide()
	n.Silence = 5 * time.Second
	return n
}

// firstProbe is how long it takes until a call goes out, within most: rounds are made when
// they are due or asked for, and what they release is claimed at once.
func (w *world) firstProbe(most time.Duration) time.Duration {
	w.t.Helper()
	w.ask()
	var over []Settled
	for began := w.now(); w.now().Sub(began) < most; w.advance(25 * time.Millisecond) {
		turns, _ := w.turns(w.Releaser, over...)
		over = nil
		for _, turn := range turns {
			r := w.round(asLoop())
			over = append(over, Settled{Turn: turn, Next: r.Next})
			for _, m := range append(r.Stops, r.Polls...) {
				c := w.tryClaim(m.StopID)
				if c.Passed {
					w.ask()
				}
				if c.Stop != nil {
					return w.now().Sub(began)
				}
			}
		}
	}
	return most
}

// Stops of a held batch, which make no call, keep nobody else from being the probe.
func TestProbeBesideAHeldBatch(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.unconfirmed("b", 200)
		w.hold("b")
		w.open("c", 5)
		w.outage()
		if d := w.firstProbe(time.Minute); d > time.Second {
			t.Errorf("with confirmed stops, the first probe goes out after %v", d)
		}
	})
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.unconfirmed("b", 200)
		w.hold("b")
		w.unconfirmed("c", 5)
		w.outage()
		if d := w.firstProbe(time.Minute); d > 10*time.Second {
			t.Errorf("with stops that nobody confirmed, the first probe goes out after %v", d)
		}
	})
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(3)
		w.unconfirmed("b", 200)
		w.hold("b")
		w.outage()
		if r := w.round(wide()); !r.Probe || len(r.Stops) > 0 {
			t.Errorf("with watched jobs, the probe is none of the list but one of %d stops", len(r.Stops))
		}
	})
}

// A step that makes no call leaves its turn to the next one, whatever the reason: nobody
// wants its stop before tomorrow, or at all, or its time is up.
func TestTurnIsPassedOn(t *testing.T) {
	day := 24 * time.Hour
	open := func(w *world, batch string, due, deadline time.Duration) string {
		o, err := w.ledger.Open(w.t.Context(), project, batch, []ledger.Ask{{JobID: "job", Due: w.now().Add(due), Deadline: w.now().Add(deadline), Confirmed: true}})
		w.ok(err)
		return o[0].StopID
	}
	withdraw := func(w *world, id, batch string) {
		_, err := w.ledger.Withdraw(w.t.Context(), project, id, batch, "a mistake")
		w.ok(err)
	}
	for name, spoil := range map[string]func(w *world) (id string, then func()){
		"wanted tomorrow": func(w *world) (string, func()) {
			id := open(w, "tomorrow", day, 2*day)
			open(w, "now", 0, 2*day)
			return id, func() { withdraw(w, id, "now") }
		},
		"canceled": func(w *world) (string, func()) {
			id := open(w, "now", 0, day)
			return id, func() { withdraw(w, id, "now") }
		},
		"late": func(w *world) (string, func()) {
			return open(w, "now", 0, time.Second), func() { w.advance(2 * time.Second) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{Rate: 1, Burst: 2}, func(t *testing.T, w *world) {
				id, then := spoil(w)
				w.advance(time.Millisecond)
				w.outage()
				if got := w.released(); len(got) != 1 || got[0] != id {
					t.Fatalf("released %v, want %s", got, id)
				}
				step := w.get(id)
				then()
				c, err := w.NewClaim(project, step.Member(), step.Kind).Do()
				w.ok(err)
				if c.MayCall {
					t.Fatalf("a call goes out: %+v", c)
				}
				w.open("others", 5)
				if d := w.firstProbe(time.Hour); d > 3*time.Second {
					t.Errorf("the probe goes out after %v", d)
				}
			})
		})
	}
}

// A probe that is canceled while its task waits in the queue leaves its turn to another one
// when the task is claimed.
func TestTheProbeIsCanceledInTheQueue(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		step := w.canceledProbe()
		c, err := w.NewClaim(project, step.Member(), step.Kind).Do() // its task gets its turn in the queue
		w.ok(err)
		if c.Stop != nil || !c.Passed {
			t.Fatalf("claim %+v, want the turn passed on", c)
		}
		if d := w.firstProbe(time.Hour); d > 3*time.Second {
			t.Errorf("the turn was passed on, and the next probe goes out after %v", d)
		}
	})
}

// A probe may take its time from when its call goes out, not from when it was released.
func TestOneProbeAfterAWaitInTheQueue(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.open("b", 2)
		w.outage()
		first := w.released()
		w.advance(20 * time.Second) // its task waits in the queue, and for a slot
		if c := w.tryClaim(first[0]); !c.MayCall {
			t.Fatal("no call")
		}
		out := w.now()
		for w.now().Sub(out) < 30*time.Second { // as long as the call may take
			for _, id := range w.released() {
				if w.tryClaim(id).MayCall {
					t.Fatalf("a second probe goes out %v after the first one, whose call may take 30 s", w.now().Sub(out))
				}
			}
			w.advance(time.Second)
		}
	})
}

// No probe goes out while a project is parked, and a 429 to any other call, as of an undo,
// does not make way for a second probe.
func TestProbesOfAParkedProject(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.open("b", 2)
		w.outage()
		first := w.released()
		w.ok(w.Throttled(t.Context(), project, &jobs.Error{Kind: jobs.KindThrottled, HTTPStatus: 429, RetryAfter: time.Minute}))
		one := w.tryClaim(first[0])
		if one.MayCall {
			t.Errorf("a call goes out while the project is parked for a minute")
		}
		w.advance(time.Minute + time.Millisecond)
	})
	eachRedis(t, Config{}, func(t *testing.T, w *world) { // the other order: a 429 to a call that is no probe
		w.open("b", 2)
		w.outage()
		if c := w.tryClaim(w.released()[0]); !c.MayCall {
			t.Fatal("no call")
		}
		w.ok(w.Throttled(t.Context(), project, &jobs.Error{Kind: jobs.KindThrottled, HTTPStatus: 429, RetryAfter: time.Second}))
		w.advance(1001 * time.Millisecond)
		for _, id := range w.released() {
			if w.tryClaim(id).MayCall {
				t.Error("a second probe goes out a second after the first one")
			}
		}
	})
}

// A list that is left alone, as it was refused or useless, is no probe.
func TestAListThatRestsIsNoProbe(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(3)
		w.advance(time.Second)
		w.checked(ListCheck{Began: w.now(), Next: time.Hour, Result: ListUseless, Why: "forbidden"}, true)
		w.unconfirmed("c", 5)
		w.outage()
		if r := w.round(wide()); r.Probe || len(r.Stops) != 1 {
			t.Errorf("the probe is a list call, which is refused in this project: %+v", r)
		}
	})
}

// A shadow stop that is canceled before its look leaves the turn to another one.
func TestTheShadowProbeIsCanceled(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		books := w.ledger.Shadow()
		o, err := books.Open(t.Context(), project, "b", []ledger.Ask{
			{JobID: "one", Deadline: w.now().Add(time.Hour), Confirmed: true}, {JobID: "two", Deadline: w.now().Add(time.Hour), Confirmed: true}})
		w.ok(err)
		w.advance(time.Millisecond)
		w.outage()
		r, err := w.Shadow().Round(t.Context(), project, 5, 5*time.Second)
		w.ok(err)
		if len(r.Taken) != 1 {
			t.Fatalf("%+v", r)
		}
		_ = o
		_, err = books.Withdraw(t.Context(), project, r.Taken[0].StopID, "b", "a mistake")
		w.ok(err)
		c, err := w.Shadow().Claim(t.Context(), project, r.Taken)
		w.ok(err)
		if len(c) != 0 {
			t.Fatalf("%+v", c)
		}
		began := w.now()
		for ; ; w.advance(25 * time.Millisecond) {
			if r, err := w.Shadow().Round(t.Context(), project, 5, 5*time.Second); err != nil || len(r.Taken) > 0 {
				break
			}
		}
		if d := w.now().Sub(began); d > 3*time.Second {
			t.Errorf("the next probe is taken after %v", d)
		}
	})
}

// The call of a canceled probe may be under way: its task that comes again passes no turn on.
func TestACanceledProbeThatIsUnderWay(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		id := w.open("b", 1)[0]
		s := w.claim(id).Stop
		w.move(s, w.lookAfter(0)) // the answer said nothing, or that there is no such job: a look
		w.open("others", 5)
		w.outage()
		r := w.round(wide())
		if len(r.Polls) != 1 {
			t.Fatalf("%+v", r)
		}
		step := w.get(id)
		if c := w.tryClaim(id); c.Stop == nil {
			t.Fatal("no look")
		}
		_, err := w.ledger.Withdraw(t.Context(), project, id, "b", "a mistake")
		w.ok(err)
		if st := w.get(id).State; st != ledger.Canceled {
			t.Fatal(st)
		}
		w.advance(time.Second)
		if got := w.released(); len(got) != 0 {
			t.Fatalf("released %v", got)
		}
		_, err = w.NewClaim(project, step.Member(), step.Kind).Do() // its task comes again
		w.ok(err)
		for _, id := range w.released() {
			if w.tryClaim(id).MayCall {
				t.Error("a second probe goes out while the first one is under way")
			}
		}
	})
}

// Where the worker that claims holds a step back for reasons of its own, its turn comes back
// at a bounded pace.
func TestTurnsThatComeBack(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		id := w.open("b", 1)[0]
		w.outage()
		b := w.worker("worker-2", Config{Serving: func(string) Serving { return Serving{Account: "other"} }})
		b.fleet.account("other").held = true
		n := 0
		for range 400 { // rounds, 25 ms apart
			for range w.released() {
				n++
				s := w.get(id)
				_, err := b.NewClaim(project, s.Member(), s.Kind).Do()
				w.ok(err)
			}
			w.advance(25 * time.Millisecond)
		}
		if n > 45 {
			t.Errorf("released %d times within 10 s, want 4 a second at most", n)
		}
	})
}

// A claim that is repeated pays once.
func TestAProbePaysOnce(t *testing.T) {
	eachRedis(t, Config{Rate: 0.001, Burst: 3}, func(t *testing.T, w *world) {
		id := w.open("b", 2)[0]
		w.outage()
		w.released()
		s := w.get(id)
		claim := w.NewClaim(project, s.Member(), s.Kind)
		for range 2 {
			c, err := claim.Do()
			w.ok(err)
			if !c.MayCall {
				t.Fatal("no call")
			}
			w.advance(6 * time.Second) // it stood still: the call did not go out
		}
		if n := w.spendAll(); n != 2 {
			t.Errorf("%d other calls beside one probe, of 3", n)
		}
	})
}

// Where list calls fail and nothing else does, stops that a limit may hold back are tried after the first probe, too.
func TestAStopIsTriedWhereTheListFails(t *testing.T) {
	for _, kind := range []jobs.Kind{jobs.KindUnavailable, jobs.KindPermission} {
		eachRedis(t, Config{}, func(t *testing.T, w *world) {
			for _, id := range w.open("b", 3) {
				w.follow(id, w.watch())
			}
			w.advance(time.Second)
			w.unconfirmed("c", 5)
			list := func() Call { return Call{ProjectID: project, At: w.now(), Ill: true} }
			for range OutageAfter {
				w.report(list(), answer(jobs.KindUnavailable))
			}
			w.ask()
			probes, over := 0, []Settled(nil)
			for range 40 * 60 { // looks at the rounds, 25 ms apart
				turns, _ := w.turns(w.Releaser, over...)
				over = nil
				for _, turn := range turns {
					r := w.round(asLoop())
					over = append(over, Settled{Turn: turn, Next: r.Next})
					if r.Probe {
						probes++
						w.report(list(), answer(kind))
						w.ask()
					}
					for _, m := range r.Stops {
						if c := w.tryClaim(m.StopID); c.Stop != nil && probes == 1 {
							return
						}
					}
				}
				w.advance(25 * time.Millisecond)
			}
			t.Errorf("%d probes by the list within a minute, want one, and then a stop", probes)
		})
	}
}

// While no stop waits for the end of a hold, it is tried every half minute, however short its waits are.
func TestAHoldForNobodyIsTriedSeldom(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.outage()
		if r := w.round(asLoop()); !r.Probe {
			t.Fatalf("no probe in %+v", r)
		}
		w.report(Call{ProjectID: project, At: w.now(), Ill: true}, answer(jobs.KindUnavailable))
		if r := w.round(asLoop()); r.Next != 30*time.Second {
			t.Errorf("the next round is due in %v, want 30s", r.Next)
		}
		w.open("b", 1)
		if r := w.round(asLoop()); r.Next <= 0 || r.Next > 4*time.Second {
			t.Errorf("with a stop that waits, the next round is due in %v, want at most 4s", r.Next)
		}
	})
}
