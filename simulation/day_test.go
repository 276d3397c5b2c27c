package simulation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

// planned is something that will happen on a day.
type planned struct {
	at time.Time
	do func()
}

// later plans something.
func (d *day) later(in time.Duration, do func()) {
	d.plan = append(d.plan, planned{time.Now().Add(in), do})
}

// play lets things happen for a while, then waits for the end of what has
// begun, such as a pause.
func (d *day) play(length time.Duration) {
	over := time.Now().Add(length)
	happenings := []func(){
		d.crash, d.crash, d.freeze, d.freeze, d.night, d.redisAway,
		d.outage, d.throttled, d.flaky, d.badCredentials, d.tokensEnd,
		d.loseTask, d.repeatTask, d.repeatTask, d.forgetful, d.revive, d.vanish,
		d.proxy, d.proxy, d.refusedAlone, d.refusedAlone, d.undo, d.undo, d.end, d.end,
		d.pause, d.cancel, d.cancelAll, d.cancelAll, d.again, d.retry, d.sameBatch, d.halfAsked, d.foreign, d.foreign,
	}
	pace := 40 * time.Second
	if d.long {
		pace = 3 * time.Minute
		d.later(d.upTo(length), d.longOutage)
	}
	var happen, look func()
	happen = func() {
		happenings[d.random.IntN(len(happenings))]()
		if time.Now().Before(over) {
			d.later(d.upTo(pace), happen)
		}
	}
	look = func() {
		d.checkNow()
		if time.Now().Before(over) {
			d.later(20*time.Second+d.upTo(pace), look)
		}
	}
	d.askFor("first")
	d.later(d.upTo(pace), happen)
	d.later(d.upTo(pace), look)
	for len(d.plan) > 0 {
		first := 0
		for i, p := range d.plan {
			if p.at.Before(d.plan[first].at) {
				first = i
			}
		}
		p := d.plan[first]
		d.plan = append(d.plan[:first], d.plan[first+1:]...)
		time.Sleep(time.Until(p.at)) // virtual: costs nothing
		p.do()
	}
}

func (d *day) job() string { return d.jobs[d.random.IntN(len(d.jobs))] }

// wish is a wish to stop a job now or in a while, with a deadline soon or in a
// while.
func (d *day) wish(job string) ledger.Ask {
	a := ledger.Ask{JobID: job, Due: time.Now(), Confirmed: d.meant != nil && d.meant.IntN(2) == 0}
	if d.random.IntN(3) == 0 {
		a.Due = a.Due.Add(d.upTo(10 * time.Minute))
	}
	a.Deadline = a.Due.Add(5*time.Minute + d.upTo(10*time.Minute))
	switch {
	case d.long:
		a.Deadline = a.Due.Add(20*time.Minute + d.upTo(4*time.Hour))
	case d.random.IntN(3) == 0:
		a.Deadline = a.Due.Add(time.Second + d.upTo(5*time.Minute))
	}
	return a
}

func (d *day) wishes() []ledger.Ask {
	var asks []ledger.Ask
	for _, j := range d.jobs {
		if d.random.IntN(4) > 0 {
			asks = append(asks, d.wish(j))
		}
	}
	return asks
}

func (d *day) ask(projectID, batch string, asks []ledger.Ask) {
	if _, err := d.producer.Ask(context.Background(), projectID, batch, asks); err != nil {
		d.t.Fatal(err)
	}
}

func (d *day) askFor(batch string) { d.ask(project, batch, d.wishes()) }

func (d *day) newBatch() string {
	d.batches = append(d.batches, fmt.Sprint("batch-", d.random.Uint32()))
	return d.batches[len(d.batches)-1]
}

// batch is the first batch, or any other.
func (d *day) batch() string {
	if n := d.random.IntN(2 * (1 + len(d.batches))); n < len(d.batches) {
		return d.batches[n]
	}
	return "first"
}

func (d *day) again()     { d.askFor(d.newBatch()) }
func (d *day) sameBatch() { d.askFor("first") }

