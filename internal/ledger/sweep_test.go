package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

const retention = 24 * time.Hour

// sweep sweeps as often as a worker would in some hours.
func (w *world) sweep(t *testing.T) {
	t.Helper()
	for range 5 {
		if err := w.ledger.Sweep(t.Context(), retention); err != nil {
			t.Fatal(err)
		}
		w.inFlight(t, w.ledger)
		w.inFlight(t, w.ledger.Shadow())
		w.advance(time.Hour)
	}
}

// A batch is readable until the retention after its last stop's end is over, and
// then nothing is left of it in Redis.
func TestRetention(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		if err := w.ledger.Describe(t.Context(), project, "b1", ledger.Meta{Requester: "alice"}); err != nil {
			t.Fatal(err)
		}
		ids := w.opened(t, "b1", "10", "11")
		w.sweep(t)
		s := w.accept(t, ids[0])
		w.advance(time.Minute)
		if moved, err := w.ledger.Finish(t.Context(), w.claim(t, s.ID), ledger.Stopped, "", time.Minute); !moved || err != nil {
			t.Fatal(moved, err)
		}
		w.advance(10 * retention)
		w.sweep(t)
		w.batch(t, "b1") // its other stop is in flight
		w.withdraw(t, ids[1], "b1", ledger.Withdrew)
		if stops, err := w.ledger.Uncounted(t.Context(), project, 10); len(stops) != 1 || err != nil {
			t.Fatal(stops, err)
		}
		w.advance(retention - 6*time.Hour)
		w.sweep(t)
		w.batch(t, "b1")
		w.get(t, ids[0])
		w.sweep(t)
		if all := w.everything(t); len(all) != 0 {
			t.Errorf("after the retention Redis holds %v, want nothing", all)
		}
	})
}

// A stop that two batches share stays as long as the later of them.
func TestSweepOfSharedStops(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b1", "10")[0]
		w.opened(t, "b2", "10", "11")
		w.finished(t, w.claim(t, id), ledger.Gone)
		w.advance(2 * retention)
		w.sweep(t)
		if _, err := w.ledger.Batch(t.Context(), project, "b1"); err == nil {
			t.Error("batch b1 is still there")
		}
		if w.rdb.HExists(t.Context(), keys.Stop(id), "meant:b1").Val() {
			t.Error("what b1 has confirmed is still there")
		}
		stops, _, err := w.ledger.BatchStops(t.Context(), project, "b2", 0, 10)
		if err != nil || len(stops) != 2 || !slices.ContainsFunc(stops, func(s *ledger.Stop) bool { return s.ID == id && s.State == ledger.Gone }) {
			t.Errorf("batch b2 lists %v, %v, want the shared stop and its own", stops, err)
		}
		w.finished(t, w.claim(t, ledger.StopID("b2", project, "11")), ledger.Gone)
		w.advance(2 * retention)
		w.sweep(t)
		w.sweep(t)
		if all := w.everything(t); len(all) != 0 {
			t.Errorf("after the retention Redis holds %v, want nothing", all)
		}
	})
}

// The batch that opened a stop may be over, having withdrawn its wish, while
// another one still wants it: the stop stays and can be stopped.
func TestSweepLeavesStopsInFlight(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.open(t, "b1", w.in(9*retention, 99*retention))[0].StopID
		w.open(t, "b2", w.in(8*retention, 98*retention))
		w.withdraw(t, id, "b1", ledger.Withdrew)
		w.advance(2 * retention)
		w.sweep(t)
		if _, err := w.ledger.Batch(t.Context(), project, "b1"); err == nil {
			t.Error("batch b1 is still there")
		}
		s := w.get(t, id)
		if s.State != ledger.Pending || len(s.Wishes) != 1 || s.Wishes[0].Batch != "b2" {
			t.Fatalf("the stop %+v, want it pending for b2", s)
		}
		w.stands(t, id, "waiting:small", s.Due)
		w.advance(8 * retention)
		w.finished(t, w.claim(t, id), ledger.Gone)
		w.advance(2 * retention)
		w.sweep(t)
		w.sweep(t)
		if all := w.everything(t); len(all) != 0 {
			t.Errorf("after the retention Redis holds %v, want nothing", all)
		}
	})
}

