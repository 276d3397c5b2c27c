package modelartstest

import v1 "vizstop/internal/modelarts/v1"

// The phases of v2 as statuses, for Job.Status, SetStatus and ReplyStatus. A job of either generation moves through the
// same statuses; v2 shows their phases.
const (
	PhaseCreating    = v1.StatusInit
	PhasePending     = v1.StatusWaiting
	PhaseRunning     = v1.StatusRunning
	PhaseTerminating = v1.StatusKilling
	PhaseTerminated  = v1.StatusKilled
	PhaseCompleted   = v1.StatusCompleted
	PhaseFailed      = v1.StatusFailed
	PhaseAbnormal    = v1.StatusLost
)

// phaseNames are v2's words. Those for statuses without a constant above are the nearest.
var phaseNames = map[v1.Status]string{
	PhaseCreating:          "Creating",
	v1.StatusImageCreating: "Creating",
	v1.StatusSubmitTrying:  "Creating",
	PhasePending:           "Pending",
	PhaseRunning:           "Running",
	PhaseTerminating:       "Terminating",
	PhaseTerminated:        "Terminated",
	v1.StatusCanceled:      "Terminated",
	PhaseCompleted:         "Completed",
	PhaseFailed:            "Failed",
	PhaseAbnormal:          "Abnormal",
}

// phaseOf is the phase that v2 shows for a status: "Undocumented" for one that has none.
func phaseOf(status v1.Status) string {
	if name := phaseNames[status]; name != "" {
		return name
	}
	return "Undocumented"
}

// Phase is the job's status in the words of v2, such as "Running".
func (j Job) Phase() string { return phaseOf(j.Status) }
