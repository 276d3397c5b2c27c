package release

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
)

// listing is a need with a list check from so many watched jobs on.
func listing(from int) Need {
	need := wide()
	need.ListFrom, need.Unlisted, need.Unwatched = from, 10*time.Second, 5*time.Second
	return need
}

// watched opens n stops and has them watched.
func (w *world) watched(n int) []string {
	w.t.Helper()
	ids := w.open("b", n)
	for _, id := range ids {
		w.follow(id, w.watch())
	}
	return ids
}

// unlisted has jobs watched since after the latest list.
func (w *world) unlisted(jobs ...string) {
	w.t.Helper()
	for _, job := range jobs {
		w.ok(w.rdb.ZAdd(w.t.Context(), keys.Watched(), zAt(job, w.now().Add(time.Millisecond))).Err())
	}
}

// seen has a list show jobs, so many of which are watched and were not seen later.
func (w *world) seen(watched int, at time.Time, jobs ...string) {
	w.t.Helper()
	if n, err := w.Seen(w.t.Context(), project, jobs, at); err != nil || n != watched {
		w.t.Errorf("%d jobs noted as seen, %v, want %d", n, err, watched)
	}
}

// checked notes how a list check has ended, the latest one if c has no number.
func (w *world) checked(c ListCheck, want bool) {
	w.t.Helper()
	if c.Check == 0 {
		c.Check, _ = w.rdb.HGet(w.t.Context(), keys.Control(), "list_check").Int64()
	}
	noted, err := w.ListChecked(w.t.Context(), project, c)
	if err != nil || (noted.Result == ListUseless) != want || want && noted.Why == "" {
		w.t.Errorf("list check noted as %+v, %v, want left alone: %t", noted, err, want)
	}
}

// The list is checked when enough jobs are watched, by one worker at a time.
func TestListCheckIsDue(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(3)
		if r := w.round(listing(4)); r.List != nil {
			t.Error("a list check for too few jobs")
		}
		if r := w.round(listing(0)); r.List != nil {
			t.Error("a list check although there is to be none")
		}
		doubted := listing(3)
		doubted.Backlog = -1
		if r := w.round(doubted); r.List != nil || r.Next != 250*time.Millisecond {
			t.Errorf("round %+v, want no list check while there is to be none now", r)
		}
		r := w.round(listing(3))
		if r.List == nil || r.Next != listLease {
			t.Fatalf("round %+v, want a list check, and another if nobody tells of it", r)
		}
		check := r.List.Check
		if r := w.round(listing(3)); r.List != nil {
			t.Error("a second list check at once")
		}
		w.advance(time.Second)
		page := func(check int64, limit time.Duration) {
			t.Helper()
			if err := w.Listing(t.Context(), project, check, limit); err != nil {
				t.Fatal(err)
			}
		}
		page(check, 2*time.Second)
		page(check, time.Second) // another page, which has less time
		page(check-1, time.Hour) // of a check that was overtaken
		w.advance(2 * time.Second)
		if r := w.round(listing(3)); r.List != nil || r.Next != listSlack {
			t.Errorf("round %+v, want none while a page is read", r)
		}
		w.advance(listSlack)
		if r := w.round(listing(3)); r.List == nil {
			t.Error("no list check when nothing was told of the page in time")
		}
		w.checked(ListCheck{Check: check, Began: w.now(), Next: time.Hour, Result: ListRead}, false) // it was overtaken
		w.checked(ListCheck{Check: check + 1, Began: w.now(), Next: 2 * time.Second, Result: ListRead}, false)
		if r := w.round(listing(3)); r.List != nil || r.Next != 2*time.Second {
			t.Errorf("round %+v, want a list check in 2 s", r)
		}
		w.advance(2 * time.Second)
		if r := w.round(listing(3)); r.List == nil {
			t.Error("no list check when it is due")
		}
	})
}

