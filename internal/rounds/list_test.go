package rounds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/fleet"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

const project = "0123456789abcdef0123456789abcdef"

// lists is an API whose pages have ten jobs.
type lists struct {
	mu     sync.Mutex
	asked  []int // pages, in their order
	answer func(q jobs.Query, nth int) (*jobs.Page, error)
}

func (l *lists) PageSize(string) int { return 10 }

func (l *lists) List(_ context.Context, _ string, q jobs.Query) (*jobs.Page, error) {
	l.mu.Lock()
	l.asked = append(l.asked, q.Page)
	nth := len(l.asked)
	l.mu.Unlock()
	return l.answer(q, nth)
}

// listOf is a page of a list of so many jobs.
func listOf(total int, q jobs.Query) *jobs.Page {
	page := &jobs.Page{Total: total}
	for i := (q.Page - 1) * q.PerPage; i < min(total, q.Page*q.PerPage); i++ {
		page.Jobs = append(page.Jobs, jobs.Job{ID: fmt.Sprint(1000 + i), Status: jobs.Status{State: jobs.Stopping}})
	}
	return page
}

// listing returns a loop that checks lists.
func listing(t *testing.T, api *lists) *Loop {
	rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	member := fleet.New(rdb, 10)
	releaser := release.New(rdb, "worker-1", member.Now, release.Config{})
	slots := tasks.NewSlots(64, releaser)
	handlers := tasks.New(tasks.Config{Ledger: ledger.New(rdb, member.Now), Release: releaser, Slots: slots, Jobs: struct{ tasks.Jobs }{},
		Pull: func(string, time.Duration) {}})
	return New(Config{Redis: rdb, Release: releaser, Slots: slots, Member: member, Lists: api, Handlers: handlers, Parallel: 64,
		Schedule: tasks.Schedule{}.WithDefaults()})
}

// The next check of a list that is long for the rate comes when its pages are a fifth of that.
func TestAListAtALowRate(t *testing.T) {
	l := listing(t, &lists{answer: func(q jobs.Query, _ int) (*jobs.Page, error) { return listOf(300, q), nil }})
	before := l.Member.Now().Add(-4 * time.Second)
	known := release.ListState{Watched: 300, Pages: 30, Read: before, Since: before, Moved: before, Rate: 5}
	known.Joined = before.Add(-time.Minute)
	c, err := l.check(t.Context(), project, known)
	if err != nil || c.Next < 25*time.Second {
		t.Errorf("next check of %d pages in %v, %v; want about 30 s", c.Pages, c.Next, err)
	}
}

// All pages of a list are read, however much it grows meanwhile; each call is told, and that
// of those which stand on it none has left.
func TestAListThatGrows(t *testing.T) {
	api := &lists{answer: func(q jobs.Query, nth int) (*jobs.Page, error) { return listOf(min(15+10*nth, 45), q), nil }}
	l := listing(t, api)
	c, err := l.check(t.Context(), project, release.ListState{Watched: 100, Pages: 1})
	if err != nil || c.Result != release.ListRead {
		t.Fatalf("%+v, %v", c, err)
	}
	read := slices.Sorted(slices.Values(api.asked))
	if !slices.Equal(read, []int{1, 2, 3, 4, 5}) || c.Pages != 5 || c.Unpaid != 4 || c.Jobs != 45 {
		t.Errorf("pages %v were read: %+v", api.asked, c)
	}
}

// A list of which a look tells that it has fewer pages by now is read no further, and if it goes on to
// shrink like that, it will soon have one.
func TestAListThatHasShrunk(t *testing.T) {
	api := &lists{answer: func(q jobs.Query, _ int) (*jobs.Page, error) { return listOf(25, q), nil }}
	l := listing(t, api)
	ago := l.Member.Now().Add(-time.Second)
	c, err := l.check(t.Context(), project, release.ListState{Watched: 200, Pages: 20, Read: ago, Since: ago, Moved: ago, Peek: true})
	if err != nil || c.Result != release.ListRead || c.Pages != 1 || len(api.asked) != 4 || c.Unpaid != 3 || c.Left != 200-whileGrowing {
		t.Errorf("pages %v were read: %+v, %v", api.asked, c, err)
	}
}

