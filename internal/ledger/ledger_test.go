package ledger

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/redistest"
)

const project = "0123456789abcdef0123456789abcdef"

// clock is a time that only a test moves.
type clock struct{ t time.Time }

func newClock() *clock                   { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }
func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

// eachRedis runs test on a real redis-server and on the embedded one. The ledger
// may only do what the access list allows, the test's own rdb everything.
func eachRedis(t *testing.T, test func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock)) {
	run := func(name string, clients func(t *testing.T) (limited, admin *redis.Client)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newClock()
			limited, admin := clients(t)
			test(t, New(limited, Config{Now: c.now}), admin, c)
		})
	}
	run("redis-server", func(t *testing.T) (limited, admin *redis.Client) {
		s := redistest.Start(t)
		return s.Limited(t), s.Client(t)
	})
	run("embedded", func(t *testing.T) (limited, admin *redis.Client) {
		rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		t.Cleanup(func() { rdb.Close() })
		return rdb, rdb
	})
}

func mustOpen(t *testing.T, l *Ledger, c *clock, batch string, jobs ...string) []Opening {
	t.Helper()
	var asks []Ask
	for _, j := range jobs {
		asks = append(asks, Ask{JobID: j, Deadline: c.now().Add(time.Hour)})
	}
	openings, err := l.Open(t.Context(), project, batch, asks)
	if err != nil {
		t.Fatal(err)
	}
	return openings
}

func results(openings []Opening) []Result {
	var rs []Result
	for _, o := range openings {
		rs = append(rs, o.Result)
	}
	return rs
}

func mustClaim(t *testing.T, l *Ledger, id string, hop int, kind Kind) *Stop {
	t.Helper()
	s, err := l.Claim(t.Context(), project, id, hop, kind)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// must fails the test unless a move was made.
func must(t *testing.T) func(bool, error) {
	return func(moved bool, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if !moved {
			t.Fatal("not moved")
		}
	}
}

func TestLifeOfAStop(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		asked := c.now()
		id := mustOpen(t, l, c, "b1", "10")[0].StopID

		c.advance(time.Second)
		s := mustClaim(t, l, id, 1, KindStop)
		s.Called, s.Calls = c.now(), 1
		s.State, s.Accepted, s.RequestID = Stopping, c.now(), "req-1"
		must(t)(l.Advance(t.Context(), s, KindPoll, c.now().Add(5*time.Second)))

		c.advance(5 * time.Second)
		s = mustClaim(t, l, id, 2, KindPoll)
		if s.State != Stopping || !s.Accepted.Equal(asked.Add(time.Second)) || s.RequestID != "req-1" || s.Status != NoStatus {
			t.Errorf("claimed %+v", s)
		}
		s.Polls, s.Status = 1, 12
		must(t)(l.Finish(t.Context(), s, Stopped, "status 12", 0))

		got, err := l.Get(t.Context(), project, id)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != Stopped || got.Status != 12 || got.Polls != 1 || !got.Ended.Equal(c.now()) || !got.Due.Equal(asked) {
			t.Errorf("ended as %+v", got)
		}
		b, err := l.Batch(t.Context(), project, "b1")
		if err != nil {
			t.Fatal(err)
		}
		if b.Total != 1 || b.Counts[Stopped] != 1 || b.InFlight() != 0 || !b.Ended.Equal(c.now()) {
			t.Errorf("batch %+v", b)
		}
		k := keys(project)
		for _, key := range []string{k.stop(id), k.batch("b1"), k.stops("b1")} {
			if ttl := rdb.TTL(t.Context(), key).Val(); ttl <= DefaultRetention-time.Minute || ttl > DefaultRetention {
				t.Errorf("%s is kept for %v, want %v", key, ttl, DefaultRetention)
			}
		}
	})
}

func TestOneActiveStopPerJob(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		first := mustOpen(t, l, c, "b1", "10", "11")
		second := mustOpen(t, l, c, "b2", "10", "12")
		if want := []Result{Joined, Opened}; !slices.Equal(results(second), want) {
			t.Fatalf("got %v, want %v", results(second), want)
		}
		if second[0].StopID != first[0].StopID {
			t.Errorf("joined %s, want %s", second[0].StopID, first[0].StopID)
		}
		joined, err := l.BatchJoined(t.Context(), project, "b2")
		if err != nil || len(joined) != 1 || joined[0].ID != first[0].StopID {
			t.Errorf("joined stops %v, %v", joined, err)
		}

		must(t)(l.Finish(t.Context(), mustClaim(t, l, first[0].StopID, 1, KindStop), Gone, "", 0))
		if third := mustOpen(t, l, c, "b3", "10"); third[0].Result != Opened {
			t.Errorf("after the end: %v, want a new stop", third[0].Result)
		}
	})
}

