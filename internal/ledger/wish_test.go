package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

// in is a wish for job 10 that is due after some time, with its deadline.
func (w *world) in(due, deadline time.Duration) ledger.Ask {
	return ledger.Ask{JobID: "10", Due: w.now().Add(due), Deadline: w.now().Add(deadline), Confirmed: true}
}

// A job has one active stop, which serves all who ask for it. After its end there
// is a new one.
func TestOneActiveStopPerJob(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		first := w.open(t, "b1", w.ask("10"), w.ask("11"))
		second := w.open(t, "b2", w.ask("10"), w.ask("12"))
		if want := []ledger.Result{ledger.Joined, ledger.Opened}; !slices.Equal(results(second), want) {
			t.Fatalf("got %v, want %v", results(second), want)
		}
		if second[0].StopID != first[0].StopID {
			t.Errorf("joined %s, want %s", second[0].StopID, first[0].StopID)
		}
		if b := w.batch(t, "b2"); b.Total != 2 || b.Joined != 1 || b.Counts[ledger.Pending] != 2 {
			t.Errorf("batch %+v, want 2 stops, one of them joined", b)
		}
		w.finished(t, w.claim(t, first[0].StopID), ledger.Gone)
		for _, batch := range []string{"b1", "b2"} {
			if b := w.batch(t, batch); b.Counts[ledger.Gone] != 1 || b.InFlight() != 1 {
				t.Errorf("batch %+v, want one stop gone and one in flight", b)
			}
		}
		if third := w.open(t, "b3", w.ask("10")); third[0].Result != ledger.Opened {
			t.Errorf("after the end: %v, want a new stop", third[0].Result)
		}
	})
}

// A batch that has joined a stop is told so again, also when that has ended: it
// must not be stopped twice for one ask.
func TestJoinedIsKnownWhenItIsRepeated(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b1", "10")[0]
		want := ledger.Opening{Result: ledger.Joined, StopID: id, JobID: "10"}
		for range 3 {
			if got := w.open(t, "b2", w.ask("10"))[0]; got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			want.Result = ledger.Known
		}
		w.finished(t, w.claim(t, id), ledger.Stopped)
		if got := w.open(t, "b2", w.ask("10"))[0]; got != want {
			t.Errorf("after the end: %+v, want %+v", got, want)
		}
		if b := w.batch(t, "b2"); b.Total != 1 || b.Joined != 1 || b.Counts[ledger.Stopped] != 1 {
			t.Errorf("batch %+v", b)
		}
	})
}

// Each batch lists a stop with its own times and labels.
func TestBatchSeesItsOwnWish(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		one, two := w.in(time.Hour, 2*time.Hour), w.in(time.Minute, 90*time.Minute)
		two.Labels = map[string]string{"who": "two"}
		id := w.open(t, "b1", one)[0].StopID
		w.open(t, "b2", two)
		for batch, want := range map[string]ledger.Ask{"b1": one, "b2": two} {
			stops, _, err := w.ledger.BatchStops(t.Context(), project, batch, 0, 10)
			if err != nil || len(stops) != 1 || stops[0].ID != id || !stops[0].Due.Equal(want.Due) || !stops[0].Deadline.Equal(want.Deadline) ||
				stops[0].Labels["who"] != want.Labels["who"] || stops[0].Batch != batch {
				t.Errorf("batch %s lists %+v, %v", batch, stops, err)
			}
		}
		w.withdraw(t, id, "b2", ledger.Withdrew)
		stops, _, err := w.ledger.BatchStops(t.Context(), project, "b2", 0, 10)
		if err != nil || stops[0].State != ledger.Canceled || stops[0].Reason != "withdrawn by b2" {
			t.Errorf("after it was withdrawn batch b2 lists %+v, %v", stops[0], err)
		}
		if s := w.get(t, id); s.State != ledger.Pending || len(s.Wishes) != 2 {
			t.Errorf("the stop %+v, want it to go on", s)
		}
	})
}

