package modelarts

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestStopAndRestartAccepted(t *testing.T) {
	for _, tt := range []struct {
		status    int
		body      string
		requestID string
	}{
		{200, sampleStop, "h1"},
		{202, sampleStop, "h1"},
		{200, "{}", "h1"},
		{200, "", "h1"},
		{204, "", "h1"},
		{200, " \r\n", "h1"},
		{200, `{"is_success":true,"request_id":"b1"}`, "b1"},
	} {
		server := answering(t, tt.status, tt.body, "X-Request-Id", "h1")
		c := newClient(t, server.URL)
		for name, call := range map[string]func() (string, error){
			"stop":    func() (string, error) { return c.StopVisualizationJob(t.Context(), testProject, "10") },
			"restart": func() (string, error) { return c.RestartVisualizationJob(t.Context(), testProject, "10") },
		} {
			if id, err := call(); err != nil || id != tt.requestID {
				t.Errorf("%s with %d %q = %q, %v", name, tt.status, tt.body, id, err)
			}
		}
	}
}

// A 2xx whose body does not agree is no success.
func TestStopNotAccepted(t *testing.T) {
	for body, want := range map[string]Kind{
		samplePage502:                KindUnavailable,
		`true`:                       KindUnavailable,
		`null`:                       KindUnavailable,
		`[]`:                         KindUnavailable,
		`{"is_success":true`:         KindUnavailable,
		`{"is_success":false}`:       KindUnavailable,
		`{"error_code":"ModelArts"}`: KindUnavailable,
		sampleStopOld:                KindNotAllowed,
		sampleStopNew:                KindNotAllowed,
		`{"is_success":false,"error_code":"ModelArts.0202","error_msg":"token expired"}`: KindCredentials,
	} {
		server := answering(t, 200, body)
		id, err := newClient(t, server.URL).StopVisualizationJob(t.Context(), testProject, "10")
		apiErr := asAPIError(t, err)
		if apiErr.Kind != want || apiErr.MaybeSent != (want == KindUnavailable) || id != "" {
			t.Errorf("%s: %q, %v, kind %v, MaybeSent %v", body, id, err, apiErr.Kind, apiErr.MaybeSent)
		}
	}
}

func TestShowVisualizationJob(t *testing.T) {
	full := VisualizationJob{
		ID: "4211", Name: "loss-board", Description: "nightly", Status: StatusRunning,
		CreateTime: time.UnixMilli(1711000000123), Duration: 33 * time.Second,
		TrainURL: "/team-bucket/run7/", ServiceURL: "https://console.example/modelarts2/tensorboard/0a1b2c3d/4211/",
		ResourceID: "0f4b2c1e-1111-4222-8333-944455566677", RequestID: "h1",
	}
	for _, tt := range []struct {
		name, body string
		want       VisualizationJob
	}{
		{"sample", sampleDetail, full},
		{"sample without is_success", sampleDetailBare, VisualizationJob{ID: "4211", Name: "loss-board",
			Status: StatusWaiting, CreateTime: time.UnixMilli(1711000000123), Duration: 33 * time.Second, RequestID: "h1"}},
		{"quoted numbers", sampleCreate, VisualizationJob{ID: "4211", Name: "loss-board", Status: StatusInit,
			CreateTime: time.UnixMilli(1711000000123), RequestID: "h1"}},
		{"id missing", `{"status":9}`, VisualizationJob{ID: "10", Status: StatusKilling, RequestID: "h1"}},
		{"status missing", `{"job_id":10}`, VisualizationJob{ID: "10", RequestID: "h1"}},
		{"status a word", `{"job_id":10,"status":"RUNNING"}`, VisualizationJob{ID: "10", RequestID: "h1"}},
		{"status undocumented", `{"job_id":10,"status":77}`, VisualizationJob{ID: "10", Status: 77, RequestID: "h1"}},
		{"status too large", `{"job_id":10,"status":4294967304}`, VisualizationJob{ID: "10", RequestID: "h1"}},
		{"time of 11 digits", `{"job_id":10,"status":8,"create_time":17110000001}`,
			VisualizationJob{ID: "10", Status: 8, CreateTime: time.UnixMilli(17110000001), RequestID: "h1"}},
		{"odd values", `{"job_id":10,"status":8,"create_time":"yesterday","duration":-5,"job_name":null,"job_desc":7,"train_url":{},"remaining_duration":"soon"}`,
			VisualizationJob{ID: "10", Status: 8, Description: "7", RequestID: "h1"}},
		{"huge values", `{"job_id":10,"status":8,"create_time":9223372036854775807,"duration":9223372036854775807}`,
			VisualizationJob{ID: "10", Status: 8, RequestID: "h1"}},
		{"request id in the body", `{"job_id":10,"status":8,"request_id":"b1"}`,
			VisualizationJob{ID: "10", Status: 8, RequestID: "b1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := answering(t, 200, tt.body, "X-Request-Id", "h1")
			job, err := newClient(t, server.URL).ShowVisualizationJob(t.Context(), testProject, tt.want.ID)
			if err != nil {
				t.Fatal(err)
			}
			if *job != tt.want {
				t.Errorf("got  %+v\nwant %+v", *job, tt.want)
			}
		})
	}
}

