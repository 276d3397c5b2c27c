package release

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// A step is claimed once, when it was released, by its hop and kind.
func TestClaim(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		id := w.open("b", 1)[0]
		if c := w.tryClaim(id); c.Stop != nil || c.Held {
			t.Errorf("not released, and claimed: %+v", c)
		}
		w.round(wide())
		for _, bad := range []struct {
			hop  int
			kind ledger.Kind
		}{{2, ledger.KindStop}, {1, ledger.KindPoll}} {
			step := w.get(id).Member()
			step.Hop = bad.hop
			if c, err := w.NewClaim(project, step, bad.kind).Do(); err != nil || c.Stop != nil {
				t.Errorf("hop %d as a %s: %+v, %v", bad.hop, bad.kind, c, err)
			}
		}
		c := w.tryClaim(id)
		if c.Stop == nil || !c.At.Equal(w.now()) || c.Ill || !c.Stop.Marked.Equal(w.now()) {
			t.Fatalf("claimed %+v, want it marked", c)
		}
		if again := w.tryClaim(id); again.Stop != nil || again.Held {
			t.Errorf("claimed twice: %+v", again)
		}
		if s := w.get(id); s.Worker != "worker-1" || s.Claimed != 1 {
			t.Errorf("claimed by %q at hop %d", s.Worker, s.Claimed)
		}
		w.move(c.Stop, w.lookAfter(0))
		if c, err := w.NewClaim(project, ledger.Member{StopID: id, Hop: 1, JobID: "b-0"}, ledger.KindStop).Do(); err != nil || c.Stop != nil {
			t.Errorf("a stale hop was claimed: %+v, %v", c, err)
		}
	})
}

// A client that has lost the answer of a claim or of a take gets it again.
func TestClaimSameNonceSameAnswer(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		ids := w.open("b", 2)
		w.round(wide())
		w.limited.AddHook(&repeater{})
		c := w.tryClaim(ids[0])
		if c.Stop == nil || !c.Stop.Marked.Equal(w.now()) {
			t.Fatalf("claimed %+v", c)
		}
		s := w.tryClaim(ids[1]).Stop
		s.State = ledger.Stopping
		w.move(s, w.watch())
		taken, err := w.Take(t.Context(), project, []ledger.Member{s.Member()})
		if err != nil || len(taken) != 1 || taken[0].Stop.Hop != 3 || taken[0].Stop.Kind != ledger.KindPoll {
			t.Errorf("taken %+v, %v", taken, err)
		}
	})
}

// A claim in a shadow account leaves no mark of a call, and says so for good: the account
// may be none any more when the same attempt is answered.
func TestClaimInAShadowAccount(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		shadow := true
		w.Releaser = w.worker("worker-1", Config{Serving: func(string) Serving { return Serving{Shadow: shadow} }})
		ids := w.open("b", 2)
		w.round(wide())
		attempt := w.NewClaim(project, w.get(ids[0]).Member(), ledger.KindStop)
		for _, shadow = range []bool{true, false} {
			if c, err := attempt.Do(); err != nil || c.Stop == nil || c.MayCall || !c.Stop.Marked.IsZero() {
				t.Errorf("claimed %+v, %v", c, err)
			}
		}
		shadow = false
		if c := w.tryClaim(ids[1]); c.Stop == nil || !c.MayCall {
			t.Errorf("claimed %+v, want a mark", c)
		}
	})
}

// What holds a project back also holds back what was released before, but for the
// probe, and looks when a person has paused stop calls.
func TestClaimHeldBack(t *testing.T) {
	for name, row := range map[string]struct {
		hold         func(w *world)
		stops, looks bool // are held
		wait         time.Duration
	}{
		"paused": {func(w *world) { _, err := w.Pause(w.t.Context(), project, "me", ""); w.ok(err) }, true, false, 0},
		"parked": {func(w *world) {
			w.report(w.call("x"), &jobs.Error{Kind: jobs.KindThrottled, RetryAfter: 7 * time.Second})
		}, true, true, 7 * time.Second},
		"parked beyond the deadline": {func(w *world) {
			w.advance(time.Hour - 3*time.Second)
			w.report(w.call("x"), &jobs.Error{Kind: jobs.KindThrottled, RetryAfter: 7 * time.Second})
		}, true, true, 7 * time.Second},
		"held": {func(w *world) {
			for range OutageAfter {
				w.report(w.call("x"), answer(jobs.KindUnavailable))
			}
		}, true, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				ids := w.open("b", 2)
				w.follow(ids[1], w.lookAfter(0))
				w.round(wide())
				row.hold(w)
				for i, held := range []bool{row.stops, row.looks} {
					before := w.get(ids[i])
					c := w.tryClaim(ids[i])
					if c.Held != held || (c.Stop == nil) != held {
						t.Errorf("%s: %+v, want held %t", before.Kind, c, held)
					}
					if !held {
						continue
					}
					s, want := w.get(ids[i]), map[ledger.Kind]string{ledger.KindStop: "small", ledger.KindPoll: "look"}[before.Kind]
					next := w.now().Add(row.wait)
					if next.After(s.Deadline) {
						next = s.Deadline
					}
					if w.place(ids[i]) != want || s.Hop != before.Hop+1 || !s.Next.Equal(next) || s.Marked != before.Marked {
						t.Errorf("held back as %+v in %s, want it unmarked in %s at %v", s, w.place(ids[i]), want, next)
					}
				}
			})
		})
	}
}