// A list that was read lately is read on for fewer jobs, too, down to the last; not where there is to be none.
func TestListCheckOfTheLastJobs(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(5)
		need := listing(5)
		need.Unwatched = time.Second // or they are looked at
		check := func(pages int) {
			t.Helper()
			w.round(need)
			w.advance(time.Millisecond)
			w.checked(ListCheck{Began: w.now(), Next: 4 * time.Second, Result: ListRead, Pages: pages}, false)
			w.seen(int(w.rdb.ZCard(t.Context(), keys.Watched()).Val()), w.now(), "b-0", "b-1", "b-2", "b-3", "b-4")
			w.advance(4 * time.Second)
		}
		lists := func(want bool, when string) {
			t.Helper()
			r := w.round(need)
			if (r.List != nil) != want || (len(r.Left) == 2) == want {
				t.Errorf("%s: round %+v, want the list read: %t, or else both jobs looked at", when, r, want)
			}
		}
		check(1)
		w.advance(time.Second)
		w.rdb.ZRem(t.Context(), keys.Watched(), "b-2", "b-3", "b-4")
		if r := w.round(listing(0)); r.List != nil {
			t.Error("a list check although there is to be none")
		}
		lists(true, "two of five are left")
		w.rdb.HSet(t.Context(), keys.Control(), "list_joined", w.now().UnixMilli())
		lists(false, "another was accepted")
		w.advance(5 * time.Second)
		check(3)
		lists(false, "a list of three pages")
		check(1)
		w.advance(6 * time.Second)
		lists(false, "nobody has read it for 10 s")
		for range 30 {
			check(1)
		}
		lists(false, "two minutes later")
	})
}

// What a list has not shown is looked at, once; what it has shown is not. What no
// list shows for long is looked at all the same.
func TestWhatTheListHasNotShown(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		ids := w.watched(4)
		w.advance(time.Second)
		began := w.now()
		w.seen(2, began, "b-0", "b-1", "stranger")
		w.seen(0, began)
		w.seen(0, began.Add(-time.Minute), "b-0") // an older list
		if r := w.round(listing(1)); len(r.Left) != 0 {
			t.Errorf("left %v before the list was read", r.Left)
		}
		w.checked(ListCheck{Began: began, Next: time.Hour, Result: ListRead}, false)
		r := w.round(listing(1))
		if len(r.Left) != 2 || r.Left[0].JobID != "b-2" || r.Left[1].JobID != "b-3" || !r.Left[0].Seen.IsZero() || !r.Left[0].Missed.Equal(began) {
			t.Errorf("left %+v, want the two that no list has shown", r.Left)
		}
		if r := w.round(listing(1)); len(r.Left) != 0 {
			t.Errorf("left %v once more", r.Left)
		}
		w.advance(9 * time.Second)
		w.seen(1, w.now(), "b-0")
		w.advance(2 * time.Second)
		need := listing(1)
		need.Inline = 1
		if r := w.round(need); len(r.Left) != 1 || r.Next != 0 {
			t.Errorf("left %+v, next in %v, want one of three, and the others at once", r.Left, r.Next)
		}
		r = w.round(listing(1))
		if len(r.Left) != 2 {
			t.Errorf("left %+v, want two that no list has shown for 10 s", r.Left)
		}
		for _, s := range r.Left {
			if s.JobID == "b-0" || s.JobID == "b-1" && !s.Seen.Equal(began) {
				t.Errorf("left %+v", s)
			}
		}
		if w.rdb.ZScore(t.Context(), keys.Watched(), "stranger").Err() == nil {
			t.Error("a job that nobody watches is watched now")
		}
		if got := w.place(ids[0]); got != "watched" {
			t.Errorf("the first is in %s", got)
		}
	})
}

// Without a list check watched jobs are looked at one by one, and sooner.
func TestWatchedWithoutAList(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(2)
		w.advance(5 * time.Second)
		if r := w.round(listing(3)); len(r.Left) != 0 || r.Next != time.Millisecond {
			t.Errorf("left %v, next in %v", r.Left, r.Next)
		}
		w.advance(time.Millisecond)
		if r := w.round(listing(3)); len(r.Left) != 2 {
			t.Errorf("left %v, want both", r.Left)
		}
	})
}

