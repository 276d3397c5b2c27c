package tasks

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
)

// lateAnswers moves the fleet's time on by 4 s after each script that has marked a stop call: the answer comes too late
// for the call.
type lateAnswers struct {
	late    atomic.Int64 // how many answers
	pending func() bool  // the answer is about a call that is marked
}

func (l *lateAnswers) now() time.Time {
	return time.Now().Add(time.Duration(l.late.Load()) * 4 * time.Second)
}

func (*lateAnswers) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (*lateAnswers) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (l *lateAnswers) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if l.pending() {
			l.late.Add(1)
		}
		return err
	}
}

// A claim whose answers come too late for its call is repeated, but not without a pause, and no longer than its worker
// goes on. When no call may go out any more, the stop comes back as a look.
func TestClaimsAnsweredTooLate(t *testing.T) {
	for name, shadow := range map[string]bool{"always": false, "in a shadow account since": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t)
			admin, mine := s.Client(t), s.Limited(t)
			k, id := ledger.Keys(project), ledger.StopID("b", project, "1")
			late := &lateAnswers{}
			late.pending = func() bool { return admin.HGet(context.Background(), k.Stop(id), "calling").Val() != "" }
			serving := func(string) release.Serving { return release.Serving{Shadow: shadow && late.late.Load() > 0} }
			l, r := ledger.New(admin, late.now), release.New(mine, "w", late.now, release.Config{Serving: serving})
			if _, err := NewProducer(l, admin).Ask(t.Context(), project, "b", asks(1)); err != nil {
				t.Fatal(err)
			}
			step := ledger.Member{StopID: id, Hop: 1, JobID: "1"}
			need := release.Need{Room: 10, Most: 10, Unlisted: time.Hour, Unwatched: time.Hour, Silence: time.Hour}
			if round, err := r.Round(t.Context(), project, need); err != nil || len(round.Stops) != 1 {
				t.Fatalf("round %+v, %v", round, err)
			}
			mine.AddHook(late)
			stopping, end := context.WithCancel(t.Context())
			defer end()
			if !shadow { // else it ends by itself
				time.AfterFunc(time.Second, end)
			}
			c := &claimer{release: r, slots: NewSlots(4, doubts{}), stopping: stopping, work: NewAtWork(),
				pull: func(string, time.Duration) {}, pulse: func() func() bool { return nil }}
			done := make(chan error, 1)
			go func() {
				got, res, err := c.claim(t.Context(), project, step, ledger.KindStop)
				if got.Stop != nil || shadow && res.what != "step is held back" {
					t.Errorf("claimed %+v, %+v", got, res)
				}
				done <- err
			}()
			select {
			case err := <-done:
				if shadow == errors.Is(err, errTooLate) || late.late.Load() > 5 {
					t.Errorf("it ended with %v after %d answers that came late", err, late.late.Load())
				}
			case <-time.After(20 * time.Second):
				t.Fatalf("the claim goes on after 20 s, with %d answers that came late", late.late.Load())
			}
			if got, err := l.Get(t.Context(), project, id); err != nil || shadow && (got.Kind != ledger.KindPoll || !got.Unsure) {
				t.Errorf("the stop is %+v, %v; want a look at a call that may have gone out", got, err)
			}
		})
	}
}
