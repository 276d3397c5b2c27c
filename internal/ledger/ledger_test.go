package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"vizstop/internal/ledger"
)

func TestLifeOfAStop(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		asked := w.now()
		id := w.opened(t, "b1", "10")[0]
		w.stands(t, id, "waiting:small", asked)

		w.advance(time.Second)
		s := w.claim(t, id)
		w.stands(t, id, "released", w.now())
		s.Called, s.Calls = w.now(), 1
		s.State, s.Accepted, s.RequestID = ledger.Stopping, w.now(), "req-1"
		w.advanced(t, s, w.poll(5*time.Second))
		w.stands(t, id, "waiting:look", w.now().Add(5*time.Second))

		w.advance(5 * time.Second)
		s = w.claim(t, id)
		if s.State != ledger.Stopping || !s.Accepted.Equal(w.now().Add(-5*time.Second)) || s.RequestID != "req-1" || s.Status != "" {
			t.Errorf("claimed %+v", s)
		}
		s.Polls, s.Status = 1, "12 (killed)"
		w.finished(t, s, ledger.Stopped)
		got := w.get(t, id)
		if got.State != ledger.Stopped || got.Status != "12 (killed)" || got.Polls != 1 || !got.Ended.Equal(w.now()) || !got.Due.Equal(asked) || !got.Next.IsZero() {
			t.Errorf("ended as %+v", got)
		}
		if places := w.places(t, got); len(places) != 0 {
			t.Errorf("a stop that has ended stands in %v", places)
		}
		if b := w.batch(t, "b1"); b.Total != 1 || b.Counts[ledger.Stopped] != 1 || b.InFlight() != 0 || !b.Ended.Equal(w.now()) {
			t.Errorf("batch %+v", b)
		}
	})
}

func TestAskingTwiceForOneBatchDoublesNothing(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ids := w.opened(t, "b1", "10", "11", "12")
		w.advanced(t, w.claim(t, ids[1]), ledger.Step{Kind: ledger.KindStop, Due: w.now()})
		w.finished(t, w.claim(t, ids[2]), ledger.Gone)

		again := w.open(t, "b1", w.ask("10"), w.ask("11"), w.ask("12"), w.ask("13"))
		if want := []ledger.Result{ledger.Known, ledger.Known, ledger.Known, ledger.Opened}; !slices.Equal(results(again), want) {
			t.Errorf("got %v, want %v", results(again), want)
		}
		if b := w.batch(t, "b1"); b.Total != 4 {
			t.Errorf("batch %+v, want 4 stops", b)
		}
	})
}

// A task that was passed by somebody else moves and ends nothing.
func TestFencing(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b1", "10")[0]
		one := w.claim(t, id)
		other := *one
		w.advanced(t, one, w.poll(0))
		if moved, err := w.ledger.Advance(t.Context(), &other, w.poll(0)); moved || err != nil {
			t.Errorf("second advance: %v, %v", moved, err)
		}
		if moved, err := w.ledger.Finish(t.Context(), &other, ledger.Stopped, "", 0); moved || err != nil {
			t.Errorf("finish from a passed hop: %v, %v", moved, err)
		}
		last := w.claim(t, id)
		other = *last
		w.finished(t, last, ledger.Stopped)
		if moved, err := w.ledger.Finish(t.Context(), &other, ledger.Expired, "", 0); moved || err != nil {
			t.Errorf("second end: %v, %v", moved, err)
		}
		if s := w.get(t, id); s.State != ledger.Stopped {
			t.Errorf("state %v", s.State)
		}
		if _, err := w.ledger.Finish(t.Context(), &other, ledger.Pending, "", 0); err == nil {
			t.Error("a stop can end as pending")
		}
	})
}

