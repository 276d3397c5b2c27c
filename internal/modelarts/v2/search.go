package v2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/loose"
)

// pageSize is the largest limit that a search may have.
const pageSize = 50

// PageSize is that of jobs.API.
func (a *API) PageSize(string) int { return pageSize }

// search is what was found out about searches at this endpoint.
type search struct {
	mu         sync.Mutex
	offset     reading
	unfiltered time.Time // until then filters are taken to be refused, or passed over
}

// reading is how the service reads a search's offset. Its documents call it a number
// of pages; two public clients use it as a start position.
type reading int

const (
	unknown reading = iota
	ofPages
	ofJobs
)

func (s *search) reading() reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offset
}

func (s *search) filters() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().After(s.unfiltered)
}

func (s *search) note(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// filtersAgain is how long a service that did not filter is not asked to.
const filtersAgain = 10 * time.Minute

// List is that of jobs.API, in order of creation. Training jobs that are not
// visualization jobs are left out and counted, but for those that are being stopped:
// whoever asks for them knows its own. It makes two more calls when it is
// asked for a further page than the first for the first time, and reads up to
// mostUnfiltered pages where a service does not filter.
//
// Source: ModelArts API reference, "Querying a Training Job List".
func (a *API) List(ctx context.Context, projectID string, q jobs.Query) (*jobs.Page, error) {
	switch {
	case q.PerPage < 0 || q.PerPage > pageSize:
		return nil, badList("jobs per page must be 1 to %d, not %d", pageSize, q.PerPage)
	case q.Page < 0:
		return nil, badList("page must be 1 or more, not %d", q.Page)
	case q.PerPage == 0:
		q.PerPage = pageSize
	}
	q.Page = max(q.Page, 1)
	if q.Stopping && !a.search.filters() {
		return a.unfiltered(ctx, projectID, q)
	}
	found, err := a.page(ctx, projectID, q)
	if q.Stopping && (refusesFilters(err) || err == nil && !found.stopping()) {
		a.search.note(func() { a.search.unfiltered = time.Now().Add(filtersAgain) })
		if err := a.spend(ctx, projectID); err != nil {
			return nil, err
		}
		return a.unfiltered(ctx, projectID, q)
	}
	switch {
	case err != nil:
		return nil, err
	case q.Stopping:
		return found.all(), nil
	}
	return a.ours(found), nil
}

func badList(format string, args ...any) error {
	return &jobs.Error{Operation: jobs.OperationList, Kind: jobs.KindInvalid, Err: fmt.Errorf(format, args...)}
}

// ours are the visualization jobs of what was found.
func (a *API) ours(found *trainings) *jobs.Page {
	page := &jobs.Page{Total: found.total, RequestID: found.requestID}
	for i := range found.items {
		if t := &found.items[i]; a.guard.refusal(t) == nil {
			page.Jobs = append(page.Jobs, t.Job)
		} else {
			page.Others++
		}
		if found.items[i].kind == "" {
			page.Kindless++
		}
	}
	return page
}

// refusesFilters reports whether a search was refused for its filter.
func refusesFilters(err error) bool {
	apiErr, ok := errors.AsType[*jobs.Error](err)
	if !ok {
		return false
	}
	code := strings.ToLower(apiErr.Code)
	for _, one := range []string{filterKey, filterOperator, filterValue} {
		if code == one || "modelarts."+code == one {
			return true
		}
	}
	return false
}

// mostUnfiltered is how many pages are read to filter after reading. The list of a
// project holds its ended jobs, too: with more it is not worth its calls, and each job
// is looked at by itself.
const mostUnfiltered = 4

// unfiltered answers for a service that does not filter: every stopping job on the
// first page, however many, from all pages of the whole list.
func (a *API) unfiltered(ctx context.Context, projectID string, q jobs.Query) (*jobs.Page, error) {
	if q.Page > 1 {
		return &jobs.Page{}, nil
	}
	all := &jobs.Page{}
	whole := jobs.Query{Page: 1, PerPage: pageSize}
	for pages := 1; whole.Page <= pages; whole.Page++ {
		if whole.Page > 1 {
			if err := a.spend(ctx, projectID); err != nil {
				return nil, err
			}
		}
		found, err := a.page(ctx, projectID, whole)
		if err != nil {
			return nil, err
		}
		if pages = (found.total + pageSize - 1) / pageSize; pages > mostUnfiltered {
			return nil, badList("the service does not filter, and the list of %d training jobs is too long to be read for each check", found.total)
		}
		for _, job := range found.all().Jobs {
			same := func(other jobs.Job) bool { return other.ID == job.ID }
			if job.Status.State == jobs.Stopping && !slices.ContainsFunc(all.Jobs, same) {
				all.Jobs = append(all.Jobs, job)
			}
		}
		all.RequestID = found.requestID
	}
	all.Total = len(all.Jobs)
	return all, nil
}

// page reads one page of a search.
func (a *API) page(ctx context.Context, projectID string, q jobs.Query) (*trainings, error) {
	offset := 0
	if q.Page > 1 {
		reading, err := a.reading(ctx, projectID)
		if err != nil {
			return nil, err
		}
		if offset = q.Page - 1; reading == ofJobs {
			offset *= q.PerPage
		}
	}
	return a.find(ctx, projectID, offset, q.PerPage, q.Stopping)
}

// compared is how many jobs are read twice to find out how the offset is read.
const compared = 20

// reading finds out, once, how the service reads an offset: the jobs from the
// beginning and those at offset 1 overlap if it counts jobs, and don't if it counts
// pages. It asks for enough of them that some may come and go in between.
func (a *API) reading(ctx context.Context, projectID string) (reading, error) {
	if known := a.search.reading(); known != unknown {
		return known, nil
	}
	var ids [2]map[string]bool
	for offset := range ids {
		if err := a.spend(ctx, projectID); err != nil {
			return unknown, err
		}
		found, err := a.find(ctx, projectID, offset, compared, false)
		if err != nil {
			return unknown, err
		}
		ids[offset] = map[string]bool{}
		for _, t := range found.items {
			ids[offset][t.ID] = true
		}
	}
	found := ofPages
	for id := range ids[1] {
		if ids[0][id] {
			found = ofJobs
		}
	}
	if len(ids[1]) > 0 { // else there is nothing to tell by
		a.search.note(func() { a.search.offset = found })
	}
	return found, nil
}

// trainings is what one search has found.
type trainings struct {
	items     []training
	total     int // on all pages; 0 if the API does not say
	requestID string
}

// all are all of them as a page.
func (f *trainings) all() *jobs.Page {
	page := &jobs.Page{Total: f.total, RequestID: f.requestID}
	for _, t := range f.items {
		page.Jobs = append(page.Jobs, t.Job)
	}
	return page
}

// stopping reports whether these can be those that are being stopped. A few may just
// have ended.
func (f *trainings) stopping() bool {
	ended := 0
	for _, t := range f.items {
		switch t.Status.State {
		case jobs.Active, jobs.Unclear:
			return false
		case jobs.Ended:
			ended++
		}
	}
	return ended < 5 || ended <= len(f.items)/2
}

// find makes one search.
func (a *API) find(ctx context.Context, projectID string, offset, limit int, stopping bool) (*trainings, error) {
	type filter struct {
		Key      string   `json:"key"`
		Operator string   `json:"operator"`
		Value    []string `json:"value"`
	}
	request := struct {
		Offset  int      `json:"offset"`
		Limit   int      `json:"limit"`
		SortBy  string   `json:"sort_by"`
		Order   string   `json:"order"`
		Filters []filter `json:"filters,omitempty"`
	}{Offset: offset, Limit: limit, SortBy: "create_time", Order: "asc"}
	if stopping {
		request.Filters = []filter{{"phase", "in", []string{terminating}}}
	}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	var found *trainings
	err = a.client.Do(ctx, &modelarts.Call{
		Generation: generation, Operation: jobs.OperationList, Method: http.MethodPost, ProjectID: projectID,
		Path: []string{"v2", projectID, "training-job-searches"}, Body: body,
		Accept: func(answer *modelarts.Answer) (err error) {
			found, err = readTrainings(answer)
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func readTrainings(a *modelarts.Answer) (*trainings, error) {
	var list struct {
		Items *[]trainingJSON `json:"items"`
		Total loose.Int       `json:"total"`
	}
	if !a.IsObject() {
		return nil, modelarts.ErrNotJSON
	}
	if json.Unmarshal(a.Body, &list) != nil || list.Items == nil && !list.Total.OK {
		return nil, errors.New("the answer holds no list of training jobs")
	}
	found := &trainings{total: int(max(list.Total.N, 0)), requestID: a.RequestID()}
	if list.Items != nil {
		for _, j := range *list.Items {
			found.items = append(found.items, j.training(found.requestID))
		}
	}
	return found, nil
}