// The probe of a hold goes out, and nothing else.
func TestTheProbeIsExempt(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		ids := w.open("b", 3)
		for range OutageAfter {
			w.report(w.call("x"), answer(jobs.KindUnavailable))
		}
		w.advance(2 * time.Second)
		r := w.round(wide())
		if len(r.Stops) != 1 || r.Stops[0].StopID != ids[0] {
			t.Fatalf("released %v, want one probe", r.Stops)
		}
		if c := w.tryClaim(ids[0]); c.Stop == nil || !c.Ill {
			t.Errorf("the probe was not claimed: %+v", c)
		}
	})
}

// No stop call goes out after the deadline, or when nobody wants it: then the step
// is claimed and not marked.
func TestClaimWithoutACall(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		ids := w.open("b", 2)
		s := w.claim(ids[1]).Stop
		if got, err := w.ledger.Withdraw(t.Context(), project, ids[1], "b", "why"); got != ledger.TooLate || err != nil {
			t.Fatal(got, err)
		}
		w.move(s, ledger.Step{Kind: ledger.KindStop, Due: w.now()})
		w.advance(time.Second)
		if c := w.claim(ids[1]); c.Stop.Marked.Equal(w.now()) || c.Stop.Withdrawn == "" {
			t.Errorf("withdrawn, and claimed as %+v", c.Stop)
		}
		w.advance(time.Hour)
		if c := w.claim(ids[0]); !c.Stop.Marked.IsZero() {
			t.Errorf("past its deadline, and claimed as %+v", c.Stop)
		}
	})
}

// Stops are taken for a look from wherever they wait, but not from a task.
func TestTake(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		ids := w.open("b", 5)
		waiting, released, stale := w.get(ids[0]), ids[1], w.get(ids[2])
		w.follow(ids[2], w.lookAfter(time.Minute))
		w.follow(ids[3], w.watch())
		ended := w.claim(ids[4]).Stop
		if _, err := w.ledger.Finish(t.Context(), ended, ledger.Gone, "", 0); err != nil {
			t.Fatal(err)
		}
		var all []ledger.Member
		for _, s := range []*ledger.Stop{w.get(released), stale, w.get(ids[2]), w.get(ids[3]), ended} {
			all = append(all, s.Member())
		}
		taken, err := w.Take(t.Context(), project, all)
		if err != nil || len(taken) != 2 {
			t.Fatalf("taken %+v, %v, want two", taken, err)
		}
		for i, c := range taken {
			if c.Stop.ID != ids[2+i] || c.Stop.Kind != ledger.KindPoll || c.Stop.Claimed != c.Stop.Hop || w.place(c.Stop.ID) != "released" {
				t.Errorf("taken %+v", c.Stop)
			}
		}
		if w.place(waiting.ID) != "released" {
			t.Errorf("the first is %s", w.place(waiting.ID))
		}
		more := w.open("c", 1)[0]
		if taken, err := w.Take(t.Context(), project, []ledger.Member{w.get(more).Member()}); err != nil || len(taken) != 1 {
			t.Errorf("one that waits for its call: %+v, %v", taken, err)
		}
	})
}