// A client that repeats a script because the answer got lost must not be told
// that somebody else made the move.
func TestSameNonceSameAnswer(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		repeat := &repeater{}
		w.limited.AddHook(repeat)
		ids := w.opened(t, "b1", "10", "11")
		s, watched := w.claim(t, ids[0]), w.claim(t, ids[1])
		repeat.on = true
		s.State = ledger.Stopping
		w.advanced(t, s, w.poll(0))
		watched.State = ledger.Stopping
		w.advanced(t, watched, ledger.Step{Kind: ledger.KindPoll, Due: w.now(), WatchFrom: 1, Latest: w.now().Add(time.Minute)})
		if watched.Kind != ledger.KindWatch {
			t.Errorf("kind %s after the second answer, want watch", watched.Kind)
		}
		w.finished(t, s, ledger.Stopped)
		w.finished(t, watched, ledger.Stopped)
		if b := w.batch(t, "b1"); b.Counts[ledger.Stopped] != 2 || b.Total != 2 || b.InFlight() != 0 {
			t.Errorf("batch %+v", b)
		}
	})
}

// The first hundred stops of a batch go ahead of larger batches.
func TestTheFirstStopsOfABatchAreSmall(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		for chunk := range 3 {
			var asks []ledger.Ask
			for i := range 60 {
				asks = append(asks, w.ask(strconv.Itoa(1+60*chunk+i)))
			}
			w.open(t, "b1", asks...)
		}
		w.opened(t, "b2", "1000")
		small, large := w.rdb.ZCard(t.Context(), keys.Small()).Val(), w.rdb.ZCard(t.Context(), keys.Large()).Val()
		if small != 101 || large != 80 {
			t.Errorf("%d stops are small and %d large, want 101 and 80", small, large)
		}
	})
}

// Too many asks at once would hold up everybody's Redis.
func TestOpenIsBounded(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		if _, err := w.ledger.Open(t.Context(), project, "b", make([]ledger.Ask, ledger.OpenChunk+1)); err == nil {
			t.Error("no error for one ask too many")
		}
		if all, err := w.ledger.Open(t.Context(), project, "b", nil); all != nil || err != nil {
			t.Errorf("no asks: %v, %v", all, err)
		}
		if all := w.everything(t); len(all) != 0 {
			t.Errorf("Redis holds %v, want nothing", all)
		}
	})
}

func TestLoad(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		start := w.now()
		ids := w.opened(t, "b1", "10", "11")
		w.advance(time.Minute)
		w.accept(t, ids[1])
		load, err := w.ledger.Load(t.Context(), []string{project, "nothing-here"})
		if err != nil || load.Count[ledger.Pending] != 1 || load.Count[ledger.Stopping] != 1 || !load.Oldest[ledger.Stopping].Equal(start) ||
			load.Projects[project] != 2 || len(load.Projects) != 1 {
			t.Errorf("load %+v, %v", load, err)
		}
		if load, err := w.ledger.Load(t.Context(), nil); err != nil || len(load.Count) != 2 || len(load.Oldest) != 0 {
			t.Errorf("load of no project %+v, %v", load, err)
		}
	})
}

func TestNotFound(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		_, err1 := w.ledger.Get(t.Context(), project, "none")
		_, err2 := w.ledger.Batch(t.Context(), project, "none")
		_, err3 := w.ledger.BatchProjects(t.Context(), "none")
		for i, err := range []error{err1, err2, err3} {
			if !errors.Is(err, ledger.ErrNotFound) {
				t.Errorf("%d: %v, want ErrNotFound", i, err)
			}
		}
		s := &ledger.Stop{ID: "none", ProjectID: project, Hop: 1}
		if moved, err := w.ledger.Advance(t.Context(), s, w.poll(0)); moved || err != nil {
			t.Errorf("a stop that is gone was moved: %t, %v", moved, err)
		}
		if moved, err := w.ledger.Finish(t.Context(), s, ledger.Gone, "", 0); moved || err != nil {
			t.Errorf("a stop that is gone has ended: %t, %v", moved, err)
		}
	})
}

func TestListing(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		w.opened(t, "b1", "10", "11", "12")
		var jobs []string
		for offset := 0; ; {
			page, next, err := w.ledger.BatchStops(t.Context(), project, "b1", offset, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range page {
				jobs = append(jobs, s.JobID)
			}
			if offset = next; next == 0 {
				break
			}
		}
		if want := []string{"10", "11", "12"}; !slices.Equal(jobs, want) {
			t.Errorf("listed %v, want %v", jobs, want)
		}
		projects, err := w.ledger.BatchProjects(t.Context(), "b1")
		if err != nil || !slices.Equal(projects, []string{project}) {
			t.Errorf("projects %v, %v", projects, err)
		}
	})
}