// The earliest due time and the latest deadline of all wishes count, and a wish
// that is withdrawn counts no more.
func TestEarliestDueLatestDeadline(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		late, urgent, patient := w.in(24*time.Hour, 25*time.Hour), w.in(time.Minute, time.Hour), w.in(30*time.Hour, 48*time.Hour)
		id := w.open(t, "late", late)[0].StopID
		is := func(due, deadline ledger.Ask) {
			t.Helper()
			s := w.get(t, id)
			if !s.Due.Equal(due.Due) || !s.Next.Equal(due.Due) || !s.Deadline.Equal(deadline.Deadline) {
				t.Errorf("due %v, next %v, deadline %v; want %v and %v", s.Due, s.Next, s.Deadline, due.Due, deadline.Deadline)
			}
			w.stands(t, id, "waiting:small", due.Due)
			if at := w.rdb.ZScore(t.Context(), keys.Latest(), id).Val(); int64(at) != deadline.Deadline.UnixMilli() {
				t.Errorf("looked after at %v, want %v", int64(at), deadline.Deadline.UnixMilli())
			}
			if at := w.rdb.ZScore(t.Context(), keys.In(ledger.Pending), id).Val(); int64(at) != due.Due.UnixMilli() {
				t.Errorf("pending since %v, want %v", int64(at), due.Due.UnixMilli())
			}
		}
		is(late, late)
		w.open(t, "urgent", urgent)
		is(urgent, late)
		w.open(t, "patient", patient)
		is(urgent, patient)
		w.withdraw(t, id, "urgent", ledger.Withdrew)
		is(late, patient)
		w.withdraw(t, id, "patient", ledger.Withdrew)
		is(late, late)
		w.withdraw(t, id, "patient", ledger.Withdrew)
		w.withdraw(t, id, "late", ledger.Withdrew)
		if s := w.get(t, id); s.State != ledger.Canceled || s.Reason != "withdrawn by late" {
			t.Errorf("with no wish left: %+v", s)
		}
		w.withdraw(t, id, "late", ledger.Withdrew)
		w.withdraw(t, id, "nobody", ledger.NoWish)
	})
}

// An urgent wish may be withdrawn after its step was released, held back, or had
// its call refused: then no call goes out before the others want it.
func TestAWithdrawnWishCallsNothingEarly(t *testing.T) {
	for name, before := range map[string]func(t *testing.T, w *world, id string){
		"released": func(t *testing.T, w *world, id string) { w.round(t) },
		"held back": func(t *testing.T, w *world, id string) {
			w.round(t)
			if _, err := w.release.Pause(t.Context(), project, "me", ""); err != nil {
				t.Fatal(err)
			}
			if c, err := w.release.NewClaim(project, w.get(t, id).Member(), ledger.KindStop).Do(); err != nil || !c.Held {
				t.Fatalf("%+v, %v, want it held", c, err)
			}
			if _, err := w.release.Resume(t.Context(), project); err != nil {
				t.Fatal(err)
			}
		},
		"refused": func(t *testing.T, w *world, id string) {
			w.advanced(t, w.claim(t, id), ledger.Step{Kind: ledger.KindStop, Due: w.now().Add(time.Second)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, func(t *testing.T, w *world) {
				late := w.in(24*time.Hour, 25*time.Hour)
				id := w.open(t, "late", late)[0].StopID
				w.open(t, "urgent", w.in(0, time.Hour))
				before(t, w, id)
				w.withdraw(t, id, "urgent", ledger.Withdrew)
				w.advance(time.Minute)
				w.round(t)
				c, err := w.release.NewClaim(project, w.get(t, id).Member(), ledger.KindStop).Do()
				if err != nil || c.Stop != nil || !c.Held {
					t.Errorf("claimed %+v, %v, want it put back", c, err)
				}
				w.stands(t, id, "waiting:small", late.Due)
				w.advance(24 * time.Hour)
				if s := w.claim(t, id); s.Marked.IsZero() {
					t.Errorf("at its time it is claimed as %+v, want a call", s)
				}
			})
		})
	}
}

// No more than a hundred batches share a stop, those that were withdrawn among
// them: its record must stay small.
func TestTooManyWishes(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		for i := range ledger.MaxWishes {
			want := ledger.Joined
			if i == 0 {
				want = ledger.Opened
			}
			if o := w.open(t, fmt.Sprint("b", i), w.ask("10"))[0]; o.Result != want {
				t.Fatalf("ask %d: %v, want %v", i, o.Result, want)
			}
		}
		if o := w.open(t, "more", w.ask("10"), w.ask("11")); o[0].Result != ledger.Full || o[1].Result != ledger.Opened {
			t.Errorf("got %v, want it full and another job opened", results(o))
		}
		if b := w.batch(t, "more"); b.Total != 1 {
			t.Errorf("batch %+v, want one stop", b)
		}
		if o := w.open(t, "b7", w.ask("10")); o[0].Result != ledger.Known {
			t.Errorf("one of the hundred again: %v", o)
		}
	})
}