// halfAsked is a producer that dies before it can ask for a round.
func (d *day) halfAsked() {
	ctx := context.Background()
	if err := d.release().Expect(ctx, project); err != nil {
		d.t.Fatal(err)
	}
	if _, err := d.ledger.Open(ctx, project, d.newBatch(), d.wishes()); err != nil {
		d.t.Fatal(err)
	}
}

// release is the releaser of a process that is no worker.
func (d *day) release() *release.Releaser {
	return release.New(d.rdb, "", time.Now, release.Config{})
}

// retry asks again for what a batch has not managed to stop.
func (d *day) retry() {
	var asks []ledger.Ask
	for _, s := range d.stops(project, "first") {
		if s.State.Ended() && !s.State.Good() {
			asks = append(asks, d.wish(s.JobID))
		}
	}
	d.ask(project, d.newBatch(), asks)
}

// foreign puts a task of another producer into the queue, and perhaps the same
// once more while it must still be remembered, unless nobody takes it by then.
func (d *day) foreign() {
	payload := fmt.Sprintf(`{"project_id":%q,"job_id":%q}`, project, d.job())
	if d.random.IntN(4) == 0 {
		payload = `{"project_id":`
	}
	d.foreigns++
	id := fmt.Sprint("theirs-", d.foreigns)
	put := func() {
		_, err := d.queue.Enqueue(asynq.NewTask(tasks.TypeStop, []byte(payload)), asynq.Queue(tasks.Queue), asynq.MaxRetry(0), asynq.TaskID(id))
		if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
			d.t.Fatal(err)
		}
	}
	put()
	if d.random.IntN(2) == 0 {
		d.later(d.upTo(8*time.Minute), put)
		d.echoes++
	}
}

// alive lists the workers that have not died.
func (d *day) alive() []*faultyWorker {
	var list []*faultyWorker
	for _, f := range d.workers {
		if f.died().IsZero() {
			list = append(list, f)
		}
	}
	return list
}

func (d *day) anyone() *faultyWorker {
	list := d.alive()
	if len(list) == 0 {
		return nil
	}
	return list[d.random.IntN(len(list))]
}

// replace hires a worker when Redis is there, unless there are enough.
func (d *day) replace() {
	if wait := time.Until(d.line.back()); wait > 0 {
		d.later(wait, d.replace)
		return
	}
	if len(d.alive()) < 3 {
		d.hire()
	}
}

// crash ends a worker in the middle of some command, soon, and hires another a
// while later.
func (d *day) crash() {
	if f := d.anyone(); f != nil {
		f.failAfter(d.random.IntN(30), 0)
	}
	d.later(d.upTo(time.Minute), d.replace)
}

// freeze stops a worker in the middle of some command, for longer than its
// leases of tasks hold.
func (d *day) freeze() {
	if f := d.anyone(); f != nil {
		f.failAfter(d.random.IntN(30), 10*time.Second+d.upTo(4*time.Minute))
	}
}

// night ends all workers for some minutes.
func (d *day) night() {
	d.nights++
	for _, f := range d.alive() {
		f.failAfter(d.random.IntN(10), 0)
	}
	d.later(d.upTo(6*time.Minute), d.replace)
}

// redisAway ends all connections to Redis, for a moment or for minutes.
func (d *day) redisAway() {
	away := d.upTo(2 * time.Second)
	if d.random.IntN(2) == 0 {
		away = d.upTo(3 * time.Minute)
	}
	d.line.cut(away)
}

func (d *day) outage() { d.down(d.upTo(15 * time.Minute)) }

func (d *day) longOutage() { d.down(time.Hour + d.upTo(3*time.Hour)) }

func (d *day) down(length time.Duration) {
	reply := []modelartstest.Reply{modelartstest.ReplyHTML(503), modelartstest.ReplyReset(), modelartstest.ReplyEmpty(502), modelartstest.ReplyTruncated()}
	d.sim.Inject(modelartstest.Fault{From: time.Now(), Until: time.Now().Add(length), Reply: reply[d.random.IntN(len(reply))],
		AfterEffect: d.random.IntN(2) == 0})
}

func (d *day) flaky() {
	d.sim.Inject(modelartstest.Fault{Until: time.Now().Add(10 * time.Minute), Probability: 0.3, Seed: d.random.Uint64(),
		Reply: modelartstest.ReplyReset(), AfterEffect: d.random.IntN(2) == 0})
}

