package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vizstop/internal/caller"
	"vizstop/internal/jobs"
)

// Who waits for an API that answers 429 is told after a few seconds, once; a short rest is not worth a word.
func TestWaitsForTheAPIAreTold(t *testing.T) {
	for _, tt := range []struct {
		throttled, want int
		after           time.Duration
	}{{0, 0, 0}, {1, 0, 0}, {1, 1, 30 * time.Second}, {10, 1, 0}} {
		synctest.Test(t, func(t *testing.T) {
			var told atomic.Int32
			rate := &toldRate{Rate: &caller.OwnRate{}, met: map[string]time.Time{}, next: map[string]bool{},
				tell: func(string) { told.Add(1) }}
			throttled := &jobs.Error{Kind: jobs.KindThrottled, RetryAfter: tt.after}
			for i := range 20 {
				err := rate.Spend(context.Background(), project)
				if i < tt.throttled {
					err = errors.Join(err, rate.Throttled(context.Background(), project, throttled))
				} else {
					time.Sleep(time.Second) // virtual: costs nothing
				}
				if err != nil {
					t.Fatal(err)
				}
				if i < tt.throttled {
					time.Sleep(time.Millisecond) // virtual, too
				}
			}
			if int(told.Load()) != tt.want {
				t.Errorf("%+v: told %d times", tt, told.Load())
			}
		})
	}
}
