package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/tasks"
)

// shadowJobs are jobs that only shadow stops ask for, on any day.
var shadowJobs = []string{"8801", "8802", "8803"}

// planShadows has shadow stops asked for some times in a day, of jobs of their own and
// of those that real stops ask for. It draws from its own numbers: what else happens on
// a seed's day stays as it was.
func (d *day) planShadows(random *rand.Rand, length time.Duration) {
	for _, id := range shadowJobs {
		d.sim.AddJob(project, modelartstest.Job{ID: id})
	}
	for n := range 2 + random.IntN(3) {
		d.later(rand64(random, length), func() {
			var asks []ledger.Ask
			for _, job := range append(append([]string{"8404"}, shadowJobs...), d.jobs[:min(4, len(d.jobs))]...) {
				if due := time.Now().Add(rand64(random, 2*time.Minute)); random.IntN(3) > 0 {
					asks = append(asks, ledger.Ask{JobID: job, Due: due, Deadline: due.Add(time.Second + rand64(random, 20*time.Minute)), Shadow: true})
				}
			}
			d.ask(project, fmt.Sprint("shadow-", n), asks)
		})
		d.later(rand64(random, length), func() { d.forgeTask(random) })
		d.later(rand64(random, length), func() { d.cancelShadow(random) })
	}
}

// forgeTask delivers a task of ours for a shadow stop, as no worker makes one: it must
// find no step.
func (d *day) forgeTask(random *rand.Rand) {
	stops := d.shadows()
	if len(stops) == 0 {
		return
	}
	s := stops[random.IntN(len(stops))]
	kind, typ := ledger.KindStop, tasks.TypeStop
	if random.IntN(2) == 0 {
		kind, typ = ledger.KindPoll, tasks.TypePoll
	}
	body := fmt.Sprintf(`{"project_id":%q,"job_id":%q}`, project, s.JobID)
	_, err := d.queue.Enqueue(asynq.NewTask(typ, []byte(body)), asynq.Queue(tasks.Queue), asynq.TaskID(tasks.TaskID(kind, s.Member())))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		d.t.Fatal(err)
	}
}

// cancelShadow withdraws a shadow stop.
func (d *day) cancelShadow(random *rand.Rand) {
	stops := d.shadows()
	if len(stops) == 0 {
		return
	}
	s := stops[random.IntN(len(stops))]
	if answer, err := d.ledger.Shadow().Withdraw(context.Background(), project, s.ID, s.Batch, "by the seed"); err != nil || answer == ledger.TooLate {
		d.t.Errorf("withdraw shadow stop %s: %s, %v", s.ID, answer, err)
	}
}

// shadows are all shadow stops, each once.
func (d *day) shadows() []*ledger.Stop {
	shadow := *d.world
	shadow.ledger = d.ledger.Shadow()
	return (&day{world: &shadow}).all(project)
}

// checkShadows checks what must hold of shadow stops after any day: each has an outcome
// of theirs, no stop call went out for a job that only they asked for, and what the
// detail endpoint has not told nobody claims.
func (d *day) checkShadows() {
	only := make(map[string]bool)
	for _, id := range append([]string{"8404"}, shadowJobs...) {
		only[id] = true
	}
	looked := make(map[string][]recordedCall)
	for _, c := range d.recorded() {
		switch {
		case c.operation == jobs.OperationStop && only[c.job]:
			d.t.Errorf("job %s, that only shadow stops asked for: stop call at %v", c.job, c.at)
		case c.operation == jobs.OperationDetail:
			looked[c.job] = append(looked[c.job], c)
		}
	}
	for _, s := range d.shadows() {
		if !s.State.Ended() || !s.Called.IsZero() || !s.Marked.IsZero() || s.Unsure {
			d.t.Errorf("shadow stop %s of job %s: %+v", s.ID, s.JobID, s)
		}
		told := false
		for _, c := range looked[s.JobID] {
			told = told || d.within(c, s) && (c.err == nil || jobs.KindOf(c.err) == jobs.KindNotFound)
		}
		if s.State.Would() && !told && !d.troubled(span{s.Asked, s.Ended}) {
			d.t.Errorf("shadow stop of job %s ended as %s without a word of the detail endpoint", s.JobID, s.State)
		}
		switch active := s.JobID != "8404"; {
		case active && s.State == ledger.WouldNotFound && only[s.JobID], !active && (s.State == ledger.WouldStop || s.State == ledger.WouldAlready):
			d.t.Errorf("shadow stop of job %s ended as %s: %s", s.JobID, s.State, s.Reason)
		}
	}
}
