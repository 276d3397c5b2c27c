package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
)

// walk is one random run: the real thing beside the model.
type walk struct {
	*world
	m    *model
	held []*ledger.Stop // what workers have claimed, and perhaps lost since
}

// Few jobs and batches make collisions frequent.
var (
	someJobs    = []string{"1", "2", "3", "4"}
	someBatches = []string{"a", "b", "c"}
)

// TestModel runs random interleavings of calls, some by workers that hold a stop
// as it was a while ago, and compares each answer, all counts and all sets with
// the model.
func TestModel(t *testing.T) {
	server := redistest.Start(t)
	limited, admin := server.Limited(t), server.Client(t)
	rapid.Check(t, func(t *rapid.T) {
		if err := admin.FlushAll(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		w := &walk{world: newWorld(limited, admin), m: newModel()}
		w.release = release.New(limited, "worker-1", w.now, release.Config{Window: func() int { return w.m.window }})
		w.m.now = msOf(w.now())
		t.Repeat(map[string]func(*rapid.T){
			"open": w.open, "withdraw": w.withdraw, "release": w.releaseDue, "claim": w.claim, "claim again": w.claim, "take": w.take,
			"advance": w.advance, "advance too": w.advance, "finish": w.finish, "recover": w.recover, "hasten": w.hasten, "pause": w.pause,
			"hold": w.hold, "allow": w.allow,
			"pass": func(t *rapid.T) {
				w.world.advance(time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms")) * time.Millisecond)
				w.m.now = msOf(w.now())
			},
			"": w.compare,
		})
	})
}

// some draws a stop, in flight or not.
func (w *walk) some(t *rapid.T) *modelStop {
	var all []*modelStop
	for _, b := range someBatches {
		for _, j := range someJobs {
			if s := w.m.stops[ledger.StopID(b, project, j)]; s != nil {
				all = append(all, s)
			}
		}
	}
	if len(all) == 0 {
		t.Skip("no stop yet")
	}
	return rapid.SampledFrom(all).Draw(t, "stop")
}

func (w *walk) open(t *rapid.T) {
	batch := rapid.SampledFrom(someBatches).Draw(t, "batch")
	jobs := rapid.SliceOfNDistinct(rapid.SampledFrom(someJobs), 1, 4, rapid.ID).Draw(t, "jobs")
	due := w.now().Add(time.Duration(rapid.SampledFrom([]int{0, 2, 60, 3600}).Draw(t, "due")) * time.Second)
	deadline := due.Add(time.Duration(rapid.SampledFrom([]int{1, 100, 7200}).Draw(t, "deadline")) * time.Second)
	confirmed := rapid.Bool().Draw(t, "confirmed")
	var asks []ledger.Ask
	for _, j := range jobs {
		asks = append(asks, ledger.Ask{JobID: j, Due: due, Deadline: deadline, Confirmed: confirmed})
	}
	got, err := w.ledger.Open(t.Context(), project, batch, asks)
	if want := w.m.open(batch, jobs, msOf(due), msOf(deadline), confirmed); err != nil || !slices.Equal(got, want) {
		t.Fatalf("open: %v, %v, want %v", got, err, want)
	}
}

// hold has a batch held that states that it is over a limit.
func (w *walk) hold(t *rapid.T) {
	batch := rapid.SampledFrom(someBatches).Draw(t, "batch")
	if err := w.ledger.StateSize(t.Context(), project, batch, 100, "it is too large"); err != nil {
		t.Fatal(err)
	}
	w.m.held[batch] = true
}

func (w *walk) allow(t *rapid.T) {
	batch, n := rapid.SampledFrom(someBatches).Draw(t, "batch"), rapid.IntRange(1, 3).Draw(t, "how many")
	stops, _, err := w.ledger.BatchStops(t.Context(), project, batch, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var jobs []string
	for _, s := range stops {
		jobs = append(jobs, s.JobID)
	}
	want := w.m.allow(batch, jobs, n)
	if got, err := w.ledger.Confirm(t.Context(), project, batch, n); got != want || err != nil {
		t.Fatalf("allowed %d of batch %s, %v, want %d", got, batch, err, want)
	}
}

func (w *walk) withdraw(t *rapid.T) {
	batch, job := rapid.SampledFrom(someBatches).Draw(t, "batch"), rapid.SampledFrom(someJobs).Draw(t, "job")
	id := w.m.serves[batch][job]
	want := w.m.withdraw(batch, job)
	if got, err := w.ledger.Withdraw(t.Context(), project, id, batch, "why"); got != want || err != nil {
		t.Fatalf("withdraw %s of %s: %q, %v, want %q", job, batch, got, err, want)
	}
}

func (w *walk) releaseDue(t *rapid.T) {
	r, err := w.release.Round(t.Context(), project, release.Need{Room: 1000, Most: 250, Unlisted: time.Hour, Unwatched: time.Hour, Silence: time.Hour})
	stops, polls := w.m.release()
	if err != nil || len(r.Stops) != stops || len(r.Polls) != polls {
		t.Fatalf("released %v and %v, %v; want %d and %d", r.Stops, r.Polls, err, stops, polls)
	}
}

func (w *walk) claim(t *rapid.T) {
	s := w.some(t)
	hop, kind := max(1, s.hop-rapid.IntRange(0, 3).Draw(t, "behind")/3), s.kind
	if kind == ledger.KindWatch {
		kind = ledger.KindPoll
	}
	attempt := w.release.NewClaim(project, ledger.Member{StopID: s.id, Hop: hop, JobID: s.job}, kind)
	claimed, held := w.m.claim(s, hop, kind)
	for range 1 + rapid.IntRange(0, 1).Draw(t, "repeated") { // a client that has lost the answer gets it again
		c, err := attempt.Do()
		if err != nil || (c.Stop != nil) != claimed || c.Held != held {
			t.Fatalf("claim %s at hop %d: %+v, %v; want claimed %t, held %t", s.id, hop, c, err, claimed, held)
		}
		if !claimed {
			return
		}
		if marked := !c.Stop.Marked.IsZero(); c.Stop.Unsure != s.unsure || s.calling == hop && !marked {
			t.Fatalf("claimed %+v, want %+v", c.Stop, s)
		}
		w.held = append(w.held, c.Stop)
	}
}

func (w *walk) take(t *rapid.T) {
	s := w.some(t)
	taken, err := w.release.Take(t.Context(), project, []ledger.Member{{StopID: s.id, JobID: s.job, Hop: s.hop}})
	if want := w.m.take(s); err != nil || (len(taken) == 1) != want {
		t.Fatalf("take %s: %v, %v, want %t", s.id, taken, err, want)
	}
	for _, c := range taken {
		w.held = append(w.held, c.Stop)
	}
}

// one draws a stop as a worker has claimed it.
func (w *walk) one(t *rapid.T) (*ledger.Stop, *modelStop) {
	if len(w.held) == 0 {
		t.Skip("nothing is claimed")
	}
	s := *w.held[len(w.held)-1-rapid.IntRange(0, min(3, len(w.held)-1)).Draw(t, "claimed")]
	return &s, w.m.stops[s.ID]
}

func (w *walk) advance(t *rapid.T) {
	s, want := w.one(t)
	to := ledger.Step{Kind: rapid.SampledFrom([]ledger.Kind{ledger.KindStop, ledger.KindPoll}).Draw(t, "kind"),
		Due: w.now().Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "after")) * time.Millisecond)}
	if rapid.Bool().Draw(t, "accepted") {
		s.State = ledger.Stopping
	}
	if to.Kind == ledger.KindPoll && s.State == ledger.Stopping {
		to.WatchFrom, to.Latest = rapid.IntRange(0, 2).Draw(t, "watched from"), w.now().Add(time.Minute)
	}
	s.Unsure = s.Unsure || rapid.IntRange(0, 5).Draw(t, "unsure") == 0
	hop := s.Hop
	moved, err := w.ledger.Advance(t.Context(), s, to)
	may := w.m.advance(want, hop, s.State, to.Kind, msOf(to.Due), to.WatchFrom)
	if err != nil || moved != may || moved && (s.Kind != want.kind || s.Hop != want.hop) {
		t.Fatalf("advance: %t, %v to %+v; want %t to %+v", moved, err, s, may, want)
	}
	if moved {
		want.unsure = want.unsure || s.Unsure
	}
}

