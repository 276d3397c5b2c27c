package tasks

import (
	"fmt"
	"testing"
	"time"

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

// BenchmarkSlots gives a call a slot and takes it back, after so many projects have wanted one lately.
func BenchmarkSlots(b *testing.B) {
	for _, projects := range []int{2, 10_000} {
		b.Run(fmt.Sprintf("projects=%d", projects), func(b *testing.B) {
			b.ReportAllocs()
			s := NewSlots(64, doubts{})
			call := func(i int) {
				slot, err := s.Acquire(b.Context(), fmt.Sprintf("%032d", i%projects), true)
				if err != nil {
					b.Fatal(err)
				}
				slot.Answered(time.Millisecond)
			}
			for i := range projects {
				call(i)
			}
			for i := 0; b.Loop(); i++ {
				call(i)
			}
		})
	}
}
