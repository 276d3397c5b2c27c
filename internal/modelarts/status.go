package modelarts

import "strconv"

// Status is the numeric state of a visualization job. A number without a name
// here is kept as it is and classed as unclear.
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

// Class is what a status means for somebody who wants the job not to run.
type Class int

// The classes of a status.
const (
	ClassUnclear  Class = iota // says nothing: ask again and show the number
	ClassActive                // runs or will run; running is billed
	ClassStopping              // a stop is in progress
	ClassEnded                 // no longer runs and is no longer billed
)

var classNames = [...]string{"unclear", "active", "stopping", "ended"}

// String is the class's name in lower case.
func (c Class) String() string { return classNames[c] }

var statuses = [...]struct {
	name  string
	class Class
}{
	StatusUnknown:               {"unknown", ClassUnclear},
	StatusInit:                  {"init", ClassActive},
	StatusImageCreating:         {"image_creating", ClassActive},
	StatusImageFailed:           {"image_failed", ClassEnded},
	StatusSubmitTrying:          {"submit_trying", ClassActive},
	StatusSubmitFailed:          {"submit_failed", ClassEnded},
	StatusDeleteFailed:          {"delete_failed", ClassUnclear},
	StatusWaiting:               {"waiting", ClassActive},
	StatusRunning:               {"running", ClassActive},
	StatusKilling:               {"killing", ClassStopping},
	StatusCompleted:             {"completed", ClassEnded},
	StatusFailed:                {"failed", ClassEnded},
	StatusKilled:                {"killed", ClassEnded},
	StatusCanceled:              {"canceled", ClassEnded},
	StatusLost:                  {"lost", ClassUnclear},
	StatusScaling:               {"scaling", ClassActive},
	StatusSubmitModelFailed:     {"submit_model_failed", ClassEnded},
	StatusDeployServiceFailed:   {"deploy_service_failed", ClassEnded},
	StatusCheckInit:             {"check_init", ClassActive},
	StatusCheckRunning:          {"check_running", ClassActive},
	StatusCheckRunningCompleted: {"check_running_completed", ClassEnded},
	StatusCheckFailed:           {"check_failed", ClassEnded},
	StatusMountFailed:           {"mount_failed", ClassEnded},
}

// Class says what s means for a stop. It is ClassUnclear for any number that
// the API does not document.
func (s Status) Class() Class {
	if s < 0 || int(s) >= len(statuses) {
		return ClassUnclear
	}
	return statuses[s].class
}

// Name is the API's name for s without its JOBSTAT_ prefix, in lower case, such
// as "running"; "undocumented" for a number that the API does not document.
func (s Status) Name() string {
	if s < 0 || int(s) >= len(statuses) {
		return "undocumented"
	}
	return statuses[s].name
}

// String is the number and its name, such as "8 (running)".
func (s Status) String() string {
	return strconv.Itoa(int(s)) + " (" + s.Name() + ")"
}

// ParseStatus finds the documented status of that name, such as "running".
func ParseStatus(name string) (Status, bool) {
	for i := range statuses {
		if statuses[i].name == name {
			return Status(i), true
		}
	}
	return 0, false
}
