package v2_test

import (
	"fmt"
	"testing"

	"vizstop/internal/jobs"
	v2 "vizstop/internal/modelarts/v2"
)

// The class of each phase, and of words that no document has.
func TestPhases(t *testing.T) {
	for phase, want := range map[string]jobs.State{
		"Creating": jobs.Active, "Pending": jobs.Active, "Running": jobs.Active,
		"Terminating": jobs.Stopping,
		"Terminated":  jobs.Ended, "Completed": jobs.Ended, "Failed": jobs.Ended,
		"Abnormal": jobs.Unclear, "Lost": jobs.Unclear, "terminated": jobs.Unclear, "12": jobs.Unclear, "": jobs.Unclear,
	} {
		job, err := fixed(t, 200, visualization(phase)).Get(t.Context(), project, jobID)
		if err != nil {
			t.Fatal(err)
		}
		if s := job.Status; s.State != want || s.Code != phase || s.Running() != (phase == "Running") {
			t.Errorf("%q is %+v, want %v", phase, s, want)
		}
	}
}

func TestStatuses(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range v2.Statuses() {
		if s.Name == "" || s.Name == "undocumented" || s.String() != s.Code || seen[s.Name] {
			t.Errorf("got %+v, %s", s, s)
		}
		seen[s.Name] = true
	}
	if text := fmt.Sprint(v2.Statuses()); len(seen) != 8 || !seen["running"] {
		t.Errorf("got %s", text)
	}
}
