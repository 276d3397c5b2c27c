package rounds

import (
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/fleet"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

// As long as a credential may be refused, its account gets no more looks at a time than its few
// slots can do, however many projects it has, and though dead workers fill the room of each.
func TestLooksOfADoubtedAccount(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	releaser := release.New(rdb, "worker-1", func() time.Time { return now }, release.Config{})
	l := New(Config{Release: releaser, Slots: tasks.NewSlots(10, releaser), Member: fleet.New(rdb, 10), Parallel: 10})
	looks, began := 0, time.Now()
	for p := range 30 {
		project := fmt.Sprintf("%032d", p)
		k := ledger.Keys(project)
		for i := range 100 {
			rdb.ZAdd(t.Context(), k.Released(), redis.Z{Score: float64(now.UnixMilli()), Member: fmt.Sprintf("dead%d:1:%d", i, i)})
			rdb.ZAdd(t.Context(), k.Watched(), redis.Z{Score: float64(now.Add(-time.Hour).UnixMilli()), Member: fmt.Sprint("job", i)})
		}
		rdb.HSet(t.Context(), k.Control(), "list_at", now.Add(time.Hour).UnixMilli()) // or the list would go first
		s := l.share(project, 100, 1)
		r, err := releaser.Round(t.Context(), project, release.Need{Room: s.room, Most: s.most, Inline: s.inline, Backlog: s.backlog, ListFrom: 5,
			Unlisted: time.Minute, Unwatched: time.Minute, Silence: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		l.inline.give(project, s.kept, len(r.Left))
		l.used(s, r.Given())
		looks += len(r.Left)
	}
	turns := 1 + int(time.Since(began)/doubtWait) // that the account can have had meanwhile
	if most := turns * releaser.Few(releaser.Account("")); looks == 0 || looks > most {
		t.Errorf("%d looks are given in %d turns, want some, and at most %d", looks, turns, most)
	}
}

// What a project without room has released must last its slots until its next round, also where looks (of it, or of
// another project) take much longer than its stop calls.
func TestRestOfQuickStops(t *testing.T) {
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	releaser := release.New(rdb, "worker-1", time.Now, release.Config{})
	l := New(Config{Release: releaser, Slots: tasks.NewSlots(8, releaser), Member: fleet.New(rdb, 8), Parallel: 8})
	call := release.Call{ProjectID: "quick", Step: ledger.Member{StopID: "s", Hop: 1, JobID: "1"}, At: time.Now(), Ill: true}
	if _, err := releaser.Report(t.Context(), call, nil); err != nil {
		t.Fatal(err)
	}
	const stops, looks = 20 * time.Millisecond, 400 * time.Millisecond
	for range 50 {
		slot, err := l.Slots.Acquire(t.Context(), "quick", false)
		if err != nil {
			t.Fatal(err)
		}
		slot.Answered(stops)
		if slot, err = l.Slots.Acquire(t.Context(), "slow", true); err != nil {
			t.Fatal(err)
		}
		slot.Answered(looks)
	}
	s := l.share("quick", 100, 1)
	may := l.Slots.May("quick")
	lasts := time.Duration(s.room) * stops / time.Duration(may)
	if s.rest > lasts {
		t.Errorf("the next round is due in %v, what is released lasts for %v: at most %.0f calls a second in place of %.0f",
			s.rest, lasts, float64(s.room)/s.rest.Seconds(), float64(may)/stops.Seconds())
	}
}

// A worker takes as many looks ahead as its slots get done in a moment, but no fewer than a few,
// and no more than a dead one may take with it.
func TestLooksAhead(t *testing.T) {
	for _, c := range []struct {
		lookTime time.Duration
		want     int
	}{
		{0, 16}, // nobody knows yet
		{time.Microsecond, 128},
		{20 * time.Millisecond, 128},
		{80 * time.Millisecond, 32},
		{160 * time.Millisecond, 16},
		{30 * time.Second, 16},
	} {
		if got := looksAhead(64, c.lookTime); got != c.want {
			t.Errorf("%d looks of %v are taken ahead, want %d", got, c.lookTime, c.want)
		}
	}
}

// A project may have so many looks of its own, and all together so many.
func TestInline(t *testing.T) {
	var i inline
	expect := func(project string, want int, all bool) {
		t.Helper()
		got, busy, full := i.keep(project, 80, 60, 1)
		if got != want || busy != all || full {
			t.Errorf("%s may have %d more, busy %t, full %t, want %d, %t, false", project, got, busy, full, want, all)
		}
		i.give(project, got, 0)
	}
	expect("a", 60, false)
	i.give("a", 0, 60)
	expect("a", 0, false)
	expect("b", 20, false)
	i.give("b", 0, 20)
	expect("b", 0, true)
	i.end("a", 10)
	expect("a", 10, false)
	expect("b", 10, false)
	i.end("a", 50)
	i.give("b", 0, 70) // it could once have more
	expect("b", 0, true)
	expect("a", 0, true)
	i.end("b", 90)
	if len(i.of) > 0 || i.all != 0 || i.kept != 0 {
		t.Errorf("%v, %d in all, %d kept, want none", i.of, i.all, i.kept)
	}
}

// Rounds at the same time share the looks that are free, and find no worker busy that is not, also if one of them
// hangs.
func TestInlineOfRoundsAtOnce(t *testing.T) {
	var i inline
	expect := func(what, project string, rounds, want int, kept bool) {
		t.Helper()
		if got, busy, full := i.keep(project, 64, 60, rounds); got != want || busy || full != kept {
			t.Errorf("%s: %d looks, busy %t, full %t, want %d, false, %t", what, got, busy, full, want, kept)
		}
	}
	for round := range 8 {
		expect("one of eight", fmt.Sprint(round), 8, 8, false)
	}
	expect("one more, while all looks are kept and nobody is at work", "another", 8, 0, true)
	for round := range 7 {
		i.give(fmt.Sprint(round), 8, 8)
	}
	expect("all but one, which hangs and keeps the rest, are over", "another", 8, 0, true)
	i.end("0", 1)
	expect("one look has ended", "another", 1, 1, false)
}
