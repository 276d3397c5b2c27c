package modelarts

import (
	"net/http"
	"testing"
	"time"
	"vizstop/internal/jobs"
)

// detailBody is a detail answer as the API writes it.
const detailBody = `{"is_success":true,"job_id":10,"job_name":"board-10","job_desc":"","status":12,"create_time":1767322800000,` +
	`"duration":3600000,"service_url":"https://console.example/modelarts/tensorboard/0a1b2c3d/10/","train_url":"/bucket/run/",` +
	`"resource_id":"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"}`

// BenchmarkJudge reads the two answers that most stops see, and a refusal.
func BenchmarkJudge(b *testing.B) {
	show := &Call{Operation: jobs.OperationDetail}
	stop := &Call{Operation: jobs.OperationStop, Accept: func(*Answer) error { return nil }}
	for _, bb := range []struct {
		name   string
		call   *Call
		status int
		body   string
		ok     bool
	}{
		{"detail", show, http.StatusOK, detailBody, true},
		{"accepted", stop, http.StatusOK, `{"is_success":true}`, true},
		{"refused", stop, http.StatusBadRequest,
			`{"is_success":false,"error_code":"ModelArts.0105","error_message":"This job can't be stop. job status: 12"}`, false},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			header := http.Header{"X-Request-Id": {"0123456789abcdef"}}
			for b.Loop() {
				err := judge(bb.call, &Answer{Status: bb.status, Header: header, Body: []byte(bb.body)}, nil, now)
				if (err == nil) != bb.ok {
					b.Fatal(err)
				}
			}
		})
	}
}
