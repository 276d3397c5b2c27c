package rounds

import (
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/release"
)

// A job between two pages may have moved unseen.
func TestSeams(t *testing.T) {
	pages := []shown{{2, "20", "29", false, true}, {1, "2", "11", false, true}, {3, "100", "120", false, true}}
	names := []shown{{1, "a", "c", false, true}, {2, "f", "k", false, true}}
	unsorted := []shown{{1, "2", "11", false, false}, {2, "12", "29", false, true}}
	upsideDown := []shown{{1, "20", "29", false, true}, {2, "2", "11", false, true}}
	later := []shown{{1, "10", "19", true, true}, {2, "50", "59", true, true}, {3, "30", "39", true, true}, {4, "40", "49", false, true}}
	first := []shown{{1, "26", "35", true, true}, {2, "11", "20", true, true}, {3, "40", "49", false, true}}
	emptied := []shown{{1, "10", "19", true, true}, {2, "", "", false, true}, {3, "30", "39", false, true}}
	late := []shown{{1, "2", "11", false, true}, {2, "20", "35", false, true}, {3, "33", "35", false, true}}
	twice := []shown{{1, "2", "21", false, true}, {2, "20", "29", false, true}, {3, "40", "49", false, true}}
	full := []shown{{1, "2", "11", true, true}, {2, "20", "29", true, true}}
	empty := []shown{{1, "2", "11", false, true}, {2, "", "", false, true}}
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
		if got := (seams{gaps: findSeams(row.read)}).hide(row.hidden); got != row.want {
			t.Errorf("%s: job %s may have moved unseen: %t, want %t", name, row.hidden, got, row.want)
		}
	}
}

func TestShowing(t *testing.T) {
	page := func(ids ...string) *jobs.Page {
		p := &jobs.Page{}
		for _, id := range ids {
			p.Jobs = append(p.Jobs, jobs.Job{ID: id})
		}
		return p
	}
	for _, row := range []struct {
		page *jobs.Page
		want shown
	}{
		{page("9", "10", "11"), shown{2, "9", "11", true, true}},
		{page("9", "11", "10"), shown{2, "9", "10", true, false}},
		{page("9"), shown{2, "9", "9", false, true}},
		{page(), shown{2, "", "", false, true}},
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
		l.keepSeams("p", lists[list], []shown{{1, "10", end, false, true}, {2, "30", "39", false, true}})
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
