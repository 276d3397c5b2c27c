package v2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts"
)

// pageSize is the largest limit that a search may have.
const pageSize = 50

// PageSize is that of jobs.API.
func (a *API) PageSize(string) int { return pageSize }

// search is what was found out about searches at this endpoint.
type search struct {
	finding chan struct{} // holds one value while somebody finds out how an offset is read

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

func newSearch() *search { return &search{finding: make(chan struct{}, 1)} }

func (s *search) reading() reading {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.offset
}

func (s *search) reads(r reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset = r
}

// filtersAgain is how long a service that did not filter is not asked to.
const filtersAgain = 10 * time.Minute

func (s *search) filters() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().After(s.unfiltered)
}

func (s *search) doesNotFilter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unfiltered = time.Now().Add(filtersAgain)
}

// List is that of jobs.API, in order of creation. Training jobs that are not
// visualization jobs are left out and named, but for those that are being stopped:
// whoever asks for them knows its own. When it is asked for a further page than the
// first for the first time, it makes two more calls. Where a service does not filter, it
// reads up to mostUnfiltered pages for those that are being stopped.
//
// Source: ModelArts API reference, "Querying a Training Job List".
func (a *API) List(ctx context.Context, projectID string, q jobs.Query) (*jobs.Page, error) {
	q, err := q.Within(pageSize)
	if err != nil {
		return nil, err
	}
	if q.Stopping {
		return a.stopping(ctx, projectID, q)
	}
	found, err := a.page(ctx, projectID, q)
	if err != nil {
		return nil, err
	}
	page := &jobs.Page{Total: found.total, RequestID: found.requestID}
	for i := range found.items {
		if t := &found.items[i]; a.guard.refusal(t) == nil {
			page.Jobs = append(page.Jobs, t.Job)
		} else {
			page.Others = append(page.Others, t.ID)
		}
		if found.items[i].kind == "" {
			page.Kindless++
		}
	}
	return page, nil
}

// stopping answers a query for the jobs that are being stopped. It asks the service to
// filter, and sees from the answer whether it has. Of a first page it always asks for
// as many jobs as it can, to see that by.
func (a *API) stopping(ctx context.Context, projectID string, q jobs.Query) (*jobs.Page, error) {
	if !a.search.filters() {
		return a.unfiltered(ctx, projectID, q)
	}
	asked := q
	if q.Page == 1 {
		asked.PerPage = pageSize
	}
	found, err := a.page(ctx, projectID, asked)
	if err != nil && !refusesFilters(err) {
		return nil, err
	}
	if err == nil {
		page, whole := found.stopping(), q.Page == 1 && found.complete()
		if whole {
			page.Total = len(page.Jobs)
		}
		if whole || found.filtered() {
			page.Jobs = page.Jobs[:min(q.PerPage, len(page.Jobs))]
			return page, nil
		}
	}
	a.search.doesNotFilter()
	if err := a.spend(ctx, projectID); err != nil {
		return nil, err
	}
	return a.unfiltered(ctx, projectID, q)
}

// refusesFilters reports whether a search was refused for its filter: for its key,
// operator or value.
func refusesFilters(err error) bool {
	apiErr, ok := errors.AsType[*jobs.Error](err)
	if !ok {
		return false
	}
	switch strings.TrimPrefix(strings.ToLower(apiErr.Code), "modelarts.") {
	case "2807", "2808", "2809":
		return true
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
	all, seen := &jobs.Page{}, map[string]bool{}
	if q.Page > 1 {
		return all, nil
	}
	for page := 1; page <= mostUnfiltered; page++ {
		if page > 1 {
			if err := a.spend(ctx, projectID); err != nil {
				return nil, err
			}
		}
		found, err := a.page(ctx, projectID, jobs.Query{Page: page, PerPage: pageSize})
		if err != nil {
			return nil, err
		}
		if found.total > mostUnfiltered*pageSize {
			break
		}
		for _, job := range found.stopping().Jobs {
			if !seen[job.ID] { // the list may have shifted
				seen[job.ID] = true
				all.Jobs = append(all.Jobs, job)
			}
		}
		if len(found.items) < pageSize || page*pageSize == found.total {
			all.Total, all.RequestID = len(all.Jobs), found.requestID
			return all, nil
		}
	}
	return nil, &jobs.Error{Operation: jobs.OperationList, Kind: jobs.KindInvalid, Err: fmt.Errorf(
		"the service does not filter, and a list of more than %d training jobs is too long to be read for each check", mostUnfiltered*pageSize)}
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

// compared is how many jobs are read twice to find out how an offset is read.
const compared = 20

// reading finds out, once, how the service reads an offset: most of the jobs at offset 1
// are also among those from the beginning if it counts jobs, and none is if it counts
// pages. Some may come and go in between.
func (a *API) reading(ctx context.Context, projectID string) (reading, error) {
	select {
	case a.search.finding <- struct{}{}:
		defer func() { <-a.search.finding }()
	case <-ctx.Done():
		return unknown, ctx.Err()
	}
	if known := a.search.reading(); known != unknown {
		return known, nil
	}
	var found [2]*trainings
	for offset := range found {
		err := a.spend(ctx, projectID)
		if err == nil {
			found[offset], err = a.find(ctx, projectID, offset, compared, false)
		}
		if err != nil {
			return unknown, err
		}
	}
	first, next := map[string]bool{}, len(found[1].items)
	for _, t := range found[0].items {
		first[t.ID] = true
	}
	both := 0
	for _, t := range found[1].items {
		if first[t.ID] {
			both++
		}
	}
	switch {
	case 2*both > next:
		a.search.reads(ofJobs)
		return ofJobs, nil
	case next > 0 && len(first) == compared:
		a.search.reads(ofPages)
	}
	return ofPages, nil // perhaps only for now: there may be too few jobs to tell by
}

// trainings is what one search has found.
type trainings struct {
	items     []training
	total     int // on all pages; 0 if the API does not say
	requestID string
}

// complete reports whether a first page of pageSize jobs holds all that there are.
func (f *trainings) complete() bool {
	return len(f.items) < pageSize || f.total == pageSize
}

// stopping is a page of those that are being stopped.
func (f *trainings) stopping() *jobs.Page {
	page := &jobs.Page{Total: f.total, RequestID: f.requestID}
	for _, t := range f.items {
		if t.Status.State == jobs.Stopping {
			page.Jobs = append(page.Jobs, t.Job)
		}
	}
	return page
}

// filtered reports whether these can be those that are being stopped. A few may just
// have ended.
func (f *trainings) filtered() bool {
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
