package modelartstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"
	v1 "vizstop/internal/modelarts/v1"
)

// The texts of refused operations, with the documents' own grammar.
//
// Source: ModelArts API reference, "Stopping", "Deleting" and "Restarting a
// Visualization Job", failed responses.
const (
	cannotStop    = "This job can't be stop. job status: %d"
	cannotDelete  = "This job can't be delete. job status: %d"
	cannotRestart = "This job can't be resubmit. job status: %d"
)

const (
	maxDescription     = 256 // characters
	descriptionTooLong = "The length of job desc should be in [0,256]"
)

func (s *Simulator) stop(x *exchange, now time.Time) answer {
	r := s.asked(x, now)
	if r == nil {
		return s.notFound(x)
	}
	if !s.cfg.stoppable(r.Status) {
		return s.failure("ModelArts.0105", fmt.Sprintf(cannotStop, int(r.Status)))
	}
	s.beginStop(r, now)
	return success(nil)
}

func (s *Simulator) delete(x *exchange, now time.Time) answer {
	r := s.asked(x, now)
	if r == nil {
		return s.notFound(x)
	}
	if !s.cfg.deletable(r.Status) {
		return s.failure("ModelArts.0105", fmt.Sprintf(cannotDelete, int(r.Status)))
	}
	end := step{at: now.Add(s.cfg.Phases.Delete(r.Job)), gone: true}
	if s.cfg.DeleteFails {
		end.status, end.gone = v1.StatusDeleteFailed, false
	}
	// Older documents call status 9 "being deleted".
	ended := r.EndedAt
	r.enter(v1.StatusKilling, now)
	r.EndedAt = ended
	r.steps = []step{end}
	return success(nil)
}

func (s *Simulator) restart(x *exchange, now time.Time) answer {
	r := s.asked(x, now)
	if r == nil {
		return s.notFound(x)
	}
	if !s.cfg.restartable(r.Status) {
		return s.failure("ModelArts.0105", fmt.Sprintf(cannotRestart, int(r.Status)))
	}
	r.enter(v1.StatusInit, now)
	r.runFrom = time.Time{}
	s.planCreation(r, now, s.cfg.Phases.Restart(r.Job))
	return success(nil)
}

func (s *Simulator) detail(x *exchange, now time.Time) answer {
	r := s.asked(x, now)
	var a answer
	if r == nil {
		a = s.notFound(x)
	} else {
		a = success(s.describe(r, now))
		s.showEnd(r, now)
	}
	if s.cfg.OmitIsSuccess {
		delete(a.body, "is_success")
	}
	return a
}

// showEnd notes that an answer about this job alone shows its end, if it does.
func (s *Simulator) showEnd(r *record, now time.Time) {
	if !r.EndedAt.IsZero() && r.ShownEnded.IsZero() {
		r.ShownEnded = now
		s.shown++
	}
}

func (s *Simulator) update(x *exchange, now time.Time) answer {
	r := s.asked(x, now)
	if r == nil {
		return s.notFound(x)
	}
	var body struct {
		Description *string `json:"job_desc"`
	}
	if err := json.Unmarshal(x.body, &body); err != nil || body.Description == nil {
		return s.invalid("The job desc is required")
	}
	if utf8.RuneCountInString(*body.Description) > maxDescription {
		return s.invalid(descriptionTooLong)
	}
	r.Description = *body.Description
	return success(nil)
}

// describe is what list and detail both say about a job.
func (s *Simulator) describe(r *record, now time.Time) object {
	o := object{
		"job_id":      r.jsonID(),
		"job_name":    r.Name,
		"job_desc":    r.Description,
		"status":      int(r.Status),
		"create_time": r.CreateTime.UnixMilli(),
		"duration":    r.duration(now).Milliseconds(),
		"service_url": r.serviceURL(),
		"train_url":   r.TrainURL,
		"resource_id": r.resource,
	}
	if s.cfg.Extras {
		// Null in every sample, even beside a schedule.
		o["remaining_duration"] = nil
	}
	return o
}

func (r *record) serviceURL() string {
	return "https://console.example/modelarts/" + r.Type + "/" + r.resource[:8] + "/" + r.ID + "/"
}

func (s *Simulator) notFound(x *exchange) answer {
	if s.cfg.NotFound == NotFound0102 {
		return s.failure("ModelArts.0102", "The job "+x.jobID+" does not exist")
	}
	return s.serviceError(http.StatusNotFound, "ModelArts.0015", "The requested resource does not exist")
}

// invalid is the refusal of a parameter.
func (s *Simulator) invalid(message string) answer {
	return s.failure("ModelArts.0104", message)
}
