package simulation

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/estimate"
	"vizstop/internal/fleet"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/limits"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/scheduler"
	"vizstop/internal/schedules"
	"vizstop/internal/tasks"
)

// calendar is a fleet of three that carries out schedules and nothing else.
type calendar struct {
	*world
	file *schedules.File
	away atomic.Bool // Redis is

	mu    sync.Mutex
	alive map[string]time.Time // until when a worker is taken for alive; zero: it lives
	lists int                  // how often a project was listed
	born  int

	fleet   []*planner
	crashes int
	resumed int // ticks that are done, and were begun more than once
}

// planner is one of the fleet.
type planner struct {
	c     *calendar
	id    string
	ahead time.Duration // of its clock
	end   context.CancelFunc
	done  chan struct{}

	mu    sync.Mutex
	fuse  int  // it crashes at this command from now on; 0: it does not
	after bool // the command is carried out all the same
	dead  bool
}

var errCrashed = errors.New("the worker has crashed")

func (p *planner) ID() string     { return p.id }
func (p *planner) Now() time.Time { return time.Now().UTC().Add(p.ahead) }

// Census takes a worker for dead five seconds after it has crashed.
func (p *planner) Limits() limits.Limits { return limits.None() }
func (p *planner) Census() fleet.Census {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	census := fleet.Census{Reliable: !p.c.away.Load()}
	for id, until := range p.c.alive {
		if until.IsZero() || time.Now().Before(until) {
			census.Alive = append(census.Alive, fleet.Worker{ID: id})
		}
	}
	return census
}

// step is anything that a worker does outside of itself.
func (p *planner) step(do func() error) error {
	p.mu.Lock()
	if p.fuse > 0 && !p.dead {
		if p.fuse--; p.fuse == 0 {
			p.dead = true
			p.mu.Unlock()
			if p.after {
				_ = do()
			}
			p.c.mu.Lock()
			p.c.alive[p.id] = time.Now().Add(fleet.Silence)
			p.c.crashes++
			p.c.mu.Unlock()
			p.end()
			return errCrashed
		}
	}
	dead := p.dead
	p.mu.Unlock()
	if dead {
		return errCrashed
	}
	return do()
}

// DialHook, ProcessHook and ProcessPipelineHook make every command a step.
func (p *planner) DialHook(next redis.DialHook) redis.DialHook { return next }

func (p *planner) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return p.redis(func() error { return next(ctx, cmd) }, cmd)
	}
}

func (p *planner) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return p.redis(func() error { return next(ctx, cmds) }, cmds...)
	}
}

func (p *planner) redis(do func() error, cmds ...redis.Cmder) error {
	err := p.step(func() error {
		if p.c.away.Load() {
			return errors.New("connection refused")
		}
		return do()
	})
	for _, cmd := range cmds {
		if err != nil && cmd.Err() == nil {
			cmd.SetErr(err)
		}
	}
	return err
}

// Schedule and Ticked are not of interest here: results are read from Redis.
func (p *planner) Schedule(string)       {}
func (p *planner) Ticked(string, string) {}

// hire starts a worker in a place of the fleet.
func (c *calendar) hire(place int) {
	c.born++
	p := &planner{c: c, id: fmt.Sprint("w", c.born), ahead: time.Duration(place-1) * 3 * time.Minute, done: make(chan struct{})}
	rdb := c.connect()
	rdb.AddHook(p)
	l := ledger.New(rdb, p.Now)
	ctx, end := context.WithCancel(context.Background())
	p.end = end
	c.mu.Lock()
	c.alive[p.id] = time.Time{}
	c.mu.Unlock()
	s := scheduler.New(scheduler.Config{
		Redis: rdb, Fleet: p, Ledger: l, Producer: tasks.NewProducer(l, rdb), File: c.file, Recorder: p,
		Projects: func(r schedules.Rule) ([]string, error) { return r.Projects, nil },
		Jobs:     func(_ context.Context, projectID string) iter.Seq2[jobs.Job, error] { return c.list(p, projectID) },
		Account:  func(string) string { return "default" },
		InShadow: func(string) bool { return false },
		Refused:  func(context.Context) (map[string]string, error) { return map[string]string{}, nil },
		Rate:     func(context.Context) (estimate.Rate, error) { return estimate.Rate{}, nil },
		Logger:   slog.New(slog.NewTextHandler(c.log, nil)), Interval: 12 * time.Hour,
	})
	go func() {
		defer close(p.done)
		s.Run(ctx)
		rdb.Close()
	}()
	c.fleet[place] = p
}

