package modelarts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The limits that hold in every edition of the documents.
const (
	maxPerPage = 100
	maxSearch  = 64
)

// maxListed is how many jobs of one project AllVisualizationJobs yields at most.
const maxListed = 100_000

var errEndless = errors.New("the list has more than 100,000 jobs, or does not end")

// ListQuery selects and orders jobs. The zero value is the first page of all
// jobs in the default workspace, by id.
//
// Source: ModelArts API reference, "Querying a Visualization Job List". Limits
// and defaults differ between its editions, so the narrowest limits hold here
// and nothing is left to a default.
type ListQuery struct {
	// Status keeps only jobs of one status; nil keeps all.
	Status *Status
	// PerPage is 1 to 100; 0 means 100.
	PerPage int
	// Page counts from 1; 0 means 1.
	Page int
	// SortBy is "job_id", "job_name", "job_desc", "create_time" or "status";
	// empty means "job_id".
	SortBy string
	// Order is "asc" or "desc"; empty means "asc".
	Order string
	// Search keeps only jobs whose name contains it; at most 64 characters.
	Search string
	// WorkspaceID is empty for the default workspace.
	WorkspaceID string
}

// JobPage is one page of a list.
type JobPage struct {
	Jobs []VisualizationJob // empty past the last page
	// TotalCount is how many jobs match on all pages; 0 if the API does not say.
	TotalCount int
	RequestID  string
}

// ListVisualizationJobs returns one page. Jobs that change while pages are read
// can appear twice or not at all.
func (c *Client) ListVisualizationJobs(ctx context.Context, projectID string, q ListQuery) (*JobPage, error) {
	q = q.withDefaults()
	if err := q.check(); err != nil {
		return nil, invalid(OperationList, err)
	}
	cl, err := c.projectCall(OperationList, http.MethodGet, projectID)
	if err != nil {
		return nil, err
	}
	cl.url.RawQuery = q.encode()
	var page *JobPage
	cl.accept = func(a *answer) (err error) {
		page, err = readPage(a)
		return err
	}
	if err := c.do(ctx, cl); err != nil {
		return nil, err
	}
	return page, nil
}

// Lister reads a list page by page. Client is one.
type Lister interface {
	ListVisualizationJobs(ctx context.Context, projectID string, q ListQuery) (*JobPage, error)
}

// AllVisualizationJobs goes through the pages from q.Page on, one call of list
// each, and yields each job once, even if the list shifts meanwhile. It ends when
// it has seen as many jobs as match or a page brings no new one. An error is
// yielded once, as the last element, with a zero job. So is a list of more than
// 100,000 jobs: one that does not end must not fill the memory.
func AllVisualizationJobs(ctx context.Context, list Lister, projectID string, q ListQuery) iter.Seq2[VisualizationJob, error] {
	return func(yield func(VisualizationJob, error) bool) {
		q := q.withDefaults()
		skipped := (q.Page - 1) * q.PerPage
		seen := map[string]bool{}
		for ; ; q.Page++ {
			page, err := list.ListVisualizationJobs(ctx, projectID, q)
			if err != nil {
				yield(VisualizationJob{}, err)
				return
			}
			before := len(seen)
			for _, job := range page.Jobs {
				if seen[job.ID] {
					continue
				}
				seen[job.ID] = true
				if len(seen) > maxListed {
					yield(VisualizationJob{}, &APIError{Operation: OperationList, Kind: KindUnavailable, RequestID: page.RequestID, Err: errEndless})
					return
				}
				if !yield(job, nil) {
					return
				}
			}
			complete := page.TotalCount > 0 && skipped+len(seen) >= page.TotalCount
			if complete || len(seen) == before {
				return
			}
		}
	}
}

func (q ListQuery) withDefaults() ListQuery {
	if q.PerPage == 0 {
		q.PerPage = maxPerPage
	}
	if q.Page == 0 {
		q.Page = 1
	}
	if q.SortBy == "" {
		q.SortBy = "job_id"
	}
	if q.Order == "" {
		q.Order = "asc"
	}
	return q
}

func (q ListQuery) check() error {
	switch {
	case q.PerPage < 1 || q.PerPage > maxPerPage:
		return fmt.Errorf("jobs per page must be 1 to %d, not %d", maxPerPage, q.PerPage)
	case q.Page < 1:
		return fmt.Errorf("page must be 1 or more, not %d", q.Page)
	case !slices.Contains([]string{"job_id", "job_name", "job_desc", "create_time", "status"}, q.SortBy):
		return fmt.Errorf("jobs cannot be sorted by %.40q", q.SortBy)
	case q.Order != "asc" && q.Order != "desc":
		return fmt.Errorf("order must be asc or desc, not %.40q", q.Order)
	case utf8.RuneCountInString(q.Search) > maxSearch:
		return fmt.Errorf("search text must not be longer than %d characters", maxSearch)
	case q.WorkspaceID != "":
		return ValidateID("workspace", q.WorkspaceID)
	}
	return nil
}

func (q ListQuery) encode() string {
	v := url.Values{
		"per_page": {strconv.Itoa(q.PerPage)},
		"page":     {strconv.Itoa(q.Page)},
		"sortBy":   {q.SortBy},
		"order":    {q.Order},
	}
	if q.Status != nil {
		v.Set("status", strconv.Itoa(int(*q.Status)))
	}
	if q.Search != "" {
		v.Set("search_content", q.Search)
	}
	if q.WorkspaceID != "" {
		v.Set("workspace_id", q.WorkspaceID)
	}
	// The signature is over %20; sending the same leaves no room for a receiver
	// that takes a plus for a plus. A real plus is %2B by now.
	return strings.ReplaceAll(v.Encode(), "+", "%20")
}

func readPage(a *answer) (*JobPage, error) {
	var list struct {
		Jobs  *[]jobJSON `json:"jobs"`
		Total looseInt   `json:"job_total_count"`
	}
	if !a.problem.object {
		return nil, errNotJSON
	}
	if json.Unmarshal(a.body, &list) != nil || list.Jobs == nil && !list.Total.ok {
		return nil, errors.New("the answer holds no list of jobs")
	}
	page := &JobPage{TotalCount: int(max(list.Total.n, 0)), RequestID: a.requestID()}
	if list.Jobs != nil {
		for _, j := range *list.Jobs {
			page.Jobs = append(page.Jobs, j.job(page.RequestID))
		}
	}
	return page, nil
}