func (d *day) throttled() {
	reply := modelartstest.ReplyError(http.StatusTooManyRequests, "APIGW.0308", "")
	if d.random.IntN(2) == 0 {
		reply = reply.With("Retry-After", "40")
	}
	d.sim.Inject(modelartstest.Fault{Times: 1 + d.random.IntN(3), Reply: reply})
}

func (d *day) badCredentials() {
	if d.badLogin {
		return
	}
	d.badLogin = true
	d.sim.RejectCredentials(true)
	d.later(d.upTo(10*time.Minute), func() {
		d.badLogin = false
		d.sim.RejectCredentials(false)
	})
}

func (d *day) tokensEnd() { d.sim.RevokeTokens() }

func (d *day) vanish() { d.sim.RemoveJob(project, d.job()) }

func (d *day) pause() {
	if d.isPaused {
		return
	}
	gate := d.release()
	if _, err := gate.Pause(context.Background(), "", "seed", ""); err != nil {
		d.t.Fatal(err)
	}
	from := time.Now()
	d.isPaused = true
	d.later(d.upTo(5*time.Minute), func() {
		d.isPaused = false
		d.paused = append(d.paused, span{from, time.Now()})
		if _, err := gate.Resume(context.Background(), ""); err != nil {
			d.t.Fatal(err)
		}
	})
}

// loseTask deletes a task that waits for a worker, as a Redis that forgets would.
func (d *day) loseTask() {
	inspect := asynq.NewInspectorFromRedisClient(d.rdb)
	pending, err := inspect.ListPendingTasks(tasks.Queue)
	if err == nil && len(pending) > 0 {
		_ = inspect.DeleteTask(tasks.Queue, pending[d.random.IntN(len(pending))].ID)
	}
}

// forgetful makes Redis lose the whole queue, but not the ledger.
func (d *day) forgetful() {
	synctest.Wait()
	for _, key := range d.redis.Keys() {
		if strings.HasPrefix(key, "asynq:") && d.random.IntN(2) == 0 {
			d.redis.Del(key)
		}
	}
}

// repeatTask delivers the task of an earlier or of the present hop of a stop in
// flight, whether or not its time has come.
func (d *day) repeatTask() {
	stops := d.inFlight()
	if len(stops) == 0 {
		return
	}
	s := stops[d.random.IntN(len(stops))]
	kind, typ := ledger.KindStop, tasks.TypeStop
	if d.random.IntN(2) == 0 {
		kind, typ = ledger.KindPoll, tasks.TypePoll
	}
	step := ledger.Member{StopID: s.ID, Hop: 1 + d.random.IntN(s.Hop), JobID: s.JobID}
	body := fmt.Sprintf(`{"project_id":%q,"job_id":%q}`, project, s.JobID)
	_, err := d.queue.Enqueue(asynq.NewTask(typ, []byte(body)), asynq.Queue(tasks.Queue), asynq.TaskID(tasks.TaskID(kind, step)))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		d.t.Fatal(err)
	}
}

// inFlight are the stops of the project that have not ended, in the order of their
// asking.
func (d *day) inFlight() []*ledger.Stop {
	return slices.DeleteFunc(d.all(project), func(s *ledger.Stop) bool { return s.State.Ended() })
}

// all are all stops of a project, each once and as the ledger has it.
func (d *day) all(projectID string) []*ledger.Stop {
	batches, err := d.ledger.Batches(context.Background(), 1000)
	if err != nil {
		d.t.Fatal(err)
	}
	var ids []string
	seen := map[string]bool{}
	for _, b := range batches {
		for _, s := range d.stops(projectID, b) {
			if !seen[s.ID] {
				seen[s.ID] = true
				ids = append(ids, s.ID)
			}
		}
	}
	stops, err := d.ledger.GetAll(context.Background(), projectID, ids)
	if err != nil {
		d.t.Fatal(err)
	}
	return stops
}

func (d *day) stops(projectID, batch string) []*ledger.Stop {
	stops, _, err := d.ledger.BatchStops(context.Background(), projectID, batch, 0, 10000)
	if err != nil {
		d.t.Fatal(err)
	}
	return stops
}
