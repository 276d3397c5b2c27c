package simulation

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
)

// steps are what a history shows, one line for each step, without times and request ids.
func steps(s *ledger.Stop) (lines []string) {
	for _, h := range s.History() {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%d %s: %s %s", h.N, h.Call, h.Answer, h.Status)))
	}
	return lines
}

// wantSteps checks the first steps and the last one of a history.
func wantSteps(t *testing.T, s *ledger.Stop, first []string, last string) {
	t.Helper()
	got := steps(s)
	if len(got) <= len(first) || !slices.Equal(got[:len(first)], first) || !strings.HasSuffix(got[len(got)-1], last) {
		t.Errorf("job %s: history\n%s\nwant\n%s\n...\n%s", s.JobID, strings.Join(got, "\n"), strings.Join(first, "\n"), last)
	}
}

// The history of a stop has each call that was made for it, in order, with what came of it
// and the API's id of it.
func TestHistoryHasEveryCall(t *testing.T) {
	inBubble(t, modelartstest.Config{Only: modelartstest.V1}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 8 * time.Second})
		hostile := "\x1b[2J\r\n<script>\u202e\x00" + strings.Repeat("x\t", 1<<19)
		for _, f := range []modelartstest.Fault{
			{Operation: jobs.OperationStop, Reply: modelartstest.ReplyError(500, "ModelArts.0010", hostile)},
			{Operation: jobs.OperationStop, Reply: modelartstest.ReplyReset()},
			{Operation: jobs.OperationDetail, Delay: 2 * time.Second}, // longer than a first look takes
		} {
			f.JobID, f.Times = "10", 1
			w.sim.Inject(f)
		}
		// Others, so that what goes wrong is held to be the job's.
		others := w.addJobs(5, func(int) time.Duration { return time.Hour })
		r := w.start(rarely)
		defer r.stop()
		w.ask("others", others...)
		w.await(time.Minute, "others' calls", func() bool { return w.count(jobs.OperationStop) >= 5 })
		w.ask("b", "10")
		s := w.awaitEnd(5*time.Minute, "b")["10"]
		wantOutcome(t, s, ledger.Stopped, "")
		wantSteps(t, s, []string{
			"1 stop: http 500 ModelArts.0010: [2J <script>" + strings.Repeat(" x", 23) + "...",
			"2 stop: disconnected: EOF",
			"3 stop: accepted",
		}, "detail: ok "+v1.StatusKilled.Job().String())
		if !slices.ContainsFunc(steps(s), func(line string) bool { return strings.HasSuffix(line, "detail: timeout: context deadline exceeded") }) {
			t.Errorf("the slow look is missing in\n%s", strings.Join(steps(s), "\n"))
		}
		history, calls := s.History(), w.sim.Calls(project, "10")
		// The simulator notes a slow call when it is over, which may be after the next one.
		slices.SortStableFunc(calls, func(a, b modelartstest.Call) int { return a.At.Compare(b.At) })
		history = slices.DeleteFunc(history, func(h ledger.HistoryStep) bool { return h.Call == ledger.HistoryList })
		if len(history) != len(calls) {
			t.Fatalf("history\n%s\nof %d calls:\n%+v", strings.Join(steps(s), "\n"), len(calls), calls)
		}
		for i, h := range history {
			c := calls[i]
			if string(h.Call) != c.Operation || h.At.Before(c.At.Truncate(time.Millisecond)) {
				t.Errorf("step %+v of call %+v", h, c)
			}
			if strings.HasPrefix(h.Answer, "timeout") || strings.HasPrefix(h.Answer, "disconnected") {
				c.RequestID = ""
			}
			if !strings.HasPrefix(h.RequestID, c.RequestID) || (h.RequestID == "") != (c.RequestID == "") {
				t.Errorf("step %+v lacks the id of call %+v", h, c)
			}
		}
	})
}

// What a worker died in is in the history, once.
func TestHistoryOfALostCall(t *testing.T) {
	inBubble(t, modelartstest.Config{Only: modelartstest.V1}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 5 * time.Second})
		w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Times: 1, Reply: modelartstest.ReplyEmpty(202)}) // without effect
		w.ask("b", "10")
		crash := &pause{}
		dead := w.start(pausable(crash, nil, pauseInCall(crash, jobs.OperationStop)))
		defer func() { crash.end(); dead.stop() }()
		w.await(time.Minute, "the crash", crash.paused)
		r := w.start(nil)
		defer r.stop()
		s := w.awaitEnd(3*time.Minute, "b")["10"]
		wantSteps(t, s, []string{"1 stop: no answer: the worker died in this call", "2 detail: ok " + v1.StatusRunning.Job().String()}, "detail: ok "+v1.StatusKilled.Job().String())
		lost := 0
		for _, line := range steps(s) {
			if strings.Contains(line, "died") {
				lost++
			}
		}
		if lost != 1 || !slices.ContainsFunc(steps(s), func(line string) bool { return strings.HasSuffix(line, "stop: accepted") }) {
			t.Errorf("history\n%s\nwant one lost call and one that was accepted", strings.Join(steps(s), "\n"))
		}
	})
}

// A list check is in the history where it has the job looked at, not each second.
func TestHistoryOfAWatchedStop(t *testing.T) {
	inBubble(t, modelartstest.Config{Only: modelartstest.V1}, func(w *world) {
		ids := w.addJobs(40, func(int) time.Duration { return 30 * time.Second })
		r := w.start(quick)
		defer r.stop()
		w.ask("b", ids...)
		stops := w.awaitEnd(5*time.Minute, "b")
		shown, missed := 0, 0
		for _, s := range stops {
			wantSteps(t, s, []string{"1 stop: accepted"}, "detail: ok "+v1.StatusKilled.Job().String())
			lists := 0
			for _, h := range s.History() {
				switch {
				case h.Call != ledger.HistoryList:
					continue
				case h.Answer == "not shown":
					missed++
				default:
					shown++
				}
				lists++
			}
			if most := 2 * s.Polls; lists > most {
				t.Errorf("job %s: %d sights by %d looks", s.JobID, lists, s.Polls)
			}
		}
		if shown < len(ids)/2 || missed < len(ids)/2 {
			t.Errorf("lists are said to have shown %d of %d jobs and not to have shown %d", shown, len(ids), missed)
		}
	})
}

// A shadow stop has its looks, and no stop call.
func TestHistoryOfAShadowStop(t *testing.T) {
	inBubble(t, modelartstest.Config{Only: modelartstest.V1}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10"})
		w.sim.Inject(modelartstest.Fault{JobID: "10", Operation: jobs.OperationDetail, Reply: modelartstest.ReplyHTML(503), Times: 2})
		r := w.start(rarely)
		defer r.stop()
		w.askShadow("b", "10")
		wantSteps(t, w.awaitShadow(2*time.Minute, "b")["10"], []string{
			"1 detail: http 503: the answer is not a JSON object",
			"2 detail: http 503: the answer is not a JSON object",
		}, "3 detail: ok "+v1.StatusRunning.Job().String())
	})
}
