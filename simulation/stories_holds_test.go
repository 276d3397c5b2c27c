package simulation

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/modelarts/sdkhmac"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/release"
	"vizstop/internal/worker"
)

// Projects beside that of most stories.
const (
	otherProject = "fedcba9876543210fedcba9876543210"
	thirdProject = "00112233445566778899aabbccddeeff"
)

// askIn asks for running jobs in a project, n of them, that take that long to stop.
func (w *world) askIn(projectID, batch string, n int, stopTime time.Duration) {
	w.t.Helper()
	var asks []ledger.Ask
	first := 5001 + len(w.sim.Jobs(projectID))
	for i := range n {
		job := w.sim.AddJob(projectID, modelartstest.Job{ID: fmt.Sprint(first + i), StopTime: stopTime})
		asks = append(asks, ledger.Ask{JobID: job.ID, Deadline: time.Now().Add(20 * time.Minute)})
	}
	if _, err := w.producer.Ask(context.Background(), projectID, batch, asks); err != nil {
		w.t.Fatal(err)
	}
}

// endsIn waits until the batch has ended in the project, and returns after how long.
func (w *world) endsIn(projectID, batch string, limit time.Duration) time.Duration {
	w.t.Helper()
	began := time.Now()
	w.await(limit, "the end of batch "+batch, func() bool {
		b, err := w.ledger.Batch(context.Background(), projectID, batch)
		return err == nil && b.InFlight() == 0
	})
	b, err := w.ledger.Batch(context.Background(), projectID, batch)
	if err != nil {
		w.t.Fatal(err)
	}
	if b.Counts[ledger.Stopped] != b.Total {
		w.t.Errorf("batch %s: %v, want all stopped", batch, b.Counts)
	}
	return b.Ended.Sub(began)
}

// holds lists what holds calls back now.
func (w *world) holds() []release.Hold {
	w.t.Helper()
	holds, err := release.New(w.rdb, "", time.Now, release.Config{}).Holds(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return holds
}

// A stop that is answered 401 in another project, one that is answered with a page of
// HTML in a third, and a job that is answered 403, hold back nobody else.
func TestASingleRefusalHoldsBackNobodyElse(t *testing.T) {
	alone := time.Duration(0)
	for _, refused := range []bool{false, true} {
		t.Run(fmt.Sprint("refused ", refused), func(t *testing.T) {
			bubble(t, modelartstest.Config{}, func(w *world) {
				r := w.start(nil)
				defer r.stop()
				w.sim.AddJob(otherProject, modelartstest.Job{ID: "401"})
				w.sim.AddJob(thirdProject, modelartstest.Job{ID: "404"})
				w.sim.AddJob(project, modelartstest.Job{ID: "403"})
				if refused {
					w.sim.Inject(modelartstest.Fault{ProjectID: thirdProject, Reply: modelartstest.ReplyHTML(404)})
					w.sim.Inject(modelartstest.Fault{ProjectID: otherProject, Reply: modelartstest.ReplyError(http.StatusUnauthorized, "APIGW.0301", "Incorrect IAM authentication information")})
					w.sim.Inject(modelartstest.Fault{JobID: "403", Reply: modelartstest.ReplyError(http.StatusForbidden, "ModelArts.0112", "No permission")})
				}
				deadline := time.Now().Add(20 * time.Minute)
				for projectID, job := range map[string]string{otherProject: "401", thirdProject: "404", project: "403"} {
					if _, err := w.producer.Ask(context.Background(), projectID, "refused", []ledger.Ask{{JobID: job, Deadline: deadline}}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(5 * time.Second)
				w.askIn(project, "b", 200, 5*time.Second)
				took := w.endsIn(project, "b", 5*time.Minute)
				if !refused {
					alone = took
				} else if took > alone+5*time.Second {
					t.Errorf("took %v, without the refusals %v", took, alone)
				}
				if holds := w.holds(); len(holds) > 0 {
					t.Errorf("held: %v", holds)
				}
			})
		})
	}
}

// A hold ends by itself when no stop is in flight: whoever looks at the fleet is not
// told of a trouble that is over.
func TestAHoldEndsWhenNothingIsInFlight(t *testing.T) {
	refusals := map[string]modelartstest.Reply{
		"credentials": modelartstest.ReplyError(http.StatusUnauthorized, "APIGW.0301", "Incorrect IAM authentication information"),
		"permission":  modelartstest.ReplyError(http.StatusForbidden, "ModelArts.0112", "No permission"),
		"outage":      modelartstest.ReplyHTML(503),
	}
	for name, reply := range refusals {
		t.Run(name, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				trouble := w.sim.Inject(modelartstest.Fault{Reply: reply})
				r := w.start(nil)
				defer r.stop()
				w.askIn(project, "b", 10, 5*time.Second)
				w.await(10*time.Minute, "a hold", func() bool { return len(w.holds()) > 0 })
				stops, _, err := w.ledger.BatchStops(context.Background(), project, "b", 0, 100)
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range stops {
					if _, err := w.ledger.Withdraw(context.Background(), project, s.ID, "b", "not wanted"); err != nil {
						t.Fatal(err)
					}
				}
				w.await(30*time.Minute, "the end of all stops", func() bool { return w.idle(0) })
				time.Sleep(5 * time.Minute)
				if len(w.holds()) == 0 {
					t.Fatal("the hold has ended while the API still refuses")
				}
				trouble.Clear()
				w.await(3*time.Minute, "the end of the hold", func() bool { return len(w.holds()) == 0 })
				if faults, _ := r.Ready(context.Background()); len(faults) > 0 {
					t.Errorf("ready: %q after the cure", faults)
				}
			})
		})
	}
}

