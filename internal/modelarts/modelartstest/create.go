package modelartstest

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
	v1 "vizstop/internal/modelarts/v1"
)

var (
	jobName  = regexp.MustCompile(`^[0-9A-Za-z_-]{1,20}$`)
	trainURL = regexp.MustCompile(`^/[^/]+/(.+/)?$`)
)

// creationRequest is the body of create.
//
// Source: ModelArts API reference, "Creating a Visualization Job".
type creationRequest struct {
	Name        string `json:"job_name"`
	Description string `json:"job_desc"`
	TrainURL    string `json:"train_url"`
	Type        string `json:"job_type"`
	WorkspaceID string `json:"workspace_id"`
	Flavor      *struct {
		Code string `json:"code"`
	} `json:"flavor"`
	Schedule schedules `json:"schedule"`
}

type schedule struct {
	Type     string `json:"type"`
	Unit     string `json:"time_unit"`
	Duration *int   `json:"duration"` // hours
}

// schedules is an object in the parameter table and an array in the sample.
type schedules []schedule

func (s *schedules) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte("{")) {
		*s = make(schedules, 1)
		return json.Unmarshal(data, &(*s)[0])
	}
	return json.Unmarshal(data, (*[]schedule)(s))
}

func (s *Simulator) create(x *exchange, now time.Time) answer {
	var req creationRequest
	if err := json.Unmarshal(x.body, &req); err != nil {
		return s.invalid("The request body is invalid")
	}
	if problem := req.problem(); problem != "" {
		return s.invalid(problem)
	}
	present := s.settled(x.projectID, V1, now)
	if slices.ContainsFunc(present, func(r *record) bool { return r.Name == req.Name }) {
		return s.failure("ModelArts.0103", "Job name:"+req.Name+" is existed")
	}
	if s.cfg.MaxJobs > 0 && len(present) >= s.cfg.MaxJobs {
		return s.failure("ModelArts.0106", "The number of visualization jobs exceeds the limit")
	}
	r := s.insert(x.projectID, req.job(), now)
	r.enter(r.Status, now)
	s.planCreation(r, now, s.cfg.Phases.Create(r.Job))
	return s.created(r)
}

// problem is what is wrong with the request, "" if nothing.
func (c creationRequest) problem() string {
	switch {
	case !jobName.MatchString(c.Name):
		return "Illegal name: " + c.Name
	case utf8.RuneCountInString(c.Description) > maxDescription:
		return descriptionTooLong
	case !trainURL.MatchString(c.TrainURL):
		return "Illegal train url: " + c.TrainURL
	case c.Type != "" && c.Type != "tensorboard" && c.Type != "mindinsight":
		return "Illegal job type: " + c.Type
	case c.Flavor != nil && c.Flavor.Code == "":
		return "The flavor code is required"
	case len(c.Schedule) > 1:
		return "Only one schedule is allowed"
	}
	for _, s := range c.Schedule {
		if s.Type != "stop" || s.Unit != "HOURS" || s.Duration == nil || *s.Duration < 0 || *s.Duration > 24 {
			return "Illegal schedule"
		}
	}
	return ""
}

// job is the job to be made. A schedule of zero hours stops nothing; what it
// means in the real API is not known.
func (c creationRequest) job() Job {
	j := Job{
		Generation: V1,
		Name:       c.Name, Description: c.Description, TrainURL: c.TrainURL, Type: c.Type,
		WorkspaceID: c.WorkspaceID, Status: v1.StatusInit,
	}
	for _, s := range c.Schedule {
		j.AutoStop = time.Duration(*s.Duration) * time.Hour
	}
	return j
}

func (s *Simulator) created(r *record) answer {
	o := object{
		"job_id":      r.jsonID(),
		"job_name":    r.Name,
		"status":      int(r.Status),
		"create_time": r.CreateTime.UnixMilli(),
	}
	if s.cfg.QuoteNumbers {
		o["job_id"] = r.ID
		o["status"] = strconv.Itoa(int(r.Status))
		o["create_time"] = strconv.FormatInt(r.CreateTime.UnixMilli(), 10)
	}
	if s.cfg.Extras {
		o["service_url"] = r.serviceURL()
	}
	return success(o)
}
