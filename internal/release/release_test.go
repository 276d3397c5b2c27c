package release

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// No more is released than there is room among the workers, and a fifth of it is
// kept for looks.
func TestRoom(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		ids := w.open("b", 60)
		for _, id := range ids[:20] {
			w.follow(id, w.lookAfter(time.Second))
			w.round(Need{}) // releases nothing: there is no room
		}
		for _, id := range ids[20:] { // those that following has released wait again
			if w.place(id) == "released" {
				if _, err := w.Recover(t.Context(), project, []ledger.Member{w.get(id).Member()}, func(int) bool { return true }); err != nil {
					t.Fatal(err)
				}
			}
		}
		w.advance(2 * time.Second)
		need := wide()
		need.Room = 20
		r := w.round(need)
		if len(r.Stops) != 16 || len(r.Polls) != 4 {
			t.Errorf("%d stops and %d looks released into a room of 20, want 16 and 4", len(r.Stops), len(r.Polls))
		}
		if r = w.round(need); len(r.Stops)+len(r.Polls) != 0 || r.Next < 10*time.Millisecond {
			t.Errorf("%d more released, next in %v; want none, and no hurry", len(r.Stops)+len(r.Polls), r.Next)
		}
		need.Room, need.Most = 1000, 10
		if r = w.round(need); len(r.Stops) != 10 || len(r.Polls) != 10 || r.Next != 0 {
			t.Errorf("%d and %d released, next in %v; want at most 10 of each, and the rest at once", len(r.Stops), len(r.Polls), r.Next)
		}
	})
}

// What is due later is released then, and the round is told when.
func TestNextRound(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		if r := w.round(wide()); r.Next >= 0 {
			t.Errorf("with nothing in flight the next round is in %v, want never", r.Next)
		}
		openings, err := w.ledger.Open(t.Context(), project, "b", []ledger.Ask{{JobID: "10", Confirmed: true, Due: w.now().Add(time.Minute), Deadline: w.now().Add(time.Hour)}})
		w.ok(err)
		if r := w.round(wide()); len(r.Stops) != 0 || r.Next != time.Minute {
			t.Errorf("released %v, next in %v, want a minute", r.Stops, r.Next)
		}
		w.advance(time.Minute)
		if r := w.round(wide()); len(r.Stops) != 1 || r.Next != 59*time.Minute {
			t.Errorf("released %v, next in %v, want the deadline", r.Stops, r.Next)
		}
		w.follow(openings[0].StopID, w.lookAfter(3*time.Second))
		if r := w.round(wide()); len(r.Polls) != 0 || r.Next != 3*time.Second {
			t.Errorf("released %v, next in %v, want 3 s", r.Polls, r.Next)
		}
	})
}

// A small batch does not stand behind a large one, nor a large one behind many
// small ones.
func TestSmallBeforeLarge(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.open("large", 300) // 100 of them count as small
		w.open("small", 5)
		need := wide()
		need.Room, need.Most = 125, 100
		r := w.round(need)
		lanes := func(r Round) (small, large int) {
			for _, m := range r.Stops {
				if w.get(m.StopID).ID != "" && strings.HasPrefix(m.JobID, "small") {
					small++
				} else {
					large++
				}
			}
			return small, large
		}
		if len(r.Stops) != 100 {
			t.Fatalf("%d released, want 100", len(r.Stops))
		}
		need.Room = 10000
		r = w.round(need)
		if small, large := lanes(r); small != 5 || large == 0 {
			t.Errorf("%d of the small batch and %d of the large one, want all 5 and others", small, large)
		}
	})
}