// A stop whose call has gone out, or may have, is not canceled but looked at.
func TestWithdrawOnlyWhatIsUnsent(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ids := w.opened(t, "b1", "waiting", "calling", "unsure", "accepted", "refused")
		w.claim(t, ids[1])
		for i, change := range map[int]func(*ledger.Stop){
			2: func(s *ledger.Stop) { s.Unsure = true },
			3: func(s *ledger.Stop) { s.State = ledger.Stopping },
			4: func(s *ledger.Stop) { s.Attempts = 1 }, // a call that was clearly refused
		} {
			s := w.claim(t, ids[i])
			change(s)
			w.advanced(t, s, ledger.Step{Kind: ledger.KindStop, Due: w.now()})
		}
		for i, want := range []ledger.Withdrawal{ledger.Withdrew, ledger.TooLate, ledger.TooLate, ledger.TooLate, ledger.Withdrew} {
			w.withdraw(t, ids[i], "b1", want)
			if got := w.get(t, ids[i]); got.State.Ended() != (want == ledger.Withdrew) || want == ledger.TooLate && got.Withdrawn == "" {
				t.Errorf("%s: %+v", got.JobID, got)
			}
		}
		stops, err := w.ledger.Uncounted(t.Context(), project, 10)
		again, err2 := w.ledger.Uncounted(t.Context(), project, 10)
		if err != nil || err2 != nil || len(stops) != 2 || len(again) != 0 {
			t.Errorf("%d are to be counted, and %d again, %v, %v; want 2 once", len(stops), len(again), err, err2)
		}
		if b := w.batch(t, "b1"); b.Counts[ledger.Canceled] != 2 || b.InFlight() != 3 {
			t.Errorf("batch %+v", b)
		}
	})
}

// When a stop was withdrawn too late, somebody else may still want it, and
// withdraw in turn: then nobody wants it, and no call goes out for the first.
func TestWithdrawnTooLateStaysWithdrawn(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b1", "10")[0]
		s := w.claim(t, id)
		w.withdraw(t, id, "b1", ledger.TooLate)
		w.open(t, "b2", w.ask("10"))
		if got := w.get(t, id); got.Withdrawn != "" {
			t.Errorf("withdrawn by %q, although batch b2 wants it", got.Withdrawn)
		}
		w.advanced(t, s, ledger.Step{Kind: ledger.KindStop, Due: w.now()}) // the call was refused
		w.withdraw(t, id, "b2", ledger.Withdrew)
		s = w.claim(t, id)
		if !strings.Contains(s.Withdrawn, "b1") || s.Marked.Equal(w.now()) {
			t.Errorf("claimed %+v, want it withdrawn by b1", s)
		}
		w.finished(t, s, ledger.Canceled)
		for _, batch := range []string{"b1", "b2"} {
			if b := w.batch(t, batch); b.InFlight() != 0 || b.Counts[ledger.Canceled] != 1 {
				t.Errorf("batch %+v, want its stop canceled", b)
			}
		}
	})
}

// A worker that does not know yet who else wants the stop is told, and its move
// counts for them, too.
func TestWishesThatChangeMeanwhile(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b1", "10")[0]
		s := w.claim(t, id)
		w.open(t, "b2", w.in(0, 10*time.Hour))
		s.State = ledger.Stopping
		w.advanced(t, s, w.poll(0))
		if len(s.Wishes) != 2 || !s.Deadline.Equal(w.get(t, id).Deadline) {
			t.Errorf("after the move the worker has %+v", s)
		}
		w.open(t, "b3", w.ask("10"))
		w.withdraw(t, id, "b1", ledger.TooLate) // its call has stopped the job
		for batch, want := range map[string]ledger.State{"b1": ledger.Stopping, "b2": ledger.Stopping, "b3": ledger.Stopping} {
			if b := w.batch(t, batch); b.Counts[want] != 1 || b.Total != 1 {
				t.Errorf("batch %+v, want its stop %s", b, want)
			}
		}
		w.finished(t, s, ledger.Stopped)
		for batch, want := range map[string]ledger.State{"b1": ledger.Stopped, "b2": ledger.Stopped, "b3": ledger.Stopped} {
			if b := w.batch(t, batch); b.Counts[want] != 1 || b.InFlight() != 0 || b.Ended.IsZero() {
				t.Errorf("batch %+v, want its stop %s", b, want)
			}
		}
		if stops, err := w.ledger.GetAll(t.Context(), project, []string{ledger.StopID("b3", project, "10")}); err != nil || len(stops) != 1 || stops[0].ID != id {
			t.Errorf("under the id of its wish batch b3 finds %v, %v", stops, err)
		}
	})
}