// list has other jobs each time: two selections can't be taken for one.
func (c *calendar) list(p *planner, projectID string) iter.Seq2[jobs.Job, error] {
	return func(yield func(jobs.Job, error) bool) {
		n := 0
		if err := p.step(func() error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.lists++
			n = c.lists
			return nil
		}); err != nil {
			yield(jobs.Job{}, err)
			return
		}
		for i := range 3 {
			if !yield(jobs.Job{ID: fmt.Sprintf("%d-%d-%s", n, i, projectID), Name: "x", Status: v1.StatusRunning.Job(), CreateTime: time.Now()}, nil) {
				return
			}
		}
	}
}

// replace hires for every worker that has crashed.
func (c *calendar) replace() {
	for place, p := range c.fleet {
		p.mu.Lock()
		dead := p.dead
		p.fuse = 0
		p.mu.Unlock()
		if dead {
			<-p.done
			c.hire(place)
		}
	}
}

// sleepUntil passes the time up to a moment.
func sleepUntil(at time.Time) { time.Sleep(time.Until(at)) }

// Two hundred days of ticks, of three workers whose clocks differ by minutes. On each
// day they crash at another step of carrying out, or Redis is away, or all of them are
// gone for hours. Each tick has one result; one that is done has exactly the stops of one
// selection, the first that was written down; one that is missed has none.
func TestTwoHundredDaysOfTicks(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		file, err := schedules.Parse("schedules.yaml", []byte(`
revision: 1
schedules:
  - {name: nightly, at: "02:30", timezone: Europe/Berlin, catch_up: 30m, rule: {project: [p1, p2], all: true}}`), nil)
		if err != nil {
			w.t.Fatal(err)
		}
		w.keepKeys() // or all of them are looked at each second of the two hundred days
		c := &calendar{world: w, file: file, alive: map[string]time.Time{}, fleet: make([]*planner, 3)}
		began := time.Now().UTC()
		for place := range c.fleet {
			c.hire(place)
		}
		desk := scheduler.NewDesk(w.rdb, &planner{c: c, id: "desk"})
		results := map[time.Time][]scheduler.Result{}
		day, known := 0, 0
		for tick := range file.Schedules[0].Ticks(began.Add(time.Hour)) {
			if day = int(tick.Sub(began) / (24 * time.Hour)); day >= 200 {
				break
			}
			c.trouble(tick, known)
			known++
			sleepUntil(tick.Add(5 * time.Hour))
			c.away.Store(false)
			c.replace()
			c.gather(desk, results)
		}
		time.Sleep(time.Hour) // the ticks of the last ones that were hired are settled
		c.gather(desk, results)
		for _, p := range c.fleet {
			p.end()
			<-p.done
		}
		c.check(began.Add(time.Hour), known, results)
		if c.crashes < 100 {
			w.t.Errorf("%d crashes only: the fuses are too long", c.crashes)
		}
	})
}

