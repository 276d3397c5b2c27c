package rounds

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/release"
)

// A job between two pages may have moved unseen.
func TestSeams(t *testing.T) {
	pages := []shown{{2, "20", "29", false, true, 0}, {1, "2", "11", false, true, 0}, {3, "100", "120", false, true, 0}}
	names := []shown{{1, "a", "c", false, true, 0}, {2, "f", "k", false, true, 0}}
	unsorted := []shown{{1, "2", "11", false, false, 0}, {2, "12", "29", false, true, 0}}
	upsideDown := []shown{{1, "20", "29", false, true, 0}, {2, "2", "11", false, true, 0}}
	later := []shown{{1, "10", "19", true, true, 0}, {2, "50", "59", true, true, 0}, {3, "30", "39", true, true, 0}, {4, "40", "49", false, true, 0}}
	first := []shown{{1, "26", "35", true, true, 0}, {2, "11", "20", true, true, 0}, {3, "40", "49", false, true, 0}}
	emptied := []shown{{1, "10", "19", true, true, 0}, {2, "", "", false, true, 0}, {3, "30", "39", false, true, 0}}
	late := []shown{{1, "2", "11", false, true, 0}, {2, "20", "35", false, true, 0}, {3, "33", "35", false, true, 0}}
	twice := []shown{{1, "2", "21", false, true, 0}, {2, "20", "29", false, true, 0}, {3, "40", "49", false, true, 0}}
	full := []shown{{1, "2", "11", true, true, 0}, {2, "20", "29", true, true, 0}}
	empty := []shown{{1, "2", "11", false, true, 0}, {2, "", "", false, true, 0}}
	for name, row := range map[string]struct {
		read   []shown
		hidden string // the job that is looked for
		want   bool
	}{
		"between two pages":                  {pages, "15", true},
		"the same, as a number":              {pages, "3", false},
		"at the end of a page":               {pages, "11", false},
		"on no page":                         {pages, "1", false},
		"after all pages":                    {pages, "121", false},
		"between others":                     {pages, "99", true},
		"names":                              {names, "d", true},
		"names, on a page":                   {names, "g", false},
		"seen twice":                         {twice, "20", false},
		"beside those seen twice":            {twice, "30", true},
		"after a full page":                  {full, "30", true},
		"not sorted":                         {unsorted, "12", false},
		"sorted the other way":               {upsideDown, "15", false},
		"a short page after one read later":  {late, "15", true},
		"a page of later jobs than the next": {later, "25", true},
		"a first page that was read last":    {first, "37", true},
		"on no page, before those":           {first, "23", false},
		"a page in the middle that is empty": {emptied, "25", true},
		"a page that has become empty":       {empty, "15", false},
	} {
		got := slices.ContainsFunc(findSeams(row.read, false), func(g *gap) bool { return g.has(row.hidden) })
		if got != row.want {
			t.Errorf("%s: job %s may have moved unseen: %t, want %t", name, row.hidden, got, row.want)
		}
	}
}

// Nobody is passed over for the next list if nobody knows for long how many have left it.
func TestSeamsOfAListThatIsReadSeldom(t *testing.T) {
	now := time.Now()
	ago := func(read, since, joined int) release.ListState {
		at := func(s int) time.Time { return now.Add(-time.Duration(s) * time.Second) }
		return release.ListState{Read: at(read), Since: at(since), Joined: at(joined)}
	}
	r := reading{began: now, read: []shown{{1, "10", "19", true, true, 30}, {2, "25", "29", false, true, 30}}}
	for name, row := range map[string]struct {
		known release.ListState
		want  int
	}{
		"never":                              {release.ListState{}, 1},
		"6 s ago":                            {ago(6, 6, 20), 1},
		"8 s ago":                            {ago(8, 8, 20), 0},
		"nobody had left it 6 s ago":         {ago(9, 6, 20), 1},
		"the same, and jobs were accepted":   {ago(9, 6, 3), 1},
		"the same, while jobs were accepted": {ago(9, 6, 1), 0},
	} {
		if got := len(r.seams(row.known)); got != row.want {
			t.Errorf("%s: %d seams, want %d", name, got, row.want)
		}
	}
}

