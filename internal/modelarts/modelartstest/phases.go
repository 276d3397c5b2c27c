package modelartstest

import "vizstop/internal/modelarts"

// The phases of v2 as statuses, for Job.Status, SetStatus and ReplyStatus. A job of either generation moves through the
// same statuses; v2 shows their phases.
const (
	PhaseCreating    = modelarts.StatusInit
	PhasePending     = modelarts.StatusWaiting
	PhaseRunning     = modelarts.StatusRunning
	PhaseTerminating = modelarts.StatusKilling
	PhaseTerminated  = modelarts.StatusKilled
	PhaseCompleted   = modelarts.StatusCompleted
	PhaseFailed      = modelarts.StatusFailed
	PhaseAbnormal    = modelarts.StatusLost
)

// phaseNames are v2's words. Those for statuses without a constant above are the nearest.
var phaseNames = map[modelarts.Status]string{
	PhaseCreating:                 "Creating",
	modelarts.StatusImageCreating: "Creating",
	modelarts.StatusSubmitTrying:  "Creating",
	PhasePending:                  "Pending",
	PhaseRunning:                  "Running",
	PhaseTerminating:              "Terminating",
	PhaseTerminated:               "Terminated",
	modelarts.StatusCanceled:      "Terminated",
	PhaseCompleted:                "Completed",
	PhaseFailed:                   "Failed",
	PhaseAbnormal:                 "Abnormal",
}

// phaseOf is the phase that v2 shows for a status: "Undocumented" for one that has none.
func phaseOf(status modelarts.Status) string {
	if name := phaseNames[status]; name != "" {
		return name
	}
	return "Undocumented"
}

// Phase is the job's status in the words of v2, such as "Running".
func (j Job) Phase() string { return phaseOf(j.Status) }
