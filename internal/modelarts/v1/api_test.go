package v1

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/samples"
)

func TestStopAndRestartAccepted(t *testing.T) {
	for _, tt := range []struct {
		status    int
		body      string
		requestID string
	}{
		{200, samples.Stop, "h1"},
		{202, samples.Stop, "h1"},
		{200, "{}", "h1"},
		{200, "", "h1"},
		{204, "", "h1"},
		{200, " \r\n", "h1"},
		{200, `{"is_success":true,"request_id":"b1"}`, "b1"},
	} {
		server := samples.Answering(t, tt.status, tt.body, "X-Request-Id", "h1")
		c := newAPI(t, server.URL)
		for name, call := range map[string]func() (string, error){
			"stop": func() (string, error) {
				accepted, err := c.Stop(t.Context(), testProject, "10")
				return accepted.RequestID, err
			},
			"restart": func() (string, error) { return c.Restart(t.Context(), testProject, "10") },
		} {
			if id, err := call(); err != nil || id != tt.requestID {
				t.Errorf("%s with %d %q = %q, %v", name, tt.status, tt.body, id, err)
			}
		}
	}
}

// A 2xx whose body does not agree is no success.
func TestStopNotAccepted(t *testing.T) {
	for body, want := range map[string]jobs.Kind{
		samples.Page502:              jobs.KindUnavailable,
		`true`:                       jobs.KindUnavailable,
		`null`:                       jobs.KindUnavailable,
		`[]`:                         jobs.KindUnavailable,
		`{"is_success":true`:         jobs.KindUnavailable,
		`{"is_success":false}`:       jobs.KindUnavailable,
		`{"error_code":"ModelArts"}`: jobs.KindUnavailable,
		samples.StopOld:              jobs.KindNotAllowed,
		samples.StopNew:              jobs.KindNotAllowed,
		`{"is_success":false,"error_code":"ModelArts.0202","error_msg":"token expired"}`: jobs.KindCredentials,
	} {
		server := samples.Answering(t, 200, body)
		accepted, err := newAPI(t, server.URL).Stop(t.Context(), testProject, "10")
		apiErr := asError(t, err)
		if apiErr.Kind != want || apiErr.MaybeSent != (want == jobs.KindUnavailable) || accepted != (jobs.Accepted{}) {
			t.Errorf("%s: %v, %v, kind %v, MaybeSent %v", body, accepted, err, apiErr.Kind, apiErr.MaybeSent)
		}
	}
}

func TestGet(t *testing.T) {
	full := jobs.Job{
		ID: "4211", Name: "loss-board", Description: "nightly", Status: StatusRunning.Job(),
		CreateTime: time.UnixMilli(1711000000123), Duration: 33 * time.Second,
		TrainURL: "/team-bucket/run7/", ServiceURL: "https://console.example/modelarts2/tensorboard/0a1b2c3d/4211/",
		ResourceID: "0f4b2c1e-1111-4222-8333-944455566677", RequestID: "h1",
	}
	for _, tt := range []struct {
		name, body string
		want       jobs.Job
	}{
		{"sample", samples.Detail, full},
		{"sample without is_success", samples.DetailBare, jobs.Job{ID: "4211", Name: "loss-board",
			Status: StatusWaiting.Job(), CreateTime: time.UnixMilli(1711000000123), Duration: 33 * time.Second, RequestID: "h1"}},
		{"quoted numbers", samples.Create, jobs.Job{ID: "4211", Name: "loss-board", Status: StatusInit.Job(),
			CreateTime: time.UnixMilli(1711000000123), RequestID: "h1"}},
		{"status missing", `{"job_id":10}`, jobs.Job{ID: "10", RequestID: "h1"}},
		{"status a word", `{"job_id":10,"status":"RUNNING"}`, jobs.Job{ID: "10", RequestID: "h1"}},
		{"status undocumented", `{"job_id":10,"status":77}`, jobs.Job{ID: "10", Status: Status(77).Job(), RequestID: "h1"}},
		{"status too large", `{"job_id":10,"status":4294967304}`, jobs.Job{ID: "10", RequestID: "h1"}},
		{"time of 11 digits", `{"job_id":10,"status":8,"create_time":17110000001}`,
			jobs.Job{ID: "10", Status: Status(8).Job(), CreateTime: time.UnixMilli(17110000001), RequestID: "h1"}},
		{"odd values", `{"job_id":10,"status":8,"create_time":"yesterday","duration":-5,"job_name":null,"job_desc":7,"train_url":{},"remaining_duration":"soon"}`,
			jobs.Job{ID: "10", Status: Status(8).Job(), Description: "7", RequestID: "h1"}},
		{"huge values", `{"job_id":10,"status":8,"create_time":9223372036854775807,"duration":9223372036854775807}`,
			jobs.Job{ID: "10", Status: Status(8).Job(), RequestID: "h1"}},
		{"request id in the body", `{"job_id":10,"status":8,"request_id":"b1"}`,
			jobs.Job{ID: "10", Status: Status(8).Job(), RequestID: "b1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := samples.Answering(t, 200, tt.body, "X-Request-Id", "h1")
			job, err := newAPI(t, server.URL).Get(t.Context(), testProject, tt.want.ID)
			if err != nil {
				t.Fatal(err)
			}
			if *job != tt.want {
				t.Errorf("got  %+v\nwant %+v", *job, tt.want)
			}
		})
	}
}

func TestGetWithoutJob(t *testing.T) {
	for _, body := range []string{"", "{}", "null", "[]", `"10"`, samples.Page502, samples.Stop, samples.Detail[:50], `{"job_id":null,"status":{}}`} {
		server := samples.Answering(t, 200, body)
		job, err := newAPI(t, server.URL).Get(t.Context(), testProject, "10")
		if job != nil || jobs.KindOf(err) != jobs.KindUnavailable {
			t.Errorf("%q: %v, %v", body, job, err)
		}
	}
}

// An answer about another job, from a stale cache say, or about any, from a proxy's own
// page of health, is no answer.
func TestGetAnotherJob(t *testing.T) {
	for body, want := range map[string]string{
		`{"job_id":99,"status":12}`:   `about job "99"`,
		`{"status":12}`:               "does not say which job",
		`{"job_id":null,"status":12}`: "does not say which job",
		`{"job_id":"","status":12}`:   "does not say which job",
	} {
		server := samples.Answering(t, 200, body)
		job, err := newAPI(t, server.URL).Get(t.Context(), testProject, "10")
		if job != nil || jobs.KindOf(err) != jobs.KindUnavailable || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v; want an error with %q", body, job, err, want)
		}
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
		server := samples.Answering(t, 200, body)
		job, err := newAPI(t, server.URL).Get(t.Context(), testProject, "10")
		if err != nil || job.AutoStop != want {
			t.Errorf("%s: %+v, %v; want %v", schedule, job, err, want)
		}
	}
}

// The message is cut for people, after the status was read from it.
func TestJobStatusAfterLongText(t *testing.T) {
	server := samples.Answering(t, 400, `{"error_code":"ModelArts.0105","error_msg":"`+strings.Repeat("long ", 100)+`job status: 12"}`)
	_, err := newAPI(t, server.URL).Stop(t.Context(), testProject, "10")
	apiErr := asError(t, err)
	if apiErr.JobStatus != StatusKilled.Job() || len(apiErr.Message) > 200 {
		t.Errorf("got %+v", apiErr)
	}
}
