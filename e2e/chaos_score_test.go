package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/modelarts/modelartstest"
)

// reported is one stop as enqueue reports it.
type reported struct {
	JobID    string    `json:"job_id"`
	State    string    `json:"state"`
	Reason   string    `json:"reason"`
	Asked    time.Time `json:"asked"`
	Due      time.Time `json:"due"`
	Accepted time.Time `json:"accepted"` // zero: not recorded
	Ended    time.Time `json:"ended"`
	Calls    int       `json:"calls"` // answered and recorded
}

// settle waits for the end, checks what must hold whatever happened, and
// scores the play. Every stop must have one of the outcomes.
func (f *fleet) settle(outcomes ...string) score {
	f.t.Helper()
	f.awaitEnd()
	if !f.t.Failed() {
		f.awaitNoTasks()
	}
	stops := f.report(outcomes)
	if !f.forgetful {
		f.checkLogs()
	}
	calls := map[string][]modelartstest.Call{}
	for _, c := range readLines[modelartstest.Call](f.sim, "/calls") {
		calls[c.JobID] = append(calls[c.JobID], c)
	}
	stopped := map[string]time.Time{}
	for _, h := range readLines[modelartstest.JobHistory](f.sim, modelartstest.PathJobs) {
		stopped[h.JobID] = h.Ended
	}
	s := score{asked: f.asked}
	var slowest string
	if s.recovery, slowest = recovery(f.moments, stops, calls, stopped, f.away); s.recovery > workerLimit {
		f.explain(slowest)
	}
	for _, stop := range stops {
		if stop.Ended.IsZero() {
			continue
		}
		s.ended++
		known, unknown := repeats(stop, calls[stop.JobID])
		s.repeated += known
		s.unknown += unknown
		s.longest = max(s.longest, stop.Ended.Sub(stop.Due))
	}
	if s.asked != s.ended {
		f.t.Errorf("%d stops asked, %d ended", s.asked, s.ended)
	}
	if s.repeated > 0 {
		f.t.Errorf("%d stop calls repeated although the ledger had an acceptance", s.repeated)
	}
	if s.unknown > 0 && !f.forgetful {
		f.t.Errorf("%d stop calls repeated whose acceptance nobody alive knew of", s.unknown)
	}
	return s
}

// report reads both reports of the batch. They must agree with each other and
// with the API: one stop for each job, with one of the outcomes.
func (f *fleet) report(outcomes []string) []reported {
	f.t.Helper()
	var list struct{ Stops []reported }
	f.query(&list, "stops", chaosBatch)
	counts := map[string]int{}
	seen := map[string]bool{}
	for _, s := range list.Stops {
		counts[s.State]++
		if seen[s.JobID] {
			f.t.Errorf("job %s is in the report twice", s.JobID)
		}
		seen[s.JobID] = true
		if !slices.Contains(outcomes, s.State) {
			f.t.Errorf("job %s ended as %s: %s", s.JobID, s.State, s.Reason)
		}
	}
	var status struct {
		Projects []struct {
			Requested int
			Outcomes  map[string]int
			InFlight  map[string]int `json:"in_flight"`
		}
	}
	f.query(&status, "status", chaosBatch)
	summary := status.Projects[0]
	maps.DeleteFunc(summary.Outcomes, func(_ string, n int) bool { return n == 0 })
	if summary.Requested != f.asked || fmt.Sprint(summary.Outcomes) != fmt.Sprint(counts) ||
		summary.InFlight["pending"]+summary.InFlight["stopping"] > 0 {
		f.t.Errorf("asked for %d, the stops say %v, the status says %+v", f.asked, counts, summary)
	}
	ended := 0
	for _, j := range readLines[modelartstest.Job](f.sim, "/jobs?project="+project) {
		if j.Status.Job().State == jobs.Ended {
			ended++
		}
	}
	if said := counts["stopped"] + counts["already_stopped"]; ended != said {
		f.t.Errorf("%d jobs are said to have ended, but %d have", said, ended)
	}
	return list.Stops
}

// checkLogs wants no stop ended by two workers, or twice by one. A worker that
// was killed right after it ended a stop may not have said so.
func (f *fleet) checkLogs() {
	f.t.Helper()
	ended := map[string]int{}
	for _, w := range f.all {
		for line := range strings.Lines(w.stderr.String()) {
			var said struct{ Msg, Stop string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "stop ended" {
				ended[said.Stop]++
			}
		}
	}
	for stop, n := range ended {
		if n > 1 {
			f.t.Errorf("stop %s was ended %d times", stop, n)
		}
	}
	if len(ended) == 0 {
		f.t.Error("no worker says that it ended a stop")
	}
}

// explain logs what workers have said of one job, and their first complaints.
func (f *fleet) explain(job string) {
	f.t.Helper()
	for i, w := range f.all {
		complaints := 0
		for line := range strings.Lines(w.stderr.String()) {
			complains := !strings.Contains(line, `"level":"INFO"`)
			if complains {
				complaints++
			}
			if strings.Contains(line, `"job":"`+job+`"`) || complains && complaints <= 3 {
				f.t.Logf("worker %d: %.400s", i, line)
			}
		}
		f.t.Logf("worker %d: %d complaints", i, complaints)
	}
}