func (w *walk) finish(t *rapid.T) {
	s, want := w.one(t)
	outcome := rapid.SampledFrom(ledger.Outcomes()).Draw(t, "outcome")
	may := !want.state.Ended() && want.hop == s.Hop
	moved, err := w.ledger.Finish(t.Context(), s, outcome, "why", 0)
	if errors.Is(err, ledger.ErrWishesChanged) && may && (outcome == ledger.Expired || outcome == ledger.Canceled) {
		// It was asked for, or withdrawn, since it was claimed. Now it is as read.
		moved, err = w.ledger.Finish(t.Context(), s, outcome, "why", 0)
	}
	if err != nil || moved != may {
		t.Fatalf("finish %+v: %v, %v; want %v", s, moved, err, may)
	}
	if may {
		w.m.end(want, outcome)
	}
}

func (w *walk) recover(t *rapid.T) {
	s := w.some(t)
	hop, lost := max(1, s.hop-rapid.IntRange(0, 3).Draw(t, "behind")/3), rapid.IntRange(0, 2).Draw(t, "lost") > 0
	step := ledger.Member{StopID: s.id, Hop: hop, JobID: s.job}
	taken, err := w.release.Recover(t.Context(), project, []ledger.Member{step}, func(int) bool { return lost })
	want := lost && w.m.recover(s, hop)
	if err != nil || slices.Contains(taken, step) != want {
		t.Fatalf("recover %s: %v, %v, want %t", s.id, taken, err, want)
	}
}

