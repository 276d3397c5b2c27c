package modelartstest

import "slices"

// Kinds of jobs of v2. Nothing but a visualization job may ever be stopped by vizstop.
const (
	KindVisualization = "visualization_job"
	KindJob           = "job"  // a training
	KindNone          = "none" // answers show no kind
)

// Annotations that, with the value "true", make a visualization job of an ordinary one.
const (
	AnnotationTensorBoard = "tensorboard/enable"
	AnnotationMindStudio  = "mindstudio-insight/enable"
)

// Annotated is whether one of the two annotations says that this is a visualization job.
func (j Job) Annotated() bool {
	return j.Annotations[AnnotationTensorBoard] == "true" || j.Annotations[AnnotationMindStudio] == "true"
}

// StrayStop is a stop call for a job whose true kind is not KindVisualization.
type StrayStop struct {
	Call
	Kind      string
	Annotated bool // see Job.Annotated
}

// StrayStops are all stop calls that ever arrived for jobs of v2 whose true kind is not KindVisualization, in the order
// in which they were worked on: those that a fault met and those by way of v1 as well, whatever Config.CallsPerJob is.
func (s *Simulator) StrayStops() []StrayStop {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.strays)
}

// noteStray remembers a stop call if it is one for StrayStops.
func (s *Simulator) noteStray(c Call) {
	p := s.projects[c.ProjectID]
	if p == nil || c.Operation != OpStop {
		return
	}
	if r := p.jobs[c.JobID]; r != nil && r.Generation == V2 && r.Kind != KindVisualization {
		s.strays = append(s.strays, StrayStop{Call: c, Kind: r.Kind, Annotated: r.Annotated()})
	}
}
