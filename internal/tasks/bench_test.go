package tasks

import (
	"testing"
	"vizstop/internal/jobs"
	v1 "vizstop/internal/modelarts/v1"
)

func BenchmarkDecodePayload(b *testing.B) {
	b.ReportAllocs()
	payload := []byte(`{"project_id":"0123456789abcdef0123456789abcdef","job_id":"1000"}`)
	for b.Loop() {
		if _, err := DecodePayload(payload); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerdict judges the answer that ends most stops, and a refusal.
func BenchmarkVerdict(b *testing.B) {
	job := &jobs.Job{Status: v1.StatusKilled.Job()}
	refusal := refused(v1.StatusKilling)
	b.Run("stopped", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if v := judgePoll(&stopping, job, nil, false, chance{}); v.action != actEnd {
				b.Fatal(v)
			}
		}
	})
	b.Run("refused", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if v := judgeStop(&pending, jobs.Accepted{}, refusal, false, chance{}); v.action != actAccept {
				b.Fatal(v)
			}
		}
	})
}
