package control

import (
	"errors"
	"iter"

	"vizstop/internal/estimate"
	"vizstop/internal/joblist"
	"vizstop/internal/when"
)

// Survey is the jobs that an ask comes to, counted and checked in a first pass, before
// anything is recorded. They are gone through again to be asked for, so a list of any
// length fits into bounded memory.
type Survey struct {
	Count    int            // jobs, each once
	Projects []string       // in order of first appearance
	Each     map[string]int // jobs by project
	Repeated int            // named more than once
	Headers  int            // lines that name columns, passed over
	Bad      int            // what can't be a job
	Invalid  []BadName      // the first few of these

	places map[string]places
	pass   func() iter.Seq2[joblist.Item, error]
}

// BadName is something that can't be a job's id, and where it stood.
type BadName struct {
	Place  string `json:"place"` // such as "argument 2" or "jobs.txt line 7"
	Reason string `json:"reason"`
}

// places is where in the order of all jobs the first and the last one of a project stand.
type places struct{ first, last int }

// shownInvalid is how many invalid names are kept to be shown.
const shownInvalid = 5

// NewSurvey makes the first pass. A *joblist.LineError of a pass is one bad name; any
// other error is returned as it is. Each call of pass goes through the same jobs.
func NewSurvey(pass func() iter.Seq2[joblist.Item, error]) (*Survey, error) {
	s := &Survey{pass: pass, Each: map[string]int{}, places: map[string]places{}}
	var seen joblist.Seen
	for item, err := range pass() {
		if line, ok := errors.AsType[*joblist.LineError](err); ok {
			s.bad(line)
			continue
		}
		if err != nil {
			return nil, err
		}
		if !seen.Add(item.ProjectID, item.JobID) {
			s.Repeated++
			continue
		}
		if s.Each[item.ProjectID] == 0 {
			s.Projects = append(s.Projects, item.ProjectID)
			s.places[item.ProjectID] = places{first: s.Count}
		}
		s.places[item.ProjectID] = places{s.places[item.ProjectID].first, s.Count}
		s.Each[item.ProjectID]++
		s.Count++
	}
	return s, nil
}

func (s *Survey) bad(line *joblist.LineError) {
	if line.Header {
		s.Headers++
		return
	}
	s.Bad++
	if len(s.Invalid) < shownInvalid {
		s.Invalid = append(s.Invalid, BadName{line.Place, line.Reason})
	}
}

// Items is the second pass: each job once.
func (s *Survey) Items() iter.Seq2[joblist.Item, error] {
	return func(yield func(joblist.Item, error) bool) {
		var seen joblist.Seen
		for item, err := range s.pass() {
			if _, ok := errors.AsType[*joblist.LineError](err); ok {
				continue // counted in the first pass
			}
			if err == nil && !seen.Add(item.ProjectID, item.JobID) {
				continue
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

// shares is how many of the jobs each project has, and when they are due.
func (s *Survey) shares(plan when.Plan) []estimate.Share {
	var all []estimate.Share
	for _, project := range s.Projects {
		if n := s.Each[project]; n > 0 {
			at := s.places[project]
			all = append(all, estimate.Share{ProjectID: project, Stops: n, First: plan.Due(at.first, s.Count), Last: plan.Due(at.last, s.Count)})
		}
	}
	return all
}
