package simulation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/worker"
)

// quick has a worker look for tasks twice a second, as list checks come every few.
func quick(c *worker.Config) {
	c.CheckInterval, c.DelayedCheckInterval = 500*time.Millisecond, 500*time.Millisecond
}

// addJobs adds running jobs with ids from 1001 on and returns their ids.
func (w *world) addJobs(n int, stopTime func(i int) time.Duration) []string {
	var ids []string
	for i := range n {
		job := w.sim.AddJob(project, modelartstest.Job{ID: fmt.Sprint(1001 + i), StopTime: stopTime(i)})
		ids = append(ids, job.ID)
	}
	return ids
}

// count counts the calls of one operation for all jobs.
func (w *world) count(operation string) int {
	n := 0
	for _, c := range w.sim.AllCalls() {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

// lags is how long after its real end each stop was confirmed, ascending.
func (w *world) lags(stops map[string]*ledger.Stop) []time.Duration {
	var lags []time.Duration
	for id, s := range stops {
		job, _ := w.sim.Job(project, id)
		lags = append(lags, s.Ended.Sub(job.EndedAt))
	}
	slices.Sort(lags)
	return lags
}

// With many jobs stopping, two calls each are the floor, and lists find out
// cheaply and soon who has stopped.
func TestListChecksComeCloseToTwoCallsPerStop(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(300, func(i int) time.Duration { return time.Duration(5+i%60) * time.Second })
		r := w.start(quick)
		defer r.stop()
		w.ask("b", ids...)
		stops := w.awaitEnd(5*time.Minute, "b")
		for _, s := range stops {
			wantOutcome(t, s, ledger.Stopped, said(v1.StatusKilled))
		}
		stop, list, detail := w.count(jobs.OperationStop), w.count(jobs.OperationList), w.count(jobs.OperationDetail)
		if perStop := float64(stop+list+detail) / 300; perStop > 2.4+float64(guards(1)) || list == 0 {
			t.Errorf("%.2f calls per stop (%d stop, %d list, %d detail), want %.1f at most", perStop, stop, list, detail, 2.4+float64(guards(1)))
		}
		lags := w.lags(stops)
		if half, most := lags[150], lags[285]; half > 4*time.Second || most > 8*time.Second {
			t.Errorf("confirmed %v (half) and %v (95 %%) after the end, want 4 s and 8 s at most", half, most)
		}
		if n := gathered(t, r, "vizstop_list_checks_total", "read"); n == 0 {
			t.Error("no list check was counted")
		}
		time.Sleep(time.Minute)
		if n := w.count(jobs.OperationList); n != list {
			t.Errorf("%d list calls with nothing to watch", n-list)
		}
	})
}

func TestFewJobsAreNotListed(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(4, func(int) time.Duration { return 20 * time.Second })
		r := w.start(nil)
		defer r.stop()
		w.ask("b", ids...)
		w.awaitEnd(5*time.Minute, "b")
		if n := w.count(jobs.OperationList); n != 0 {
			t.Errorf("%d list calls for four jobs, want 0", n)
		}
	})
}

// Lists that are of no use cost a few calls and time, and no outcome.
func TestUselessLists(t *testing.T) {
	for name, reply := range map[string]modelartstest.Reply{
		"forbidden":        modelartstest.ReplyError(http.StatusForbidden, "ModelArts.0201", "no permission"),
		"not offered":      modelartstest.ReplyError(http.StatusNotFound, "APIG.0101", "The API does not exist"),
		"other status":     modelartstest.ReplyStatus(v1.StatusRunning),
		"html":             modelartstest.ReplyHTML(http.StatusOK),
		"server error":     modelartstest.ReplyError(http.StatusInternalServerError, "ModelArts.0010", ""),
		"truncated":        modelartstest.ReplyTruncated(),
		"reset":            modelartstest.ReplyReset(),
		"wrong types":      modelartstest.ReplyWrongTypes(),
		"throttled always": modelartstest.ReplyError(http.StatusTooManyRequests, "APIGW.0308", ""),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				ids := w.addJobs(20, func(i int) time.Duration { return time.Duration(10+3*i) * time.Second })
				w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationList, Reply: reply})
				r := w.start(quick)
				defer r.stop()
				w.ask("b", ids...)
				for _, s := range w.awaitEnd(15*time.Minute, "b") {
					wantOutcome(t, s, ledger.Stopped, "")
				}
				if n := w.count(jobs.OperationStop); n != 20 {
					t.Errorf("%d stop calls, want 20", n)
				}
			})
		})
	}
}

