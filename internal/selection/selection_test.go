package selection

import (
	"errors"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"
	"vizstop/internal/jobs"
	v1 "vizstop/internal/modelarts/v1"
)

var now = time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)

// ago makes a job that was created so long before now; 0 leaves its age open.
func ago(id, name string, status v1.Status, age time.Duration) jobs.Job {
	job := jobs.Job{ID: id, Name: name, Status: status.Job()}
	if age != 0 {
		job.CreateTime = now.Add(-age)
	}
	return job
}

func running(id, name string) jobs.Job {
	return ago(id, name, v1.StatusRunning, time.Hour)
}

func listing(list ...jobs.Job) iter.Seq2[jobs.Job, error] {
	return func(yield func(jobs.Job, error) bool) {
		for _, job := range list {
			if !yield(job, nil) {
				return
			}
		}
	}
}

func choose(t *testing.T, rule Rule, list ...jobs.Job) *Selection {
	t.Helper()
	s, err := Select(listing(list...), rule, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ids(s *Selection) string {
	var all []string
	for _, job := range s.Jobs {
		all = append(all, job.ID)
	}
	return strings.Join(all, " ")
}

func TestCriteriaMustAllBeMet(t *testing.T) {
	const waiting, runs = v1.StatusWaiting, v1.StatusRunning
	list := []jobs.Job{
		ago("1", "nightly-a", runs, 9*time.Hour),
		ago("2", "nightly-b", runs, 8*time.Hour),
		ago("3", "nightly-c", runs, 8*time.Hour-1),
		ago("4", "nightly-d", waiting, 10*time.Hour),
		ago("5", "daily", runs, 10*time.Hour),
		ago("6", "Nightly-a", runs, -time.Hour), // created in the future
	}
	for _, tt := range []struct {
		name string
		rule Rule
		want string
	}{
		{"all", Rule{All: true}, "4 5 1 2 3 6"},
		{"status", Rule{Statuses: []string{"running"}}, "5 1 2 3 6"},
		{"statuses", Rule{Statuses: []string{"running", "waiting"}}, "4 5 1 2 3 6"},
		{"name", Rule{Names: []string{"nightly-*"}}, "4 1 2 3"},
		{"names", Rule{Names: []string{"nightly-[ab]", "d*y"}}, "5 1 2"},
		{"age", Rule{OlderThan: 8 * time.Hour}, "4 5 1 2"},
		{"every criterion", Rule{All: true, Statuses: []string{"running"}, Names: []string{"nightly-?"}, OlderThan: 8 * time.Hour}, "1 2"},
		{"no job", Rule{Names: []string{"weekly"}}, ""},
	} {
		s := choose(t, tt.rule, list...)
		if ids(s) != tt.want || s.Seen != 6 || s.Running != 5 || s.Unstoppable+s.Ageless != 0 {
			t.Errorf("%s: chose %q of %+v, want %q", tt.name, ids(s), s, tt.want)
		}
	}
}

func TestOnlyActiveJobsAreChosen(t *testing.T) {
	var list []jobs.Job
	active := 0
	for status := v1.Status(-1); status <= 23; status++ {
		list = append(list, ago(status.Job().Name, "x", status, time.Hour))
		if status.Job().State == jobs.Active {
			active++
		}
	}
	list = append(list, running("", "no id"), running("../1", "an id that fits no URL"))
	s := choose(t, Rule{All: true}, list...)
	if len(s.Jobs) != active || s.Unstoppable != len(list)-active || s.Seen != len(list) || s.Running != 3 {
		t.Errorf("%d of %d active jobs in %+v", len(s.Jobs), active, s)
	}
	for _, job := range s.Jobs {
		if job.Status.State != jobs.Active {
			t.Errorf("chose %+v", job)
		}
	}
	if s := choose(t, Rule{Statuses: []string{"killed"}}, list...); len(s.Jobs) != 0 || s.Unstoppable != 1 {
		t.Errorf("of the killed, %+v", s)
	}
}

func TestJobsOfUnknownAge(t *testing.T) {
	const runs, killed = v1.StatusRunning, v1.StatusKilled
	list := []jobs.Job{ago("1", "a", runs, 0), ago("2", "b", killed, 0), ago("3", "c", runs, time.Hour)}
	s := choose(t, Rule{OlderThan: time.Minute}, list...)
	if ids(s) != "3" || s.Ageless != 1 || s.Unstoppable != 1 {
		t.Errorf("by age: %+v", s)
	}
	for _, order := range []string{"", Oldest, Newest} {
		if s := choose(t, Rule{All: true, Order: order}, list...); ids(s) != "3 1" || s.Ageless != 0 {
			t.Errorf("without an age, %q: %+v", order, s)
		}
	}
}

func TestExcludedAndProtected(t *testing.T) {
	protected, err := ParseProtected(strings.NewReader("12\nboard-*\n"), "keep.txt", now)
	if err != nil {
		t.Fatal(err)
	}
	rule := Rule{All: true, Exclude: []string{"10", "demo", "test-?", "board-x"}, Protect: protected}
	s := choose(t, rule,
		running("10", "a"), running("11", "demo"), running("20", "test-1"), running("21", "test-12"),
		running("12", "b"), running("13", "board-1"), running("14", "board-x"), running("15", "c"), running("16", "10"),
		ago("17", "board-2", v1.StatusKilled, time.Hour))
	if ids(s) != "15 21" || s.Excluded != 5 || s.Protected != 2 || s.Unstoppable != 1 {
		t.Errorf("chose %q of %+v", ids(s), s)
	}
}

func TestOrderAndLimit(t *testing.T) {
	const runs = v1.StatusRunning
	list := []jobs.Job{
		ago("9", "a", runs, time.Hour), ago("10", "b", runs, time.Hour), ago("z", "c", runs, time.Hour),
		ago("100", "d", runs, 2*time.Hour), ago("5", "e", runs, time.Minute), ago("6", "f", runs, 0),
	}
	for _, tt := range []struct {
		order string
		limit int
		want  string
	}{
		{"", 0, "100 9 10 z 5 6"},
		{Oldest, 2, "100 9"},
		{Newest, 0, "5 z 10 9 100 6"},
		{Newest, 3, "5 z 10"},
		{Newest, 6, "5 z 10 9 100 6"},
		{Oldest, 99, "100 9 10 z 5 6"},
	} {
		s := choose(t, Rule{All: true, Order: tt.order, Limit: tt.limit}, list...)
		if ids(s) != tt.want || s.OverLimit != len(list)-len(s.Jobs) {
			t.Errorf("%q limit %d: %q, %d over, want %q", tt.order, tt.limit, ids(s), s.OverLimit, tt.want)
		}
	}
}

func TestCompareIDs(t *testing.T) {
	sorted := []string{"1", "2", "09", "9", "10", "99999999999999999999", "100000000000000000000", "a", "b1"}
	for seed := range sorted {
		got := slices.Concat(sorted[seed:], sorted[:seed])
		slices.SortFunc(got, compareIDs)
		if !slices.Equal(got, sorted) {
			t.Errorf("sorted %q", got)
		}
	}
}

func TestErrorOfTheListEndsTheSelection(t *testing.T) {
	broken := errors.New("no route")
	jobs := func(yield func(jobs.Job, error) bool) {
		if yield(running("1", "a"), nil) && yield(jobs.Job{}, broken) {
			t.Error("the list was read on after an error")
		}
	}
	if s, err := Select(jobs, Rule{All: true}, now); s != nil || err != broken {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestBadRules(t *testing.T) {
	unread := func(func(jobs.Job, error) bool) { t.Error("the list was read") }
	for want, rule := range map[string]Rule{
		"the rule has no criterion":           {Limit: 3, Exclude: []string{"a"}, Order: Newest},
		"an age can't be negative: -1s":       {OlderThan: -time.Second},
		"a limit can't be negative: -1":       {All: true, Limit: -1},
		`order is oldest or newest, not "up"`: {All: true, Order: "up"},
		`"a[" is not a glob`:                  {Names: []string{"ok", "a["}},
		`"b/c" can match no name`:             {All: true, Exclude: []string{"ok", "b/c"}},
	} {
		if s, err := Select(unread, rule, now); s != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want %q, got %+v, %v", want, s, err)
		}
	}
	err := Rule{Limit: -1, Order: "up", Exclude: []string{"[", ""}}.Check()
	if err == nil || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("faults are %v", err)
	}
}