// Whoever has seen the job in a list says so for all: a stop that was opened by its
// id is listed once a rule has joined it.
func TestListed(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		listed := func(id string) bool {
			s, err := w.ledger.Get(t.Context(), project, id)
			if err != nil {
				t.Fatal(err)
			}
			return s.Listed && s.Seen()
		}
		ask := func(batch string, seen bool) string {
			openings, err := w.ledger.Open(t.Context(), project, batch, []ledger.Ask{{JobID: "10", Deadline: w.now().Add(time.Hour), Listed: seen}})
			if err != nil {
				t.Fatal(err)
			}
			return openings[0].StopID
		}
		id := ask("id", false)
		if listed(id) {
			t.Error("a stop by id is listed")
		}
		if ask("id2", false) != id || listed(id) {
			t.Error("a stop that was asked for by id again is listed")
		}
		if ask("rule", true) != id || !listed(id) {
			t.Error("a stop that a rule has joined is not listed")
		}
	})
}

// A wish that is withdrawn too late asks for nothing any more: no further call goes
// out before, or after, the times of the wishes that stand; or of one that comes
// later, if none does.
func TestWithdrawnTooLateCountsNoMore(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		urgent, later, last := w.in(0, 100*time.Hour), w.in(24*time.Hour, 25*time.Hour), w.in(48*time.Hour, 49*time.Hour)
		id := w.open(t, "urgent", urgent)[0].StopID
		s := w.claim(t, id)
		s.Unsure = true
		w.advanced(t, s, ledger.Step{Kind: ledger.KindStop, Due: w.now().Add(time.Second)})
		is := func(want ledger.Ask) {
			t.Helper()
			s := w.get(t, id)
			if at := w.rdb.ZScore(t.Context(), keys.Latest(), id).Val(); !s.Due.Equal(want.Due) || !s.Deadline.Equal(want.Deadline) || int64(at) != want.Deadline.UnixMilli() {
				t.Errorf("due %v, deadline %v, looked after at %v; want %v and %v", s.Due, s.Deadline, int64(at), want.Due, want.Deadline)
			}
		}
		w.open(t, "later", later)
		w.withdraw(t, id, "urgent", ledger.TooLate)
		is(later)
		w.advance(2 * time.Second)
		w.round(t)
		if c, err := w.release.NewClaim(project, w.get(t, id).Member(), ledger.KindStop).Do(); !c.Held || err != nil {
			t.Errorf("claimed %+v, %v; want it to wait", c, err)
		}
		w.stands(t, id, "waiting:small", later.Due)
		w.withdraw(t, id, "later", ledger.TooLate)
		w.stands(t, id, "waiting:look", w.now()) // to see how it ends
		w.open(t, "last", last)
		is(last)
	})
}

// A stop whose call is to be repeated is looked after while it waits, whoever joins it.
func TestACallThatIsToBeRepeatedIsLookedAfter(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.open(t, "b", w.in(0, time.Hour))[0].StopID
		s := w.claim(t, id)
		s.Unsure, s.Instead = true, true
		soon := w.now().Add(time.Minute)
		w.advanced(t, s, ledger.Step{Kind: ledger.KindStop, Due: w.now(), Latest: soon})
		if got := w.get(t, id); !got.Instead {
			t.Errorf("the ledger has %+v, want it as it was saved", got)
		}
		for _, life := range []time.Duration{time.Hour, 2 * time.Hour} {
			if at := w.rdb.ZScore(t.Context(), keys.Latest(), id).Val(); int64(at) != soon.UnixMilli() {
				t.Errorf("looked after at %v, want %v", int64(at), soon.UnixMilli())
			}
			w.open(t, "batch of "+life.String(), w.in(0, life))
		}
	})
}

