package v1

import (
	"testing"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

func TestStatusIn(t *testing.T) {
	for message, want := range map[string]struct {
		status Status
		ok     bool
	}{
		"This job can't be stop. job status: 9":   {9, true},
		"This job can't be stop. job status:12":   {12, true},
		"Job Status: 77":                          {77, true},
		"job status: 99999999999999999999":        {0, false},
		"job status: -1":                          {0, false},
		"job status: running":                     {0, false},
		"This job can't be stop.":                 {0, false},
		"":                                        {0, false},
		"x job status: 0 and then job status: 12": {0, true},
	} {
		got := statusIn(message)
		if ok := got.Code != ""; ok != want.ok || ok && got != want.status.Job() {
			t.Errorf("statusIn(%q) = %v; want %v, %v", message, got, want.status, want.ok)
		}
	}
}

// The samples of refusals, as errors of calls.
func TestRefusalsTellTheStatus(t *testing.T) {
	for body, want := range map[string]Status{
		samples.StopOld: StatusCompleted, samples.StopNew: StatusCompleted, samples.Restart: StatusRunning, samples.Delete: StatusKilling,
	} {
		_, err := fixed(t, 400, []byte(body)).Stop(t.Context(), testProject, "4211")
		if apiErr := asError(t, err); apiErr.Kind != jobs.KindNotAllowed || apiErr.JobStatus != want.Job() {
			t.Errorf("%s: %+v", body, apiErr)
		}
	}
}
