package tasks

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"vizstop/internal/ledger"
)

// Every watched stop of a project depends on one screen, so a screen whose
// worker has died is replaced sooner than asynq's lease allows: two screens at
// once cost some calls and harm nothing.
const (
	screenBeat  = 2 * time.Second // how often a screen says that it is at work
	screenQuiet = 7 * time.Second // how long one may be overdue and say nothing
)

// A screen whose successor is due soon stays and is that successor itself: the
// queue keeps due times in whole seconds only, and costs more than the wait.
const (
	stayWait = 5 * time.Second // the longest wait for the next hop
	stayTime = time.Minute     // then a task takes over: none runs for long
)

// Stays is how many screens may stay at once where so many API calls may be
// under way.
func Stays(parallel int) int { return parallel / 4 }

// stay screens the project of s until nobody is watched, the next screen is too
// far away, or this task has to go. Whatever ends it, the hop at which it leaves
// the screen has a task.
func (h *ScreenHandler) stay(ctx context.Context, s *ledger.Screen) (result, error) {
	projectID, first, began := s.ProjectID, s.Hop, h.Now()
	var at atomic.Int64 // the hop that is at work
	at.Store(int64(first))
	beating, cancel := context.WithCancel(ctx)
	var beat sync.WaitGroup
	beat.Go(func() { h.beat(beating, projectID, &at) })
	defer beat.Wait()
	defer cancel()
	staying := false
	defer func() {
		if staying {
			<-h.stays
		}
	}()
	for {
		hop, round := s.Hop, h.Now()
		res, err := h.screen(ctx, s)
		if err != nil {
			return res, h.leave(ctx, projectID, hop, first, err)
		}
		if s.Hop == hop || !s.On { // somebody else has moved it, or nobody is watched
			return res, nil
		}
		at.Store(int64(s.Hop))
		took := h.Now().Sub(round)
		if !staying && s.Due.Sub(h.Now()) <= stayWait {
			select {
			case h.stays <- struct{}{}:
				staying = true
			default:
			}
		}
		if !staying || s.Due.Sub(h.Now()) > stayWait || s.Due.Sub(began) > stayTime || !h.untilDue(ctx, s) {
			return res, enqueueScreen(context.WithoutCancel(ctx), h.Queue, projectID, s.Hop, s.Due)
		}
		h.tell(ctx, res, nil, "task", screenID(projectID, hop), "type", TypeScreen, "duration", took.Round(time.Millisecond))
		expected := s.Hop
		if s, err = h.Ledger.Screen(ctx, projectID); err != nil {
			return result{}, h.leave(ctx, projectID, expected, first, err)
		}
		if !s.On || s.Hop != expected {
			h.Recorder.Duplicate()
			return result{what: "screen replaced", attrs: []any{"project", projectID}}, nil
		}
	}
}

// leave hands the hop at which a screen failed back to the queue. What asynq
// brings again is the task of the first hop, so any other needs one.
func (h *ScreenHandler) leave(ctx context.Context, projectID string, hop, first int, err error) error {
	if hop == first {
		return err
	}
	h.awaitRedis(ctx)
	return errors.Join(err, enqueueScreen(context.WithoutCancel(ctx), h.Queue, projectID, hop, h.Now()))
}

// untilDue waits until s is due. It reports false when the worker has to go
// before that.
func (h *ScreenHandler) untilDue(ctx context.Context, s *ledger.Screen) bool {
	timer := time.NewTimer(s.Due.Sub(h.Now()))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-h.Stopping:
		return false
	case <-ctx.Done():
		return false
	}
}

// beat says which hop of a screen is at work, until ctx ends. When Redis does
// not hear it, the screen may be replaced, which is as well.
func (h *ScreenHandler) beat(ctx context.Context, projectID string, hop *atomic.Int64) {
	for {
		_ = h.Ledger.ScreenAlive(ctx, projectID, int(hop.Load()))
		if sleep(ctx, screenBeat) != nil {
			return
		}
	}
}
