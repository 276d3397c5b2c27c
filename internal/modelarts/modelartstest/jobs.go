package modelartstest

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"
	"vizstop/internal/jobs"
	v1 "vizstop/internal/modelarts/v1"
)

// Completed is the v1 status of a job that has ended by itself, for callers that know no statuses.
const Completed = v1.StatusCompleted

// Job is a job of either generation: what AddJob wants and what snapshots show.
type Job struct {
	// ID is a decimal number in the real v1, a UUID in v2; "" lets AddJob choose
	// one. It is unique in the project, whatever the generation.
	ID          string
	Name        string // "" means "job-" and the id
	Description string
	TrainURL    string
	Type        string // "tensorboard" if empty, or "mindinsight"
	WorkspaceID string // "0" if empty

	Generation  Generation        // "" means the only one that the project is offered, else V1
	Kind        string            // of V2: a Kind constant or any other; "" means KindVisualization
	Annotations map[string]string // of V2

	// Status 0 means running for AddJob. Snapshots give it as of Config.Now.
	Status     v1.Status
	CreateTime time.Time // zero means now

	StopTime   time.Duration // how long 9 lasts after a stop; 0 means Phases.Stop
	StopStatus v1.Status     // how a stop ends; 0 means Config.StopStatus
	AutoStop   time.Duration // from each start of running to an automatic stop; 0 means never

	// EndedAt is when the job truly ended, however late somebody looks; zero
	// while it has not. AddJob ignores it.
	EndedAt time.Time
	// ShownEnded is when a detail answer first showed that end; zero while none
	// has. AddJob ignores it.
	ShownEnded time.Time
}

// record is a job with its future.
type record struct {
	Job
	number   int64     // of a decimal ID, for sorting; -1 for any other
	runFrom  time.Time // when it last began to run; zero if never
	steps    []step    // what lies ahead, in order
	resource string
}

// step is a move that happens by itself once its time has come.
type step struct {
	at     time.Time
	status v1.Status
	gone   bool // the job disappears
}

type project struct {
	jobs      map[string]*record
	lastID    int64
	trainings int // ids that newID made for V2
}

// AddJob puts a job into a project, in place of one with the same id, and gives
// it back as it now is. A job that is being created or stopped goes on from
// there, as if its status had begun just now. One that runs or has ended does
// so since CreateTime.
func (s *Simulator) AddJob(projectID string, j Job) Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	j.Status = cmp.Or(j.Status, v1.StatusRunning)
	r := s.insert(projectID, j, now)
	r.enter(r.Status, r.CreateTime)
	switch r.Status {
	case v1.StatusRunning:
		s.planAutoStop(r, r.CreateTime)
	case v1.StatusKilling:
		r.runFrom = r.CreateTime
		s.planStop(r, now)
	default:
		s.planCreation(r, now, s.cfg.Phases.Create(r.Job))
	}
	s.projects[projectID].settle(r, now)
	return r.Job
}

// Job is a snapshot of one job; false if there is none, or none any more.
func (s *Simulator) Job(projectID, jobID string) (Job, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.find(projectID, jobID, s.cfg.Now())
	if r == nil {
		return Job{}, false
	}
	return r.Job, true
}

// Jobs are snapshots of a project's jobs, in order of their ids.
func (s *Simulator) Jobs(projectID string) []Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	records := s.settled(projectID, "", s.cfg.Now())
	slices.SortFunc(records, byID)
	jobs := make([]Job, len(records))
	for i, r := range records {
		jobs[i] = r.Job
	}
	return jobs
}

// SetStatus puts a job into any status, where it stays until a call moves it.
// It is false if there is no such job.
func (s *Simulator) SetStatus(projectID, jobID string, status v1.Status) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.cfg.Now()
	r := s.find(projectID, jobID, now)
	if r == nil {
		return false
	}
	r.steps = nil
	r.enter(status, now)
	return true
}

// RemoveJob makes a job vanish at once; false if there was none.
func (s *Simulator) RemoveJob(projectID, jobID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.find(projectID, jobID, s.cfg.Now()) == nil {
		return false
	}
	delete(s.projects[projectID].jobs, jobID)
	return true
}

func (s *Simulator) insert(projectID string, j Job, now time.Time) *record {
	p := s.projects[projectID]
	if p == nil {
		p = &project{jobs: map[string]*record{}}
		s.projects[projectID] = p
	}
	j.Generation = cmp.Or(j.Generation, s.onlyOffered(projectID), V1)
	if j.Generation == V2 {
		j.Kind = cmp.Or(j.Kind, KindVisualization)
		j.Annotations = maps.Clone(j.Annotations)
	}
	if j.ID == "" {
		j.ID = p.newID(j.Generation)
	}
	if j.CreateTime.IsZero() {
		j.CreateTime = now
	}
	j.Name = cmp.Or(j.Name, "job-"+j.ID)
	j.Type = cmp.Or(j.Type, "tensorboard")
	j.WorkspaceID = cmp.Or(j.WorkspaceID, "0")
	j.EndedAt, j.ShownEnded = time.Time{}, time.Time{}
	r := &record{Job: j, number: decimal(j.ID), resource: resourceID(projectID, j.ID)}
	p.jobs[j.ID] = r
	p.lastID = max(p.lastID, r.number)
	return r
}