// A list that seems endless, or grows with each call, is read no further than looks at the
// watched jobs would cost, or twice.
func TestEndlessLists(t *testing.T) {
	for name, row := range map[string]struct {
		answer func(q jobs.Query, nth int) *jobs.Page
		known  release.ListState
		calls  int
		want   error
	}{
		"a huge total":             {func(q jobs.Query, _ int) *jobs.Page { return listOf(math.MaxInt, q) }, release.ListState{Watched: 10_000, Pages: 1}, 1, errLong},
		"a long list for few":      {func(q jobs.Query, _ int) *jobs.Page { return listOf(500, q) }, release.ListState{Watched: 40, Pages: 1}, 1, errLong},
		"a long list, as is known": {func(q jobs.Query, _ int) *jobs.Page { return listOf(500, q) }, release.ListState{Watched: 40, Others: 460, Pages: 50}, 0, errLong},
		"a list that was long":     {func(q jobs.Query, _ int) *jobs.Page { return listOf(2, q) }, release.ListState{Watched: 2, Pages: 10}, 1, nil},
		"a long list for many":     {func(q jobs.Query, _ int) *jobs.Page { return listOf(500, q) }, release.ListState{Watched: 50, Pages: 1}, 50, nil},
		"it grows for ever":        {func(q jobs.Query, nth int) *jobs.Page { return listOf(10*nth+1, q) }, release.ListState{Watched: 10_000, Pages: 1}, 3, nil},
		"it has no pages": {func(q jobs.Query, _ int) *jobs.Page {
			page := listOf(30, jobs.Query{Page: 1, PerPage: 30})
			page.Total = 0
			return page
		}, release.ListState{Watched: 10_000, Pages: 1}, 5, nil},
	} {
		api := &lists{answer: func(q jobs.Query, nth int) (*jobs.Page, error) { return row.answer(q, nth), nil }}
		c, err := listing(t, api).check(t.Context(), project, row.known)
		if row.want != nil && c.Pages <= min(row.known.Watched, maxPages) {
			t.Errorf("%s: %d pages, although %d jobs are watched", name, c.Pages, row.known.Watched)
		}
		if !errors.Is(err, row.want) || len(api.asked) != row.calls || c.Unpaid != row.calls-row.known.Pages {
			t.Errorf("%s: pages %v were read: %+v, %v; want %d calls, %v", name, api.asked, c, err, row.calls, row.want)
		}
	}
}

// A list that is long for those who are watched has not failed, unless it seems endless.
func TestFailures(t *testing.T) {
	for name, row := range map[string]struct {
		err   error
		pages int
		want  release.ListResult
	}{
		"long":       {fmt.Errorf("%w: 50", errLong), 50, release.ListLong},
		"endless":    {fmt.Errorf("%w: 1001", errLong), maxPages + 1, release.ListUseless},
		"unfiltered": {errUnfiltered, 1, release.ListUseless},
		"forbidden":  {&jobs.Error{Kind: jobs.KindPermission}, 1, release.ListUseless},
		"slow":       {errSlow, 1, release.ListFailed},
	} {
		if got := failure(row.err, row.pages); got != row.want {
			t.Errorf("%s: %s, want %s", name, got, row.want)
		}
	}
}

// A list that takes too long is given up, however quick each page is.
func TestAListThatTakesLong(t *testing.T) {
	was := readTime
	defer func() { readTime = was }()
	readTime = 300 * time.Millisecond
	api := &lists{answer: func(q jobs.Query, _ int) (*jobs.Page, error) {
		time.Sleep(50 * time.Millisecond)
		return listOf(5000, q), nil
	}}
	c, err := listing(t, api).check(t.Context(), project, release.ListState{Watched: 10_000, Pages: 500})
	if !errors.Is(err, errSlow) || len(api.asked) > 16*20 || c.Unpaid != len(api.asked)-500 {
		t.Errorf("%v after %d calls: %+v", err, len(api.asked), c)
	}
}

// A page that fails twice is read all the same, and all tries are paid for.
func TestAPageThatFails(t *testing.T) {
	failed := errors.New("502")
	api := &lists{answer: func(q jobs.Query, nth int) (*jobs.Page, error) {
		if nth <= 2 {
			return nil, failed
		}
		return listOf(5, q), nil
	}}
	l := listing(t, api)
	c, err := l.check(t.Context(), project, release.ListState{Pages: 1})
	if err != nil || c.Jobs != 5 || len(api.asked) != 3 || c.Unpaid != 2 {
		t.Errorf("pages %v were read: %+v, %v", api.asked, c, err)
	}
	api.answer = func(jobs.Query, int) (*jobs.Page, error) { return nil, failed }
	if c, err = l.check(t.Context(), project, release.ListState{Pages: 1}); !errors.Is(err, failed) || len(api.asked) != 6 || c.Unpaid != 2 {
		t.Errorf("pages %v were read: %+v, %v", api.asked, c, err)
	}
}