func TestStopsOfAJob(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		var want []string
		for _, batch := range []string{"b1", "b2", "b3"} {
			id := w.opened(t, batch, "10")[0]
			want = append([]string{id}, want...)
			if batch != "b3" {
				w.finished(t, w.claim(t, id), ledger.Stopped)
			}
		}
		stops, err := w.ledger.JobStops(t.Context(), project, "10")
		var got []string
		for _, s := range stops {
			got = append(got, s.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
		if stops, err := w.ledger.JobStops(t.Context(), project, "none"); err != nil || len(stops) != 0 {
			t.Errorf("stops of an unknown job: %v, %v", stops, err)
		}
		active, err := w.ledger.Active(t.Context(), project, []string{"none", "10"})
		if err != nil || !slices.Equal(active, []string{"", want[0]}) {
			t.Errorf("active stops %q, %v, want none and %s", active, err, want[0])
		}
	})
}

// Whoever may write to Redis can have records lead in a circle, or on without end: reading ends all the same.
func TestStopsOfAJobEnd(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		k := ledger.Keys(project)
		link := func(from, to string) {
			t.Helper()
			if err := w.rdb.HSet(t.Context(), k.Stop(from), "job", "10", "state", "stopped", "prev", to).Err(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.rdb.HSet(t.Context(), k.Last(), "10", "a").Err(); err != nil {
			t.Fatal(err)
		}
		link("a", "b")
		link("b", "c")
		link("c", "b")
		if stops, err := w.ledger.JobStops(t.Context(), project, "10"); err != nil || len(stops) != 3 {
			t.Errorf("of a circle of three, %d stops, %v", len(stops), err)
		}
		link("c", "c0")
		for i := range 1100 {
			link(fmt.Sprintf("c%d", i), fmt.Sprintf("c%d", i+1))
		}
		if stops, err := w.ledger.JobStops(t.Context(), project, "10"); err != nil || len(stops) != 1000 {
			t.Errorf("of 1,100, %d stops, %v", len(stops), err)
		}
	})
}

// How long jobs took to stop is kept for the latest 200 of them.
func TestStopTimes(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		var jobs []string
		for i := range 205 {
			jobs = append(jobs, strconv.Itoa(i+1))
		}
		for i, id := range w.opened(t, "b", jobs...) {
			if moved, err := w.ledger.Finish(t.Context(), w.claim(t, id), ledger.Stopped, "", time.Duration(i)*time.Second); !moved || err != nil {
				t.Fatal(moved, err)
			}
		}
		times, err := w.ledger.StopTimes(t.Context(), project)
		if err != nil || len(times) != 200 || slices.Min(times) != 5*time.Second {
			t.Errorf("%d times, the least %v, %v; want the latest 200", len(times), slices.Min(times), err)
		}
	})
}

func TestDescriptionAndLabels(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		meta := ledger.Meta{Requester: "alice", Reason: "night", Labels: map[string]string{"team": "vision"}}
		if err := w.ledger.Describe(t.Context(), project, "b1", meta); err != nil {
			t.Fatal(err)
		}
		ask := w.ask("10")
		ask.Labels = map[string]string{"owner": "bob"}
		id := w.open(t, "b1", ask)[0].StopID
		b := w.batch(t, "b1")
		if b.Meta.Requester != "alice" || b.Meta.Reason != "night" || b.Meta.Labels["team"] != "vision" || !b.Ended.IsZero() {
			t.Errorf("batch %+v", b)
		}
		w.advanced(t, w.claim(t, id), ledger.Step{Kind: ledger.KindStop, Due: w.now()})
		if s := w.claim(t, id); s.Labels["owner"] != "bob" {
			t.Errorf("labels %v", s.Labels)
		}
		ids, err := w.ledger.Batches(t.Context(), 5)
		if err != nil || !slices.Equal(ids, []string{"b1"}) {
			t.Errorf("batches %v, %v", ids, err)
		}
	})
}

