package worker

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/tasks"
	"vizstop/internal/throttle"
)

var (
	simulateSeeds = flag.Int("seeds", 100, "how many seeds TestSimulation plays at most")
	simulateFirst = flag.Uint64("seed", 1, "the first of them")
	simulateFor   = flag.Duration("simulate-for", 15*time.Second, "how long TestSimulation may take in all; 0: no limit")
)

// TestSimulation plays days that are worse than production's, each driven by
// a seed: crashes in the middle of any command, outages, throttling, bad
// credentials, jobs that come back to life or vanish, lost and repeated tasks,
// pauses. After each it checks what must hold whatever happened.
//
//	make simulate SEED=42 SEEDS=1
//
// A seed settles what happens and when; the order of goroutines it does not, so
// a rare failure may need several replays.
func TestSimulation(t *testing.T) {
	began, played := time.Now(), 0
	for i := range *simulateSeeds {
		if *simulateFor > 0 && time.Since(began) > *simulateFor {
			break
		}
		seed := *simulateFirst + uint64(i)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { simulate(t, seed) })
		played++
		if t.Failed() {
			t.Fatalf("replay: make simulate SEED=%d SEEDS=1", seed)
		}
	}
	t.Logf("%d seeds", played)
}

// day is one simulated day.
type day struct {
	*world
	*witness
	random *rand.Rand
	cfg    Config
	jobs   []string

	workers []*mortal // all that ever ran
	paused  []span
	batches []string
}

type span struct{ from, to time.Time }

// simulate plays one seed.
func simulate(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	bubble(t, modelartstest.Config{
		Phases: modelartstest.Phases{Stop: modelartstest.Spread(time.Second, time.Duration(1+random.IntN(600))*time.Second)},
	}, func(w *world) {
		d := &day{world: w, witness: &witness{}, random: random}
		d.cfg = Config{
			Concurrency: 1 + random.IntN(10), CheckInterval: 10 * time.Second, DelayedCheckInterval: 10 * time.Second,
			Throttle: throttle.Config{Rate: 1 + 20*random.Float64(), Burst: 1 + random.IntN(5)},
			Schedule: tasks.Schedule{Jitter: locked(rand.New(rand.NewPCG(seed, 1)))},
		}
		for i := range 3 + random.IntN(25) {
			d.jobs = append(d.jobs, fmt.Sprint(1000+i))
			w.sim.AddJob(project, modelartstest.Job{ID: d.jobs[i]})
		}
		for range 1 + random.IntN(3) {
			d.hire()
		}
		d.play()
		d.settle()
		d.checkAll()
		for _, m := range d.workers {
			if m.died().IsZero() {
				m.stop()
			} else {
				<-m.buried
			}
		}
	})
}

// play lets things happen for a while.
func (d *day) play() {
	d.askFor("first")
	over := time.Now().Add(time.Duration(10+d.random.IntN(25)) * time.Minute)
	for time.Now().Before(over) {
		time.Sleep(d.upTo(90 * time.Second))
		events := []func(){d.crash, d.crash, d.outage, d.throttled, d.badCredentials, d.loseTask, d.repeatTask, d.revive, d.vanish, d.pause, d.flaky, d.again, d.foreign}
		events[d.random.IntN(len(events))]()
	}
}

// settle makes the world well again and waits until every stop has ended.
func (d *day) settle() {
	d.sim.ClearFaults()
	d.sim.RejectCredentials(false)
	d.hire()
	d.await(4*time.Hour, "the end of every stop", func() bool {
		load, err := d.books.Load(context.Background())
		return err == nil && len(load.Projects) == 0
	})
	time.Sleep(time.Minute)
}

func (d *day) upTo(most time.Duration) time.Duration { return rand64(d.random, most) }

// locked makes the numbers of r fit for all workers.
func locked(r *rand.Rand) func() float64 {
	var mu sync.Mutex
	return func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return r.Float64()
	}
}

func rand64(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most)))
}

func (d *day) job() string { return d.jobs[d.random.IntN(len(d.jobs))] }

func (d *day) askFor(batch string) {
	var asks []ledger.Ask
	for _, j := range d.jobs {
		if d.random.IntN(4) > 0 {
			asks = append(asks, ledger.Ask{JobID: j, Deadline: time.Now().Add(20*time.Minute + d.upTo(40*time.Minute))})
		}
	}
	d.batches = append(d.batches, batch)
	if _, err := d.producer.Ask(context.Background(), project, batch, asks); err != nil {
		d.t.Fatal(err)
	}
}

func (d *day) again() { d.askFor(fmt.Sprint("again-", len(d.batches))) }

func (d *day) foreign() {
	payload := fmt.Sprintf(`{"project_id":%q,"job_id":%q}`, project, d.job())
	if d.random.IntN(4) == 0 {
		payload = `{"project_id":`
	}
	if _, err := d.queue.Enqueue(asynq.NewTask(tasks.TypeStop, []byte(payload)), asynq.Queue(tasks.QueueStop), asynq.MaxRetry(0)); err != nil {
		d.t.Fatal(err)
	}
}

