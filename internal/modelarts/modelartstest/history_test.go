package modelartstest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// page fetches a page of Control.
func (r *rig) page(path string) string {
	r.t.Helper()
	rec := httptest.NewRecorder()
	r.Control().ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
	if rec.Code != http.StatusOK {
		r.t.Fatalf("GET %s = %d %s", path, rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func TestControlTellsOfEveryJob(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "10"})
	r.AddJob("p1", Job{ID: "9", StopTime: 3 * time.Second})
	began := r.clock.now()
	r.call("POST", jobsPath+"/9/stop", "")
	r.clock.advance(2 * time.Second)
	r.call("GET", jobsPath+"/9", "") // still stopping: shows no end
	r.clock.advance(2 * time.Second)
	r.call("GET", jobsPath+"/9", "")
	r.clock.advance(2 * time.Second)
	r.call("GET", jobsPath+"/9", "") // shows it again
	r.call("POST", jobsPath+"/9/stop", "")

	want := []JobHistory{
		{ProjectID: "p1", JobID: "9", Ended: began.Add(3 * time.Second), ShownEnded: began.Add(4 * time.Second), Calls: []HistoryCall{
			{Operation: OpStop, At: began, HTTPStatus: 200},
			{Operation: OpDetail, At: began.Add(2 * time.Second), HTTPStatus: 200},
			{Operation: OpDetail, At: began.Add(4 * time.Second), HTTPStatus: 200},
			{Operation: OpDetail, At: began.Add(6 * time.Second), HTTPStatus: 200},
			{Operation: OpStop, At: began.Add(6 * time.Second), HTTPStatus: 400},
		}},
		{ProjectID: "p1", JobID: "10", Calls: []HistoryCall{}},
	}
	var got []JobHistory
	for line := range strings.Lines(r.page(PathJobs)) {
		var h JobHistory
		if err := json.Unmarshal([]byte(line), &h); err != nil {
			t.Fatal(err)
		}
		got = append(got, h)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("jobs = %+v\nwant %+v", got, want)
	}
	var counts CountsPage
	if err := json.Unmarshal([]byte(r.page(PathCounts)), &counts); err != nil {
		t.Fatal(err)
	}
	wantCounts := CountsPage{Calls: map[string]map[int]int{OpStop: {200: 1, 400: 1}, OpDetail: {200: 3}}, ShownEnded: 1}
	if !reflect.DeepEqual(counts, wantCounts) {
		t.Errorf("counts = %+v, want %+v", counts, wantCounts)
	}
}

func TestARestartForgetsTheShownEnd(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1", StopTime: time.Second})
	r.call("POST", jobsPath+"/1/stop", "")
	r.clock.advance(time.Second)
	r.call("GET", jobsPath+"/1", "")
	if j, _ := r.Job("p1", "1"); !j.ShownEnded.Equal(r.clock.now()) {
		t.Fatalf("shown at %v, want %v", j.ShownEnded, r.clock.now())
	}
	r.call("POST", jobsPath+"/1/restart", "")
	if j, _ := r.Job("p1", "1"); !j.ShownEnded.IsZero() {
		t.Errorf("after a restart shown at %v", j.ShownEnded)
	}
}