// What a newer version keeps in a stop survives the moves of this one: a fleet is
// not updated at once.
func TestUnknownFieldsAreLeftAlone(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		id := w.opened(t, "b", "10")[0]
		w.rdb.HSet(t.Context(), keys.Stop(id), "of_tomorrow", "x", "reason", "trouble")
		s := w.claim(t, id)
		s.Reason = ""
		w.advanced(t, s, w.poll(0))
		f, err := w.rdb.HGetAll(t.Context(), keys.Stop(id)).Result()
		if err != nil || f["of_tomorrow"] != "x" || f["reason"] != "" {
			t.Errorf("%v, %v: want of_tomorrow kept and reason cleared", f, err)
		}
	})
}

// A trace is kept from the ask to the end, and is no field at all where nobody
// traces.
func TestTraceIsKept(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		traced := w.ask("10")
		traced.Trace = trace
		for i, o := range w.open(t, "b", traced, w.ask("11")) {
			want := []string{trace, ""}[i]
			w.advanced(t, w.claim(t, o.StopID), w.poll(0))
			w.finished(t, w.claim(t, o.StopID), ledger.Gone)
			if s := w.get(t, o.StopID); s.Trace != want {
				t.Errorf("trace %q, want %q", s.Trace, want)
			}
			has, err := w.rdb.HExists(t.Context(), keys.Stop(o.StopID), "trace").Result()
			if err != nil || has != (want != "") {
				t.Errorf("a field of its own: %t, %v", has, err)
			}
		}
	})
}

// What stands in the sets reads back as it was written, and nonsense as hop 0.
func TestMember(t *testing.T) {
	for _, m := range []ledger.Member{{StopID: "0123456789abcdef", Hop: 7, JobID: "10"}, {StopID: "0123456789abcdef", Hop: 1}} {
		if got := ledger.ParseMember(m.String()); got != m {
			t.Errorf("%v reads back as %v", m, got)
		}
	}
	for _, bad := range []string{"", "x", "x:", "x:y:z"} {
		if got := ledger.ParseMember(bad); got.Hop != 0 {
			t.Errorf("%q reads as hop %d, want 0", bad, got.Hop)
		}
	}
}

// One record that a script can't read does not take with it what the same script
// moves.
func TestADamagedRecordHarmsNoOther(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ids := w.opened(t, "b", "10", "11", "12", "13")
		var stops []*ledger.Stop
		for _, id := range ids {
			stops = append(stops, w.claim(t, id))
		}
		w.rdb.HDel(t.Context(), keys.Stop(ids[2]), "due")
		advance := func(i int) {
			stops[i].State = ledger.Stopping
			step := ledger.Step{Kind: ledger.KindPoll, Due: w.now()}
			if ok, err := w.ledger.Advance(t.Context(), stops[i], step); ok == (i == 2) || err != nil {
				t.Errorf("stop %d: moved %t, %v", i, ok, err)
			}
		}
		advance(3) // what follows at once waits for the next script
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() { advance(i) })
		}
		all.Wait()
		for i, id := range ids[:2] {
			s := w.get(t, id)
			in := w.rdb.ZScore(t.Context(), keys.Look(), s.Member().String()).Err()
			rel := w.rdb.ZRange(t.Context(), keys.Released(), 0, -1).Val()
			if in != nil {
				t.Errorf("stop %d at %v, state %s is not in look: %v; released %v", i, s.Member(), s.State, in, rel)
			}
		}
	})
}

// Nor does it keep the rest of its batch from being canceled.
func TestCancelBesideADamagedRecord(t *testing.T) {
	for _, lost := range []string{"hop", "job"} {
		eachRedis(t, func(t *testing.T, w *world) {
			ids := w.opened(t, "b", "10", "11")
			w.rdb.HDel(t.Context(), keys.Stop(ids[0]), lost)
			told := map[ledger.Withdrawal]int{}
			err := w.ledger.WithdrawAll(t.Context(), project, "b", "not wanted", func(a ledger.Withdrawal) { told[a]++ })
			if err != nil || told[ledger.Withdrew] != 2 {
				t.Errorf("without %s: %v, %v", lost, told, err)
			}
			for _, id := range ids {
				if s := w.get(t, id); s.State != ledger.Canceled {
					t.Errorf("without %s: stop %s is %s", lost, id, s.State)
				}
			}
		})
	}
}