func (w *walk) hasten(t *rapid.T) {
	s := w.some(t)
	if err := w.release.Hasten(t.Context(), project, []*ledger.Stop{{ID: s.id, JobID: s.job, Hop: s.hop}}); err != nil {
		t.Fatal(err)
	}
	w.m.hasten(s)
}

func (w *walk) pause(t *rapid.T) {
	var err error
	if w.m.paused {
		_, err = w.release.Resume(t.Context(), project)
	} else {
		_, err = w.release.Pause(t.Context(), project, "me", "")
	}
	if w.m.paused = !w.m.paused; err != nil {
		t.Fatal(err)
	}
}

// compare holds every set and every count in Redis against the model. A stop in
// flight is in exactly one of the seven sets.
func (w *walk) compare(t *rapid.T) {
	waiting := []string{inSmall, inLarge, inLimited, inHeld, inLook}
	var got, want []string
	for name, key := range map[string]string{
		inSmall: keys.Small(), inLarge: keys.Large(), inLimited: keys.Limited(), inHeld: keys.Held(), inLook: keys.Look(), inReleased: keys.Released(), inWatched: keys.Watched(),
		"latest": keys.Latest(), "pending": keys.In(ledger.Pending), "stopping": keys.In(ledger.Stopping),
	} {
		for _, z := range w.rdb.ZRangeWithScores(t.Context(), key, 0, -1).Val() {
			line := fmt.Sprint(name, " ", z.Member)
			if slices.Contains(waiting, name) {
				line += fmt.Sprintf(" %.3f", z.Score)
			}
			got = append(got, line)
		}
	}
	for _, s := range w.m.inFlight() {
		member := ledger.Member{StopID: s.id, Hop: s.hop, JobID: s.job}.String()
		switch s.place {
		case inSmall, inLarge, inLimited, inHeld, inLook:
			member += fmt.Sprintf(" %.3f", s.waits)
		case inWatched:
			member = s.job
		}
		want = append(want, s.place+" "+member, "latest "+s.id, string(s.state)+" "+s.id)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("the sets hold\n%q, want\n%q", got, want)
	}
	if active := w.rdb.HGetAll(t.Context(), keys.Active()).Val(); fmt.Sprint(active) != fmt.Sprint(w.m.active) {
		t.Fatalf("active %v, want %v", active, w.m.active)
	}
	w.compareRecords(t)
}

func (w *walk) compareRecords(t *rapid.T) {
	for id, want := range w.m.stops {
		s, err := w.ledger.Get(t.Context(), project, id)
		if err != nil || s.State != want.state || s.Hop != want.hop || len(s.Wishes) != len(want.wishes) {
			t.Fatalf("stop %+v, %v, want %+v", s, err, want)
		}
		if !s.State.Ended() && (msOf(s.Due) != want.due || msOf(s.Deadline) != want.deadline || s.Kind != want.kind || s.Unsure != want.unsure ||
			(s.Withdrawn != "") != want.withdrawn) {
			t.Fatalf("stop %+v, want %+v", s, want)
		}
	}
	for batch := range w.m.serves {
		counts, total, joined := w.m.counts(batch)
		b, err := w.ledger.Batch(t.Context(), project, batch)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fmt.Sprint(b.Total, b.Joined, b.Counts), fmt.Sprint(total, joined, counts); got != want {
			t.Fatalf("batch %s: %s, want %s", batch, got, want)
		}
		if stops, _, err := w.ledger.BatchStops(t.Context(), project, batch, 0, 100); err != nil || len(stops) != total {
			t.Fatalf("batch %s lists %d stops, %v; want %d", batch, len(stops), err, total)
		}
		if inFlight := b.InFlight() > 0; inFlight == !b.Ended.IsZero() {
			t.Fatalf("batch %+v: in flight %t, ended %v", b, inFlight, b.Ended)
		}
	}
}