// A batch that is asked for anew after it was canceled and forgotten, while a stop that it had joined goes on for
// another one, is heard.
func TestSweepForgetsCancels(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.open(t, "b1", w.in(9*retention, 99*retention))[0].StopID
		w.open(t, "b2", w.in(0, retention))
		w.withdraw(t, id, "b2", ledger.Withdrew)
		w.advance(2 * retention)
		w.sweep(t)
		w.open(t, "b2", w.in(0, retention))
		if s := w.get(t, id); s.Due.After(w.now()) {
			t.Errorf("the stop is due at %v, want it due now", s.Due)
		}
		w.finished(t, w.claim(t, id), ledger.Stopped)
		if b := w.batch(t, "b2"); b.Total != 1 || b.InFlight() != 0 || b.Counts[ledger.Stopped] != 1 {
			t.Errorf("the batch has %+v", b)
		}
	})
}

// A batch that was described and never got a stop is forgotten, too, and so are
// large batches and many of them. What a person has paused stays paused.
func TestSweepOfManyAndOfNone(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		if err := w.ledger.Describe(t.Context(), project, "empty", ledger.Meta{Requester: "alice"}); err != nil {
			t.Fatal(err)
		}
		var jobs []string
		for i := range 230 {
			jobs = append(jobs, strconv.Itoa(i+1))
		}
		for _, id := range w.opened(t, "large", jobs...) {
			w.withdraw(t, id, "large", ledger.Withdrew)
		}
		for i := range 25 {
			w.withdraw(t, w.opened(t, fmt.Sprint("b", i), "10")[0], fmt.Sprint("b", i), ledger.Withdrew)
		}
		if _, err := w.ledger.Uncounted(t.Context(), project, 1000); err != nil {
			t.Fatal(err)
		}
		if _, err := w.release.Pause(t.Context(), project, "bob", ""); err != nil {
			t.Fatal(err)
		}
		w.advance(2 * retention)
		w.sweep(t)
		w.sweep(t)
		if all, want := w.everything(t), []string{"vizstop:{-}:held", keys.Control()}; !slices.Equal(all, want) {
			t.Errorf("after the retention Redis holds %v, want %v", all, want)
		}
	})
}

// While one of its stops is in flight nothing of a batch is forgotten: not if it
// only joined stops, not if it is described again, and not by a worker with a short
// retention.
func TestNothingIsForgottenInFlight(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		id := w.open(t, "opened", w.in(10*retention, 20*retention), w.ask("11"))[0].StopID
		w.open(t, "joined", w.in(10*retention, 20*retention))
		w.withdraw(t, ledger.StopID("opened", project, "11"), "opened", ledger.Withdrew)
		if _, err := w.ledger.Uncounted(ctx, project, 10); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			w.advance(retention)
			for _, batch := range []string{"opened", "joined"} {
				if err := w.ledger.Describe(ctx, project, batch, ledger.Meta{Requester: "alice"}); err != nil {
					t.Fatal(err)
				}
			}
			w.advance(time.Hour)
			for range 5 {
				if err := w.ledger.Sweep(ctx, time.Millisecond); err != nil {
					t.Fatal(err)
				}
				w.advance(time.Hour)
			}
			for batch, total := range map[string]int{"opened": 2, "joined": 1} {
				stops, _, err := w.ledger.BatchStops(ctx, project, batch, 0, 10)
				if b := w.batch(t, batch); err != nil || len(stops) != total || b.Total != total || b.InFlight() != 1 {
					t.Fatalf("batch %s lists %d stops, %v, and counts %+v", batch, len(stops), err, b)
				}
			}
		}
		w.advance(10 * retention)
		w.finished(t, w.claim(t, id), ledger.Gone)
		w.advance(2 * retention)
		w.sweep(t)
		w.sweep(t)
		if all := w.everything(t); len(all) != 0 {
			t.Errorf("after the retention Redis holds %v, want nothing", all)
		}
	})
}

// A project that never had a batch is forgotten, too, with the rate to which the
// calls of a command have kept.
func TestSweepOfAProjectThatWasListed(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		for range 2 {
			if err := errors.Join(w.ledger.Visit(t.Context(), project), w.release.Spend(t.Context(), project)); err != nil {
				t.Fatal(err)
			}
		}
		if all := w.everything(t); !slices.Contains(all, keys.Control()) {
			t.Fatalf("Redis holds %v, want a rate", all)
		}
		w.sweep(t)
		if all := w.everything(t); len(all) != 0 {
			t.Errorf("after a sweep Redis holds %v, want nothing", all)
		}
	})
}

