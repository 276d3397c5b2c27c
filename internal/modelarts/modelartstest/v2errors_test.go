package modelartstest

import "testing"

// Each row can be asked for per operation, project and job, and has no effect.
func TestRowsOfTheErrorTable(t *testing.T) {
	for _, e := range V2Errors() {
		r := start(t, Config{Only: V2})
		for _, id := range []string{"a", "b"} {
			r.AddJob("p1", Job{ID: id})
		}
		r.Inject(Fault{Generation: V2, Operation: OpStop, ProjectID: "p1", JobID: "a", Times: 1, Reply: ReplyV2Error(e.Code)})
		r.terminate("b").expect(t, 202, "")
		r.call("GET", trainingPath("a"), "").expect(t, 200, "")
		g := r.terminate("a")
		g.expect(t, e.HTTPStatus, e.Code)
		if g.message() != e.Message || len(g.body) != 2 {
			t.Errorf("answer = %s", g.raw)
		}
		r.wantStatus("a", PhaseRunning)
	}
}

func TestReplyErrorHasTheShapeOfV2(t *testing.T) {
	r := start(t, Config{})
	r.Inject(Fault{Reply: ReplyError(409, "ModelArts.2878", "changed")})
	if g := r.call("POST", searchPath, "{}"); g.status != 409 || g.text("error_msg") != "changed" || g.body["is_success"] != nil {
		t.Errorf("answer = %d %s", g.status, g.raw)
	}
	r.ClearFaults()
	r.Inject(Fault{Reply: ReplyError(401, "APIGW.0301", "who are you")})
	if g := r.call("POST", searchPath, "{}"); g.status != 401 || g.text("request_id") == "" {
		t.Errorf("the gateway's answer = %d %s", g.status, g.raw)
	}
}

func TestFaultOfOneGeneration(t *testing.T) {
	r := start(t, Config{})
	r.Inject(Fault{Generation: V1, Reply: ReplyEmpty(502)})
	r.call("POST", searchPath, "{}").expect(t, 200, "")
	r.call("GET", jobsPath, "").expect(t, 502, "")
}

func TestReplyStatusAndPhase(t *testing.T) {
	r := start(t, Config{})
	j := r.AddJob("p1", Job{Generation: V2})
	old := r.AddJob("p1", Job{})
	r.Inject(Fault{Times: 3, Reply: ReplyStatus(PhaseTerminated)})
	if got := r.phase(j.ID); got != "Terminated" {
		t.Errorf("the lie of detail is %s", got)
	}
	g := r.call("POST", searchPath, "{}")
	if items, _ := g.body["items"].([]any); len(items) != 1 || (got{body: items[0].(map[string]any)}).at("status", "phase") != "Terminated" {
		t.Errorf("the lie of the list is %s", g.raw)
	}
	if g := r.call("GET", jobsPath+"/"+old.ID, ""); g.number("status") != 12 {
		t.Errorf("the lie of v1 is %s", g.raw)
	}
	if got := r.phase(j.ID); got != "Running" {
		t.Errorf("the truth has become %s", got)
	}
	r.Inject(Fault{Reply: ReplyPhase("Hibernating")})
	if got := r.phase(j.ID); got != "Hibernating" {
		t.Errorf("another word is %s", got)
	}
	if g := r.call("GET", jobsPath+"/"+old.ID, ""); g.number("status") != 8 {
		t.Errorf("v1 is told %s", g.raw)
	}
}
