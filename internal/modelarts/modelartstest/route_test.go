package modelartstest

import "testing"

func TestRouteUnescapesIDs(t *testing.T) {
	got := route("GET", "/v1/a%2Fb/visualization-jobs/1%202", nil)
	if want := (target{generation: V1, op: OpDetail, projectID: "a/b", jobID: "1 2"}); got != want {
		t.Errorf("route = %+v, want %+v", got, want)
	}
	if got = route("GET", "/v1/p/visualization-jobs/%zz", nil); got.jobID != "%zz" {
		t.Errorf("job id = %q", got.jobID)
	}
}

func TestRoutesOfV2(t *testing.T) {
	for _, tt := range []struct {
		method, path string
		want         target
	}{
		{"POST", "/v2/p1/training-job-searches", target{generation: V2, op: OpList, projectID: "p1"}},
		{"GET", "/v2/p1/training-jobs/u1", target{generation: V2, op: OpDetail, projectID: "p1", jobID: "u1"}},
		{"POST", "/v2/p1/training-jobs/u1/actions", target{generation: V2, op: OpStop, projectID: "p1", jobID: "u1"}},
		{"DELETE", "/v2/p1/training-jobs/u1", target{generation: V2, op: OpUnknown, projectID: "p1", jobID: "u1"}},
		{"POST", "/v2/p1/training-jobs/u1/stop", target{generation: V2, op: OpUnknown, projectID: "p1", jobID: "u1"}},
		{"POST", "/v1/p1/training-job-searches", target{op: OpUnknown}},
		{"GET", "/v2/p1/visualization-jobs/1", target{op: OpUnknown}},
	} {
		if got := route(tt.method, tt.path, nil); got != tt.want {
			t.Errorf("%s %s = %+v, want %+v", tt.method, tt.path, got, tt.want)
		}
	}
}

func TestRoutesOfRegions(t *testing.T) {
	regions := []string{"north", "south"}
	for _, tt := range []struct {
		path string
		want target
	}{
		{"/north/v2/p1/training-jobs/u1/actions", target{"north", V2, OpStop, "p1", "u1"}},
		{"/south/v1/p1/visualization-jobs", target{"south", V1, OpCreate, "p1", ""}},
		{"/south/v3/auth/tokens", target{region: "south", op: OpToken}},
		{"/v3/auth/tokens", target{op: OpToken}},
		{"/v3.0/OS-CREDENTIAL/securitytokens", target{op: OpAssume}},
		{"/v1/p1/visualization-jobs", target{op: OpUnknown}},
		{"/east/v1/p1/visualization-jobs", target{op: OpUnknown}},
		{"/north", target{region: "north", op: OpUnknown}},
	} {
		if got := route("POST", tt.path, regions); got != tt.want {
			t.Errorf("%s = %+v, want %+v", tt.path, got, tt.want)
		}
	}
}
