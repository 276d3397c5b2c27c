package modelartstest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The limit of a search: at most, and without one. The latter is a guess.
const (
	maxLimit     = 50
	defaultLimit = 10
)

// userName is who created every job of v2.
const userName = "simulated"

// searchRequest is the body of POST /v2/{project_id}/training-job-searches.
//
// Source: ModelArts API reference, "Querying a Training Job List".
type searchRequest struct {
	WorkspaceID string   `json:"workspace_id"`
	Offset      int      `json:"offset"`
	Limit       *int     `json:"limit"`
	SortBy      string   `json:"sort_by"`
	Order       string   `json:"order"`
	Filters     []filter `json:"filters"`
}

type filter struct {
	Key      string `json:"key"`
	Operator string `json:"operator"`
	Value    []any  `json:"value"` // strings and numbers
}

func (s *Simulator) search(x *exchange, now time.Time) answer {
	q, refusal := parseSearch(x.body)
	if refusal == nil {
		refusal = s.checkFilters(q.Filters)
	}
	if refusal != nil {
		return *refusal
	}
	matching := slices.DeleteFunc(s.settled(x.projectID, V2, now), func(r *record) bool { return !s.matches(q, r) })
	slices.SortFunc(matching, q.compare)
	items := []object{}
	for _, r := range s.cut(q, matching) {
		items = append(items, s.describeV2(r, now))
	}
	return v2Success(object{
		"total": len(matching), "count": len(items), "limit": *q.Limit, "offset": q.Offset,
		"sort_by": q.SortBy, "order": q.Order, "items": items,
	})
}

func parseSearch(body []byte) (searchRequest, *answer) {
	var q searchRequest
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&q); err != nil {
		return q, documented("ModelArts.0101")
	}
	limit := defaultLimit
	q.Limit = cmp.Or(q.Limit, &limit)
	q.WorkspaceID = cmp.Or(q.WorkspaceID, "0")
	q.SortBy, q.Order = cmp.Or(q.SortBy, "create_time"), cmp.Or(q.Order, "desc")
	orders := []string{"asc", "desc"}
	if *q.Limit < 1 || *q.Limit > maxLimit || q.Offset < 0 || q.SortBy != "create_time" || !slices.Contains(orders, q.Order) {
		return q, documented("ModelArts.2787")
	}
	return q, nil
}

// checkFilters refuses what is not understood, or all, as V2Options.Filters says.
func (s *Simulator) checkFilters(filters []filter) *answer {
	switch s.cfg.V2.Filters {
	case FiltersIgnored:
		return nil
	case FiltersBadKey, FiltersBadOperator, FiltersBadValue:
		if len(filters) > 0 {
			return documented("ModelArts." + s.cfg.V2.Filters)
		}
	}
	for _, f := range filters {
		if code := f.problem(); code != "" {
			return documented(code)
		}
	}
	return nil
}

// problem is the code with which a filter is refused; "" if it is understood.
func (f filter) problem() string {
	if _, ok := f.field(&record{}); !ok {
		return "ModelArts.2807"
	}
	switch f.Operator {
	case "in", "not", "like":
		if len(f.Value) == 0 {
			return "ModelArts.2809"
		}
	case "between":
		if len(f.Value) != 2 || f.number(0) < 0 || f.number(1) < 0 {
			return "ModelArts.2809"
		}
	default:
		return "ModelArts.2808"
	}
	return ""
}

// field is the text that the filter looks at; false if the key is not known. That kind is not one is a guess.
func (f filter) field(r *record) (string, bool) {
	switch f.Key {
	case "phase", "status":
		return r.Phase(), true
	case "name":
		return r.Name, true
	case "user_name":
		return userName, true
	case "create_time":
		return strconv.FormatInt(r.CreateTime.UnixMilli(), 10), true
	}
	return "", false
}

// number is the i-th value; -1 if it is no number.
func (f filter) number(i int) int64 {
	n, err := strconv.ParseInt(fmt.Sprint(f.Value[i]), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (f filter) matches(r *record) bool {
	field, _ := f.field(r)
	is := func(v any) bool { return fmt.Sprint(v) == field }
	switch f.Operator {
	case "in":
		return slices.ContainsFunc(f.Value, is)
	case "not":
		return !slices.ContainsFunc(f.Value, is)
	case "like":
		return slices.ContainsFunc(f.Value, func(v any) bool { return strings.Contains(field, fmt.Sprint(v)) })
	}
	n, err := strconv.ParseInt(field, 10, 64)
	return err == nil && f.number(0) <= n && n <= f.number(1)
}

func (s *Simulator) matches(q searchRequest, r *record) bool {
	without := func(f filter) bool { return !f.matches(r) }
	return r.WorkspaceID == q.WorkspaceID &&
		(s.cfg.V2.Filters == FiltersIgnored || !slices.ContainsFunc(q.Filters, without))
}

// compare settles ties by id, so that pages never overlap.
func (q searchRequest) compare(a, b *record) int {
	c := a.CreateTime.Compare(b.CreateTime)
	if q.Order == "desc" {
		c = -c
	}
	return cmp.Or(c, byID(a, b))
}

// cut is the part asked for; empty past the end.
func (s *Simulator) cut(q searchRequest, all []*record) []*record {
	from := q.Offset
	if s.cfg.V2.Offset == OffsetPage {
		from *= *q.Limit
	}
	from = min(from, len(all))
	return all[from:min(from+*q.Limit, len(all))]
}
