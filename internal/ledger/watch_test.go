package ledger_test

import (
	"testing"
	"time"

	"vizstop/internal/ledger"
	"vizstop/internal/release"
)

// A job is watched from so many stopping jobs on, unless the list check rests.
func TestWatchedFromAThreshold(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ids := w.opened(t, "b1", "1", "2", "3", "4", "5")
		latest := w.now().Add(2 * time.Minute)
		accept := func(id string, from int) *ledger.Stop {
			s := w.claim(t, id)
			s.State = ledger.Stopping
			w.advanced(t, s, ledger.Step{Kind: ledger.KindPoll, Due: w.now().Add(time.Second), WatchFrom: from, Latest: latest})
			return s
		}
		accept(ids[0], 2)
		w.stands(t, ids[0], "waiting:look", w.now().Add(time.Second))
		s := accept(ids[1], 2)
		w.stands(t, ids[1], "watched", w.now())
		if got := w.get(t, ids[1]); got.Kind != ledger.KindWatch || s.Kind != got.Kind || !s.Next.Equal(latest) || !got.Next.Equal(latest) {
			t.Errorf("watched %+v, as the caller has it %+v", got, s)
		}
		if at := w.rdb.ZScore(t.Context(), keys.Latest(), ids[1]).Val(); int64(at) != latest.UnixMilli() {
			t.Errorf("looked at at %v, want %v", at, latest)
		}
		accept(ids[2], 0)
		w.stands(t, ids[2], "waiting:look", w.now().Add(time.Second))

		if _, err := w.release.ListChecked(t.Context(), project, release.ListCheck{Began: w.now(), Result: release.ListUseless}); err != nil {
			t.Fatal(err)
		}
		accept(ids[3], 1)
		w.stands(t, ids[3], "waiting:look", w.now().Add(time.Second))
		w.advance(10 * time.Minute)
		accept(ids[4], 1)
		w.stands(t, ids[4], "watched", w.now())
	})
}

// Where a list was read lately, fewer jobs are watched, too: it is read on. Who never watches does not.
func TestWatchedWhileTheListIsRead(t *testing.T) {
	eachRedis(t, func(t *testing.T, w *world) {
		ids := w.opened(t, "b1", "1", "2", "3")
		check := func(id string, from int, set string, at time.Time) {
			t.Helper()
			s := w.claim(t, id)
			s.State = ledger.Stopping
			step := ledger.Step{Kind: ledger.KindPoll, Due: w.now().Add(time.Second), WatchFrom: from, Latest: w.now().Add(time.Minute)}
			w.advanced(t, s, step)
			w.stands(t, id, set, at)
		}
		read := release.ListCheck{Began: w.now(), Result: release.ListRead}
		if _, err := w.release.ListChecked(t.Context(), project, read); err != nil {
			t.Fatal(err)
		}
		w.rdb.HSet(t.Context(), keys.Control(), "list_many", w.now().UnixMilli())
		w.advance(9 * time.Second)
		check(ids[0], 5, "watched", w.now())
		check(ids[1], 0, "waiting:look", w.now().Add(time.Second))
		w.advance(2 * time.Second)
		check(ids[2], 5, "waiting:look", w.now().Add(time.Second))
	})
}