// trouble is what happens around a tick, other each time.
func (c *calendar) trouble(tick time.Time, n int) {
	sleepUntil(tick.Add(-10 * time.Minute))
	switch n % 10 {
	case 7: // Redis is away for a while
		c.away.Store(true)
		sleepUntil(tick.Add(15 * time.Minute))
		c.away.Store(false)
		for _, p := range c.fleet { // as their next look would be hours off
			p.light(n/10+3, n%2 == 0)
		}
	case 8: // and for too long
		c.away.Store(true)
	case 9: // they are all gone
		for _, p := range c.fleet {
			p.light(1, false)
		}
	default: // one crashes, and whoever takes over, too; carrying out a tick takes less than thirty steps
		c.fleet[2].light(5+(7*n)%30, n%2 == 0) // its clock is ahead: it is the first
		c.fleet[1].light(5+(11*n)%30, n%3 == 0)
		if n%10 == 6 {
			c.fleet[0].light(5+(13*n)%30, n%4 == 0)
		}
	}
}

// light has a worker crash at its nth step from now on.
func (p *planner) light(n int, after bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fuse, p.after = n, after
}

// gather reads the results that there are.
func (c *calendar) gather(desk *scheduler.Desk, results map[time.Time][]scheduler.Result) {
	c.t.Helper()
	o, err := desk.Overview(context.Background(), 50)
	if err != nil {
		c.t.Fatal(err)
	}
	for _, one := range o.Schedules {
		seen := map[time.Time][]scheduler.Result{}
		for _, r := range one.Results {
			seen[r.Tick] = append(seen[r.Tick], r)
		}
		for tick, all := range seen {
			if len(all) >= len(results[tick]) {
				results[tick] = all
			}
		}
	}
}

// check compares results and ledger with the ticks that there were.
func (c *calendar) check(began time.Time, known int, results map[time.Time][]scheduler.Result) {
	ctx, counts := context.Background(), map[scheduler.Outcome]int{}
	n := 0
	for tick := range c.file.Schedules[0].Ticks(began) {
		if n++; n > known {
			break
		}
		if len(results[tick]) != 1 {
			c.t.Errorf("tick %v has the results %+v, want one", tick, results[tick])
			continue
		}
		r := results[tick][0]
		counts[r.Outcome]++
		stops := map[string][]string{} // the jobs of the tick's batch, by the list that they are from
		for _, project := range []string{"p1", "p2"} {
			all, _, err := c.ledger.BatchStops(ctx, project, schedules.BatchID("nightly", tick), 0, 100)
			if err != nil && !errors.Is(err, ledger.ErrNotFound) {
				c.t.Fatal(err)
			}
			for _, s := range all {
				list, _, _ := strings.Cut(s.JobID, "-")
				stops[project+" "+list] = append(stops[project+" "+list], s.JobID)
			}
		}
		switch r.Outcome {
		case scheduler.Done:
			if r.Tries > 1 {
				c.resumed++
			}
			if len(stops) != 2 || r.Accepted+r.Known != 6 {
				c.t.Errorf("tick %v is done, and its batch has %v: want the jobs of one list of each project; %+v", tick, stops, r)
			}
			for list, all := range stops {
				if len(all) != 3 {
					c.t.Errorf("tick %v: %d jobs of %s, want 3", tick, len(all), list)
				}
			}
		case scheduler.Failed: // what was begun is of one selection
			if len(stops) > 2 {
				c.t.Errorf("tick %v: its batch has jobs of %v", tick, stops)
			}
		default:
			if len(stops) > 0 {
				c.t.Errorf("tick %v is %s, and its batch has %v", tick, r.Outcome, stops)
			}
		}
		delete(results, tick)
	}
	for tick, all := range results {
		c.t.Errorf("there is no tick %v, and it has the results %+v", tick, all)
	}
	c.t.Logf("%d ticks: %v; %d crashes, %d lists, %d ticks gone on with", known, counts, c.crashes, c.lists, c.resumed)
	if counts[scheduler.Done] < known/2 || counts[scheduler.Missed] == 0 || counts[scheduler.Missed] > known/4 || c.resumed < known/10 {
		c.t.Errorf("of %d ticks %d were gone on with, and they ended as %v: that plays too little", known, c.resumed, counts)
	}
}