// crash ends a worker in the middle of some command of its, soon, and hires
// another a while later.
func (d *day) crash() {
	d.workers[d.random.IntN(len(d.workers))].dieAfter(d.random.IntN(30))
	time.Sleep(d.upTo(time.Minute))
	d.hire()
}

func (d *day) outage() {
	reply := []modelartstest.Reply{modelartstest.ReplyHTML(503), modelartstest.ReplyReset(), modelartstest.ReplyEmpty(502), modelartstest.ReplyTruncated()}
	d.sim.Inject(modelartstest.Fault{From: time.Now(), Until: time.Now().Add(d.upTo(20 * time.Minute)), Reply: reply[d.random.IntN(len(reply))],
		AfterEffect: d.random.IntN(2) == 0})
}

func (d *day) flaky() {
	d.sim.Inject(modelartstest.Fault{Until: time.Now().Add(10 * time.Minute), Probability: 0.3, Seed: d.random.Uint64(),
		Reply: modelartstest.ReplyReset(), AfterEffect: d.random.IntN(2) == 0})
}

func (d *day) throttled() {
	d.sim.Inject(modelartstest.Fault{Times: 1 + d.random.IntN(3), Reply: modelartstest.ReplyError(http.StatusTooManyRequests, "APIGW.0308", "")})
}

func (d *day) badCredentials() {
	d.sim.RejectCredentials(true)
	time.Sleep(d.upTo(10 * time.Minute))
	d.sim.RejectCredentials(false)
}

func (d *day) revive() { d.sim.SetStatus(project, d.job(), modelarts.StatusRunning) }
func (d *day) vanish() { d.sim.RemoveJob(project, d.job()) }

func (d *day) pause() {
	gate := throttle.New(d.rdb, throttle.Config{})
	if _, err := gate.Pause(context.Background(), "", "seed", ""); err != nil {
		d.t.Fatal(err)
	}
	from := time.Now()
	time.Sleep(d.upTo(5 * time.Minute))
	d.paused = append(d.paused, span{from, time.Now()})
	if _, err := gate.Resume(context.Background(), ""); err != nil {
		d.t.Fatal(err)
	}
}

// loseTask deletes a task that waits, as a Redis that forgets would.
func (d *day) loseTask() {
	inspect := asynq.NewInspectorFromRedisClient(d.rdb)
	for _, queue := range []string{tasks.QueueStop, tasks.QueuePoll} {
		scheduled, err := inspect.ListScheduledTasks(queue)
		if err == nil && len(scheduled) > 0 {
			_ = inspect.DeleteTask(queue, scheduled[d.random.IntN(len(scheduled))].ID)
		}
	}
}

// repeatTask delivers again the task of an earlier or of the present hop of a
// stop in flight.
func (d *day) repeatTask() {
	stops, err := d.books.Overdue(context.Background(), project, time.Now().Add(24*time.Hour), 1000) // all in flight
	if err != nil || len(stops) == 0 {
		return
	}
	s := stops[d.random.IntN(len(stops))]
	kind, typ, queue := ledger.KindStop, tasks.TypeStop, tasks.QueueStop
	if d.random.IntN(2) == 0 {
		kind, typ, queue = ledger.KindPoll, tasks.TypePoll, tasks.QueuePoll
	}
	id := fmt.Sprintf("%s:%s:%d", kind, s.ID, 1+d.random.IntN(s.Hop))
	body := fmt.Sprintf(`{"project_id":%q,"job_id":%q}`, project, s.JobID)
	_, err = d.queue.Enqueue(asynq.NewTask(typ, []byte(body), asynq.Queue(queue), asynq.TaskID(id)))
	if err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		d.t.Fatal(err)
	}
}

// checkAll checks what must hold after any day.
func (d *day) checkAll() {
	ended := map[ledger.State]int{}
	batches, err := d.books.Batches(context.Background(), 1000)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, p := range []string{project, tasks.NoProject} {
		for _, batch := range batches {
			b, err := d.books.Batch(context.Background(), p, batch)
			if errors.Is(err, ledger.ErrNotFound) {
				continue
			}
			if err != nil {
				d.t.Fatal(err)
			}
			stops, err := d.books.BatchStops(context.Background(), p, batch, 0, 10000)
			if err != nil || len(stops) != b.Total {
				d.t.Errorf("batch %s counts %d stops and lists %d, %v", batch, b.Total, len(stops), err)
			}
			counts := map[ledger.State]int{}
			for _, s := range stops {
				counts[s.State]++
				ended[s.State]++
				d.checkStop(s)
			}
			for state, n := range b.Counts {
				if counts[state] != n {
					d.t.Errorf("batch %s counts %d as %s, its stops say %d", batch, n, state, counts[state])
				}
			}
		}
	}
	d.checkCounts(ended)
	d.checkRate()
}

