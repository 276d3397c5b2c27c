package tasks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"golang.org/x/sync/errgroup"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/throttle"
	"vizstop/internal/tracing"
)

// ScreenHandler handles visualization:screen. It looks for all watched stops of
// one project at once, in the list of its jobs that are stopping, and polls what
// has left that list. Only such a poll ends a stop.
type ScreenHandler struct{ *handler }

// The results of a screen.
const (
	screenComplete   = "complete"   // the list was read, and what has left it is polled
	screenWaited     = "waited"     // the throttle gave no leave
	screenFailed     = "failed"     // the list could not be read
	screenDistrusted = "distrusted" // the list is refused, or disagrees with the detail endpoint: jobs are polled one by one
	screenFew        = "few"        // too few jobs are stopping: they are polled one by one
)

// ScreenResults lists the results of a screen.
func ScreenResults() []string {
	return []string{screenComplete, screenWaited, screenFailed, screenDistrusted, screenFew}
}

const (
	// watchLimit is how long a stop is watched at most before its job is looked
	// at by itself, whatever lists say.
	watchLimit = 5 * time.Minute
	// distrust is how long a project's list is left alone once it has proved useless.
	distrust = 10 * time.Minute
	// screenTime bounds the reading of one list, of any number of pages, and
	// lookTime the polls after it: with stayTime well within taskTimeout. What is
	// left to poll then gets a task.
	screenTime = 2 * time.Minute
	lookTime   = time.Minute
	// screenFailures in a row make a list useless for a while.
	screenFailures = 3
)

// process screens one project, and schedules the next screen.
func (h *ScreenHandler) process(ctx context.Context, t *asynq.Task) (result, error) {
	name, _ := asynq.GetTaskID(ctx)
	projectID, hop, ok := parseScreenID(name)
	if !ok {
		return result{what: "foreign screen task dropped", note: TypeScreen + " is not for other producers: enqueue " + TypeStop}, nil
	}
	ctx, _ = tracing.Join(ctx, "")
	s, err := h.Ledger.Screen(ctx, projectID)
	if err != nil {
		return result{}, err
	}
	if !s.On || s.Hop != hop {
		h.Recorder.Duplicate()
		if s.On && s.Hop == hop+1 { // the first delivery may have died before it enqueued the successor
			err = enqueueScreen(ctx, h.Queue, projectID, s.Hop, s.Due)
		}
		return result{what: "screen came again"}, err
	}
	return h.stay(ctx, s)
}

// screen screens one project once, and moves s to its next hop.
func (h *ScreenHandler) screen(ctx context.Context, s *ledger.Screen) (result, error) {
	began := h.Now()
	watched, err := h.Ledger.Watched(ctx, s.ProjectID)
	if err != nil {
		return result{}, err
	}
	late, rest := splitWatched(watched, began.Add(-watchLimit))
	if err := h.look(ctx, s, late, ledger.ScreenedLate); err != nil {
		return result{}, err
	}
	stopping, err := h.Ledger.CountStopping(ctx, s.ProjectID)
	if err != nil {
		return result{}, err
	}
	if stopping < h.Schedule.ScreenFrom {
		return h.dissolve(ctx, s, rest, screenFew, "")
	}
	if s.Rests.After(began) {
		return h.dissolve(ctx, s, rest, screenDistrusted, "")
	}
	seen, wait, system, err := h.list(ctx, s, rest, began)
	if wait.For > 0 {
		s.Slot = time.Time{}
		if wait.Place {
			s.Slot = began.Add(wait.For)
		}
		return h.again(ctx, s, wait.For, screenWaited, waitReason(wait))
	}
	s.Slot = time.Time{}
	if err != nil {
		return h.failed(ctx, s, rest, err, system)
	}
	if err := h.look(ctx, s, seen.left, ledger.ScreenedLeft); err != nil {
		return result{}, err
	}
	s.Looked, s.Failures, s.Left = began, 0, s.Left+len(seen.left)
	if why := doubtful(s); why != "" {
		return h.distrust(ctx, s, seen.stopping, why)
	}
	// From list to list: the polls in between take their time.
	return h.again(ctx, s, max(0, h.interval(ctx, s.ProjectID, seen)-h.Now().Sub(began)), screenComplete,
		fmt.Sprintf("%d of %d watched jobs have left the list, %d pages", len(seen.left), len(rest), seen.pages))
}