// Nothing is released while something holds the project or the fleet back, but
// looks go on while a person has paused stop calls. Deadlines run on.
func TestHeldBack(t *testing.T) {
	for name, row := range map[string]struct {
		hold  func(w *world)
		looks int
	}{
		"project paused": {func(w *world) { _, err := w.Pause(w.t.Context(), project, "me", ""); w.ok(err) }, 1},
		"fleet paused":   {func(w *world) { _, err := w.Pause(w.t.Context(), "", "me", ""); w.ok(err) }, 1},
		"queue paused":   {func(w *world) { w.ok(w.rdb.Set(w.t.Context(), queuePausedKey, 1, 0).Err()) }, 0},
		"parked":         {func(w *world) { w.report(w.call("x"), answer(jobs.KindThrottled)) }, 0},
		"held": {func(w *world) {
			for range OutageAfter {
				w.report(w.call("x"), answer(jobs.KindUnavailable))
			}
		}, 0},
		"credential held": {func(w *world) {
			for _, id := range []string{"x", "y"} {
				w.report(w.call(id), answer(jobs.KindCredentials))
			}
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				w.follow(w.open("b", 1)[0], w.lookAfter(0))
				ids := w.open("c", 1)
				row.hold(w)
				w.ok(w.Refresh(t.Context()))
				r := w.round(wide())
				if len(r.Stops) != 0 || len(r.Polls) != row.looks || r.Probe || r.List != nil {
					t.Errorf("round %+v, want %d looks and nothing else", r, row.looks)
				}
				if r.Next < 0 || r.Next == 0 {
					t.Errorf("the next round is in %v, want one, but not at once", r.Next)
				}
				w.advance(time.Hour)
				w.ok(w.rdb.HSet(t.Context(), keys.Control(), "probe_at", w.now().Add(time.Minute).UnixMilli(), "parked", w.now().Add(time.Minute).UnixMilli()).Err())
				if r := w.round(wide()); len(r.Late) != 2 || r.Late[1] != ids[0] {
					t.Errorf("late are %v, want both stops", r.Late)
				}
			})
		})
	}
}

// A project that is held for itself, while the whole fleet is held or the project is
// parked, too, is not visited all the time.
func TestHeldTwice(t *testing.T) {
	for name, row := range map[string]struct {
		hold func(w *world)
		want time.Duration
	}{
		"fleet held": {func(w *world) { w.ok(w.rdb.Set(w.t.Context(), queuePausedKey, 1, 0).Err()) }, time.Hour - 3*time.Second},
		"parked": {func(w *world) {
			w.report(w.call("x"), &jobs.Error{Kind: jobs.KindThrottled, RetryAfter: 30 * time.Second})
		}, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				w.open("b", 2)
				for range OutageAfter {
					w.report(w.call("x"), answer(jobs.KindUnavailable))
				}
				w.advance(3*time.Second - time.Millisecond) // the probe is due
				row.hold(w)
				w.ok(w.Refresh(t.Context()))
				if r := w.round(wide()); len(r.Stops) != 0 || r.Next != row.want {
					t.Errorf("released %v, next in %v, want %v", r.Stops, r.Next, row.want)
				}
			})
		})
	}
}

// Of a project that is held one probe goes out at a time: a step that is due, looks
// first, or any other call. If its worker dies, there is another.
func TestOneProbeAtATime(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		ids := w.open("b", 3)
		w.follow(ids[2], w.lookAfter(0))
		if _, err := w.Recover(t.Context(), project, []ledger.Member{w.get(ids[0]).Member(), w.get(ids[1]).Member()}, func(int) bool { return true }); err != nil {
			t.Fatal(err)
		}
		for range OutageAfter {
			w.report(w.call("x"), answer(jobs.KindUnavailable))
		}
		if r := w.round(wide()); len(r.Stops)+len(r.Polls) != 0 || r.Next != outageProbe {
			t.Errorf("round %+v, want a probe in %v", r, outageProbe)
		}
		w.advance(outageProbe)
		if r := w.round(wide()); len(r.Stops) != 0 || len(r.Polls) != 1 || r.Probe {
			t.Errorf("round %+v, want one look", r)
		}
		if r := w.round(wide()); len(r.Stops)+len(r.Polls) != 0 || r.Probe || r.Next != 35*time.Second {
			t.Errorf("round %+v, want nothing for as long as a call may take", r)
		}
		w.advance(35 * time.Second)
		if r := w.round(wide()); len(r.Stops) != 1 || len(r.Polls) != 0 || r.Probe {
			t.Errorf("round %+v, want one stop call", r)
		}
		w.advance(35 * time.Second)
		if r := w.round(wide()); len(r.Stops) != 1 {
			t.Errorf("round %+v, want the other one", r)
		}
		w.advance(35 * time.Second)
		if r := w.round(wide()); len(r.Stops)+len(r.Polls) != 0 || !r.Probe {
			t.Errorf("round %+v, want a probe of no stop", r)
		}
	})
}