// A list that fails three times in a row, is refused, or is wrong about the jobs is
// left alone for ten minutes.
func TestUselessList(t *testing.T) {
	judged := func(w *world, right, wrong int) {
		// Rounds count how many have left the list.
		w.ok(w.rdb.HIncrBy(w.t.Context(), ledger.Keys(project).Control(), "list_left", int64(right+wrong)).Err())
		for range wrong {
			w.ok(w.ListWrong(w.t.Context(), project))
		}
	}
	for name, row := range map[string]func(w *world){
		"failed": func(w *world) {
			failed := ListCheck{Began: w.now(), Result: ListFailed, Why: "500"}
			w.checked(failed, false)
			w.checked(failed, false)
			w.checked(ListCheck{Began: w.now(), Result: ListRead}, false)
			w.checked(failed, false)
			w.checked(failed, false)
			w.checked(failed, true)
		},
		"refused": func(w *world) { w.checked(ListCheck{Began: w.now(), Result: ListUseless, Why: "403"}, true) },
		"wrong": func(w *world) {
			judged(w, 150, 9)
			w.checked(ListCheck{Began: w.now(), Result: ListRead}, false)
			judged(w, 50, 0)
			w.checked(ListCheck{Began: w.now(), Result: ListRead}, false) // two hundred are a new count
			judged(w, 9, 10)
			w.checked(ListCheck{Began: w.now(), Result: ListRead, Jobs: 50}, false) // some that have changed pages
			w.checked(ListCheck{Began: w.now(), Result: ListRead, Jobs: 49}, true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachRedis(t, Config{}, func(t *testing.T, w *world) {
				w.watched(2)
				row(w)
				w.advance(listRest - time.Millisecond)
				if r := w.round(listing(1)); r.List != nil || len(r.Left) != 2 {
					t.Errorf("round %+v, want no list check and looks", r)
				}
				w.advance(time.Millisecond)
				if r := w.round(listing(1)); r.List == nil {
					t.Error("no list check after its rest")
				}
			})
		})
	}
}

// A watched job whose stop is gone, or is not watched, is watched no more.
func TestUnwatch(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		ids := w.watched(3)
		w.rdb.Del(t.Context(), keys.Stop(ids[0]))
		w.rdb.HDel(t.Context(), keys.Active(), "b-0")
		w.rdb.HSet(t.Context(), keys.Stop(ids[1]), "kind", string(ledger.KindPoll))
		jobs := []string{"b-0", "b-1", "b-2"}
		active, err := w.ledger.Active(t.Context(), project, jobs)
		w.ok(err)
		var all []ledger.Member
		for i, job := range jobs {
			all = append(all, ledger.Member{StopID: active[i], JobID: job})
		}
		taken, err := w.Take(t.Context(), project, all[:2])
		if w.ok(err); len(taken) != 0 {
			t.Errorf("%d stops were taken that are not watched", len(taken))
		}
		if left := w.rdb.ZRange(t.Context(), keys.Watched(), 0, -1).Val(); len(left) != 1 || left[0] != "b-2" {
			t.Errorf("watched are %v, want b-2", left)
		}
	})
}

// A long list is noted in pieces.
func TestSeenInPieces(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		var jobs []string
		for i := range 2*seenAtOnce + 1 {
			jobs = append(jobs, strconv.Itoa(i))
			w.ok(w.rdb.ZAdd(t.Context(), keys.Watched(), zAt(jobs[i], w.now())).Err())
		}
		w.seen(len(jobs), w.now().Add(time.Second), jobs...)
		at := strconv.FormatInt(w.now().Add(time.Second).UnixMilli(), 10)
		if n := w.rdb.ZCount(t.Context(), keys.Watched(), at, "+inf").Val(); int(n) != len(jobs) {
			t.Errorf("%d jobs are noted as seen, want %d", n, len(jobs))
		}
	})
}