// failed decides what a list that could not be read means for the screening.
func (h *ScreenHandler) failed(ctx context.Context, s *ledger.Screen, rest []ledger.Watched, err error, system bool) (result, error) {
	switch {
	case listRefused(err):
		return h.distrust(ctx, s, rest, err.Error())
	case system:
		return h.again(ctx, s, max(time.Second, h.Schedule.retry(1)), screenFailed, err.Error())
	}
	s.Failures++
	if s.Failures >= screenFailures {
		return h.distrust(ctx, s, rest, fmt.Sprintf("%d lists in a row could not be read: %v", s.Failures, err))
	}
	return h.again(ctx, s, max(time.Second, h.Schedule.retry(s.Failures)), screenFailed, err.Error())
}

// distrust leaves the list alone for a while: jobs are polled one by one.
func (h *ScreenHandler) distrust(ctx context.Context, s *ledger.Screen, rest []ledger.Watched, why string) (result, error) {
	s.Rest(h.Now().Add(distrust))
	return h.dissolve(ctx, s, rest, screenDistrusted, why)
}

// doubtful says why a project's list can't be trusted; "" if it can. It starts
// to count anew now and then, so that what was once true doesn't outweigh what
// is.
func doubtful(s *ledger.Screen) string {
	switch {
	case s.Wrong >= 10 && 2*s.Wrong > s.Left:
		return fmt.Sprintf("the list disagrees with the detail endpoint: wrong about %d jobs, of %d that had left it", s.Wrong, s.Left)
	case s.Left >= 200:
		s.CountAnew()
	}
	return ""
}

// dissolve gives every watched stop a poll task of its own, on schedule.
func (h *ScreenHandler) dissolve(ctx context.Context, s *ledger.Screen, rest []ledger.Watched, what, why string) (result, error) {
	if err := h.release(ctx, s, rest); err != nil {
		return result{}, err
	}
	return h.again(ctx, s, time.Second, what, why)
}

// again moves s to its next hop, which is due after delay, if any stop is still
// watched.
func (h *ScreenHandler) again(ctx context.Context, s *ledger.Screen, delay time.Duration, what, note string) (result, error) {
	h.Recorder.Screened(what)
	res := result{what: "screen " + what, note: note, routine: what != screenDistrusted && what != screenFailed,
		attrs: []any{"project", s.ProjectID}}
	_, err := h.Ledger.AdvanceScreen(ctx, s, h.Now().Add(delay))
	return res, err
}

// chunk is how many watched stops a screen reads from the ledger at once.
const chunk = 500

// look polls watched stops that the screen has found something about, right
// here: a task for each would cost Redis more than the look itself. Each ends or
// moves on by itself, so whatever is left undone by a crash is found again.
func (h *ScreenHandler) look(ctx context.Context, screen *ledger.Screen, found []ledger.Watched, why ledger.Screened) error {
	enough := h.Now().Add(lookTime)
	return h.each(ctx, screen, found, func(ctx context.Context, s *ledger.Stop) error {
		began := h.Now()
		s.Screened, s.Kind, s.Next = why, ledger.KindPoll, began
		if began.After(enough) {
			_, err := h.advance(ctx, s, ledger.KindPoll, 0) // not moved: somebody else was first
			return err
		}
		ctx, span := h.screened(ctx, s)
		res, err := h.poll(ctx, s, began)
		endSpan(span, s, err)
		h.tell(ctx, res, err, "task", screenID(screen.ProjectID, screen.Hop), "type", TypeScreen, "duration", h.Now().Sub(began).Round(time.Millisecond))
		return err
	})
}

// release ends the watch of stops and gives each a poll task of its own, on
// schedule.
func (h *ScreenHandler) release(ctx context.Context, screen *ledger.Screen, watched []ledger.Watched) error {
	return h.each(ctx, screen, watched, func(ctx context.Context, s *ledger.Stop) error {
		_, err := h.advance(ctx, s, ledger.KindPoll, h.gap(ctx, s)) // not moved: somebody else was first
		return err
	})
}

