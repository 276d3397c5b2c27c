package modelartstest

import (
	"cmp"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	v1 "vizstop/internal/modelarts/v1"
)

// Numbers that list answers show, as in the samples. They limit nothing.
const (
	shownQuota    = 100
	shownJobLimit = 1000
)

// listQuery is a checked query of list.
//
// Source: ModelArts API reference, "Querying a Visualization Job List".
type listQuery struct {
	status        v1.Status
	anyStatus     bool
	page, perPage int
	compare       func(a, b *record) int
	search        string
	workspaceID   string
	invalid       string // why the query is refused
	descending    bool
}

func (s *Simulator) list(x *exchange, now time.Time) answer {
	q := s.parseList(x.URL.Query())
	if q.invalid != "" {
		return s.invalid(q.invalid)
	}
	present := s.settled(x.projectID, V1, now)
	matching := slices.DeleteFunc(slices.Clone(present), func(r *record) bool { return !q.matches(r) })
	slices.SortFunc(matching, q.order)
	jobs := []object{}
	for _, r := range q.cut(matching) {
		jobs = append(jobs, s.listed(r, now))
	}
	return success(object{
		"jobs":            jobs,
		"job_total_count": len(matching),
		"job_count_limit": max(0, cmp.Or(s.cfg.MaxJobs, shownJobLimit)-len(present)),
		"quotas":          shownQuota,
	})
}

func (s *Simulator) listed(r *record, now time.Time) object {
	o := s.describe(r, now)
	if s.cfg.Extras && r.AutoStop > 0 {
		o["schedule"] = []object{{
			"type": "stop", s.cfg.ScheduleKey: "HOURS", "duration": int(math.Ceil(r.AutoStop.Hours())),
		}}
	}
	return o
}

func (s *Simulator) parseList(v url.Values) listQuery {
	q := listQuery{
		search:      v.Get("search_content"),
		workspaceID: cmp.Or(v.Get("workspace_id"), "0"),
		anyStatus:   v.Get("status") == "",
	}
	status := q.integer(v, "status", 0, 0, math.MaxInt32)
	q.status = v1.Status(status)
	q.perPage = q.integer(v, "per_page", min(10, s.cfg.MaxPerPage), 1, s.cfg.MaxPerPage)
	q.page = q.integer(v, "page", 1, 1, math.MaxInt32)
	// One official client sends sort_by.
	sortBy := cmp.Or(v.Get("sortBy"), v.Get("sort_by"), "job_id")
	q.compare = comparison(sortBy)
	order := cmp.Or(v.Get("order"), s.cfg.DefaultOrder)
	q.descending = order == "desc"
	switch {
	case utf8.RuneCountInString(q.search) > s.cfg.MaxSearch:
		q.invalid = fmt.Sprintf("The length of search content should be in [0,%d]", s.cfg.MaxSearch)
	case q.compare == nil:
		q.invalid = "Illegal sortBy: " + sortBy
	case order != "asc" && order != "desc":
		q.invalid = "Illegal order: " + order
	}
	return q
}

// integer reads one parameter and notes if it is out of its range.
func (q *listQuery) integer(v url.Values, name string, unset, lo, hi int) int {
	text := v.Get(name)
	if text == "" {
		return unset
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < lo || n > hi {
		q.invalid = fmt.Sprintf("The %s should be in [%d,%d]", name, lo, hi)
	}
	return n
}

func (q *listQuery) matches(r *record) bool {
	return (q.anyStatus || r.Status == q.status) &&
		r.WorkspaceID == q.workspaceID &&
		strings.Contains(r.Name, q.search)
}

// order settles ties by id, ascending, so that pages never overlap.
func (q *listQuery) order(a, b *record) int {
	c := q.compare(a, b)
	if q.descending {
		c = -c
	}
	return cmp.Or(c, byID(a, b))
}

// cut is the page asked for; empty past the end.
func (q *listQuery) cut(all []*record) []*record {
	from := min((q.page-1)*q.perPage, len(all))
	return all[from:min(from+q.perPage, len(all))]
}

// comparison is nil for a field that can't be sorted by.
func comparison(field string) func(a, b *record) int {
	switch field {
	case "job_id":
		return byID
	case "job_name":
		return func(a, b *record) int { return cmp.Compare(a.Name, b.Name) }
	case "job_desc":
		return func(a, b *record) int { return cmp.Compare(a.Description, b.Description) }
	case "create_time":
		return func(a, b *record) int { return a.CreateTime.Compare(b.CreateTime) }
	case "status":
		return func(a, b *record) int { return cmp.Compare(a.Status, b.Status) }
	}
	return nil
}
