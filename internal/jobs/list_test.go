package jobs

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// pages is a list that fails on more pages than it has.
type pages struct {
	t     *testing.T
	total int
	lists [][]int
	next  int
}

func (p *pages) List(_ context.Context, projectID string, q Query) (*Page, error) {
	p.next++
	if projectID != "p" || q.Page != p.next || p.next > len(p.lists) {
		p.t.Errorf("call %d is for page %d of %s", p.next, q.Page, projectID)
		return &Page{}, nil
	}
	page := &Page{Total: p.total}
	for _, id := range p.lists[p.next-1] {
		page.Jobs = append(page.Jobs, Job{ID: strconv.Itoa(id)})
	}
	return page, nil
}

func TestAll(t *testing.T) {
	for _, tt := range []struct {
		name  string
		total int
		lists [][]int
		want  string
	}{
		{"one page", 2, [][]int{{1, 2}}, "1 2"},
		{"none", 0, [][]int{{}}, ""},
		{"total reached", 3, [][]int{{1, 2}, {3}}, "1 2 3"},
		{"total unknown", 0, [][]int{{1, 2}, {3}, {}}, "1 2 3"},
		{"total too large", 9, [][]int{{1, 2}, {}}, "1 2"},
		{"list shifted", 4, [][]int{{1, 2}, {2, 3}, {4}}, "1 2 3 4"},
		{"same page for ever", 9, [][]int{{1, 2}, {1, 2}}, "1 2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := &pages{t: t, total: tt.total, lists: tt.lists}
			var got []string
			for job, err := range All(t.Context(), list, "p") {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, job.ID)
			}
			if text := strings.Join(got, " "); text != tt.want || list.next != len(tt.lists) {
				t.Errorf("got %q after %d calls, want %q after %d", text, list.next, tt.want, len(tt.lists))
			}
		})
	}
}

func TestAllStopsEarly(t *testing.T) {
	list := &pages{t: t, total: 9, lists: [][]int{{1, 2}}}
	for range All(t.Context(), list, "p") {
		break
	}
}

type listFunc func(Query) (*Page, error)

func (f listFunc) List(_ context.Context, _ string, q Query) (*Page, error) { return f(q) }

func TestAllError(t *testing.T) {
	refused, count := errors.New("refused"), 0
	for job, err := range All(t.Context(), listFunc(func(Query) (*Page, error) { return nil, refused }), "p") {
		count++
		if err != refused || job != (Job{}) {
			t.Errorf("got %+v, %v", job, err)
		}
	}
	if count != 1 {
		t.Errorf("%d elements, want the error alone", count)
	}
}

// A list that brings new jobs for ever is not read for ever.
func TestEndlessList(t *testing.T) {
	endless := listFunc(func(q Query) (*Page, error) {
		page := &Page{Total: 1_000_000_000}
		for i := range 100 {
			page.Jobs = append(page.Jobs, Job{ID: fmt.Sprint(100*q.Page + i)})
		}
		return page, nil
	})
	n := 0
	var fault error
	for _, err := range All(t.Context(), endless, "p") {
		if fault = err; err == nil {
			n++
		}
	}
	if n != mostListed || KindOf(fault) != KindUnavailable || !strings.Contains(fault.Error(), "does not end") {
		t.Errorf("%d jobs, then %v", n, fault)
	}
}

// A list that counts jobs and shows none does not say that there is nothing to stop.
func TestAListThatShowsNothingOfWhatItCounts(t *testing.T) {
	n := 0
	var fault error
	for _, err := range All(t.Context(), &pages{t: t, total: 100, lists: [][]int{{}}}, "p") {
		n, fault = n+1, err
	}
	if n != 1 || KindOf(fault) != KindUnavailable || !strings.Contains(fault.Error(), "shows none of them") {
		t.Errorf("%d jobs or errors, the last one %v", n, fault)
	}
}

// A list of jobs that are no visualization jobs is gone through to its end, and not
// for ever.
func TestAllWithOthers(t *testing.T) {
	others := func(from, n int) *Page {
		page := &Page{}
		for i := range n {
			page.Others = append(page.Others, fmt.Sprint("other-", from+i))
		}
		return page
	}
	calls := 0
	read := func(list func(n int) *Page) (ids []string, fault error) {
		calls = 0
		for job, err := range All(t.Context(), listFunc(func(q Query) (*Page, error) { calls++; return list(q.Page), nil }), "p") {
			if fault = err; err == nil {
				ids = append(ids, job.ID)
			}
		}
		return ids, fault
	}
	shifting := func(n int) *Page { // a job of the first page moves to the second
		page := others(n-1, 2)
		if page.Total = 4; n == 3 {
			page = &Page{Jobs: []Job{{ID: "ours"}}, Total: 4}
		}
		return page
	}
	for _, tt := range []struct {
		name  string
		list  func(n int) *Page
		want  string
		calls int
		kind  Kind
	}{
		{"ours come last", shifting, "ours", 3, KindOK},
		{"only others", func(n int) *Page { return others(50*n, 50*min(1, 4-n)) }, "", 4, KindOK},
		{"the same page for ever", func(int) *Page { return others(0, 50) }, "", 2, KindOK},
		{"no end", func(n int) *Page { return others(50*n, 50) }, "", mostListed / 50, KindUnavailable},
	} {
		if ids, err := read(tt.list); strings.Join(ids, " ") != tt.want || calls != tt.calls || KindOf(err) != tt.kind {
			t.Errorf("%s: %q after %d calls, %v; want %q after %d, kind %v", tt.name, ids, calls, err, tt.want, tt.calls, tt.kind)
		}
	}
}