func TestShowing(t *testing.T) {
	page := func(ids ...string) *jobs.Page {
		p := &jobs.Page{Total: 17}
		for _, id := range ids {
			p.Jobs = append(p.Jobs, jobs.Job{ID: id})
		}
		return p
	}
	for _, row := range []struct {
		page *jobs.Page
		want shown
	}{
		{page("9", "10", "11"), shown{2, "9", "11", true, true, 17}},
		{page("9", "11", "10"), shown{2, "9", "10", true, false, 17}},
		{page("9"), shown{2, "9", "9", false, true, 17}},
		{page(), shown{2, "", "", false, true, 17}},
	} {
		if got := showing(2, row.page, 3); got != row.want {
			t.Errorf("page 2 with %v is taken as %+v, want %+v", row.page.Jobs, got, row.want)
		}
	}
}

// A job that may have moved unseen is passed over as long as it waits for a look, also when the next list has been read
// meanwhile, once.
func TestSeamsOfTheListBefore(t *testing.T) {
	l := New(Config{})
	lists := []time.Time{time.UnixMilli(1000), time.UnixMilli(2000), time.UnixMilli(3000)}
	read := func(list int, end string) {
		l.keepSeams("p", lists[list], findSeams([]shown{{1, "10", end, false, true, 100}, {2, "30", "39", false, true, 99}}, false))
	}
	left := func(list int, job string, again bool) bool {
		return len(l.outsideSeams("p", []release.Sighting{{JobID: job, Missed: lists[list], Again: again}})) == 1
	}
	read(0, "19")
	read(1, "24")
	if left(0, "21", false) || left(1, "26", false) {
		t.Error("a job in a seam is looked at")
	}
	if !left(0, "21", true) || !left(1, "21", false) || !left(0, "15", false) {
		t.Error("a job that was passed over before, or is in no seam, is not looked at")
	}
	read(2, "19")
	if !left(0, "21", false) {
		t.Error("the seams of the list before last are still known")
	}
}

// Where many more jobs are missed between two pages than can have moved meanwhile, they have left the list.
func TestManyMissedInASeam(t *testing.T) {
	began := time.UnixMilli(1000)
	for _, row := range []struct {
		missed, first, second int // jobs that are missed, and that the list has when each page is read
		backwards, joining    bool
		want                  int // jobs that are looked at
	}{
		{missed: 1, first: 500, second: 500, want: 1},
		{missed: 10, first: 500, second: 500, joining: true, want: 0}, // as many may have left it as have joined it
		{missed: 10, first: 500, second: 495, want: 0},
		{missed: 11, first: 500, second: 495, want: 11},
		{missed: 1, first: 495, second: 500, backwards: true, want: 1}, // what has moved is on both pages
		{missed: 10, first: 500, second: 501, want: 0},                 // it grows: some may have left it, too
		{missed: 11, first: 500, second: 501, want: 11},
		{missed: 12, first: 501, second: 500, backwards: true, want: 0},
		{missed: 13, first: 501, second: 500, backwards: true, want: 13},
	} {
		l := New(Config{})
		pages := []shown{{1, "10", "19", false, true, row.first}, {2, "90", "99", false, true, row.second}}
		if row.backwards {
			slices.Reverse(pages)
		}
		l.keepSeams("p", began, findSeams(pages, row.joining))
		elsewhere := release.Sighting{JobID: "5", Missed: began}
		left := []release.Sighting{elsewhere}
		for i := range row.missed {
			left = append(left, release.Sighting{JobID: fmt.Sprint(20 + i), Missed: began})
		}
		if got := len(l.outsideSeams("p", left)) - 1; got != row.want {
			t.Errorf("%+v: %d missed jobs are looked at", row, got)
		}
		more := []release.Sighting{{JobID: "21", Missed: began}} // in the next round: one more than can have moved
		if got := len(l.outsideSeams("p", more)); got != 1 {
			t.Errorf("%+v: one more is not looked at", row)
		}
	}
}