// A project whose calls hang does not slow down another one, whether or not it is known
// already that the credential is accepted.
func TestAProjectWhoseCallsHang(t *testing.T) {
	for _, accepted := range []bool{false, true} {
		alone := time.Duration(0)
		for _, hangs := range []bool{false, true} {
			t.Run(fmt.Sprintf("accepted %v, hangs %v", accepted, hangs), func(t *testing.T) {
				latency := func(string) time.Duration { return 80 * time.Millisecond }
				bubble(t, modelartstest.Config{Latency: latency}, func(w *world) {
					r := w.start(func(c *worker.Config) { c.Concurrency = 64 })
					defer r.stop()
					if accepted {
						w.askIn(project, "before", 1, 5*time.Second)
						w.endsIn(project, "before", time.Minute)
						time.Sleep(2 * time.Minute) // the other project has the worker for itself
					}
					if hangs {
						w.sim.Inject(modelartstest.Fault{ProjectID: otherProject, Delay: 30 * time.Second})
						w.askIn(otherProject, "hanging", 300, 5*time.Second)
						time.Sleep(10 * time.Second)
					}
					w.askIn(project, "b", 300, 5*time.Second)
					took := w.endsIn(project, "b", 5*time.Minute)
					if !hangs {
						alone = took
					} else if took > alone*time.Duration(3+guards(1))/2 { // 30 s, if it had to wait for a call that hangs
						t.Errorf("took %v, alone %v", took, alone)
					}
				})
			})
		}
	}
}

// A project whose looks begin to hang while many of its jobs are watched does not slow down another one.
func TestLooksThatHang(t *testing.T) {
	latency := func(string) time.Duration { return 80 * time.Millisecond }
	bubble(t, modelartstest.Config{Latency: latency}, func(w *world) {
		r := w.start(func(c *worker.Config) { c.Concurrency = 64 })
		defer r.stop()
		w.askIn(otherProject, "hanging", 400, 30*time.Second)
		time.Sleep(12 * time.Second)
		w.askIn(project, "b", 300, 22*time.Second) // they end from 34 s on, as the others do
		time.Sleep(8 * time.Second)
		w.sim.Inject(modelartstest.Fault{ProjectID: otherProject, Operation: jobs.OperationDetail, Delay: 30 * time.Second})
		w.endsIn(project, "b", 5*time.Minute)
		lags := w.lags(w.awaitEnd(time.Second, "b"))
		// Lists come once a second; a list and a look take 80 ms each. A look that hangs takes 28 s.
		if median, most := lags[len(lags)/2], lags[len(lags)-1]; median > 2*time.Second || most > 5*time.Second {
			t.Errorf("lag %v, at most %v: they waited for looks that hang", median, most)
		}
	})
}

// A list that takes 15 s delays nobody by more than the look that each watched stop
// has of its own.
func TestASlowList(t *testing.T) {
	var unlisted time.Duration // the longest lag without list checks
	for _, from := range []int{-1, 5} {
		t.Run(fmt.Sprint("from ", from), func(t *testing.T) {
			bubble(t, modelartstest.Config{}, func(w *world) {
				w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationList, Delay: 15 * time.Second})
				r := w.start(func(c *worker.Config) { c.Schedule.ListFrom = from })
				defer r.stop()
				w.ask("b", w.addJobs(100, func(i int) time.Duration { return time.Duration(5+i%40) * time.Second })...)
				stops := w.awaitEnd(5*time.Minute, "b")
				for job, s := range stops {
					wantOutcome(t, s, ledger.Stopped, "")
					if n := w.calls(job, jobs.OperationStop); n != 1 {
						t.Errorf("job %s: %d stop calls, want 1", job, n)
					}
				}
				lags := w.lags(stops)
				if most := lags[len(lags)-1]; from < 0 {
					unlisted = most
				} else if most > unlisted+10*time.Second { // PollFirst and two list intervals
					t.Errorf("the longest lag is %v, without list checks %v", most, unlisted)
				}
			})
		})
	}
}

// A job that was seen stopping and is active again has lost its stop: it gets the
// call at once.
func TestAJobThatIsActiveAgainIsCalledAtOnce(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 30 * time.Second})
		r := w.start(nil)
		defer r.stop()
		w.ask("b", "10")
		w.await(time.Minute, "a look", func() bool { return w.calls("10", jobs.OperationDetail) > guards(1) })
		w.sim.SetStatus(project, "10", v1.StatusRunning)
		active := time.Now()
		wantOutcome(t, w.awaitEnd(3*time.Minute, "b")["10"], ledger.Stopped, "")
		calls := w.callsOf("10", jobs.OperationStop)
		if len(calls) != 2 {
			t.Fatalf("stop calls at %v, want 2", calls)
		}
		look := firstAfter(w.callsOf("10", jobs.OperationDetail), active)
		if wait := calls[1].Sub(look); wait < 0 || wait > time.Second {
			t.Errorf("the call was repeated %v after a look that saw the job active", wait)
		}
	})
}