// While asynq's queue is paused, the task of a released step is not delivered. Its stop is taken all the same when its
// deadline has passed, and the task that comes later finds nothing to do. A step that was claimed is its worker's.
func TestTakeFromAPausedQueue(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		ids := w.open("b", 3)
		w.follow(ids[1], w.lookAfter(0))
		w.round(wide())
		w.tryClaim(ids[2])
		var steps []ledger.Member
		for _, id := range ids {
			steps = append(steps, w.get(id).Member())
		}
		take := func(want ...string) {
			t.Helper()
			taken, err := w.Take(t.Context(), project, steps)
			w.ok(err)
			got := []string{}
			for _, c := range taken {
				got = append(got, c.Stop.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("taken %q, want %q", got, want)
			}
		}
		w.ok(w.rdb.Set(t.Context(), queuePausedKey, 1, 0).Err())
		w.ok(w.Refresh(t.Context()))
		take() // their time is not up
		w.advance(time.Hour)
		w.ok(w.rdb.Del(t.Context(), queuePausedKey).Err())
		w.ok(w.Refresh(t.Context()))
		take() // their tasks are delivered
		w.ok(w.rdb.Set(t.Context(), queuePausedKey, 1, 0).Err())
		w.ok(w.Refresh(t.Context()))
		w.limited.AddHook(&repeater{})
		take(ids[0], ids[1])
		take()
		for i, kind := range []ledger.Kind{ledger.KindStop, ledger.KindPoll} {
			if c, err := w.NewClaim(project, steps[i], kind).Do(); err != nil || c.Stop != nil {
				t.Errorf("its task came later and got %+v, %v", c, err)
			}
			if s := w.get(ids[i]); s.Claimed != s.Hop || w.place(ids[i]) != "released" {
				t.Errorf("at hop %d in %s, claimed at %d; want it at work", s.Hop, w.place(ids[i]), s.Claimed)
			}
		}
	})
}

// A probe whose task is not delivered, and whose stop is taken at its deadline, leaves the turn to the next step.
func TestTakenProbePassesTheTurn(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		for range OutageAfter {
			w.report(w.call("x"), answer(jobs.KindUnavailable))
		}
		id := w.open("b", 1)[0]
		w.advance(time.Hour - time.Second)
		w.round(wide())
		s := w.get(id)
		if probe := w.rdb.HGet(t.Context(), keys.Control(), "probe").Val(); probe != s.Member().String() {
			t.Fatalf("the probe is %q, want the step of the stop", probe)
		}
		w.ok(w.rdb.Set(t.Context(), queuePausedKey, 1, 0).Err())
		w.advance(time.Second)
		w.ok(w.Refresh(t.Context()))
		if taken, err := w.Take(t.Context(), project, []ledger.Member{s.Member()}); err != nil || len(taken) != 1 {
			t.Fatalf("taken %+v, %v", taken, err)
		}
		if at := w.rdb.HGet(t.Context(), keys.Control(), "probe_at").Val(); at != strconv.FormatInt(w.now().UnixMilli(), 10) {
			t.Errorf("the next probe is at %s, want it now, %d", at, w.now().UnixMilli())
		}
	})
}

// A step whose worker has died comes back: a call that may have gone out as a look,
// any other step as it was.
func TestRecover(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		ids := w.open("b", 5)
		w.follow(ids[2], w.lookAfter(0))
		w.round(wide())
		w.tryClaim(ids[0])
		w.tryClaim(ids[2])
		moved := w.tryClaim(ids[3]).Stop
		passed := moved.Member()
		w.move(moved, w.lookAfter(time.Hour))
		w.advance(10 * time.Second)
		var steps []ledger.Member
		for _, i := range []int{0, 1, 2, 4} {
			steps = append(steps, w.get(ids[i]).Member())
		}
		steps = append(steps, passed)
		for range 2 { // the second time there is nothing left to do
			if _, err := w.Recover(t.Context(), project, steps, func(i int) bool { return i != 3 }); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range []struct {
			place  string
			kind   ledger.Kind
			unsure bool
			hop    int
		}{{"look", ledger.KindPoll, true, 2}, {"small", ledger.KindStop, false, 2}, {"look", ledger.KindPoll, false, 3},
			{"look", ledger.KindPoll, false, 2}, {"released", ledger.KindStop, false, 1}} {
			s := w.get(ids[i])
			if w.place(ids[i]) != want.place || s.Kind != want.kind || s.Unsure != want.unsure || s.Hop != want.hop {
				t.Errorf("stop %d: %+v in %s, want %+v", i, s, w.place(ids[i]), want)
			}
		}
		if s := w.get(ids[0]); s.Marked.IsZero() {
			t.Error("the mark of the lost call is gone: nobody knows how long it may be under way")
		}
		if r := w.round(Need{Silence: 5 * time.Second}); len(r.Silent) != 0 {
			t.Errorf("silent at once again: %v", r.Silent)
		}
	})
}