// each reads watched stops and does something to each, many at once.
func (h *ScreenHandler) each(ctx context.Context, screen *ledger.Screen, watched []ledger.Watched,
	do func(context.Context, *ledger.Stop) error) error {

	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(h.Parallel)
	for some := range slices.Chunk(watched, chunk) {
		jobs := make([]string, len(some))
		for i, w := range some {
			jobs[i] = w.JobID
		}
		stops, err := h.Ledger.WatchedStops(ctx, screen.ProjectID, jobs)
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		for _, s := range stops {
			if screen.Looked.After(s.Accepted) {
				s.Looked = screen.Looked
			}
			group.Go(func() error { return h.guard(ctx, s, do) })
		}
	}
	return group.Wait()
}

// guard turns a panic into an error, as asynq does in the goroutine that it
// starts for a task: a bug that one stop meets must not end the whole worker.
func (h *ScreenHandler) guard(ctx context.Context, s *ledger.Stop, do func(context.Context, *ledger.Stop) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("stop %s: panic: %v", s.ID, p)
			h.Logger.ErrorContext(ctx, "a bug in vizstop: please report it", "stop", s.ID, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	return do(ctx, s)
}

// sighting is what one list has shown of the watched stops.
type sighting struct {
	left     []ledger.Watched // to be looked at, and no longer in the list
	stopping []ledger.Watched // still in it, or in doubt, or not to be looked for yet
	pages    int
}

// list reads the project's list of stopping jobs, page by page, each with leave
// of the throttle.
func (h *ScreenHandler) list(ctx context.Context, s *ledger.Screen, watched []ledger.Watched, began time.Time) (
	seen sighting, wait throttle.Wait, system bool, err error) {

	ctx, cancel := context.WithTimeout(ctx, screenTime)
	defer cancel()
	roll := newRollCall(watched, began)
	back := !s.Slot.IsZero()
	for !roll.complete() {
		var page *modelarts.JobPage
		var callErr error
		wait, system, _, err = h.call(ctx, errand{s.ProjectID, throttle.Screen, back, h.Now(), func(ctx context.Context) error {
			page, callErr = h.Jobs.ListVisualizationJobs(ctx, s.ProjectID, roll.query())
			if listRefused(callErr) { // says nothing about the other calls
				return context.Canceled
			}
			return callErr
		}})
		switch {
		case err != nil:
			return sighting{}, throttle.Wait{}, false, err
		case wait.For > 0 && roll.pages > 0 && wait.Place && wait.For < maxPageWait:
			if err := sleep(ctx, wait.For); err != nil {
				return sighting{}, throttle.Wait{}, true, err
			}
			back = true
			continue
		case wait.For > 0:
			return sighting{}, wait, false, nil
		case callErr != nil:
			return sighting{}, throttle.Wait{}, system, callErr
		}
		back = false
		roll.take(page)
	}
	if err := roll.trouble(); err != nil {
		return sighting{}, throttle.Wait{}, false, err
	}
	return roll.result(), throttle.Wait{}, false, nil
}

// maxPageWait is how long a screen in the middle of a list waits for leave to
// read the next page. It holds one of the worker's slots meanwhile.
const maxPageWait = 10 * time.Second

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// splitWatched parts those that are watched since the given time or before
// from the others. watched is in the order of From.
func splitWatched(watched []ledger.Watched, since time.Time) (late, rest []ledger.Watched) {
	n := 0
	for n < len(watched) && !watched[n].From.After(since) {
		n++
	}
	return watched[:n], watched[n:]
}

// screenID is the id of a project's screen task of one hop.
func screenID(projectID string, hop int) string {
	return "screen:" + projectID + ":" + strconv.Itoa(hop)
}

func parseScreenID(name string) (projectID string, hop int, ok bool) {
	rest, isScreen := strings.CutPrefix(name, "screen:")
	projectID, number, found := strings.Cut(rest, ":")
	hop, err := strconv.Atoi(number)
	ok = isScreen && found && err == nil && hop > 0 && modelarts.ValidateID("project", projectID) == nil
	return projectID, hop, ok && screenID(projectID, hop) == name
}

// enqueueScreen puts a project's screen task into its queue. One that is there
// already is as good.
func enqueueScreen(ctx context.Context, queue *asynq.Client, projectID string, hop int, due time.Time) error {
	body, err := json.Marshal(struct {
		ProjectID string `json:"project_id"`
	}{projectID})
	if err != nil {
		return fmt.Errorf("encode the payload of the screen of project %s: %w", projectID, err)
	}
	return put(ctx, queue, asynq.NewTask(TypeScreen, body), QueuePoll, screenID(projectID, hop), due)
}
