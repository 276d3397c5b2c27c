package v2

import (
	"slices"
	"strings"

	"vizstop/internal/jobs"
)

// phases are those that the API documents.
//
// Source: ModelArts API reference, "Querying the Details About a Training Job".
var phases = []jobs.Status{
	{Code: "Creating", State: jobs.Active},
	{Code: "Pending", State: jobs.Active},
	{Code: "Running", State: jobs.Active},
	{Code: terminating, State: jobs.Stopping},
	{Code: "Terminated", State: jobs.Ended},
	{Code: "Completed", State: jobs.Ended},
	{Code: "Failed", State: jobs.Ended},
	{Code: "Abnormal", State: jobs.Unclear},
}

const terminating = "Terminating"

// Statuses lists the phases that the API documents.
func Statuses() []jobs.Status {
	list := slices.Clone(phases)
	for i := range list {
		list[i].Name = strings.ToLower(list[i].Code)
	}
	return list
}

// statusOf is a phase as the domain knows it. It is Unclear for a word that the API
// does not document.
func statusOf(phase string) jobs.Status {
	if phase == "" {
		return jobs.Status{}
	}
	status := jobs.Status{Code: phase, Name: "undocumented"}
	if i := slices.IndexFunc(phases, func(s jobs.Status) bool { return s.Code == phase }); i >= 0 {
		status.Name, status.State = strings.ToLower(phase), phases[i].State
	}
	return status
}
