package simulation

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/modelarts/sdkhmac"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

var (
	simulateSeeds = flag.Int("seeds", 100, "how many seeds TestSimulation plays at most")
	simulateFirst = flag.Uint64("seed", 1, "the first of them")
	simulateFor   = flag.Duration("simulate-for", 5*time.Second, "how long TestSimulation may take in all; 0: no limit")
)

// TestSimulation plays days that are worse than production's, each driven by
// a seed, and checks after each what must hold whatever happened. What happens
// is in day_test.go, what must hold in invariants_test.go.
//
//	make simulate SEED=42 SEEDS=1
//
// A seed settles what happens and when; the order of goroutines it does not, so
// a rare failure may need several replays.
func TestSimulation(t *testing.T) {
	began, sum := time.Now(), &totals{}
	var next atomic.Uint64
	var players sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		players.Go(func() {
			for !t.Failed() && (*simulateFor <= 0 || time.Since(began) < *simulateFor) {
				n := next.Add(1) - 1
				if n >= uint64(*simulateSeeds) {
					return
				}
				seed := *simulateFirst + n
				if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { simulate(t, seed, sum) }) {
					t.Errorf("replay: make simulate SEED=%d SEEDS=1", seed)
				}
			}
		})
	}
	players.Wait()
	t.Log(sum)
}

// totals is what all seeds together have seen.
type totals struct {
	mu                                              sync.Mutex
	seeds, stops, calls, lists                      int
	workers, crashes, freezes, cuts                 int
	virtual                                         time.Duration
	stopped, gone, notFound, already, expired, rest int
}

func (s *totals) add(d *day, lasted time.Duration, ended map[ledger.State]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds++
	s.virtual += lasted
	for _, c := range d.recorded() {
		s.calls++
		if c.operation == jobs.OperationList {
			s.lists++
		}
	}
	s.cuts += len(d.line.cuts)
	for _, f := range d.workers {
		s.workers++
		s.freezes += len(f.frozen)
		if !f.died().IsZero() {
			s.crashes++
		}
	}
	for outcome, n := range ended {
		s.stops += n
		switch outcome {
		case ledger.Stopped:
			s.stopped += n
		case ledger.AlreadyStopped:
			s.already += n
		case ledger.Gone:
			s.gone += n
		case ledger.NotFound:
			s.notFound += n
		case ledger.Expired:
			s.expired += n
		default:
			s.rest += n
		}
	}
}

// String is one line for people.
func (s *totals) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf("%d seeds clean, %.0f virtual hours: %d stops (%d stopped, %d already stopped, %d gone, %d not found, %d expired, %d rejected or canceled), "+
		"%d calls (%d of them lists), %d workers, %d crashes, %d freezes, %d cuts of Redis", s.seeds, s.virtual.Hours(), s.stops, s.stopped, s.already, s.gone, s.notFound,
		s.expired, s.rest, s.calls, s.lists, s.workers, s.crashes, s.freezes, s.cuts)
}

// day is one simulated day.
type day struct {
	*world
	*callRecorder
	line    *line
	scripts *scripts
	random  *rand.Rand
	cfg     worker.Config
	login   func() []modelarts.Option
	long    bool
	jobs    []string
	plan    []planned

	workers  []*faultyWorker // all that ever ran
	hired    []time.Time
	paused   []span
	isPaused bool
	badLogin bool
	foreigns int                    // tasks of other producers, each counted once
	echoes   int                    // those that came twice
	nights   int                    // times when all workers were gone
	batches  []string               // all but the first
	canceled map[string]withdrawal  // by batch and stop
	ends     map[string]time.Time   // by stop: when another one of its job ended last, before it was asked for
	nexts    map[string]time.Time   // by stop: when the first one of its job after it was asked for
	seen     map[string]string      // how stops ended, as first seen
	began    map[string][]time.Time // when jobs were restarted
	byUndo   map[string]bool        // by whom last
	meant    *rand.Rand             // whether somebody confirms an ask; nil: nobody does
	restarts []restarted
}

// simulate plays one seed. Most days are small, so that there are many; some
// are long and crowded.
func simulate(t *testing.T, seed uint64, sum *totals) {
	random := rand.New(rand.NewPCG(seed, 0))
	long := random.IntN(8) == 0
	count, length := 3+random.IntN(8), time.Duration(8+random.IntN(12))*time.Minute
	if long {
		count, length = 8+random.IntN(30), time.Duration(30+random.IntN(150))*time.Minute
	}
	cfg := modelartstest.Config{
		Phases: modelartstest.Phases{Stop: modelartstest.Spread(time.Second, time.Duration(1+random.IntN(600))*time.Second)},
	}
	if random.IntN(2) == 0 {
		cfg.Latency = latency(rand.New(rand.NewPCG(seed, 2)))
	}
	login := credentials(random.IntN(3), &cfg)
	secondGeneration(rand.New(rand.NewPCG(seed, 3)), &cfg)
	bubble(t, cfg, func(w *world) {
		w.rdb.Ping(context.Background())
		d := &day{world: w, long: long, callRecorder: &callRecorder{}, line: &line{world: w}, random: random, login: login, scripts: watchScripts(w.redis),
			canceled: map[string]withdrawal{}, seen: map[string]string{}, began: map[string][]time.Time{}, byUndo: map[string]bool{}}
		jitter := locked(rand.New(rand.NewPCG(seed, 1)))
		d.cfg = worker.Config{
			Concurrency: 1 + random.IntN(10), CheckInterval: 10 * time.Second, DelayedCheckInterval: 10 * time.Second,
			Release:  release.Config{Rate: 0.5 + 10*random.Float64()*random.Float64(), Burst: 1 + random.IntN(4)},
			Schedule: tasks.Schedule{Jitter: jitter, ListFrom: 1 + random.IntN(8)},
		}
		d.limitSome(rand.New(rand.NewPCG(seed, 4)))
		for i := range count {
			job := modelartstest.Job{ID: fmt.Sprint(1000 + i)}
			if long && random.IntN(8) == 0 { // takes hours
				job.StopTime = d.upTo(4 * time.Hour)
			}
			d.jobs = append(d.jobs, job.ID)
			w.sim.AddJob(project, job)
		}
		d.addTrainings()
		for _, id := range neighbours {
			w.sim.AddJob(neighbour, modelartstest.Job{ID: id})
		}
		began := time.Now()
		for range 1 + random.IntN(3) {
			d.hire()
		}
		d.planShadows(rand.New(rand.NewPCG(seed, 4)), length)
		d.play(length)
		d.settle()
		if ended := d.checkAll(); !t.Failed() {
			sum.add(d, time.Since(began), ended)
		}
		d.goHome()
	})
}

