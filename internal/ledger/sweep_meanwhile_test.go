package ledger_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
)

// between calls do once, ahead of the pipeline that has a command of that name.
type between struct {
	name string
	do   func()
}

func (b *between) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (b *between) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (b *between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if do := b.do; do != nil && slices.ContainsFunc(cmds, func(c redis.Cmder) bool { return c.Name() == b.name }) {
			b.do = nil
			do()
		}
		return next(ctx, cmds)
	}
}

// Whoever asks anew under the id of an old batch, while a sweep that stands still is about to take it from the
// indexes, finds the batch again.
func TestAskWhileItsBatchIsForgotten(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		w.withdraw(t, w.opened(t, "weekly", "10")[0], "weekly", ledger.Withdrew)
		if _, err := w.ledger.Uncounted(t.Context(), project, 10); err != nil {
			t.Fatal(err)
		}
		w.advance(2 * retention)
		sweeper := ledger.New(w.rdb, w.now)
		w.rdb.AddHook(&between{"srem", func() {
			if err := w.ledger.Describe(t.Context(), project, "weekly", ledger.Meta{Requester: "alice"}); err != nil {
				t.Error(err)
			}
			w.opened(t, "weekly", "11")
		}})
		if err := sweeper.Sweep(t.Context(), retention); err != nil {
			t.Fatal(err)
		}
		if b := w.batch(t, "weekly"); b.InFlight() != 1 {
			t.Fatalf("%+v", b)
		}
		if projects, err := w.ledger.BatchProjects(t.Context(), "weekly"); err != nil {
			t.Errorf("with a stop in flight: %v, %v", projects, err)
		}
		if ids, err := w.ledger.Batches(t.Context(), 10); err != nil || !slices.Contains(ids, "weekly") {
			t.Errorf("listed are %v, %v", ids, err)
		}
	})
}

// What was said of a batch that is asked for anew, after its id has rested for longer than the retention, is not
// forgotten before its first stop is recorded: its hold in particular.
func TestSweepBetweenDescriptionAndFirstStop(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.withdraw(t, w.opened(t, "weekly", "10")[0], "weekly", ledger.Withdrew)
		if _, err := w.ledger.Uncounted(ctx, project, 10); err != nil {
			t.Fatal(err)
		}
		w.advance(2 * retention)
		if err := w.ledger.Describe(ctx, project, "weekly", ledger.Meta{Requester: "alice", Reason: "night"}); err != nil {
			t.Fatal(err)
		}
		if err := w.ledger.StateSize(ctx, project, "weekly", 1, "it has more than the batch limit"); err != nil {
			t.Fatal(err)
		}
		if err := w.ledger.Sweep(ctx, retention); err != nil { // a worker's, meanwhile
			t.Fatal(err)
		}
		ask := w.ask("11")
		ask.Confirmed = false
		id := w.open(t, "weekly", ask)[0].StopID
		if b := w.batch(t, "weekly"); b.Meta.Requester != "alice" {
			t.Errorf("asked for by %q because of %q", b.Meta.Requester, b.Meta.Reason)
		}
		if got := w.places(t, w.get(t, id)); got["waiting:held"].IsZero() {
			t.Errorf("a stop of a held batch stands in %v", got)
		}
		w.advance(time.Second)
		w.round(t)
		if got := w.places(t, w.get(t, id)); !got["released"].IsZero() {
			t.Errorf("its call goes out: %v", got)
		}
	})
}

// A sweep that is cut short between a batch and its indexes leaves nothing for good.
func TestSweepThatIsCutShort(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		w.withdraw(t, w.opened(t, "b", "10")[0], "b", ledger.Withdrew)
		if _, err := w.ledger.Uncounted(t.Context(), project, 10); err != nil {
			t.Fatal(err)
		}
		w.advance(2 * retention)
		ctx, cancel := context.WithCancel(t.Context())
		w.rdb.AddHook(&between{"srem", cancel}) // the worker is told to end
		if err := ledger.New(w.rdb, w.now).Sweep(ctx, retention); err == nil {
			t.Fatal("the sweep was not cut short")
		}
		w.advance(2 * time.Hour)
		w.sweep(t)
		if all := w.everything(t); len(all) != 0 {
			t.Errorf("after the retention Redis holds %v, want nothing", all)
		}
	})
}