// newID is an id that no job of the project has.
func (p *project) newID(g Generation) string {
	if g != V2 {
		return strconv.FormatInt(p.lastID+1, 10)
	}
	for {
		p.trainings++
		if id := NumberedTraining(p.trainings); p.jobs[id] == nil {
			return id
		}
	}
}

// asked is the job that a call names, as of now; nil if the generation asked has
// none.
func (s *Simulator) asked(x *exchange, now time.Time) *record {
	r := s.find(x.projectID, x.jobID, now)
	if r == nil || r.Generation != x.generation {
		return nil
	}
	return r
}

// find is the job as of now, or nil.
func (s *Simulator) find(projectID, jobID string, now time.Time) *record {
	p := s.projects[projectID]
	if p == nil {
		return nil
	}
	r := p.jobs[jobID]
	if r == nil || p.settle(r, now) {
		return r
	}
	return nil
}

// settled are all jobs of a project and a generation as of now, in no order; ""
// is both.
func (s *Simulator) settled(projectID string, g Generation, now time.Time) []*record {
	p := s.projects[projectID]
	if p == nil {
		return nil
	}
	records := make([]*record, 0, len(p.jobs))
	for _, r := range p.jobs {
		if (g == "" || r.Generation == g) && p.settle(r, now) {
			records = append(records, r)
		}
	}
	return records
}

// settle makes the moves that have come due and says whether the job still
// exists.
func (p *project) settle(r *record, now time.Time) bool {
	for len(r.steps) > 0 && !r.steps[0].at.After(now) {
		next := r.steps[0]
		r.steps = r.steps[1:]
		if next.gone {
			delete(p.jobs, r.ID)
			return false
		}
		r.enter(next.status, next.at)
	}
	return true
}

// enter changes the status and keeps the times that depend on it.
func (r *record) enter(status v1.Status, at time.Time) {
	r.Status = status
	switch status.Job().State {
	case jobs.Active, jobs.Stopping:
		r.EndedAt, r.ShownEnded = time.Time{}, time.Time{}
	case jobs.Ended:
		if r.EndedAt.IsZero() {
			r.EndedAt = at
		}
	}
	if status == v1.StatusRunning {
		r.runFrom = at
	}
}

// duration is how long the current or the last run has lasted. Whether the real
// field is about one run or all is not known.
func (r *record) duration(now time.Time) time.Duration {
	if r.runFrom.IsZero() {
		return 0
	}
	if !r.EndedAt.IsZero() {
		now = r.EndedAt
	}
	return max(0, now.Sub(r.runFrom))
}

// creation is the usual way from a new job to a running one.
var creation = [...]v1.Status{
	v1.StatusInit, v1.StatusSubmitTrying, v1.StatusWaiting, v1.StatusRunning,
}

// planCreation lays out what is left of a creation that takes total from its
// first status on. It plans nothing for a status outside of it.
func (s *Simulator) planCreation(r *record, now time.Time, total time.Duration) {
	r.steps = nil
	status := r.Status
	if status == v1.StatusImageCreating {
		status = v1.StatusInit
	}
	from := slices.Index(creation[:], status)
	if from < 0 {
		return
	}
	legs := len(creation) - 1
	at := now
	for i := from + 1; i < len(creation); i++ {
		at = now.Add(total * time.Duration(i-from) / time.Duration(legs))
		r.steps = append(r.steps, step{at: at, status: creation[i]})
	}
	s.planAutoStop(r, at)
}

// planAutoStop adds the stop by schedule of a run that begins at runFrom. That
// the schedule counts from there, and anew after a restart, is a guess.
func (s *Simulator) planAutoStop(r *record, runFrom time.Time) {
	if r.AutoStop <= 0 {
		return
	}
	at := runFrom.Add(r.AutoStop)
	r.steps = append(r.steps,
		step{at: at, status: v1.StatusKilling},
		step{at: at.Add(s.stopTime(r)), status: s.stopStatus(r)})
}

// beginStop takes a job from its status to its end.
func (s *Simulator) beginStop(r *record, now time.Time) {
	r.enter(v1.StatusKilling, now)
	s.planStop(r, now)
}

func (s *Simulator) planStop(r *record, now time.Time) {
	r.steps = []step{{at: now.Add(s.stopTime(r)), status: s.stopStatus(r)}}
}

func (s *Simulator) stopTime(r *record) time.Duration {
	if r.StopTime > 0 {
		return r.StopTime
	}
	return s.cfg.Phases.Stop(r.Job)
}

func (s *Simulator) stopStatus(r *record) v1.Status {
	return cmp.Or(r.StopStatus, s.cfg.StopStatus)
}