// A job that never left its active status after acceptance may need a while: it gets
// the call again after --resend-after.
func TestAJobThatStaysActiveIsCalledAgainLater(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 5 * time.Second})
		w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Times: 1, Reply: modelartstest.ReplyEmpty(202)})
		r := w.start(nil)
		defer r.stop()
		w.ask("b", "10")
		wantOutcome(t, w.awaitEnd(5*time.Minute, "b")["10"], ledger.Stopped, "")
		calls := w.callsOf("10", jobs.OperationStop)
		if len(calls) != 2 || calls[1].Sub(calls[0]) < time.Minute || calls[1].Sub(calls[0]) > 2*time.Minute {
			t.Errorf("stop calls at %v, want 2, a minute and a look apart", calls)
		}
	})
}

// With a password, each project needs a token of its own. A project that IAM does
// not know, because its id is a slip, holds back no other one.
func TestAProjectWithoutATokenHoldsBackNobodyElse(t *testing.T) {
	const typo = "0123456789abcdef0123456789abcdee"
	cfg := modelartstest.Config{Projects: []modelartstest.Project{{ID: project}}}
	login := credentials(2, &cfg)
	inBubble(t, cfg, func(w *world) {
		r := w.start(nil, login()...)
		defer r.stop()
		w.askIn(typo, "b", 10, time.Second)
		w.await(5*time.Minute, "a hold", func() bool { return len(w.holds()) > 0 })
		w.askIn(project, "b", 40, time.Second)
		if took := w.endsIn(project, "b", 5*time.Minute); took > 10*time.Second {
			t.Errorf("the stops of another project took %v", took)
		}
		for _, h := range w.holds() {
			if h.Scope != release.ScopeProject || h.ProjectID != typo || !strings.Contains(h.Detail, "IAM gives no token for this project") {
				t.Errorf("held: %v", h)
			}
		}
	})
}

// stampedCalls notes when each call went out.
type stampedCalls struct {
	http.RoundTripper
	mu sync.Mutex
	at []time.Time
}

func (s *stampedCalls) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.at = append(s.at, time.Now())
	s.mu.Unlock()
	return s.RoundTripper.RoundTrip(r)
}

// An access key locks after more than five refusals within five minutes. With one
// that is refused from the start, no five minutes have more calls than that, those
// under way among them.
func TestARefusedAccessKeyIsNotLocked(t *testing.T) {
	cfg := modelartstest.Config{
		Latency: func(string) time.Duration { return 300 * time.Millisecond },
		Auth:    modelartstest.Auth{AccessKeys: map[string]string{"AK1": "another"}},
	}
	inBubble(t, cfg, func(w *world) {
		var calls stampedCalls
		count := modelarts.WithRoundTripper(func(next http.RoundTripper) http.RoundTripper {
			calls.RoundTripper = next
			return &calls
		})
		key := modelarts.WithCredentials(modelarts.NewAKSK(sdkhmac.Key{AccessKey: "AK1", SecretKey: "SK1"}, ""))
		r := w.start(func(c *worker.Config) { c.Release.Rate = 50; c.Concurrency = 32 }, key, count)
		defer r.stop()
		for _, p := range []string{project, otherProject, thirdProject} {
			w.askIn(p, "b", 100, time.Second)
		}
		time.Sleep(20 * time.Minute)
		calls.mu.Lock()
		defer calls.mu.Unlock()
		for i := 5; i < len(calls.at); i++ {
			if span := calls.at[i].Sub(calls.at[i-5]); span < 5*time.Minute {
				t.Errorf("6 calls within %v, from %v on", span, calls.at[i-5])
			}
		}
		if len(calls.at) < 5 {
			t.Errorf("only %d calls in 20 minutes: nobody finds out when the key is good again", len(calls.at))
		}
	})
}

// Two projects whose calls hang do not keep a third one waiting: they have no more tasks with a
// worker than their few slots can do.
func TestTwoProjectsThatHang(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.askIn(thirdProject, "first", 1, time.Second)
		r := w.start(nil)
		defer r.stop()
		w.endsIn(thirdProject, "first", time.Minute)
		for _, p := range []string{project, otherProject} {
			w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, ProjectID: p, Delay: 100 * time.Second, Reply: modelartstest.ReplyHTML(503)})
			w.askIn(p, "hangs", 150, time.Second)
		}
		time.Sleep(5 * time.Second)
		w.askIn(thirdProject, "second", 12, time.Second)
		if took := w.endsIn(thirdProject, "second", 2*time.Minute); took > 8*time.Second {
			t.Errorf("12 stops beside two projects that hang took %v", took)
		}
	})
}