// What list checks have found out is told with the next one that is due.
func TestListState(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(5)
		known, number := ListState{Watched: 5, Pages: 1, Joined: w.now()}, int64(0)
		due := func() {
			t.Helper()
			number++
			known.Check = number
			w.unlisted("b-0", "b-1", "b-2", "b-3", "b-4")
			if r := w.round(listing(1)); r.List == nil || *r.List != known {
				t.Errorf("known is %+v, want %+v", r.List, known)
			}
		}
		check := func(c ListCheck) time.Time {
			t.Helper()
			c.Began = w.now()
			w.checked(c, false)
			w.advance(time.Second)
			return c.Began
		}
		due()
		known.Read = check(ListCheck{Result: ListRead, Pages: 2, Jobs: 12, Peek: true})
		known.Pages, known.Others, known.Since, known.Peek = 2, 7, known.Read, true
		due()
		known.Since = check(ListCheck{Result: ListPeeked, Pages: 3, Jobs: 12, Peek: true})
		known.Pages = 3
		due()
		known.Moved = check(ListCheck{Result: ListPeeked, Pages: 2, Jobs: 11, Left: 1, Peek: true})
		known.Pages = 2
		due()
		known.Read = check(ListCheck{Result: ListRead, Pages: 1, Jobs: 10, Left: 2})
		known.Pages, known.Since, known.Moved, known.Peek = 1, known.Read, known.Read, false
		due()
		check(ListCheck{Result: ListFailed, Why: "500"})
		due()
	})
}

// Whoever checks a list is told how many calls a second the project may make: what a 429 has left, but for the first
// seconds after an outage.
func TestListStateTellsTheRate(t *testing.T) {
	eachRedis(t, Config{Rate: 50}, func(t *testing.T, w *world) {
		w.watched(5)
		is := func(want float64) {
			t.Helper()
			w.unlisted("b-0", "b-1", "b-2", "b-3", "b-4")
			if r := w.round(listing(1)); r.List == nil || r.List.Rate != want {
				t.Errorf("known is %+v, want %v calls a second", r.List, want)
			}
			w.checked(ListCheck{Began: w.now(), Next: time.Second, Result: ListRead, Pages: 1, Jobs: 5}, false)
			w.advance(time.Second)
		}
		w.advance(time.Second)
		is(50)
		w.report(Call{ProjectID: project, At: w.now()}, &jobs.Error{Kind: jobs.KindThrottled, RetryAfter: time.Second, Limit: 2.5})
		w.advance(5 * time.Second)
		is(2.5)
		w.ok(w.rdb.HSet(t.Context(), keys.Control(), "thaw", w.now().UnixMilli()).Err())
		w.advance(4 * time.Second)
		is(2.5)
	})
}

// A list with more pages than jobs are watched is read when as many are, or after a while.
func TestALongList(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		due := func(want bool, when string) {
			t.Helper()
			w.advance(2 * time.Second)
			if r := w.round(listing(5)); (r.List != nil) != want {
				t.Errorf("%s a list check is due: %t, want %t", when, r.List != nil, want)
			}
		}
		long := func() {
			t.Helper()
			w.checked(ListCheck{Began: w.now(), Next: time.Second, Result: ListLong, Pages: 12, Why: "long"}, false)
		}
		w.watched(5)
		due(true, "at first")
		long()
		due(false, "with fewer watched jobs than pages")
		w.advance(9 * time.Minute)
		due(false, "9 minutes later")
		w.advance(time.Minute)
		due(true, "10 minutes later")
		long()
		more := []string{"6", "7", "8", "9", "10", "11", "12"}
		w.unlisted(more...)
		due(true, "with as many watched jobs as pages")
		w.checked(ListCheck{Began: w.now(), Next: time.Second, Result: ListRead, Pages: 12, Jobs: 1200}, false)
		for _, job := range more {
			w.ok(w.rdb.ZRem(t.Context(), keys.Watched(), job).Err())
		}
		w.unlisted("b-0", "b-1", "b-2", "b-3", "b-4")
		due(true, "after one that was read")
	})
}