// latency is an API that mostly answers at once, and sometimes after half a
// minute. IAM is quick: who waits for its token waits for a lock, which stops
// virtual time.
func latency(r *rand.Rand) func(string) time.Duration {
	return func(operation string) time.Duration {
		switch {
		case operation == modelartstest.OpToken || r.IntN(3) > 0:
			return 0
		case r.IntN(20) == 0:
			return rand64(r, 40*time.Second)
		}
		return rand64(r, 2*time.Second)
	}
}

// credentials sets up one of three ways to prove who we are: none, a signature
// (whose key can lock), or a token of IAM that ends every 15 minutes.
func credentials(way int, cfg *modelartstest.Config) func() []modelarts.Option {
	switch way {
	case 1:
		cfg.Auth.AccessKeys = map[string]string{"AK1": "SK1"}
		return func() []modelarts.Option {
			return []modelarts.Option{modelarts.WithCredentials(modelarts.NewAKSK(sdkhmac.Key{AccessKey: "AK1", SecretKey: "SK1"}, ""))}
		}
	case 2:
		cfg.Auth.Users = []modelartstest.User{{Name: "u", Password: "p", Domain: "d"}}
		cfg.Auth.TokenLife = 15 * time.Minute
		return func() []modelarts.Option {
			creds, err := modelarts.NewPassword(modelarts.PasswordConfig{
				IAMEndpoint: "http://127.0.0.1", User: "u", Password: "p", Domain: "d", AllowPlainHTTP: true})
			if err != nil {
				panic(err)
			}
			return []modelarts.Option{modelarts.WithCredentials(creds)}
		}
	}
	return func() []modelarts.Option { return nil }
}

// hire starts a worker of the day.
func (d *day) hire() {
	f := &faultyWorker{line: d.line, cleanedUp: make(chan struct{})}
	reg := prometheus.NewRegistry()
	events := worker.NewMetrics(reg, "test")
	rdb := f.connect()
	cfg := d.cfg
	cfg.Redis, cfg.Registry, cfg.Metrics = rdb, reg, events
	cfg.Jobs = &recordingJobs{Jobs: d.client(rdb, worker.ObserveAPI(events, release.DefaultAccount)), recorder: d.callRecorder, by: f}
	cfg.Logger = slog.New(slog.NewTextHandler(d.log, &slog.HandlerOptions{Level: slog.LevelInfo}))
	f.running = running{worker.New(cfg), reg, rdb, rdb}
	if err := f.Start(context.Background()); err != nil {
		d.t.Fatal(err)
	}
	d.workers = append(d.workers, f)
	d.hired = append(d.hired, time.Now())
}

// client is the API with the day's credentials.
func (d *day) client(rdb redis.UniversalClient, opts ...modelarts.Option) jobs.API {
	client, err := modelarts.New("http://127.0.0.1", append(append(d.login(), modelarts.WithHTTPClient(d.http)), opts...)...)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.api(client, rdb, d.cfg.Release)
}

// settle makes the world well again and waits until every stop has ended.
func (d *day) settle() {
	d.sim.ClearFaults()
	time.Sleep(time.Until(d.line.back())) // virtual: costs nothing
	d.hire()
	for began := time.Now(); ; time.Sleep(20 * time.Second) { // virtual: costs nothing
		load, err := d.ledger.Load(context.Background(), projects)
		shadow, err2 := d.ledger.Shadow().Load(context.Background(), projects)
		if err == nil && err2 == nil && len(load.Projects) == 0 && len(shadow.Projects) == 0 {
			break
		}
		if time.Since(began) > 6*time.Hour {
			for _, s := range append(d.inFlight(), d.shadows()...) {
				d.t.Errorf("stop without an outcome: %+v", *s)
			}
			return
		}
	}
	time.Sleep(5 * time.Minute) // whoever froze thaws
}

// goHome ends what is left of the workers.
func (d *day) goHome() {
	for _, f := range d.workers {
		if f.died().IsZero() {
			f.stop()
		} else {
			<-f.cleanedUp
		}
	}
}

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

func (d *day) upTo(most time.Duration) time.Duration { return rand64(d.random, most) }
