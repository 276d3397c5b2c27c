package v1

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

func TestQueryOnTheWire(t *testing.T) {
	for want, q := range map[string]jobs.Query{
		"order=asc&page=1&per_page=100&sortBy=job_id":         {},
		"order=asc&page=3&per_page=10&sortBy=job_id&status=9": {Stopping: true, PerPage: 10, Page: 3},
	} {
		server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != "GET" || r.URL.Path != jobsPath || r.URL.RawQuery != want {
				t.Errorf("sent %s %s?%s, want query %s", r.Method, r.URL.Path, r.URL.RawQuery, want)
			}
			io.WriteString(w, samples.List)
		})
		if _, err := newAPI(t, server.URL).List(t.Context(), testProject, q); err != nil {
			t.Error(err)
		}
	}
}

func TestQueryLimits(t *testing.T) {
	server := samples.Serve(t, func(w http.ResponseWriter, r *http.Request) { t.Errorf("%s was sent", r.URL) })
	api := newAPI(t, server.URL)
	for name, q := range map[string]jobs.Query{
		"per page too large": {PerPage: 101},
		"per page negative":  {PerPage: -1},
		"page negative":      {Page: -1},
	} {
		if _, err := api.List(t.Context(), testProject, q); jobs.KindOf(err) != jobs.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestList(t *testing.T) {
	server := samples.Answering(t, 200, samples.List, "X-Request-Id", "h1")
	page, err := newAPI(t, server.URL).List(t.Context(), testProject, jobs.Query{})
	if err != nil {
		t.Fatal(err)
	}
	want := jobs.Job{
		ID: "4211", Name: "loss-board", Description: "nightly", Status: StatusRunning.Job(),
		CreateTime: time.UnixMilli(1711000000123), Duration: 61 * time.Second, AutoStop: 2 * time.Hour,
		TrainURL: "/team-bucket/run7/", ServiceURL: "https://console.example/modelarts/tensorboard/abcd/4211",
		ResourceID: "0f4b2c1e-1111-4222-8333-944455566677", RequestID: "h1",
	}
	if !slices.Equal(page.Jobs, []jobs.Job{want}) || page.Total != 1 || page.RequestID != "h1" {
		t.Errorf("got %+v\nwant %+v", page, want)
	}
}

func TestListOddAnswers(t *testing.T) {
	for body, want := range map[string]int{
		`{"jobs":[]}`:                                   0,
		`{"jobs":null,"job_total_count":0}`:             0,
		`{"job_total_count":"7"}`:                       0,
		`{"jobs":[{"job_id":"1"},{"job_id":2}]}`:        2,
		`{"jobs":[{"job_id":1}],"job_total_count":-3}`:  1,
		`{"jobs":[{"job_id":1,"status":null}],"x":[1]}`: 1,
	} {
		server := samples.Answering(t, 200, body)
		page, err := newAPI(t, server.URL).List(t.Context(), testProject, jobs.Query{})
		if err != nil || len(page.Jobs) != want || page.Total < 0 {
			t.Errorf("%s: %+v, %v", body, page, err)
		}
	}
	for _, body := range []string{"", "{}", "[]", samples.Page502, samples.Stop, `{"jobs":{}}`, `{"jobs":[1]}`, `{"jobs":"none"}`} {
		server := samples.Answering(t, 200, body)
		page, err := newAPI(t, server.URL).List(t.Context(), testProject, jobs.Query{})
		if page != nil || jobs.KindOf(err) != jobs.KindUnavailable {
			t.Errorf("%q: %+v, %v", body, page, err)
		}
	}
}