// Jobs that the list has shown wait for its next check if that is planned, however late; not if checks fail,
// or for longer than one may be planned.
func TestAListThatIsReadSeldom(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(5)
		need := listing(5)
		need.Unlisted = 12 * time.Second
		looks := func(want int, next time.Duration, when string) {
			t.Helper()
			if r := w.round(need); len(r.Left) != want || r.Next != next {
				t.Errorf("%s: %d jobs are looked at, and the next round is in %v; want %d, %v", when, len(r.Left), r.Next, want, next)
			}
		}
		w.advance(time.Second)
		began := w.now()
		w.seen(5, began, "b-0", "b-1", "b-2", "b-3", "b-4")
		w.checked(ListCheck{Began: began, Next: time.Minute, Result: ListRead, Pages: 1}, false)
		w.advance(50 * time.Second)
		looks(0, 10*time.Second, "before the next check")
		w.checked(ListCheck{Began: w.now(), Next: time.Minute, Result: ListFailed, Why: "500"}, false)
		looks(5, 12*time.Second+time.Millisecond, "after one that failed")

		for _, id := range w.open("c", 1) { // the list is read soon
			w.follow(id, w.watch())
		}
		w.advance(4 * time.Second)
		if r := w.round(need); r.List == nil {
			t.Error("no list check 4 s after another job was accepted")
		}
	})
}

// A stop that is accepted while the list is being read has the next check within 4 s, whatever this one says.
func TestAcceptedDuringAListCheck(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		w.watched(6)
		w.advance(10 * time.Minute)
		need := listing(5)
		w.checked(ListCheck{Began: w.now(), Result: ListRead}, false)
		w.seen(6, w.now(), "b-0", "b-1", "b-2", "b-3", "b-4", "b-5")
		w.advance(time.Second)
		if r := w.round(need); r.List == nil {
			t.Fatalf("round %+v, want a check", r)
		}
		began := w.now()
		w.advance(100 * time.Millisecond)
		w.follow(w.open("c", 1)[0], w.watch())
		w.advance(100 * time.Millisecond)
		w.checked(ListCheck{Began: began, Next: time.Minute, Result: ListRead, Jobs: 6}, false)
		w.seen(6, began, "b-0", "b-1", "b-2", "b-3", "b-4", "b-5")
		for range 5 {
			if r := w.round(need); r.List != nil {
				return
			}
			w.advance(time.Second)
		}
		t.Error("no check within 4 s")
	})
}

// What a list has not shown is looked at, though so few are left by then that it is not read again.
func TestTheLastThatAListHasMissed(t *testing.T) {
	eachRedis(t, Config{}, func(t *testing.T, w *world) {
		ids := w.watched(6)
		w.advance(time.Second)
		need := listing(5)
		if r := w.round(need); r.List == nil {
			t.Fatalf("round %+v, want a check", r)
		}
		w.checked(ListCheck{Began: w.now(), Result: ListRead, Next: time.Second, Left: 6}, false)
		w.advance(10 * time.Millisecond)
		need.Inline = 4
		first := w.round(need)
		for _, left := range first.Left {
			i := slices.IndexFunc(ids, func(id string) bool { return w.get(id).JobID == left.JobID })
			if _, err := w.Take(t.Context(), project, []ledger.Member{{StopID: ids[i], JobID: left.JobID}}); err != nil {
				t.Fatal(err)
			}
		}
		w.advance(10 * time.Millisecond)
		if r := w.round(need); len(first.Left) != 4 || len(r.Left) != 2 || r.Left[0].Missed.IsZero() {
			t.Errorf("left %v, then %v; want four, then two that the list has missed", first.Left, r.Left)
		}
	})
}

// A list check at a rate of less than four calls an hour is told that rate, and not that any number is allowed.
func TestListRateOfAFewCallsAnHour(t *testing.T) {
	w := onRedis(t, Config{Rate: 50})
	w.watched(5)
	w.report(Call{ProjectID: project, At: w.now()}, &jobs.Error{Kind: jobs.KindThrottled, RetryAfter: time.Second, Limit: 3.0 / 3600})
	w.advance(24 * time.Hour)
	w.unlisted("b-0", "b-1", "b-2", "b-3", "b-4")
	if r := w.round(listing(1)); r.List == nil || r.List.Rate == 0 {
		t.Errorf("known is %+v: 0 is any number of calls a second, want %v", r.List, 3.0/3600)
	}
}