// lyingList answers list calls by itself.
type lyingList struct {
	worker.Jobs
	list  func() []jobs.Job
	calls int
}

func (l *lyingList) List(context.Context, string, jobs.Query) (*jobs.Page, error) {
	l.calls++
	list := l.list()
	return &jobs.Page{Jobs: list, Total: len(list)}, nil
}

// A list that misses jobs which are stopping, as those of another workspace,
// is found out and left alone.
func TestAListThatMissesJobs(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(20, func(int) time.Duration { return 2 * time.Minute })
		lie := &lyingList{list: func() []jobs.Job { return nil }}
		r := w.start(func(c *worker.Config) { quick(c); lie.Jobs = c.Jobs; c.Jobs = lie })
		defer r.stop()
		w.ask("b", ids...)
		for _, s := range w.awaitEnd(15*time.Minute, "b") {
			wantOutcome(t, s, ledger.Stopped, said(v1.StatusKilled))
		}
		if lie.calls > 10 {
			t.Errorf("%d list calls, want it to be left alone after a few", lie.calls)
		}
		if n := w.count(jobs.OperationDetail); n > 20*9+guards(20) {
			t.Errorf("%d detail calls for 20 jobs", n)
		}
	})
}

// A list that shows jobs as stopping which have ended delays their outcome for
// no longer than the watch limit, and the poll gap of a minute for the last few.
func TestAListThatIsStale(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(20, func(int) time.Duration { return 30 * time.Second })
		lie := &lyingList{list: func() (all []jobs.Job) {
			for _, id := range ids {
				all = append(all, jobs.Job{ID: id, Status: v1.StatusKilling.Job()})
			}
			return all
		}}
		r := w.start(func(c *worker.Config) { quick(c); lie.Jobs = c.Jobs; c.Jobs = lie })
		defer r.stop()
		w.ask("b", ids...)
		for _, s := range w.awaitEnd(7*time.Minute, "b") {
			wantOutcome(t, s, ledger.Stopped, said(v1.StatusKilled))
		}
	})
}

func TestWatchedStopsExpireAtTheirDeadline(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(8, func(int) time.Duration { return 24 * time.Hour })
		r := w.start(quick)
		defer r.stop()
		asked := time.Now()
		w.ask("b", ids...)
		for _, s := range w.awaitEnd(time.Hour, "b") {
			wantOutcome(t, s, ledger.Expired, "before the detail endpoint confirmed")
			if took := s.Ended.Sub(asked); took < 20*time.Minute || took > 21*time.Minute {
				t.Errorf("job %s expired after %v, want its deadline of 20 minutes", s.JobID, took)
			}
		}
	})
}

// odd is an API client that fails at calls for one job in a way that is none of
// modelarts' own.
type odd struct {
	worker.Jobs
	job  string
	fail func(operation string) error
}

func (o odd) Stop(ctx context.Context, projectID, jobID string) (jobs.Accepted, error) {
	if jobID == o.job {
		if err := o.fail(jobs.OperationStop); err != nil {
			return jobs.Accepted{}, err
		}
	}
	return o.Jobs.Stop(ctx, projectID, jobID)
}

func (o odd) Get(ctx context.Context, projectID, jobID string) (*jobs.Job, error) {
	if jobID == o.job {
		if err := o.fail(jobs.OperationDetail); err != nil {
			return nil, err
		}
	}
	return o.Jobs.Get(ctx, projectID, jobID)
}

