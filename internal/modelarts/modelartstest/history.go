package modelartstest

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// The pages of Control that tell what has happened.
const (
	PathCounts = "/history/counts"
	PathJobs   = "/history"
)

// CountsPage is the JSON of PathCounts.
type CountsPage struct {
	Calls      map[string]map[int]int `json:"calls"`       // by operation and HTTP status
	ShownEnded int                    `json:"shown_ended"` // ends of jobs that a detail answer has shown
}

// JobHistory is one line of PathJobs: what happened to one job. Times that have
// not come are absent.
type JobHistory struct {
	ProjectID  string        `json:"project_id"`
	JobID      string        `json:"job_id"`
	Ended      time.Time     `json:"ended,omitzero"`       // when it truly ended
	ShownEnded time.Time     `json:"shown_ended,omitzero"` // when a detail answer first showed that
	Calls      []HistoryCall `json:"calls"`                // those that are remembered, see Config.CallsPerJob
}

// HistoryCall is one call for a job.
type HistoryCall struct {
	Operation  string    `json:"operation"`
	At         time.Time `json:"at"` // arrival
	HTTPStatus int       `json:"http_status"`
}

// history answers PathJobs.
func (s *Simulator) history(w http.ResponseWriter, _ *http.Request) { writeLines(w, s.Histories()) }

// historyCounts answers PathCounts.
func (s *Simulator) historyCounts(w http.ResponseWriter, _ *http.Request) {
	writeLines(w, []CountsPage{{Calls: s.CountsByStatus(), ShownEnded: s.shownEnds()}})
}

// Histories tells of every job that exists, ordered by project and job.
func (s *Simulator) Histories() []JobHistory {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	var all []JobHistory
	for id, p := range s.projects {
		for _, r := range p.jobs {
			if !p.settle(r, now) {
				continue
			}
			h := JobHistory{ProjectID: id, JobID: r.ID, Ended: r.EndedAt, ShownEnded: r.ShownEnded, Calls: []HistoryCall{}}
			for _, c := range s.calls.byJob[jobKey{id, r.ID}] {
				h.Calls = append(h.Calls, HistoryCall{Operation: c.Operation, At: c.At, HTTPStatus: c.HTTPStatus})
			}
			all = append(all, h)
		}
	}
	slices.SortFunc(all, func(a, b JobHistory) int {
		return cmp.Or(cmp.Compare(a.ProjectID, b.ProjectID), cmp.Compare(decimal(a.JobID), decimal(b.JobID)),
			cmp.Compare(a.JobID, b.JobID))
	})
	return all
}

func (s *Simulator) shownEnds() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}
