package undo

import (
	"fmt"
	"slices"
	"strings"

	"vizstop/internal/ledger"
)

// Report is what became of each job, as "enqueue undo" prints it as JSON.
type Report struct {
	Kind      string `json:"kind"` // "undo"
	Batch     string `json:"batch"`
	DryRun    bool   `json:"dry_run"`
	Restarted int    `json:"restarted"` // the API has accepted that; with --dry-run: would be
	Running   int    `json:"running"`   // were running again already
	InFlight  int    `json:"in_flight"` // their stops have not ended: another undo is needed when they have
	Wanted    int    `json:"wanted"`    // other batches want them stopped, too, or did when the jobs were counted
	Left      int    `json:"left"`      // were left as they are: this batch has not provably stopped them, or they are not to be restarted
	Failed    int    `json:"failed"`
	Jobs      []Job  `json:"jobs"`

	waiting int      // of InFlight: those that are not canceled, and wait for their stop call
	others  []string // the batches that want jobs of Wanted stopped, each once
	against int      // of Failed: those that run, although they were asked to stop again meanwhile
	unclear int      // of Failed: those that another undo restarts, unless it was killed or got no answer
	silent  int      // of Failed: those whose restart call got no answer
	freed   int      // of Wanted: those that could be restarted by now, but were not counted before
}

// Job is what became of one job.
type Job struct {
	ProjectID string `json:"project_id"`
	JobID     string `json:"job_id"`
	Result    string `json:"result"` // restarted, running, in_flight, wanted, left, failed, or would_restart
	Reason    string `json:"reason"`
}

// Awaited is how many of the jobs in flight are stopping, or may be: RestartAll can wait for them.
func (r *Report) Awaited() int { return r.InFlight - r.waiting }

// Unfinished says in a sentence each why jobs of the batch do not run again, and what to do. Nil: nobody has to do
// anything.
func (r *Report) Unfinished() (list []string) {
	add := func(n int, format string, args ...any) {
		if n > 0 {
			list = append(list, fmt.Sprintf("%d "+format, append([]any{n}, args...)...))
		}
	}
	add(r.Failed-r.against-r.unclear-r.silent, "jobs of batch %s could not be restarted", r.Batch)
	add(r.against, "jobs of batch %s run again, although they were asked to stop again meanwhile: stop them once more",
		r.Batch)
	add(r.unclear, "jobs of batch %s are being restarted by another undo, "+
		"or it was killed while it did or got no answer: look at them", r.Batch)
	add(r.silent, "jobs of batch %s may run again, or not, as their restart calls got no answer: look at them",
		r.Batch)
	add(r.Awaited(), "jobs of batch %[2]s are not stopped yet: undo it again when their stops have ended (enqueue undo %[2]s --wait waits for that)", r.Batch)
	add(r.waiting, "stops of batch %[2]s go on, and may yet stop their jobs: cancel the batch (enqueue cancel %[2]s), then undo it again", r.Batch)
	const named = 3
	others := strings.Join(r.others[:min(named, len(r.others))], ", ")
	if more := len(r.others) - named; more > 0 {
		others += fmt.Sprintf(" and %d more", more)
	}
	add(r.Wanted-r.freed, "jobs of batch %s stay stopped, since other batches want that, too (%s): "+
		"they run again when those are undone as well", r.Batch, others)
	add(r.freed, "jobs of batch %s stay stopped: they can be restarted only since the jobs were counted: undo it again",
		r.Batch)
	return list
}

// Nothing says why there is nothing to undo: counts are the stops of a batch, of which none is stopped or in flight.
func Nothing(batch string, counts map[ledger.State]int) string {
	var ended []string
	for _, outcome := range ledger.AllOutcomes() {
		if n := counts[outcome]; n > 0 {
			ended = append(ended, fmt.Sprintf("%d %s", n, outcome))
		}
	}
	return fmt.Sprintf("batch %s has stopped no job: its stops ended as %s; there is nothing to undo", batch, strings.Join(ended, ", "))
}

func nothingYet(batch string) Report {
	return Report{Kind: "undo", Batch: batch, Jobs: []Job{}}
}

func (u *Undo) note(s *ledger.Stop, result, reason string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch result {
	case "restarted", "would_restart":
		u.Restarted++
	case "running":
		u.Running++
	case "in_flight":
		u.InFlight++
	case "wanted":
		u.Wanted++
		if other := s.WantedBesides(u.Batch); other == "" {
			u.freed++
		} else if !slices.Contains(u.others, other) {
			u.others = append(u.others, other)
		}
	case "left":
		u.Left++
	default:
		u.Failed++
		if s.Restarting() {
			u.unclear++
		}
	}
	u.Jobs = append(u.Jobs, Job{s.ProjectID, s.JobID, result, reason})
}