// recorded counts results of list checks.
type recorded struct {
	Recorder
	results map[string]int
}

func (r recorded) ListChecked(result string) { r.results[result]++ }

// A list of which no page got a slot in its time has not shown to be of no use.
func TestAListWithoutSlots(t *testing.T) {
	was := readTime
	defer func() { readTime = was }()
	readTime = 50 * time.Millisecond
	l := listing(t, nil)
	l.Slots = tasks.NewSlots(1, l.Release)
	if _, err := l.Slots.Acquire(t.Context(), project, false); err != nil {
		t.Fatal(err)
	}
	results := map[string]int{}
	l.Recorder, l.Logger = recorded{results: results}, slog.New(slog.DiscardHandler)
	for range 4 {
		l.listCheck(t.Context(), project, release.ListState{Watched: 50, Pages: 5}, false)
	}
	var log bytes.Buffer // a list that is known to be long takes no call, and wants no slot
	l.Logger = slog.New(slog.NewTextHandler(&log, nil))
	l.listCheck(t.Context(), project, release.ListState{Watched: 40, Others: 460, Pages: 50}, false)
	if results["failed"] != 4 || results["useless"] != 0 || results["long"] != 1 || strings.Contains(log.String(), "slot") {
		t.Errorf("list checks ended %v, want 4 failed and 1 long; the last one: %s", results, log.String())
	}
	if left := l.Redis.HExists(t.Context(), ledger.Keys(project).Control(), "list_failures").Val(); left {
		t.Error("failures of the list are counted")
	}
}

// Nor has one whose length got the only slot, before a call that hung had it. It is checked again soon.
func TestAListWithoutSlotsForItsPages(t *testing.T) {
	was := readTime
	defer func() { readTime = was }()
	readTime = 50 * time.Millisecond
	api := &lists{}
	l := listing(t, api)
	l.Slots = tasks.NewSlots(1, l.Release)
	results, held := map[string]int{}, make(chan *tasks.Slot, 1)
	l.Recorder, l.Logger = recorded{results: results}, slog.New(slog.DiscardHandler)
	api.answer = func(q jobs.Query, _ int) (*jobs.Page, error) {
		if q.PerPage > 1 {
			t.Error("a page was asked for without a slot")
		}
		go func() {
			slot, _ := l.Slots.Acquire(t.Context(), project, false)
			held <- slot
		}()
		for l.Slots.Waiting() == 0 {
			time.Sleep(time.Millisecond)
		}
		return listOf(25, q), nil
	}
	for n := range int64(4) {
		l.Redis.HSet(t.Context(), ledger.Keys(project).Control(), "list_check", n)
		ago := l.Member.Now().Add(-5 * time.Second)
		l.listCheck(t.Context(), project, release.ListState{Check: n, Watched: 50, Pages: 5, Peek: true, Read: ago, Since: ago, Moved: ago}, false)
		(<-held).Free()
	}
	if results["failed"] != 4 || results["useless"] != 0 {
		t.Errorf("list checks ended %v, want 4 failed", results)
	}
	next := l.Redis.HGet(t.Context(), ledger.Keys(project).Control(), "list_at").Val()
	if ms, err := strconv.ParseInt(next, 10, 64); err != nil || time.UnixMilli(ms).After(l.Member.Now().Add(starvedWait)) {
		t.Errorf("the next check is at %s ms, want within %v", next, starvedWait)
	}
}

// While a worker checks a list it begins no other check of it.
func TestOneCheckAtATime(t *testing.T) {
	l := listing(t, nil)
	call := release.Call{ProjectID: project, At: l.Member.Now(), Account: l.Release.Account(project)}
	if _, err := l.Release.Report(t.Context(), call, nil); err != nil { // the credential is accepted
		t.Fatal(err)
	}
	l.setChecking(project, true)
	if one, other := l.share(project, 100, 1), l.share("f"+project[1:], 100, 1); one.backlog >= 0 || other.backlog < 0 {
		t.Errorf("backlog of a project whose list is read %d, want less than 0; of another one %d", one.backlog, other.backlog)
	}
	l.setChecking(project, false)
	if s := l.share(project, 100, 1); s.backlog < 0 {
		t.Errorf("backlog afterwards %d", s.backlog)
	}
}
