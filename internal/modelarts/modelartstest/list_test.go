package modelartstest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
	v1 "vizstop/internal/modelarts/v1"
)

// listedIDs are the ids on a page, in its order.
func (r *rig) listedIDs(query string) string {
	r.t.Helper()
	g := r.call("GET", jobsPath+"?"+query, "")
	g.expect(r.t, 200, "")
	jobs, ok := g.body["jobs"].([]any)
	if !ok {
		r.t.Fatalf("list = %s", g.raw)
	}
	var ids []string
	for _, j := range jobs {
		ids = append(ids, fmt.Sprint(j.(map[string]any)["job_id"]))
	}
	return strings.Join(ids, " ")
}

func TestListFiltersSortsAndPages(t *testing.T) {
	r := start(t, Config{})
	now := r.clock.now()
	for _, j := range []Job{
		{ID: "10", Name: "alpha", Description: "z", Status: 9, CreateTime: now.Add(-time.Hour)},
		{ID: "9", Name: "beta", Description: "y", Status: 12, CreateTime: now.Add(-2 * time.Hour)},
		{ID: "8", Name: "gamma", Description: "x", Status: 9, CreateTime: now.Add(-3 * time.Hour)},
		{ID: "x7", Name: "alphabet", Description: "w", Status: 8, CreateTime: now.Add(-4 * time.Hour)},
		{ID: "6", Name: "elsewhere", WorkspaceID: "w2"},
	} {
		r.AddJob("p1", j)
	}
	for _, tt := range []struct{ query, want string }{
		{"", "x7 8 9 10"},
		{"order=desc", "10 9 8 x7"},
		{"status=9", "8 10"},
		{"status=13", ""},
		{"search_content=alpha", "x7 10"},
		{"workspace_id=w2", "6"},
		{"sortBy=job_name", "10 x7 9 8"},
		{"sortBy=job_desc&order=asc", "x7 8 9 10"},
		{"sortBy=create_time&order=desc", "10 9 8 x7"},
		{"sort_by=create_time", "x7 8 9 10"},
		{"sortBy=status&order=desc", "9 8 10 x7"},
		{"per_page=3", "x7 8 9"},
		{"per_page=3&page=2", "10"},
		{"per_page=3&page=3", ""},
		{"per_page=1000&page=2147483647", ""},
	} {
		if got := r.listedIDs(tt.query); got != tt.want {
			t.Errorf("list ?%s = %q, want %q", tt.query, got, tt.want)
		}
	}
	if g := r.call("GET", jobsPath+"?status=9&per_page=1", ""); g.number("job_total_count") != 2 ||
		g.number("job_count_limit") != 995 || g.number("quotas") != 100 {
		t.Errorf("list = %s", g.raw)
	}
}

func TestListDefaultsToTen(t *testing.T) {
	r := start(t, Config{DefaultOrder: "desc"})
	for range 12 {
		r.AddJob("p1", Job{})
	}
	if got := r.listedIDs(""); got != "12 11 10 9 8 7 6 5 4 3" {
		t.Errorf("list = %q", got)
	}
}

func TestListValidation(t *testing.T) {
	long := func(n int) string { return "search_content=" + url.QueryEscape(strings.Repeat("测", n)) }
	for _, tt := range []struct {
		cfg         Config
		query, text string // "" means that it is accepted
	}{
		{Config{}, long(100), ""},
		{Config{}, long(101), "The length of search content should be in [0,100]"},
		{Config{MaxSearch: 64}, long(65), "The length of search content should be in [0,64]"},
		{Config{}, "per_page=1000", ""},
		{Config{}, "per_page=1001", "The per_page should be in [1,1000]"},
		{Config{MaxPerPage: 100}, "per_page=101", "The per_page should be in [1,100]"},
		{Config{}, "per_page=0", "The per_page should be in [1,1000]"},
		{Config{}, "per_page=ten", "The per_page should be in [1,1000]"},
		{Config{}, "page=0", "The page should be in [1,2147483647]"},
		{Config{}, "status=running", "The status should be in [0,2147483647]"},
		{Config{}, "sortBy=duration", "Illegal sortBy: duration"},
		{Config{}, "order=up", "Illegal order: up"},
	} {
		r := start(t, tt.cfg)
		g := r.call("GET", jobsPath+"?"+tt.query, "")
		if tt.text == "" {
			g.expect(t, 200, "")
			continue
		}
		if g.expect(t, 400, "ModelArts.0104"); g.message() != tt.text {
			t.Errorf("%s: message = %q, want %q", tt.query, g.message(), tt.text)
		}
	}
}

func TestListOfAnUnknownProjectIsEmpty(t *testing.T) {
	r := start(t, Config{})
	if g := r.call("GET", "/v1/none/visualization-jobs", ""); !strings.Contains(g.raw, `"jobs":[]`) {
		t.Errorf("list = %s", g.raw)
	}
}

func TestListShowsCurrentStatuses(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1", Status: v1.StatusKilling, StopTime: time.Second})
	r.AddJob("p1", Job{ID: "2", Status: v1.StatusKilling, StopTime: time.Minute})
	r.clock.advance(time.Second)
	if got := r.listedIDs("status=9"); got != "2" {
		t.Errorf("stopping = %q, want 2", got)
	}
}