// Two workers that forget the same batch at once leave nothing of it.
func TestTwoSweepsAtOnce(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		w.withdraw(t, w.opened(t, "weekly", "10")[0], "weekly", ledger.Withdrew)
		if _, err := w.ledger.Uncounted(t.Context(), project, 10); err != nil {
			t.Fatal(err)
		}
		w.advance(2 * retention)
		one, other := ledger.New(w.rdb, w.now), ledger.New(w.limited, w.now)
		w.rdb.AddHook(&between{"srem", func() {
			if err := other.Sweep(t.Context(), retention); err != nil {
				t.Error(err)
			}
		}})
		if err := one.Sweep(t.Context(), retention); err != nil {
			t.Fatal(err)
		}
		for range 5 { // whatever is left is never forgotten
			w.advance(2 * retention)
			w.sweep(t)
		}
		if ids, err := w.ledger.Batches(t.Context(), 10); err != nil || slices.Contains(ids, "weekly") {
			t.Errorf("listed are still %v, %v", ids, err)
		}
		if p, err := w.ledger.BatchProjects(t.Context(), "weekly"); err == nil {
			t.Errorf("the index has it still: %v", p)
		}
	})
}

// A key of a job's later stop that holds something else keeps nothing from being forgotten.
func TestSweepBesideALaterKeyThatHoldsNoStop(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ids := w.opened(t, "long", "10", "11")
		w.finished(t, w.claim(t, ids[0]), ledger.Stopped) // 11 goes on
		w.finished(t, w.claim(t, w.opened(t, "tuesday", "10")[0]), ledger.Stopped)
		last := w.opened(t, "wednesday", "10", "12")
		w.finished(t, w.claim(t, last[0]), ledger.Stopped)
		w.finished(t, w.claim(t, w.opened(t, "other", "20")[0]), ledger.Stopped)
		w.rdb.Set(t.Context(), keys.Stop(last[0]), "somebody wrote this", 0)
		w.advance(2 * retention)
		for range 3 {
			if err := w.ledger.Sweep(t.Context(), retention); err != nil {
				t.Error(err)
			}
			w.advance(2 * time.Hour)
		}
		for _, batch := range []string{"tuesday", "other"} {
			if b, err := w.ledger.Batch(t.Context(), project, batch); err == nil {
				t.Errorf("still there: %+v", b.ID)
			}
		}
	})
}

// A job's oldest stop is found, also when two later ones of one day's batch are forgotten at once.
func TestJobStopsAfterASweepOfTwoOfOneBatch(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ids := w.opened(t, "long", "10", "11")
		w.finished(t, w.claim(t, ids[0]), ledger.Stopped)
		for _, task := range []string{"t1", "t2"} {
			o, err := w.ledger.OpenForeign(t.Context(), project, task, w.ask("10"))
			if err != nil || o.Result != ledger.Opened {
				t.Fatal(o, err)
			}
			w.advance(time.Second)
			w.finished(t, w.claim(t, o.StopID), ledger.Stopped)
		}
		w.advance(2 * retention)
		w.sweep(t)
		found, err := w.ledger.JobStops(t.Context(), project, "10")
		if err != nil || !slices.ContainsFunc(found, func(s *ledger.Stop) bool { return s.ID == ids[0] }) {
			t.Errorf("stops of the job: %v, %v, want that of batch long: %v", found, err, w.get(t, ids[0]))
		}
	})
}

// A batch that opened a stop, was canceled and is forgotten may ask anew for the job when the stop has ended for
// another.
func TestAskedAnewAfterTheStopHasEnded(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		late := w.in(3*retention, 4*retention)
		id := w.open(t, "b1", late)[0].StopID
		w.open(t, "b2", late)
		w.withdraw(t, id, "b1", ledger.Withdrew)
		w.advance(2 * retention)
		w.sweep(t)
		w.advance(retention + time.Hour)
		w.finished(t, w.claim(t, id), ledger.Stopped) // for b2
		w.advance(time.Hour)                          // the job is started again
		soon := w.in(0, time.Hour)
		o := w.open(t, "b1", soon)[0]
		b, err := w.ledger.Batch(t.Context(), project, "b1")
		if err != nil || b.InFlight() != 1 {
			t.Fatalf("asked anew: %+v, want it opened; batch b1: %v, %v", o, b, err)
		}
		if again := w.open(t, "b1", soon)[0]; again.Result != ledger.Known || again.StopID != o.StopID {
			t.Errorf("asked once more: %+v, want %s known", again, o.StopID)
		}
		w.finished(t, w.claim(t, o.StopID), ledger.Stopped)
		w.advance(2 * retention)
		w.sweep(t)
		if all := w.everything(t); len(all) != 0 {
			t.Errorf("after the retention Redis holds %v, want nothing", all)
		}
	})
}

// A stop of the first version that has ended has no wishes: its batch is told that it is known, and nothing is stopped
// anew.
func TestAskedAgainForAStopOfTheFirstVersion(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b", "10")[0]
		w.finished(t, w.claim(t, id), ledger.Stopped)
		w.rdb.HDel(t.Context(), keys.Stop(id), "wishes", "wish:b", "meant:b")
		if o := w.open(t, "b", w.ask("10"))[0]; o.Result != ledger.Known || o.StopID != id {
			t.Errorf("%+v, want it known", o)
		}
	})
}