func TestAskingTwiceForOneBatchDoublesNothing(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		first := mustOpen(t, l, c, "b1", "10", "11", "12")
		s := mustClaim(t, l, first[1].StopID, 1, KindStop)
		must(t)(l.Advance(t.Context(), s, KindStop, c.now()))
		s = mustClaim(t, l, first[2].StopID, 1, KindStop)
		must(t)(l.Finish(t.Context(), s, Gone, "", 0))

		again := mustOpen(t, l, c, "b1", "10", "11", "12", "13")
		if want := []Result{Waiting, Known, Known, Opened}; !slices.Equal(results(again), want) {
			t.Errorf("got %v, want %v", results(again), want)
		}
		if b, err := l.Batch(t.Context(), project, "b1"); err != nil || b.Total != 4 {
			t.Errorf("batch %+v, %v", b, err)
		}
	})
}

func TestFencing(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		id := mustOpen(t, l, c, "b1", "10")[0].StopID
		one, other := mustClaim(t, l, id, 1, KindStop), mustClaim(t, l, id, 1, KindStop)
		if one.Unsure || !other.Unsure {
			t.Errorf("unsure: first %v, second %v; want false, true", one.Unsure, other.Unsure)
		}
		must(t)(l.Advance(t.Context(), one, KindPoll, c.now()))
		if moved, err := l.Advance(t.Context(), other, KindPoll, c.now()); moved || err != nil {
			t.Errorf("second advance: %v, %v", moved, err)
		}
		if moved, err := l.Finish(t.Context(), other, Stopped, "", 0); moved || err != nil {
			t.Errorf("finish from a passed hop: %v, %v", moved, err)
		}
		other = mustClaim(t, l, id, 2, KindPoll)
		must(t)(l.Finish(t.Context(), one, Stopped, "", 0))
		if moved, err := l.Finish(t.Context(), other, Expired, "", 0); moved || err != nil {
			t.Errorf("second end: %v, %v", moved, err)
		}
		if s, err := l.Get(t.Context(), project, id); err != nil || s.State != Stopped {
			t.Errorf("state %v, %v", s, err)
		}
	})
}

// A worker that claimed the stop call may have made it: if its task is then
// lost, whoever comes next must know.
func TestReplaceKeepsACallInMind(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		openings := mustOpen(t, l, c, "b1", "called", "untouched")
		mustClaim(t, l, openings[0].StopID, 1, KindStop)
		for i, unsure := range []bool{true, false} {
			s, err := l.Get(t.Context(), project, openings[i].StopID)
			if err != nil {
				t.Fatal(err)
			}
			must(t)(l.Replace(t.Context(), s, c.now()))
			if s := mustClaim(t, l, openings[i].StopID, 2, KindStop); s.Unsure != unsure || s.Hop != 2 {
				t.Errorf("job %s: hop %d, unsure %v; want 2, %v", s.JobID, s.Hop, s.Unsure, unsure)
			}
		}
	})
}

// A client that repeats a script because the answer got lost must not be told
// that somebody else made the move.
func TestSameNonceSameAnswer(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		repeat := &repeater{}
		rdb.AddHook(repeat)
		id := mustOpen(t, l, c, "b1", "10")[0].StopID
		s := mustClaim(t, l, id, 1, KindStop)
		repeat.on = true
		must(t)(l.Advance(t.Context(), s, KindPoll, c.now()))
		must(t)(l.Finish(t.Context(), s, Stopped, "", 0))
		if b, err := l.Batch(t.Context(), project, "b1"); err != nil || b.Counts[Stopped] != 1 || b.Total != 1 {
			t.Errorf("batch %+v, %v", b, err)
		}
	})
}

// repeater sends each command twice and returns the second answer.
type repeater struct {
	redis.Hook
	on bool
}

func (r *repeater) DialHook(next redis.DialHook) redis.DialHook { return next }
func (r *repeater) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (r *repeater) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if r.on {
			if err := next(ctx, cmd); err != nil {
				return err
			}
		}
		return next(ctx, cmd)
	}
}