// Stops that no worker has counted yet are kept until one has.
func TestSweepLeavesTheUncounted(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		w.withdraw(t, w.opened(t, "b", "10")[0], "b", ledger.Withdrew)
		w.advance(2 * retention)
		w.sweep(t)
		if all := w.everything(t); !slices.Contains(all, keys.Uncounted()) {
			t.Errorf("Redis holds %v, want what is to be counted", all)
		}
		if _, err := w.ledger.Uncounted(t.Context(), project, 10); err != nil {
			t.Fatal(err)
		}
		w.sweep(t)
		if all := w.everything(t); len(all) != 0 {
			t.Errorf("Redis holds %v, want nothing", all)
		}
	})
}

// A key that holds no stop keeps its batch from being forgotten no more than others: of its project, and of other ones.
func TestSweepBesideAKeyThatHoldsNoStop(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		broken := w.opened(t, "a", "1")[0]
		w.withdraw(t, broken, "a", ledger.Withdrew)
		w.advance(time.Minute)
		w.withdraw(t, w.opened(t, "b", "2")[0], "b", ledger.Withdrew)
		if err := w.rdb.Set(t.Context(), keys.Stop(broken), "somebody wrote this", 0).Err(); err != nil {
			t.Fatal(err)
		}
		w.advance(3 * retention)
		if err := w.ledger.Sweep(t.Context(), retention); err != nil {
			t.Error(err)
		}
		for _, batch := range []string{"a", "b"} {
			if _, err := w.ledger.Batch(t.Context(), project, batch); !errors.Is(err, ledger.ErrNotFound) {
				t.Errorf("batch %s is not forgotten: %v", batch, err)
			}
		}
		if n := w.rdb.Exists(t.Context(), keys.Stop(broken)).Val(); n != 1 {
			t.Error("the key that holds no stop is gone")
		}
	})
}

// What is wrong in one project keeps no other one from being swept.
func TestSweepBesideAProjectThatFails(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		w.withdraw(t, w.opened(t, "a", "1")[0], "a", ledger.Withdrew)
		w.advance(time.Minute)
		o, err := w.ledger.Open(t.Context(), "other", "b", []ledger.Ask{w.ask("1")})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.ledger.Withdraw(t.Context(), "other", o[0].StopID, "b", "a mistake"); err != nil {
			t.Fatal(err)
		}
		if err := w.rdb.Set(t.Context(), keys.Last(), "somebody wrote this", 0).Err(); err != nil {
			t.Fatal(err)
		}
		w.advance(3 * retention)
		if err := w.ledger.Sweep(t.Context(), retention); err == nil || !strings.Contains(err.Error(), project) {
			t.Errorf("sweep: %v, want an error that names the project", err)
		}
		if err := w.ledger.Sweep(t.Context(), retention); err != nil {
			t.Errorf("the project that fails comes again at once: %v", err)
		}
		if _, err := w.ledger.Batch(t.Context(), "other", "b"); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("the batch of the other project is not forgotten: %v", err)
		}
	})
}

// A batch of two projects is forgotten in none while it goes on in the other.
func TestBatchOfTwoProjectsIsForgottenAsOne(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		const other = "fedcba9876543210fedcba9876543210"
		id := w.opened(t, "b", "10")[0]
		late := w.in(3*retention, 4*retention)
		late.JobID = "20"
		if _, err := w.ledger.Open(t.Context(), other, "b", []ledger.Ask{late}); err != nil {
			t.Fatal(err)
		}
		w.finished(t, w.claim(t, id), ledger.NotFound)
		w.advance(retention + time.Hour)
		w.sweep(t)
		if _, err := w.ledger.Batch(t.Context(), other, "b"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ledger.Batch(t.Context(), project, "b"); err != nil {
			t.Errorf("while its last stop is in flight elsewhere: %v", err)
		}
		projects, err := w.ledger.BatchProjects(t.Context(), "b")
		if len(projects) != 2 || err != nil {
			t.Errorf("the batch is in %v, %v, want both projects", projects, err)
		}
		// and it is forgotten as a whole, in time
		if _, err := w.ledger.Withdraw(t.Context(), other, ledger.StopID("b", other, "20"), "b", "why"); err != nil {
			t.Fatal(err)
		}
		if _, err := w.ledger.Uncounted(t.Context(), other, 10); err != nil {
			t.Fatal(err)
		}
		w.advance(retention - 6*time.Hour)
		w.sweep(t)
		if _, err := w.ledger.Batch(t.Context(), project, "b"); err != nil {
			t.Errorf("before the retention after its last stop's end is over: %v", err)
		}
		w.advance(retention)
		w.sweep(t)
		w.sweep(t)
		if _, err := w.ledger.BatchProjects(t.Context(), "b"); !errors.Is(err, ledger.ErrNotFound) {
			t.Errorf("after the retention: %v", err)
		}
		if all := w.everything(t); len(all) != 0 {
			t.Errorf("after the retention Redis holds %v, want nothing", all)
		}
	})
}

