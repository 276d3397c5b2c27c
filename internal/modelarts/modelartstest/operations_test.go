package modelartstest

import (
	"fmt"
	"strings"
	"testing"
	"time"
	v1 "vizstop/internal/modelarts/v1"
)

// The three texts are literally the documents'.
func TestRefusalsNameTheStatus(t *testing.T) {
	r := start(t, Config{Stoppable: []v1.Status{}, Restartable: []v1.Status{}, Deletable: []v1.Status{}})
	r.AddJob("p1", Job{ID: "1"})
	for _, status := range []v1.Status{8, 9, 10} {
		r.SetStatus("p1", "1", status)
		for _, tt := range []struct{ method, path, text string }{
			{"POST", "/1/stop", "This job can't be stop. job status: %d"},
			{"DELETE", "/1", "This job can't be delete. job status: %d"},
			{"POST", "/1/restart", "This job can't be resubmit. job status: %d"},
		} {
			g := r.call(tt.method, jobsPath+tt.path, "")
			g.expect(t, 400, "ModelArts.0105")
			want := fmt.Sprintf(tt.text, int(status))
			if g.body["is_success"] != false || g.text("error_message") != want {
				t.Errorf("%s %s: %s, want %q", tt.method, tt.path, g.raw, want)
			}
		}
		r.wantStatus("1", status)
	}
}

func TestStopBeforeRunning(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1", Status: 7})
	r.call("POST", jobsPath+"/1/stop", "").expect(t, 200, "")
	r.clock.advance(time.Hour)
	r.wantStatus("1", 12)
	r.call("POST", jobsPath+"/1/stop", "").expect(t, 400, "ModelArts.0105")
}

func TestStopStatus(t *testing.T) {
	r := start(t, Config{StopStatus: 10, Phases: Phases{Stop: Fixed(0)}})
	r.AddJob("p1", Job{ID: "1"})
	r.AddJob("p1", Job{ID: "2", StopStatus: 13})
	r.call("POST", jobsPath+"/1/stop", "").expect(t, 200, "")
	r.call("POST", jobsPath+"/2/stop", "").expect(t, 200, "")
	r.wantStatus("1", 10)
	r.wantStatus("2", 13)
}

func TestStopTimeOfTheJobWins(t *testing.T) {
	r := start(t, Config{Phases: Phases{Stop: func(j Job) time.Duration {
		return time.Duration(len(j.Name)) * time.Second
	}}})
	r.AddJob("p1", Job{ID: "1", Name: "four"})
	r.AddJob("p1", Job{ID: "2", Name: "four", StopTime: time.Minute})
	r.call("POST", jobsPath+"/1/stop", "")
	r.call("POST", jobsPath+"/2/stop", "")
	r.clock.advance(4 * time.Second)
	r.wantStatus("1", 12)
	r.wantStatus("2", 9)
	r.clock.advance(56 * time.Second)
	r.wantStatus("2", 12)
}

func TestRestartBeginsAgain(t *testing.T) {
	r := start(t, Config{Phases: Phases{Restart: Fixed(time.Minute)}})
	r.AddJob("p1", Job{ID: "1", Status: 12, AutoStop: time.Hour})
	r.call("POST", jobsPath+"/1/restart", "").expect(t, 200, "")
	r.wantStatus("1", 1)
	r.clock.advance(time.Minute)
	r.wantStatus("1", 8)
	if j, _ := r.Job("p1", "1"); !j.EndedAt.IsZero() {
		t.Errorf("a running job ended at %v", j.EndedAt)
	}
	r.clock.advance(time.Hour)
	r.wantStatus("1", 9) // the schedule counts from the new run
}

func TestDelete(t *testing.T) {
	for _, tt := range []struct {
		name   string
		cfg    Config
		status int
		code   string
	}{
		{"404", Config{}, 404, "ModelArts.0015"},
		{"0102", Config{NotFound: NotFound0102}, 400, "ModelArts.0102"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := start(t, tt.cfg)
			r.AddJob("p1", Job{ID: "1"})
			r.call("DELETE", jobsPath+"/1", "").expect(t, 200, "")
			r.wantStatus("1", 9)
			r.call("DELETE", jobsPath+"/1", "").expect(t, 400, "ModelArts.0105")
			r.clock.advance(5 * time.Second)
			for _, call := range []string{"GET /1", "DELETE /1", "PUT /1", "POST /1/stop", "POST /1/restart"} {
				method, path, _ := strings.Cut(call, " ")
				r.call(method, jobsPath+path, "{}").expect(t, tt.status, tt.code)
			}
			if g := r.call("GET", jobsPath, ""); g.number("job_total_count") != 0 {
				t.Errorf("list = %s", g.raw)
			}
		})
	}
}

func TestDeleteFails(t *testing.T) {
	r := start(t, Config{DeleteFails: true, Phases: Phases{Delete: Fixed(time.Second)}})
	j := r.AddJob("p1", Job{ID: "1", Status: 12})
	r.call("DELETE", jobsPath+"/1", "").expect(t, 200, "")
	r.clock.advance(time.Second)
	r.wantStatus("1", 6)
	if after, _ := r.Job("p1", "1"); !after.EndedAt.Equal(j.EndedAt) {
		t.Errorf("ended at %v, want %v as before", after.EndedAt, j.EndedAt)
	}
}

func TestDetailFields(t *testing.T) {
	r := start(t, Config{})
	created := r.clock.now()
	r.AddJob("p1", Job{ID: "4211", Name: "n", Description: "d", TrainURL: "/b/r/", CreateTime: created})
	r.clock.advance(61 * time.Second)
	g := r.call("GET", jobsPath+"/4211", "")
	if g.number("job_id") != 4211 || g.text("job_desc") != "d" || g.text("train_url") != "/b/r/" ||
		g.number("create_time") != int(created.UnixMilli()) || g.number("duration") != 61000 ||
		len(g.text("resource_id")) != 36 || !strings.HasSuffix(g.text("service_url"), "/4211/") {
		t.Errorf("detail = %s", g.raw)
	}
	r.SetStatus("p1", "4211", 12)
	r.clock.advance(time.Hour)
	if g = r.call("GET", jobsPath+"/4211", ""); g.number("duration") != 61000 {
		t.Errorf("an ended job's duration goes on: %s", g.raw)
	}
}

func TestUpdate(t *testing.T) {
	r := start(t, Config{})
	r.AddJob("p1", Job{ID: "1", Description: "old"})
	for _, body := range []string{"", "{", "{}", `{"job_desc":7}`, `{"job_desc":"` + strings.Repeat("ä", 257) + `"}`} {
		r.call("PUT", jobsPath+"/1", body).expect(t, 400, "ModelArts.0104")
	}
	if j, _ := r.Job("p1", "1"); j.Description != "old" {
		t.Errorf("a refused update left %q", j.Description)
	}
	for _, desc := range []string{strings.Repeat("ä", 256), ""} {
		r.call("PUT", jobsPath+"/1", `{"job_desc":"`+desc+`"}`).expect(t, 200, "")
		if j, _ := r.Job("p1", "1"); j.Description != desc {
			t.Errorf("description = %q", j.Description)
		}
	}
}