func TestForeignTask(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		ask := Ask{JobID: "10", Deadline: c.now().Add(time.Hour)}
		open := func() Opening {
			t.Helper()
			o, err := l.OpenForeign(t.Context(), project, "their-task", ask)
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		first, again := open(), open()
		if first.Result != Opened || again.Result != Waiting || again.StopID != first.StopID {
			t.Fatalf("first %v, again %v", first, again)
		}
		must(t)(l.Finish(t.Context(), mustClaim(t, l, first.StopID, 1, KindStop), Stopped, "", 0))
		if o := open(); o.Result != Known || o.StopID != first.StopID {
			t.Errorf("delivered again after the end: %v", o)
		}
		ttl := rdb.TTL(t.Context(), keys(project).task("their-task")).Val()
		if ttl <= 0 || ttl > pointerLife {
			t.Errorf("the pointer lives for %v, want %v", ttl, pointerLife)
		}
		rdb.Expire(t.Context(), keys(project).task("their-task"), pointerLife/2)
		open()
		if ttl := rdb.TTL(t.Context(), keys(project).task("their-task")).Val(); ttl < pointerLife-time.Minute {
			t.Errorf("seen again, the pointer lives for %v, want %v", ttl, pointerLife)
		}
		rdb.Del(t.Context(), keys(project).task("their-task"))
		if o := open(); o.Result != Opened || o.StopID == first.StopID {
			t.Errorf("same task id a day later: %v, want a new stop", o)
		}
	})
}

func TestOverdueAndLoad(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		start := c.now()
		openings := mustOpen(t, l, c, "b1", "10", "11")
		c.advance(time.Minute)
		s := mustClaim(t, l, openings[1].StopID, 1, KindStop)
		s.State = Stopping
		must(t)(l.Advance(t.Context(), s, KindPoll, c.now().Add(time.Minute)))

		overdue := func() (ids []string) {
			t.Helper()
			stops, err := l.Overdue(t.Context(), project, c.now().Add(-30*time.Second), 10)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range stops {
				ids = append(ids, s.ID)
			}
			return ids
		}
		if ids := overdue(); !slices.Equal(ids, []string{openings[0].StopID}) {
			t.Errorf("overdue %v, want only the first", ids)
		}
		first, err := l.Get(t.Context(), project, openings[0].StopID)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.PutBack(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		if ids := overdue(); len(ids) != 0 {
			t.Errorf("overdue after being put back: %v", ids)
		}
		load, err := l.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if load.Count[Pending] != 1 || load.Count[Stopping] != 1 || !load.Oldest[Stopping].Equal(start) || load.Projects[project] != 2 {
			t.Errorf("load %+v", load)
		}

		c.advance(time.Hour)
		rdb.Del(t.Context(), keys(project).stop(openings[0].StopID)) // as a Redis that evicts would
		if ids := overdue(); !slices.Equal(ids, []string{openings[1].StopID}) {
			t.Errorf("overdue %v, want only the second", ids)
		}
	})
}

func TestNotFound(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		_, err1 := l.Get(t.Context(), project, "none")
		_, err2 := l.Claim(t.Context(), project, "none", 1, KindStop)
		_, err3 := l.Batch(t.Context(), project, "none")
		_, err4 := l.BatchProjects(t.Context(), "none")
		for i, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("%d: %v, want ErrNotFound", i, err)
			}
		}
	})
}

func TestListing(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		mustOpen(t, l, c, "b1", "10", "11", "12")
		var jobs []string
		for offset := 0; ; offset += 2 {
			page, err := l.BatchStops(t.Context(), project, "b1", offset, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range page {
				jobs = append(jobs, s.JobID)
			}
			if len(page) < 2 {
				break
			}
		}
		if want := []string{"10", "11", "12"}; !slices.Equal(jobs, want) {
			t.Errorf("listed %v, want %v", jobs, want)
		}
		projects, err := l.BatchProjects(t.Context(), "b1")
		if err != nil || !slices.Equal(projects, []string{project}) {
			t.Errorf("projects %v, %v", projects, err)
		}
	})
}

func TestCancelOnlyWhatIsUnsent(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		openings := mustOpen(t, l, c, "b1", "waiting", "calling", "unsure", "accepted", "retrying")
		get := func(i int) *Stop {
			t.Helper()
			s, err := l.Get(t.Context(), project, openings[i].StopID)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		mustClaim(t, l, openings[1].StopID, 1, KindStop)
		for i, change := range map[int]func(*Stop){
			2: func(s *Stop) { s.Unsure = true },
			3: func(s *Stop) { s.State = Stopping },
			4: func(s *Stop) { s.Attempts = 1 }, // a call that was clearly refused
		} {
			s := mustClaim(t, l, openings[i].StopID, 1, KindStop)
			change(s)
			must(t)(l.Advance(t.Context(), s, KindStop, c.now()))
		}
		for i, want := range []bool{true, false, false, false, true} {
			if moved, err := l.Cancel(t.Context(), get(i), "withdrawn"); err != nil || moved != want {
				t.Errorf("%s: canceled %v, %v; want %v", openings[i].JobID, moved, err, want)
			}
		}
		var uncounted int
		for range 2 {
			stops, err := l.Uncounted(t.Context(), project, 10)
			if err != nil {
				t.Fatal(err)
			}
			uncounted += len(stops)
		}
		if b, err := l.Batch(t.Context(), project, "b1"); err != nil || b.Counts[Canceled] != 2 || uncounted != 2 || b.InFlight() != 3 {
			t.Errorf("%d to be counted, batch %+v, %v", uncounted, b, err)
		}
	})
}