// Whatever a call fails with, be it a bug, costs its own stop some time and
// nothing else, also where a list check is made for many.
func TestOddFailures(t *testing.T) {
	for _, ids := range []int{2, 20} { // polled one by one, and with a list check
		t.Run(fmt.Sprintf("errors, %d jobs", ids), func(t *testing.T) {
			log := failOddly(t, ids, func() error { return errors.New("odd") })
			if strings.Contains(log, "panic") {
				t.Errorf("a worker panicked:\n%s", log)
			}
		})
		t.Run(fmt.Sprintf("panics, %d jobs", ids), func(t *testing.T) {
			log := failOddly(t, ids, func() error { panic("odd") })
			if ids > 2 && !strings.Contains(log, "a bug in vizstop") {
				t.Errorf("no list check met the bug:\n%s", log)
			}
		})
	}
}

// failOddly stops jobs, one of whose first calls of each kind fail, and returns
// what the worker logged.
func failOddly(t *testing.T, ids int, failure func() error) (log string) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(ids, func(i int) time.Duration { return time.Duration(20+i) * time.Second })
		var stops, details atomic.Int64
		r := w.start(func(c *worker.Config) {
			quick(c)
			c.Jobs = odd{c.Jobs, ids[0], func(operation string) error {
				switch {
				case operation == jobs.OperationStop && stops.Add(1) > 1,
					operation == jobs.OperationDetail && details.Add(1) > 3:
					return nil
				}
				return failure()
			}}
		})
		defer r.stop()
		w.ask("b", ids...)
		for id, s := range w.awaitEnd(15*time.Minute, "b") {
			wantOutcome(t, s, ledger.Stopped, said(v1.StatusKilled))
			if lag := s.Ended.Sub(s.Asked); id != ids[0] && lag > 3*time.Minute {
				t.Errorf("job %s ended after %v", id, lag)
			}
		}
		if stops.Load() < 2 || details.Load() < 4 {
			t.Errorf("%d stop calls and %d detail calls for the odd job, want more than failed", stops.Load(), details.Load())
		}
		log = w.log.String()
	})
	return log
}

// Every project has its list checks, however many there are.
func TestListChecksOfManyProjects(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		const projects = 12
		for p := range projects {
			var asks []ledger.Ask
			for i := range 6 {
				job := w.sim.AddJob(fmt.Sprint("p", p), modelartstest.Job{ID: fmt.Sprint(i + 1), StopTime: 30 * time.Second})
				asks = append(asks, ledger.Ask{JobID: job.ID, Deadline: time.Now().Add(20 * time.Minute)})
			}
			if _, err := w.producer.Ask(context.Background(), fmt.Sprint("p", p), "b", asks); err != nil {
				t.Fatal(err)
			}
		}
		r := w.start(func(c *worker.Config) { quick(c); c.Concurrency = 8 })
		defer r.stop()
		w.await(2*time.Minute, "the end of every stop", func() bool { return w.idle(projects) })
		if n := r.counted(t, ledger.Stopped); n != 6*projects {
			t.Errorf("%d stopped, want %d", n, 6*projects)
		}
		if n := w.count(jobs.OperationDetail); n > 2*6*projects+guards(6*projects) {
			t.Errorf("%d detail calls, want lists to spare most", n)
		}
	})
}

// The pages of a long list that hardly anybody leaves are calls like all others: with them, the fleet keeps to its
// rate.
func TestALongListKeepsToTheRate(t *testing.T) {
	const rate, seconds = 10, 60
	inBubble(t, modelartstest.Config{}, func(w *world) {
		for i := range 2000 { // somebody else stops these
			w.sim.AddJob(project, modelartstest.Job{ID: fmt.Sprint(500_000 + i), Status: v1.StatusKilling, StopTime: time.Hour})
		}
		ids := w.addJobs(900, func(int) time.Duration { return time.Hour })
		r := w.start(func(c *worker.Config) { c.Release.Rate = rate })
		defer r.stop()
		w.ask("b", ids...)
		time.Sleep(10 * time.Second)
		before := len(w.sim.AllCalls())
		time.Sleep(seconds * time.Second)
		lists, stops := w.count(jobs.OperationList), w.count(jobs.OperationStop)
		if n := len(w.sim.AllCalls()) - before; n > seconds*rate+3*rate || lists < 20 || stops == len(ids) {
			t.Errorf("%d calls in %d s at %d a second; so far %d pages of lists and %d stop calls", n, seconds, rate, lists, stops)
		}
	})
}

