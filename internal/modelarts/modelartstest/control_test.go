package modelartstest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	v1 "vizstop/internal/modelarts/v1"
)

// control asks one of the control pages and wants that status.
func control(t *testing.T, s *Simulator, method, path, body string, status int) string {
	t.Helper()
	w := httptest.NewRecorder()
	s.Control().ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	if w.Code != status {
		t.Fatalf("%s %s %s: %d %s, want %d", method, path, body, w.Code, w.Body, status)
	}
	return w.Body.String()
}

func TestControlOrdersFaults(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1"})
	stop := func() (int, string, error) {
		g, err := r.do(r.request("POST", jobsPath+"/1/stop", ""))
		if err != nil {
			return 0, "", err
		}
		return g.status, string(g.raw), nil
	}
	control(t, r.Simulator, "POST", "/faults",
		`{"operation":"stop","times":1,"http_status":400,"code":"ModelArts.0104","message":"not this one"}`, http.StatusNoContent)
	if status, body, err := stop(); status != 400 || !strings.Contains(body, "not this one") {
		t.Errorf("a refused stop: %d %s %v", status, body, err)
	}
	control(t, r.Simulator, "POST", "/faults", `{}`, http.StatusNoContent)
	if status, _, err := stop(); err == nil {
		t.Errorf("a reset connection answers %d", status)
	}
	if j, _ := r.Job("p1", "1"); j.Status != v1.StatusRunning {
		t.Errorf("faults had an effect: status %v", j.Status)
	}
	control(t, r.Simulator, "DELETE", "/faults", "", http.StatusNoContent)
	if status, _, err := stop(); status != 200 {
		t.Errorf("after the faults: %d %v", status, err)
	}
	for _, bad := range []string{"", "[]", `{"times":-1}`, `{"http_status":7}`, `{"honest":true,"http_status":500}`,
		`{"after":-1}`, `{"for":-1}`, `{"delay":-1}`, `{"operatoin":"stop"}`, `{"operation":"stoop"}`} {
		control(t, r.Simulator, "POST", "/faults", bad, http.StatusBadRequest)
	}
}

func TestControlOrdersAnOutage(t *testing.T) {
	r := start(t, Config{})
	control(t, r.Simulator, "POST", "/faults", `{"after":1.5,"for":60}`, http.StatusNoContent)
	const ms = time.Millisecond
	for _, tt := range []struct {
		wait time.Duration
		down bool
	}{{0, false}, {1499 * ms, false}, {ms, true}, {59999 * ms, true}, {ms, false}} {
		r.clock.advance(tt.wait)
		if _, err := r.do(r.request("GET", jobsPath, "")); (err != nil) != tt.down {
			t.Errorf("after %v more: %v, want it to be down: %t", tt.wait, err, tt.down)
		}
	}
}

func TestControlOrdersOneProjectToHang(t *testing.T) {
	c := newClock()
	r := start(t, sleepOn(c))
	r.AddJob("p1", Job{ID: "1"})
	r.AddJob("p2", Job{ID: "1"})
	control(t, r.Simulator, "POST", "/faults", `{"project_id":"p2","delay":30,"honest":true}`, http.StatusNoContent)
	for project, want := range map[string]time.Duration{"p1": 0, "p2": 30 * time.Second} {
		begin := c.now()
		r.call("POST", "/v1/"+project+"/visualization-jobs/1/stop", "").expect(t, 200, "")
		if took := c.now().Sub(begin); took != want {
			t.Errorf("%s answered after %v, want %v", project, took, want)
		}
	}
}

func TestControlTellsCallsAndJobs(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1"})
	r.AddJob("p1", Job{ID: "2"})
	for range 2 {
		if _, err := r.do(r.request("POST", jobsPath+"/2/stop", "")); err != nil {
			t.Fatal(err)
		}
	}
	if got := control(t, r.Simulator, "GET", "/counts", "", 200); got != "{\"stop\":2}\n" {
		t.Errorf("counts %s", got)
	}
	calls := lines[Call](t, control(t, r.Simulator, "GET", "/calls", "", 200))
	if len(calls) != 2 || calls[0].HTTPStatus != 200 || calls[1].ErrorCode != "ModelArts.0105" || calls[1].JobID != "2" {
		t.Errorf("calls %+v", calls)
	}
	jobs := lines[Job](t, control(t, r.Simulator, "GET", "/jobs?project=p1", "", 200))
	if len(jobs) != 2 || jobs[0].Status != v1.StatusRunning || jobs[1].Status != v1.StatusKilling {
		t.Errorf("jobs %+v", jobs)
	}
	if got := control(t, r.Simulator, "GET", "/jobs?project=p2", "", 200); got != "" {
		t.Errorf("jobs of another project: %s", got)
	}
}

func lines[T any](t *testing.T, text string) (all []T) {
	t.Helper()
	for dec := json.NewDecoder(strings.NewReader(text)); ; {
		var one T
		if err := dec.Decode(&one); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
}

func TestControlOfV2(t *testing.T) {
	r := start(t, Config{})
	j := r.AddJob("p1", Job{Generation: V2, Kind: KindJob})
	control(t, r.Simulator, "POST", "/faults",
		`{"generation":"v2","operation":"stop","job_id":"`+j.ID+`","times":1,"code":"ModelArts.2838"}`, http.StatusNoContent)
	r.terminate(j.ID).expect(t, 400, "ModelArts.2838")
	strays := lines[StrayStop](t, control(t, r.Simulator, "GET", "/stray-stops", "", 200))
	if len(strays) != 1 || strays[0].JobID != j.ID || strays[0].Generation != V2 || strays[0].Kind != KindJob {
		t.Errorf("stray stops %+v", strays)
	}
	control(t, r.Simulator, "PUT", "/v2", `{"kinds":"absent"}`, http.StatusNoContent)
	if g := r.call("GET", trainingPath(j.ID), ""); g.body["kind"] != nil {
		t.Errorf("detail = %s", g.raw)
	}
	control(t, r.Simulator, "POST", "/offer", `{"project_id":"p1","only":"v1"}`, http.StatusNoContent)
	r.call("POST", searchPath, "{}").expect(t, 404, "ModelArts.2836")
	for _, bad := range [][3]string{
		{"PUT", "/v2", `{"offset":"row"}`},
		{"POST", "/offer", `{"project_id":"p1","only":"v3"}`},
		{"POST", "/faults", `{"code":"ModelArts.0000"}`},
		{"POST", "/faults", `{"honest":true,"code":"ModelArts.2838"}`},
		{"POST", "/faults", `{"generation":"v3"}`},
		{"GET", "/jobs", ""},
	} {
		control(t, r.Simulator, bad[0], bad[1], bad[2], http.StatusBadRequest)
	}
}