func TestStopsOfAJob(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		var want []string
		for _, batch := range []string{"b1", "b2", "b3"} {
			id := mustOpen(t, l, c, batch, "10")[0].StopID
			want = append([]string{id}, want...)
			if batch != "b3" {
				must(t)(l.Finish(t.Context(), mustClaim(t, l, id, 1, KindStop), Stopped, "", 0))
			}
		}
		stops, err := l.JobStops(t.Context(), project, "10")
		var got []string
		for _, s := range stops {
			got = append(got, s.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v; want %v", got, err, want)
		}
		if stops, err := l.JobStops(t.Context(), project, "none"); err != nil || len(stops) != 0 {
			t.Errorf("stops of an unknown job: %v, %v", stops, err)
		}
	})
}

func TestDescriptionAndLabels(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		meta := Meta{Requester: "alice", Reason: "night", Labels: map[string]string{"team": "vision"}}
		if err := l.Describe(t.Context(), project, "b1", meta); err != nil {
			t.Fatal(err)
		}
		ask := Ask{JobID: "10", Deadline: c.now().Add(time.Hour), Labels: map[string]string{"owner": "bob"}}
		openings, err := l.Open(t.Context(), project, "b1", []Ask{ask})
		if err != nil {
			t.Fatal(err)
		}
		b, err := l.Batch(t.Context(), project, "b1")
		if err != nil || b.Meta.Requester != "alice" || b.Meta.Reason != "night" || b.Meta.Labels["team"] != "vision" {
			t.Errorf("batch %+v, %v", b, err)
		}
		if ttl := rdb.TTL(t.Context(), keys(project).batch("b1")).Val(); ttl > 0 {
			t.Errorf("the batch is kept for %v only, with a stop in flight", ttl)
		}
		s := mustClaim(t, l, openings[0].StopID, 1, KindStop)
		must(t)(l.Advance(t.Context(), s, KindStop, c.now()))
		if s := mustClaim(t, l, openings[0].StopID, 2, KindStop); s.Labels["owner"] != "bob" {
			t.Errorf("labels %v", s.Labels)
		}
		ids, err := l.Batches(t.Context(), 5)
		if err != nil || !slices.Equal(ids, []string{"b1"}) {
			t.Errorf("batches %v, %v", ids, err)
		}
	})
}

// A large batch starts at a pace, and what was asked for later keeps its time.
func TestPace(t *testing.T) {
	eachRedis(t, func(t *testing.T, _ *Ledger, rdb *redis.Client, c *clock) {
		l := New(rdb, Config{Now: c.now, Pace: 4})
		late := c.now().Add(10 * time.Second)
		ask := func(batch string, jobs ...string) (after []time.Duration) {
			asks := []Ask{}
			for _, j := range jobs {
				asks = append(asks, Ask{JobID: j, Deadline: c.now().Add(time.Hour)})
			}
			asks[len(asks)-1].Due = late
			openings, err := l.Open(t.Context(), project, batch, asks)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range openings {
				after = append(after, o.First.Sub(c.now()))
			}
			return after
		}
		quarter := 250 * time.Millisecond
		want := []time.Duration{0, quarter, 2 * quarter, 10 * time.Second}
		for range 2 { // the same again finds the same
			if got := ask("b", "1", "2", "3", "4"); !slices.Equal(got, want) {
				t.Errorf("first tasks after %v, want %v", got, want)
			}
		}
		if got := ask("b", "5", "6"); !slices.Equal(got, []time.Duration{10*time.Second + quarter, 10*time.Second + 2*quarter}) {
			t.Errorf("more of the batch after %v, want it to follow", got)
		}
		if got := ask("urgent", "7", "8")[0]; got != 0 {
			t.Errorf("the first of another batch after %v, want at once", got)
		}
		s, err := l.Get(t.Context(), project, StopID("b", project, "2"))
		if err != nil || !s.Due.Equal(c.now()) || !s.Next.Equal(c.now().Add(quarter)) {
			t.Errorf("due %v, next %v, %v; want the due time asked for", s.Due, s.Next, err)
		}
	})
}