// othersJoin has so many jobs of others join the list of stopping jobs, one after the other.
func (w *world) othersJoin(n int, every time.Duration) {
	for i := range n {
		w.sim.AddJob(project, modelartstest.Job{ID: fmt.Sprint(90000 + i), Status: v1.StatusKilling, StopTime: time.Hour})
		time.Sleep(every)
	}
}

// Jobs that others stop join a list of one page as fast as ours leave it: its length tells nothing, but its jobs do.
func TestOthersJoinTheList(t *testing.T) {
	bubble(t, modelartstest.Config{}, func(w *world) {
		r := w.start(nil)
		defer r.stop()
		w.ask("b", w.addJobs(40, func(i int) time.Duration { return time.Duration(30+15*i) * time.Second })...)
		time.Sleep(25 * time.Second)
		go w.othersJoin(aPage()-40, 7*time.Second)
		lags := w.lags(w.awaitEnd(15*time.Minute, "b"))
		if p95 := lags[len(lags)*95/100]; p95 > 4*time.Second {
			t.Errorf("lag of one in twenty %v, at most %v", p95, lags[len(lags)-1])
		}
	})
}

// The same on a list of several pages, for a while or all the time.
func TestOthersJoinALongList(t *testing.T) {
	for _, others := range []int{60, 700} {
		t.Run(fmt.Sprint(others), func(t *testing.T) {
			bubble(t, modelartstest.Config{}, func(w *world) {
				r := w.start(nil)
				defer r.stop()
				w.ask("b", w.addJobs(1000, func(i int) time.Duration { return time.Duration(30000+100*i) * time.Millisecond })...)
				time.Sleep(50 * time.Second)
				go w.othersJoin(others, 100*time.Millisecond)
				lags := w.lags(w.awaitEnd(15*time.Minute, "b"))
				if p95 := lags[len(lags)*95/100]; p95 > 7*time.Second {
					t.Errorf("lag p50 %v, of one in twenty %v, at most %v", lags[len(lags)/2], p95, lags[len(lags)-1])
				}
			})
		})
	}
}

// The same while stops of ours are still being accepted, which takes most of a minute: who joins hides who leaves.
func TestOthersJoinWhileStopsAreAccepted(t *testing.T) {
	took := map[string]time.Duration{jobs.OperationStop: 600 * time.Millisecond, jobs.OperationList: 300 * time.Millisecond,
		jobs.OperationDetail: 100 * time.Millisecond}
	for _, others := range []int{0, 40, 300} {
		t.Run(fmt.Sprint(others), func(t *testing.T) {
			bubble(t, modelartstest.Config{Latency: func(operation string) time.Duration { return took[operation] }}, func(w *world) {
				r := w.start(func(c *worker.Config) { c.Concurrency = 10 })
				defer r.stop()
				w.ask("b", w.addJobs(990, func(i int) time.Duration { return time.Duration(8000+i*37%40000) * time.Millisecond })...)
				time.Sleep(20 * time.Second)
				go w.othersJoin(others, 200*time.Millisecond)
				lags := w.lags(w.awaitEnd(15*time.Minute, "b"))
				if p95 := lags[len(lags)*95/100]; p95 > 7*time.Second {
					t.Errorf("lag p50 %v, of one in twenty %v, at most %v", lags[len(lags)/2], p95, lags[len(lags)-1])
				}
			})
		})
	}
}