func TestShowWithoutJob(t *testing.T) {
	for _, body := range []string{"", "{}", "null", "[]", `"10"`, samplePage502, sampleStop, sampleDetail[:50], `{"job_id":null,"status":{}}`} {
		server := answering(t, 200, body)
		job, err := newClient(t, server.URL).ShowVisualizationJob(t.Context(), testProject, "10")
		if job != nil || KindOf(err) != KindUnavailable {
			t.Errorf("%q: %v, %v", body, job, err)
		}
	}
}

// An answer about another job, from a stale cache say, is no answer.
func TestShowAnotherJob(t *testing.T) {
	server := answering(t, 200, `{"job_id":99,"status":12}`)
	job, err := newClient(t, server.URL).ShowVisualizationJob(t.Context(), testProject, "10")
	if job != nil || KindOf(err) != KindUnavailable || !strings.Contains(err.Error(), `about job "99"`) {
		t.Errorf("got %v, %v", job, err)
	}
}

func TestAutoStop(t *testing.T) {
	for schedule, want := range map[string]time.Duration{
		`[{"type":"stop","time_unit":"HOURS","duration":2}]`:                                                  2 * time.Hour,
		`[{"type":"stop","timeUnit":"HOURS","duration":2}]`:                                                   2 * time.Hour,
		`{"type":"stop","time_unit":"HOURS","duration":"24"}`:                                                 24 * time.Hour,
		`[{"type":"start","time_unit":"HOURS","duration":1},{"type":"stop","timeUnit":"hours","duration":3}]`: 3 * time.Hour,
		`[{"type":"stop","time_unit":"DAYS","duration":2}]`:                                                   0,
		`[{"type":"stop","time_unit":"HOURS","duration":99999999999}]`:                                        0,
		`[]`: 0, `{}`: 0, `null`: 0, `"2h"`: 0, `[1]`: 0, `[null]`: 0, `7`: 0,
	} {
		body := fmt.Sprintf(`{"job_id":10,"status":8,"schedule":%s}`, schedule)
		server := answering(t, 200, body)
		job, err := newClient(t, server.URL).ShowVisualizationJob(t.Context(), testProject, "10")
		if err != nil || job.AutoStop != want {
			t.Errorf("%s: %+v, %v; want %v", schedule, job, err, want)
		}
	}
}

// The message is cut for people, after the status was read from it.
func TestJobStatusAfterLongText(t *testing.T) {
	server := answering(t, 400, `{"error_code":"ModelArts.0105","error_msg":"`+strings.Repeat("long ", 100)+`job status: 12"}`)
	_, err := newClient(t, server.URL).StopVisualizationJob(t.Context(), testProject, "10")
	apiErr := asAPIError(t, err)
	if !apiErr.HasJobStatus || apiErr.JobStatus != StatusKilled || len(apiErr.Message) > 200 {
		t.Errorf("got %+v", apiErr)
	}
}
