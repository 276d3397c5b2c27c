package v1

import (
	"strconv"

	"vizstop/internal/jobs"
)

// Status is the numeric state of a visualization job on the wire. A number without a
// name here is kept as it is and is unclear. Name is the API's name without its
// JOBSTAT_ prefix, in lower case.
//
// Source: ModelArts API reference, "Job Statuses" (0 to 21), and ModelArts SDK
// reference, "Job Statuses" (22). One table serves all job types of the v1 API.
type Status int

// The statuses that the API documents.
const (
	StatusUnknown               Status = 0
	StatusInit                  Status = 1
	StatusImageCreating         Status = 2
	StatusImageFailed           Status = 3
	StatusSubmitTrying          Status = 4
	StatusSubmitFailed          Status = 5
	StatusDeleteFailed          Status = 6
	StatusWaiting               Status = 7
	StatusRunning               Status = 8
	StatusKilling               Status = 9
	StatusCompleted             Status = 10
	StatusFailed                Status = 11
	StatusKilled                Status = 12
	StatusCanceled              Status = 13
	StatusLost                  Status = 14
	StatusScaling               Status = 15
	StatusSubmitModelFailed     Status = 16
	StatusDeployServiceFailed   Status = 17
	StatusCheckInit             Status = 18
	StatusCheckRunning          Status = 19
	StatusCheckRunningCompleted Status = 20
	StatusCheckFailed           Status = 21
	StatusMountFailed           Status = 22
)

var statuses = [...]struct {
	name  string
	state jobs.State
}{
	StatusUnknown:               {"unknown", jobs.Unclear},
	StatusInit:                  {"init", jobs.Active},
	StatusImageCreating:         {"image_creating", jobs.Active},
	StatusImageFailed:           {"image_failed", jobs.Ended},
	StatusSubmitTrying:          {"submit_trying", jobs.Active},
	StatusSubmitFailed:          {"submit_failed", jobs.Ended},
	StatusDeleteFailed:          {"delete_failed", jobs.Unclear},
	StatusWaiting:               {"waiting", jobs.Active},
	StatusRunning:               {"running", jobs.Active},
	StatusKilling:               {"killing", jobs.Stopping},
	StatusCompleted:             {"completed", jobs.Ended},
	StatusFailed:                {"failed", jobs.Ended},
	StatusKilled:                {"killed", jobs.Ended},
	StatusCanceled:              {"canceled", jobs.Ended},
	StatusLost:                  {"lost", jobs.Unclear},
	StatusScaling:               {"scaling", jobs.Active},
	StatusSubmitModelFailed:     {"submit_model_failed", jobs.Ended},
	StatusDeployServiceFailed:   {"deploy_service_failed", jobs.Ended},
	StatusCheckInit:             {"check_init", jobs.Active},
	StatusCheckRunning:          {"check_running", jobs.Active},
	StatusCheckRunningCompleted: {"check_running_completed", jobs.Ended},
	StatusCheckFailed:           {"check_failed", jobs.Ended},
	StatusMountFailed:           {"mount_failed", jobs.Ended},
}

// Job is s as the domain knows it. Its state is Unclear for any number that the API
// does not document.
func (s Status) Job() jobs.Status {
	status := jobs.Status{Code: strconv.Itoa(int(s)), Name: "undocumented"}
	if s >= 0 && int(s) < len(statuses) {
		status.Name, status.State = statuses[s].name, statuses[s].state
	}
	return status
}

// Statuses lists those that the API documents.
func Statuses() []jobs.Status {
	list := make([]jobs.Status, len(statuses))
	for i := range list {
		list[i] = Status(i).Job()
	}
	return list
}