func (d *day) checkStop(s *ledger.Stop) {
	t := d.t
	if !s.State.Ended() {
		t.Errorf("stop %s of job %s has no outcome: %+v", s.ID, s.JobID, s)
	}
	var accepted time.Time
	sure, confirmed := false, false
	for _, c := range d.of(s.JobID) {
		if c.at.Before(s.Asked) || c.at.After(s.Ended.Add(time.Millisecond)) { // the ledger keeps milliseconds
			continue
		}
		if c.operation == modelarts.OperationDetail {
			if c.err == nil && c.status.Class() == modelarts.ClassEnded {
				confirmed = true
			}
			if c.err == nil && c.status.Class() == modelarts.ClassActive {
				accepted = time.Time{}
			}
			continue
		}
		if c.at.After(s.Deadline.Add(2 * time.Second)) {
			t.Errorf("job %s: stop call at %v, after its deadline %v", s.JobID, c.at, s.Deadline)
		}
		if !accepted.IsZero() && sure {
			t.Errorf("job %s: stop call at %v though accepted at %v, and not seen active since", s.JobID, c.at, accepted)
		}
		if c.err == nil {
			accepted, sure = c.at, c.by.aliveFor(c.at, time.Minute)
		}
		for _, p := range d.paused {
			if c.at.After(p.from.Add(time.Second)) && c.at.Before(p.to) {
				t.Errorf("job %s: stop call at %v, paused from %v to %v", s.JobID, c.at, p.from, p.to)
			}
		}
	}
	if s.State == ledger.Stopped && !confirmed {
		t.Errorf("job %s is said to be stopped without a word of the detail endpoint", s.JobID)
	}
}

// checkCounts: what the workers counted is what the ledger says, but for one
// outcome at most that each crash may have kept from being counted.
func (d *day) checkCounts(ended map[ledger.State]int) {
	missing, crashes := 0, 0
	for _, m := range d.workers {
		if !m.died().IsZero() {
			crashes++
		}
	}
	for _, o := range ledger.Outcomes() {
		counted := 0
		for _, m := range d.workers {
			counted += m.counted(d.t, o)
		}
		if counted > ended[o] {
			d.t.Errorf("%s counted %d times, the ledger has %d", o, counted, ended[o])
		}
		missing += ended[o] - counted
	}
	if most := crashes * d.cfg.Concurrency; missing > most {
		d.t.Errorf("%d outcomes were not counted, with %d crashes", missing, crashes)
	}
}

// checkRate: no second had more calls than the rate, the burst, and a probe or
// two, which don't stand in line.
func (d *day) checkRate() {
	calls := d.all()
	most := int(d.cfg.Throttle.Rate) + d.cfg.Throttle.Burst + 3
	for i, c := range calls {
		n := 0
		for _, later := range calls[i:] {
			if later.at.Sub(c.at) < time.Second {
				n++
			}
		}
		if n > most {
			d.t.Errorf("%d calls within a second at %v, the limit is %d", n, c.at, most)
			return
		}
	}
}

// witness remembers every call that workers made, and its result.
type witness struct {
	mu    sync.Mutex
	calls []witnessed
}

type witnessed struct {
	at        time.Time
	by        *mortal
	operation string
	job       string
	status    modelarts.Status
	err       error
}

func (w *witness) saw(c witnessed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, c)
}

func (w *witness) all() []witnessed {
	w.mu.Lock()
	defer w.mu.Unlock()
	calls := slices.Clone(w.calls)
	slices.SortStableFunc(calls, func(a, b witnessed) int { return a.at.Compare(b.at) })
	return calls
}

func (w *witness) of(job string) []witnessed {
	return slices.DeleteFunc(w.all(), func(c witnessed) bool { return c.job != job })
}

// observed is the API as a worker sees it, with the witness looking on.
type observed struct {
	tasks.Jobs
	witness *witness
	by      *mortal
}

func (o *observed) StopVisualizationJob(ctx context.Context, projectID, jobID string) (string, error) {
	if !o.by.survives() {
		return "", errDead
	}
	at := time.Now()
	id, err := o.Jobs.StopVisualizationJob(ctx, projectID, jobID)
	o.witness.saw(witnessed{at: at, by: o.by, operation: modelarts.OperationStop, job: jobID, err: err})
	return id, err
}

func (o *observed) ShowVisualizationJob(ctx context.Context, projectID, jobID string) (*modelarts.VisualizationJob, error) {
	if !o.by.survives() {
		return nil, errDead
	}
	at := time.Now()
	job, err := o.Jobs.ShowVisualizationJob(ctx, projectID, jobID)
	c := witnessed{at: at, by: o.by, operation: modelarts.OperationDetail, job: jobID, err: err}
	if err == nil {
		c.status = job.Status
	}
	o.witness.saw(c)
	return job, err
}