// A job's stop is found as long as the ledger has it, also when a later one of another batch is forgotten.
func TestJobStopsAfterASweepOfTheLatest(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ids := w.opened(t, "long", "10", "11")
		w.finished(t, w.claim(t, ids[0]), ledger.Stopped)
		w.finished(t, w.claim(t, w.opened(t, "short", "10")[0]), ledger.Stopped)
		w.advance(2 * retention)
		w.sweep(t)
		listed, _, err := w.ledger.BatchStops(t.Context(), project, "long", 0, 10)
		if err != nil || len(listed) != 2 {
			t.Fatal(listed, err)
		}
		found, err := w.ledger.JobStops(t.Context(), project, "10")
		if err != nil || !slices.ContainsFunc(found, func(s *ledger.Stop) bool { return s.ID == ids[0] }) {
			t.Errorf("stops of the job: %v, %v, want that of batch long", found, err)
		}
	})
}

// A batch that opened a stop, was canceled and is forgotten may ask for the job anew while the stop goes on for another
// one.
func TestAskedAnewByTheBatchThatOpenedTheStop(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		late := w.in(3*retention, 4*retention)
		id := w.open(t, "b1", late)[0].StopID
		w.open(t, "b2", late)
		w.withdraw(t, id, "b1", ledger.Withdrew)
		w.advance(2 * retention)
		w.sweep(t)
		if _, err := w.ledger.Batch(t.Context(), project, "b1"); !errors.Is(err, ledger.ErrNotFound) {
			t.Fatalf("the canceled batch: %v, want it forgotten", err)
		}
		soon := w.in(0, time.Hour)
		for _, want := range []ledger.Result{ledger.Joined, ledger.Known} {
			if o := w.open(t, "b1", soon)[0]; o.Result != want || o.StopID != id {
				t.Errorf("asked anew: %+v, want %s", o, want)
			}
		}
		if s := w.get(t, id); !s.Due.Equal(soon.Due) || s.JobID != "10" {
			t.Errorf("the stop is %+v, want it due now", s)
		}
		w.finished(t, w.claim(t, id), ledger.Stopped)
		for _, batch := range []string{"b1", "b2"} {
			if b := w.batch(t, batch); b.Counts[ledger.Stopped] != 1 || b.InFlight() != 0 {
				t.Errorf("batch %s: %+v", batch, b)
			}
		}
		w.advance(2 * retention)
		w.sweep(t)
		if all := w.everything(t); len(all) != 0 {
			t.Errorf("after the retention Redis holds %v, want nothing", all)
		}
	})
}

// A job's oldest stop is found as long as the ledger has it, also when two later ones of other batches are forgotten,
// one after the other.
func TestJobStopsAfterSweepsOfTwoLater(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ids := w.opened(t, "long", "10", "11")
		w.finished(t, w.claim(t, ids[0]), ledger.Stopped)
		w.finished(t, w.claim(t, w.opened(t, "tuesday", "10")[0]), ledger.Stopped)
		w.advance(retention / 2)
		w.finished(t, w.claim(t, w.opened(t, "wednesday", "10")[0]), ledger.Stopped)
		w.advance(retention/2 + time.Hour)
		w.sweep(t) // tuesday goes
		if _, err := w.ledger.Batch(t.Context(), project, "wednesday"); err != nil {
			t.Fatal(err)
		}
		w.advance(retention / 2)
		w.sweep(t)
		found, err := w.ledger.JobStops(t.Context(), project, "10")
		if err != nil || !slices.ContainsFunc(found, func(s *ledger.Stop) bool { return s.ID == ids[0] }) {
			t.Errorf("stops of the job: %v, %v, want that of batch long: %v", found, err, w.get(t, ids[0]))
		}
	})
}
