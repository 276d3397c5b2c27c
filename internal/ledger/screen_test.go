package ledger

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// got fails the test unless something was read.
func got[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// accepted opens a stop for each job and has its stop call accepted, up to the
// move to the next look, which is the test's.
func accepted(t *testing.T, l *Ledger, c *clock, jobs ...string) []*Stop {
	t.Helper()
	var stops []*Stop
	for _, o := range mustOpen(t, l, c, "b", jobs...) {
		s := mustClaim(t, l, o.StopID, 1, KindStop)
		s.State, s.Accepted = Stopping, c.now()
		stops = append(stops, s)
	}
	return stops
}

// followed moves stops to their next look, with a rule of least.
func followed(t *testing.T, l *Ledger, c *clock, least int, stops ...*Stop) (screenHops []int) {
	t.Helper()
	for _, s := range stops {
		moved, hop, err := l.Follow(t.Context(), s, c.now().Add(5*time.Second),
			WatchRule{Least: least, From: c.now().Add(2 * time.Second), Latest: c.now().Add(5 * time.Minute)})
		if err != nil || !moved {
			t.Fatalf("not moved: %v", err)
		}
		screenHops = append(screenHops, hop)
	}
	return screenHops
}

func watchedJobs(t *testing.T, l *Ledger) []string {
	t.Helper()
	watched, err := l.Watched(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	jobs := []string{}
	for _, w := range watched {
		jobs = append(jobs, w.JobID)
	}
	return jobs
}

func TestFollow(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		stops := accepted(t, l, c, "10", "11", "12", "13")
		hops := followed(t, l, c, 3, stops...)
		if !slices.Equal(hops, []int{0, 0, 1, 0}) {
			t.Errorf("screen tasks of hops %v, want one of hop 1 with the third stop", hops)
		}
		if stops[1].Kind != KindPoll || stops[2].Kind != KindWatch {
			t.Errorf("the second is followed by %s, the third by %s", stops[1].Kind, stops[2].Kind)
		}
		if jobs := watchedJobs(t, l); !slices.Equal(jobs, []string{"12", "13"}) {
			t.Errorf("watched: %v", jobs)
		}
		if s := got[*Stop](t)(l.Get(t.Context(), project, stops[2].ID)); s.Kind != KindWatch || !s.Next.Equal(c.now().Add(5*time.Minute)) {
			t.Errorf("in the ledger: %s until %v", s.Kind, s.Next)
		}
		found := got[[]*Stop](t)(l.WatchedStops(t.Context(), project, []string{"12", "10", "99"}))
		if len(found) != 1 || found[0].JobID != "12" {
			t.Errorf("found %v", found)
		}

		// Whoever moves a watched stop ends its watch.
		must(t)(l.Advance(t.Context(), stops[2], KindPoll, c.now()))
		must(t)(l.Finish(t.Context(), stops[3], Stopped, "", 3*time.Second))
		if jobs := watchedJobs(t, l); len(jobs) != 0 {
			t.Errorf("still watched: %v", jobs)
		}
		if times := got[[]time.Duration](t)(l.StopTimes(t.Context(), project)); !slices.Equal(times, []time.Duration{3 * time.Second}) {
			t.Errorf("stop times: %v", times)
		}
	})
}

func TestScreenHops(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		stops := accepted(t, l, c, "10", "11")
		followed(t, l, c, 1, stops[0])
		s := got[*Screen](t)(l.Screen(t.Context(), project))
		if !s.On || s.Hop != 1 || !s.Due.Equal(c.now().Add(2*time.Second)) {
			t.Fatalf("screen %+v", s)
		}
		other := *s
		s.Looked, s.Left = c.now(), 7
		if moved, err := l.AdvanceScreen(t.Context(), s, c.now().Add(time.Second)); err != nil || !moved || !s.On || s.Hop != 2 {
			t.Fatalf("moved %v to %+v, %v", moved, s, err)
		}
		if moved, err := l.AdvanceScreen(t.Context(), &other, c.now()); err != nil || moved {
			t.Errorf("a second worker moved the same hop: %v, %v", moved, err)
		}
		if err := l.ScreenWrong(t.Context(), project); err != nil {
			t.Fatal(err)
		}
		s = got[*Screen](t)(l.Screen(t.Context(), project))
		if s.Left != 7 || s.Wrong != 1 || !s.Looked.Equal(c.now()) {
			t.Errorf("screen %+v", s)
		}

		// With nothing left to watch it ends, and begins again with another task id.
		must(t)(l.Finish(t.Context(), stops[0], Stopped, "", 0))
		if moved, err := l.AdvanceScreen(t.Context(), s, c.now()); err != nil || !moved || s.On {
			t.Errorf("moved %v to %+v, %v; want an end", moved, s, err)
		}
		if hops := followed(t, l, c, 1, stops[1]); hops[0] != 4 {
			t.Errorf("the next screen has hop %d, want 4", hops[0])
		}
	})
}

func TestARestingListIsNotWatched(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		stops := accepted(t, l, c, "10", "11", "12")
		followed(t, l, c, 1, stops[0])
		s := got[*Screen](t)(l.Screen(t.Context(), project))
		s.Rest(c.now().Add(time.Minute))
		must(t)(l.AdvanceScreen(t.Context(), s, c.now()))
		if followed(t, l, c, 1, stops[1]); stops[1].Kind != KindPoll {
			t.Errorf("followed by %s while the list rests", stops[1].Kind)
		}
		c.advance(time.Minute)
		if followed(t, l, c, 1, stops[2]); stops[2].Kind != KindWatch {
			t.Errorf("followed by %s after the rest", stops[2].Kind)
		}
	})
}

// Old times make room for new ones.
func TestStopTimesAreBounded(t *testing.T) {
	eachRedis(t, func(t *testing.T, l *Ledger, rdb *redis.Client, c *clock) {
		for range keptTimes + 10 {
			s := accepted(t, l, c, "10")[0]
			must(t)(l.Finish(t.Context(), s, Stopped, "", time.Second))
			if err := rdb.Del(t.Context(), keys(project).stop(s.ID)).Err(); err != nil { // so that it can be asked for again
				t.Fatal(err)
			}
		}
		if n := len(got[[]time.Duration](t)(l.StopTimes(t.Context(), project))); n != keptTimes {
			t.Errorf("%d times are kept, want %d", n, keptTimes)
		}
	})
}
