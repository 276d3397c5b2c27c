package modelarts

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestListQueryOnTheWire(t *testing.T) {
	for want, q := range map[string]ListQuery{
		"order=asc&page=1&per_page=100&sortBy=job_id": {},
		"order=desc&page=3&per_page=10&search_content=a%20b%2F%E6%B5%8B%E8%AF%95%2B~&sortBy=create_time&status=9&workspace_id=0": {
			Status: new(StatusKilling), PerPage: 10, Page: 3, SortBy: "create_time", Order: "desc",
			Search: "a b/测试+~", WorkspaceID: "0"},
		"order=asc&page=1&per_page=1&sortBy=status&status=0": {Status: new(StatusUnknown), PerPage: 1, SortBy: "status"},
	} {
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != "GET" || r.URL.Path != jobsPath || r.URL.RawQuery != want {
				t.Errorf("sent %s %s?%s, want query %s", r.Method, r.URL.Path, r.URL.RawQuery, want)
			}
			io.WriteString(w, sampleList)
		})
		if _, err := newClient(t, server.URL).ListVisualizationJobs(t.Context(), testProject, q); err != nil {
			t.Error(err)
		}
	}
}

func TestListQueryLimits(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("%s was sent", r.URL) })
	c := newClient(t, server.URL)
	for name, q := range map[string]ListQuery{
		"per page too large": {PerPage: 101},
		"per page negative":  {PerPage: -1},
		"page negative":      {Page: -1},
		"sort":               {SortBy: "name&x=1"},
		"order":              {Order: "up"},
		"search too long":    {Search: strings.Repeat("测", 65)},
		"workspace":          {WorkspaceID: "a/b"},
	} {
		if _, err := c.ListVisualizationJobs(t.Context(), testProject, q); KindOf(err) != KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestListVisualizationJobs(t *testing.T) {
	server := answering(t, 200, sampleList, "X-Request-Id", "h1")
	page, err := newClient(t, server.URL).ListVisualizationJobs(t.Context(), testProject, ListQuery{Search: strings.Repeat("测", 64)})
	if err != nil {
		t.Fatal(err)
	}
	want := VisualizationJob{
		ID: "4211", Name: "loss-board", Description: "nightly", Status: StatusRunning,
		CreateTime: time.UnixMilli(1711000000123), Duration: 61 * time.Second, AutoStop: 2 * time.Hour,
		TrainURL: "/team-bucket/run7/", ServiceURL: "https://console.example/modelarts/tensorboard/abcd/4211",
		ResourceID: "0f4b2c1e-1111-4222-8333-944455566677", RequestID: "h1",
	}
	if !slices.Equal(page.Jobs, []VisualizationJob{want}) || page.TotalCount != 1 || page.RequestID != "h1" {
		t.Errorf("got %+v\nwant %+v", page, want)
	}
}

func TestListOddAnswers(t *testing.T) {
	for body, want := range map[string]int{
		`{"jobs":[]}`:                                   0,
		`{"jobs":null,"job_total_count":0}`:             0,
		`{"job_total_count":"7"}`:                       0,
		`{"jobs":[{"job_id":"1"},{"job_id":2}]}`:        2,
		`{"jobs":[{"job_id":1}],"job_total_count":-3}`:  1,
		`{"jobs":[{"job_id":1,"status":null}],"x":[1]}`: 1,
	} {
		server := answering(t, 200, body)
		page, err := newClient(t, server.URL).ListVisualizationJobs(t.Context(), testProject, ListQuery{})
		if err != nil || len(page.Jobs) != want || page.TotalCount < 0 {
			t.Errorf("%s: %+v, %v", body, page, err)
		}
	}
	for _, body := range []string{"", "{}", "[]", samplePage502, sampleStop, `{"jobs":{}}`, `{"jobs":[1]}`, `{"jobs":"none"}`} {
		server := answering(t, 200, body)
		page, err := newClient(t, server.URL).ListVisualizationJobs(t.Context(), testProject, ListQuery{})
		if page != nil || KindOf(err) != KindUnavailable {
			t.Errorf("%q: %+v, %v", body, page, err)
		}
	}
}

// pages serves one list of ids for each page and fails on more requests.
func pages(t *testing.T, total int, lists ...[]int) *Client {
	t.Helper()
	next := 0
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		next++
		if got := r.FormValue("page"); next > len(lists) || got != fmt.Sprint(next) {
			t.Errorf("request %d is for page %s", next, got)
			return
		}
		var jobs []string
		for _, id := range lists[next-1] {
			jobs = append(jobs, fmt.Sprintf(`{"job_id":%d,"status":8}`, id))
		}
		fmt.Fprintf(w, `{"job_total_count":%d,"jobs":[%s]}`, total, strings.Join(jobs, ","))
	})
	t.Cleanup(func() {
		if next != len(lists) {
			t.Errorf("%d requests, want %d", next, len(lists))
		}
	})
	return newClient(t, server.URL)
}

func TestAllVisualizationJobs(t *testing.T) {
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
			c := pages(t, tt.total, tt.lists...)
			var got []string
			for job, err := range AllVisualizationJobs(t.Context(), c, testProject, ListQuery{PerPage: 2}) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, job.ID)
			}
			if text := strings.Join(got, " "); text != tt.want {
				t.Errorf("got %q, want %q", text, tt.want)
			}
		})
	}
}

func TestAllVisualizationJobsStopsEarly(t *testing.T) {
	c := pages(t, 9, []int{1, 2})
	for range AllVisualizationJobs(t.Context(), c, testProject, ListQuery{PerPage: 2}) {
		break
	}
}

func TestAllVisualizationJobsError(t *testing.T) {
	server := answering(t, 403, "{}")
	c := newClient(t, server.URL)
	count := 0
	for job, err := range AllVisualizationJobs(t.Context(), c, testProject, ListQuery{}) {
		count++
		if KindOf(err) != KindPermission || job != (VisualizationJob{}) {
			t.Errorf("got %+v, %v", job, err)
		}
	}
	if count != 1 {
		t.Errorf("%d elements, want the error alone", count)
	}
}

// A list that brings new jobs for ever is not read for ever.
func TestEndlessList(t *testing.T) {
	next := 0
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		var jobs []string
		for range maxPerPage {
			next++
			jobs = append(jobs, fmt.Sprintf(`{"job_id":%d,"status":8}`, next))
		}
		fmt.Fprintf(w, `{"total_count":1000000000,"jobs":[%s]}`, strings.Join(jobs, ","))
	})
	n := 0
	var fault error
	for _, err := range AllVisualizationJobs(t.Context(), newClient(t, server.URL), testProject, ListQuery{}) {
		if fault = err; err == nil {
			n++
		}
	}
	if n != maxListed || KindOf(fault) != KindUnavailable || !strings.Contains(fault.Error(), "does not end") {
		t.Errorf("%d jobs, then %v", n, fault)
	}
}
