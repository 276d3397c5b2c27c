package modelartstest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"vizstop/internal/modelarts"
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
	if j, _ := r.Job("p1", "1"); j.Status != modelarts.StatusRunning {
		t.Errorf("faults had an effect: status %v", j.Status)
	}
	control(t, r.Simulator, "DELETE", "/faults", "", http.StatusNoContent)
	if status, _, err := stop(); status != 200 {
		t.Errorf("after the faults: %d %v", status, err)
	}
	for _, bad := range []string{"", "[]", `{"times":-1}`, `{"http_status":7}`, `{"operatoin":"stop"}`} {
		control(t, r.Simulator, "POST", "/faults", bad, http.StatusBadRequest)
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
	if len(jobs) != 2 || jobs[0].Status != modelarts.StatusRunning || jobs[1].Status != modelarts.StatusKilling {
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