// A wish whose deadline has passed while a pause or another wish kept the stop asks for nothing: the call waits
// until the other one is due, or somebody wants it sooner.
func TestAPassedWishCallsNothing(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		later := w.in(2*time.Hour, 3*time.Hour)
		id := w.open(t, "soon", w.in(0, 30*time.Second))[0].StopID
		w.open(t, "later", later)
		w.round(t) // released, and late
		w.advance(5 * time.Minute)
		c, err := w.release.NewClaim(project, w.get(t, id).Member(), ledger.KindStop).Do()
		if err != nil || !c.Held || c.Stop != nil {
			t.Fatalf("%+v, %v, want it held until it is wanted", c, err)
		}
		if s := w.get(t, id); !s.Due.Equal(later.Due) || !s.Next.Equal(later.Due) || !s.Deadline.Equal(later.Deadline) {
			t.Errorf("due %v, next %v, deadline %v; want %v and %v", s.Due, s.Next, s.Deadline, later.Due, later.Deadline)
		}
		w.stands(t, id, "waiting:small", later.Due)
		urgent := w.in(time.Minute, 2*time.Minute)
		w.open(t, "urgent", urgent)
		w.stands(t, id, "waiting:small", urgent.Due)
		w.advance(3 * time.Minute)
		w.withdraw(t, id, "later", ledger.Withdrew)
		if s := w.get(t, id); s.State != ledger.Pending || !s.TimeUp(w.now()) {
			t.Errorf("the stop %+v, want it to end as its time is up", s)
		}
	})
}

// A foreign task whose time is over does not have its job stopped for another task of the day that wants it later.
func TestALateTaskCallsNothing(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		later := w.in(2*time.Hour, 3*time.Hour)
		opening, err := w.ledger.OpenForeign(t.Context(), project, "one", later)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.ledger.OpenForeign(t.Context(), project, "two", w.in(-time.Hour, -time.Minute)); err != nil {
			t.Fatal(err)
		}
		if s := w.get(t, opening.StopID); !s.Due.Equal(later.Due) || !s.Deadline.Equal(later.Deadline) {
			t.Errorf("due %v, deadline %v; want %v and %v", s.Due, s.Deadline, later.Due, later.Deadline)
		}
	})
}

// The deadline of a batch that has withdrawn too late says nothing about when a stop expires.
func TestLastDeadlineOfALateWithdrawal(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.open(t, "b1", w.in(0, 30*24*time.Hour))[0].StopID
		w.open(t, "b2", w.in(0, time.Hour))
		w.accept(t, id)
		w.withdraw(t, id, "b1", ledger.TooLate)
		s := w.get(t, id)
		for _, batch := range []string{"b1", "b2"} {
			if last := s.As(batch).LastDeadline(); !last.Equal(s.Deadline) {
				t.Errorf("as %s sees it, the last deadline is %v, that of the stop %v", batch, last, s.Deadline)
			}
		}
		w.advance(2 * time.Hour)
		if !s.As("b2").TimeUp(w.now()) {
			t.Error("its time is not up, an hour after the only deadline that counts")
		}
	})
}

// A marked step that comes back, as the deadline of the wish it was claimed for has passed meanwhile, is looked at now,
// like one that a pause or a limit holds back; a cancel ends it soon.
func TestAMarkedStepOfAPassedWishIsLookedAt(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		later := w.in(2*time.Hour, 3*time.Hour)
		id := w.open(t, "soon", w.in(0, 30*time.Second))[0].StopID
		w.open(t, "later", later)
		w.advance(28 * time.Second)
		w.round(t)
		claim := w.release.NewClaim(project, w.get(t, id).Member(), ledger.KindStop)
		if c, err := claim.Do(); err != nil || !c.MayCall {
			t.Fatalf("%+v, %v", c, err)
		}
		w.advance(4 * time.Second) // the worker stood still: it claims anew
		if c, err := claim.Do(); err != nil || !c.Held {
			t.Fatalf("%+v, %v", c, err)
		}
		if s := w.get(t, id); s.Kind != ledger.KindPoll || s.Next.After(w.now().Add(time.Minute)) {
			t.Errorf("it is a %s in %v, want a look now", s.Kind, s.Next.Sub(w.now()))
		}
		w.withdraw(t, id, "later", ledger.TooLate)
		w.advance(time.Minute)
		if r := w.round(t); len(r.Polls) != 1 {
			t.Errorf("a minute after its cancel it is not looked at: it stays in flight until %v", w.get(t, id).Next)
		}
	})
}