// Stops whose time is up and steps that are silent are found, a hundred at a time,
// and for a while not again.
func TestLateAndSilent(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.open("b", 220)
		need := wide()
		need.Silence = 5 * time.Second
		w.round(need)
		w.advance(5 * time.Second)
		var silent, late int
		for _, want := range []int{100, 100, 20, 0} {
			r := w.round(need)
			if silent += len(r.Silent); len(r.Silent) != want || len(r.Late) != 0 {
				t.Errorf("%d silent and %d late, want %d and none", len(r.Silent), len(r.Late), want)
			}
		}
		w.advance(2 * time.Second)
		if r := w.round(need); len(r.Silent) != 100 {
			t.Errorf("%d are silent two seconds later, want 100", len(r.Silent))
		}
		w.advance(time.Hour)
		for _, want := range []int{100, 100, 20, 0} {
			r := w.round(need)
			if late += len(r.Late); len(r.Late) != want {
				t.Errorf("%d late, want %d", len(r.Late), want)
			}
		}
		if silent != 220 || late != 220 {
			t.Errorf("%d silent and %d late in all, want 220", silent, late)
		}
		w.advance(10 * time.Second)
		if r := w.round(need); len(r.Late) != 100 {
			t.Errorf("%d are late ten seconds later, want 100", len(r.Late))
		}
	})
}

// What ended outside of a worker is to be counted.
func TestCount(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		id := w.open("b", 1)[0]
		if r := w.round(Need{}); r.Count {
			t.Error("there is something to count before anything has ended")
		}
		if _, err := w.ledger.Withdraw(t.Context(), project, id, "b", ""); err != nil {
			t.Fatal(err)
		}
		if r := w.round(Need{}); !r.Count || r.Next >= 0 {
			t.Errorf("round %+v, want it to count and nothing else", r)
		}
	})
}

// A stop that waits or is watched gets a look when its time is up; one at work or
// that has ended does not.
func TestHasten(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		ids := w.open("b", 4)
		w.follow(ids[0], w.lookAfter(time.Hour))
		w.follow(ids[1], w.watch())
		w.claim(ids[2])
		ended := w.claim(ids[3]).Stop
		_, err := w.ledger.Finish(t.Context(), ended, ledger.Gone, "", 0)
		w.ok(err)
		deadline := w.get(ids[0]).Deadline
		w.advance(time.Hour)
		r := w.round(Need{Silence: time.Hour})
		if len(r.Late) != 3 {
			t.Errorf("late %v, want the three in flight", r.Late)
		}
		all := []*ledger.Stop{w.get(ids[0]), w.get(ids[1]), w.get(ids[2]), ended, {ID: "lost", JobID: "x", Hop: 1}}
		w.ok(w.rdb.ZAdd(t.Context(), keys.Latest(), zAt("lost", w.now()), zAt(ids[3], w.now())).Err())
		w.ok(w.Hasten(t.Context(), project, all))
		for i, want := range []string{"look", "look", "released"} {
			if got := w.place(ids[i]); got != want {
				t.Errorf("stop %d is in %s, want %s", i, got, want)
			}
		}
		if s := w.get(ids[1]); s.Kind != ledger.KindPoll || s.Hop != 3 {
			t.Errorf("the watched one is %+v", s)
		}
		if r := w.round(wide()); len(r.Polls) != 2 {
			t.Errorf("looks at %v, want two", r.Polls)
		}
		latest := w.rdb.ZRangeWithScores(t.Context(), keys.Latest(), 0, -1).Val()
		if len(latest) != 3 {
			t.Errorf("looked after are %v, want the three in flight", latest)
		}
		if got := w.rdb.ZScore(t.Context(), keys.Latest(), ids[0]).Val(); int64(got) != deadline.Add(LastLook).UnixMilli() {
			t.Errorf("looked after again at %v, want %v after the deadline", int64(got), LastLook)
		}
	})
}

