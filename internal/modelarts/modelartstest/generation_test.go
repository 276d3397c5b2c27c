package modelartstest

import "testing"

const searchPath = "/v2/p1/training-job-searches"

func trainingPath(id string) string { return "/v2/p1/training-jobs/" + id }

// terminate asks v2 to stop a job.
func (r *rig) terminate(id string) got {
	r.t.Helper()
	return r.call("POST", trainingPath(id)+"/actions", `{"action_type":"terminate"}`)
}

func TestJobsOfOneGenerationAreNotThoseOfTheOther(t *testing.T) {
	r := start(t, Config{})
	one := r.AddJob("p1", Job{})
	two := r.AddJob("p1", Job{Generation: V2})
	if one.ID != "1" || one.Generation != V1 || one.Kind != "" || two.ID != NumberedTraining(1) || two.Kind != KindVisualization {
		t.Errorf("added %+v and %+v", one, two)
	}
	r.call("GET", jobsPath+"/"+two.ID, "").expect(t, 404, "ModelArts.0015")
	r.call("POST", jobsPath+"/"+two.ID+"/stop", "").expect(t, 404, "ModelArts.0015")
	r.call("GET", trainingPath(one.ID), "").expect(t, 400, "ModelArts.2775")
	r.terminate(one.ID).expect(t, 400, "ModelArts.2775")
	if got := r.listedIDs(""); got != "1" {
		t.Errorf("v1 lists %s", got)
	}
	if got := r.found(`{}`); got != two.ID {
		t.Errorf("v2 lists %s", got)
	}
	r.wantStatus(one.ID, 8)
	r.wantStatus(two.ID, 8)
	if jobs := r.Jobs("p1"); len(jobs) != 2 {
		t.Errorf("jobs = %+v", jobs)
	}
}

func TestOneGenerationOffered(t *testing.T) {
	for _, tt := range []struct {
		config, offer  Generation
		call           bool // Offer
		v1, v2, newJob Generation
	}{
		{"", "", false, V1, V2, V1},
		{V1, "", false, V1, "", V1},
		{V2, "", false, "", V2, V2},
		{V1, V2, true, "", V2, V2},
		{V2, "", true, V1, V2, V1},
	} {
		r := start(t, Config{Only: tt.config})
		if tt.call {
			r.Offer("p1", tt.offer)
		}
		g := r.call("GET", jobsPath, "")
		if tt.v1 != "" {
			g.expect(t, 200, "")
		} else {
			g.expect(t, 404, "APIGW.0101")
		}
		g = r.call("POST", searchPath, "{}")
		if tt.v2 != "" {
			g.expect(t, 200, "")
		} else {
			g.expect(t, 404, "ModelArts.2836")
		}
		if j := r.AddJob("p1", Job{}); j.Generation != tt.newJob {
			t.Errorf("%+v: a new job is one of %s", tt, j.Generation)
		}
	}
}

func TestNewIDsOfV2LeaveOthersAlone(t *testing.T) {
	r := start(t, Config{Only: V2})
	r.AddJob("p1", Job{ID: NumberedTraining(1), Name: "first"})
	if j := r.AddJob("p1", Job{}); j.ID != NumberedTraining(2) {
		t.Errorf("id = %s", j.ID)
	}
	if j, _ := r.Job("p1", NumberedTraining(1)); j.Name != "first" {
		t.Errorf("the first job is now %+v", j)
	}
}
