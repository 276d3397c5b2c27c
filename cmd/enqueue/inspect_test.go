package main

import (
	"fmt"
	"testing"

	"vizstop/internal/joblist"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/selection"
)

// The list of a project shows the default workspace only. A job of another one is found all the same: --protect must
// know its name.
func TestManyJobsOfSeveralWorkspaces(t *testing.T) {
	_, sim := newCaller(t, nil, askEach)
	sim.AddJob(project, modelartstest.Job{ID: "900", Name: "precious", WorkspaceID: "w2"})
	items := []joblist.Item{{ProjectID: project, JobID: "900"}, {ProjectID: project, JobID: "901"}}
	for i := range askEach {
		items = append(items, joblist.Item{ProjectID: project, JobID: fmt.Sprint(i + 1)})
	}
	jobs, err := survey(fixed(items))
	if err != nil {
		t.Fatal(err)
	}
	var c stopCmd
	c.keep = &selection.Protected{}
	c.api.Endpoint, c.api.Login.AccessKey, c.api.Login.SecretKey = sim.URL, accessKey, secretKey
	if err := c.lookUp(t.Context(), nil, jobs); err != nil {
		t.Fatal(err)
	}
	if job, _ := jobs.job(project, "900"); job.Name != "precious" || len(jobs.details[project]) != askEach+1 {
		t.Errorf("found %+v and %d jobs in all, want precious and %d", job, len(jobs.details[project]), askEach+1)
	}
	if calls := len(sim.AllCalls()); calls != 3 {
		t.Errorf("%d calls, want one for the list and one for each of two jobs that it did not show", calls)
	}
}