// A stop call that is to be repeated becomes a look when it is held back or its stop's time
// is up. While it only waits for its turn, it is looked after again.
func TestLookInstead(t *testing.T) {
	for name, c := range map[string]struct {
		paused, unsent bool
		lane           string // if it is not an ordinary one
		due, after     time.Duration
		want           string
	}{
		"paused":                   {paused: true, after: time.Minute, want: "look"},
		"paused, due later":        {paused: true, due: time.Hour / 2, after: time.Minute, want: "small"},
		"paused, none went out":    {paused: true, unsent: true, after: time.Minute, want: "small"},
		"paused, at its deadline":  {paused: true, after: time.Hour, want: "look"},
		"waits for its turn":       {after: time.Minute, want: "small"},
		"its turn never came":      {after: time.Hour, want: "look"},
		"limited":                  {lane: "limited", after: time.Minute, want: "look"},
		"of a batch that is held":  {lane: "held", after: time.Minute, want: "look"},
		"limited, at its deadline": {lane: "limited", after: time.Hour, want: "look"},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				id := w.open("b", 1)[0]
				s := w.claim(id).Stop
				s.Unsure = !c.unsent
				if c.lane != "" {
					w.ok(w.rdb.HSet(t.Context(), keys.Stop(id), "lane", c.lane).Err())
				}
				w.move(s, ledger.Step{Kind: ledger.KindStop, Due: w.now().Add(c.due), Latest: w.now().Add(time.Minute)})
				if c.paused {
					_, err := w.Pause(t.Context(), project, "me", "")
					w.ok(err)
				}
				w.advance(c.after)
				w.lookAfterLate()
				got := w.get(id)
				if at := w.place(id); at != c.want || (at == "look") != (got.Kind == ledger.KindPoll) || (at == "look") != got.Instead {
					t.Errorf("it is in %s as %+v, want it in %s", at, got, c.want)
				}
				again := w.rdb.ZScore(t.Context(), keys.Latest(), id).Val()
				if limit := w.now().Add(LookInstead); c.want != "look" && !c.unsent && int64(again) != limit.UnixMilli() {
					t.Errorf("looked after again at %v, want %v", int64(again), limit.UnixMilli())
				}
				if r := w.round(wide()); c.want == "look" && len(r.Polls) != 1 {
					t.Errorf("round %+v, want the look", r)
				}
			})
		})
	}
}

// Where room is for one step at a time, looks have a fifth of it as long as stops wait, too.
func TestLooksHaveRoom(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.fill(keys.Large(), 100)
		for i := range 100 {
			w.rdb.ZAdd(t.Context(), keys.Look(), redis.Z{Score: 1, Member: fmt.Sprintf("look%d:2:%d", i, i)})
		}
		need, stops, looks := wide(), 0, 0
		for n := range 50 {
			need.Room = n + 1
			r := w.round(need)
			stops, looks = stops+len(r.Stops), looks+len(r.Polls)
		}
		if stops != 40 || looks != 10 {
			t.Errorf("%d stops and %d looks were released, want 40 and 10", stops, looks)
		}
	})
}

// While small asks and large ones have work, the large ones get a fifth, whatever the rate.
func TestLargeBesideSmallAtARate(t *testing.T) {
	for _, lanes := range [][]string{{"small", "large"}, {"limited", "large"}, {"small", "limited", "large"}} {
		rate := 50.0
		t.Run(fmt.Sprint(lanes), func(t *testing.T) {
			w := onRedis(t, Config{Rate: rate, Window: func() int { return 1 << 20 }})
			for _, lane := range lanes {
				set := map[string]string{"small": keys.Small(), "limited": keys.Limited(), "large": keys.Large()}[lane]
				w.crowded(set, 7000, w.now(), lane+"%016d:1:%d")
			}
			n, large, need := 0, 0, wide()
			need.Room = 1 << 30
			for end := w.now().Add(30 * time.Second); w.now().Before(end); {
				r := w.round(need)
				for _, m := range r.Stops {
					if n++; strings.HasPrefix(m.StopID, "large") {
						large++
					}
				}
				w.advance(max(r.Next, 5*time.Millisecond))
			}
			if share := float64(large) / float64(n); share < 0.08 {
				t.Errorf("%d of %d stops are of large asks, want a fair share", large, n)
			}
		})
	}
}
