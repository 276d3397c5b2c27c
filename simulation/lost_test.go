package simulation

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

// dropHook loses the answer to the first command that it is meant for.
type dropHook struct {
	when func(redis.Cmder) bool
	n    atomic.Int32
}

func (h *dropHook) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *dropHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (h *dropHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && h.when(cmd) && h.n.Add(1) == 1 {
			err = &net.OpError{Op: "read", Err: errors.New("connection reset")}
			cmd.SetErr(err)
		}
		return err
	}
}

// An end is counted also when Redis' answer to it was lost.
func TestTheAnswerOfAnEndIsLost(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		h := &dropHook{when: func(c redis.Cmder) bool {
			return slices.ContainsFunc(c.Args(), func(a any) bool { s, _ := a.(string); return s == "stopped" }) && strings.HasPrefix(c.Name(), "eval")
		}}
		run := w.start(func(c *worker.Config) { c.Redis.AddHook(h) })
		defer run.stop()
		w.ask("b", "10")
		wantOutcome(t, w.awaitEnd(3*time.Minute, "b")["10"], ledger.Stopped, "")
		time.Sleep(10 * time.Second) // virtual: for whoever would count it again
		wantCountedOnce(t, ledger.Stopped, run)
	})
}

// A look that was taken before a hold, and waits for a slot, does not go out.
func TestLooksThatWaitForASlotRestInAHold(t *testing.T) {
	for _, reply := range []modelartstest.Reply{modelartstest.ReplyError(401, "APIGW.0301", "bad"), modelartstest.ReplyError(429, "APIGW.0308", "").With("Retry-After", "40")} {
		t.Run(fmt.Sprint(reply), func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				run := w.start(func(c *worker.Config) { c.CheckInterval = 100 * time.Millisecond })
				defer run.stop()
				w.askIn(project, "b", 60, 20*time.Second)
				time.Sleep(15 * time.Second)
				w.sim.Inject(modelartstest.Fault{Operation: "detail", Delay: 2 * time.Second, Reply: reply})
				time.Sleep(40 * time.Second)
				var first time.Time
				during, after := 0, 0
				for _, c := range w.sim.AllCalls() {
					if c.Operation != jobs.OperationDetail || c.At.Before(time.Now().Add(-40*time.Second)) {
						continue
					}
					if first.IsZero() {
						first = c.At
					}
					if c.At.Before(first.Add(2 * time.Second)) {
						during++
					} else if c.At.Before(first.Add(20 * time.Second)) {
						after++
					}
				}
				if after > 2 {
					t.Errorf("%d calls before the first refusal, %d in the 20 s after it, while everything was held", during, after)
				}
			})
		})
	}
}

// A hold of a project with watched jobs is probed at once, not by a step that is due
// in two minutes.
func TestWatchedJobsAreNoReasonToWait(t *testing.T) {
	for _, later := range []time.Duration{0, 110 * time.Second} {
		t.Run(fmt.Sprint(later), func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				ctx := context.Background()
				run := w.start(nil)
				defer run.stop()
				w.askIn(project, "b", 10, 20*time.Second)
				time.Sleep(10 * time.Second)
				if later > 0 {
					w.sim.AddJob(project, modelartstest.Job{ID: "77"})
					if _, err := w.producer.Ask(ctx, project, "later", []ledger.Ask{{JobID: "77", Due: time.Now().Add(later), Deadline: time.Now().Add(time.Hour)}}); err != nil {
						t.Fatal(err)
					}
				}
				rel := release.New(w.rdb, "x", time.Now, release.Config{})
				for range 5 {
					if _, err := rel.Report(ctx, release.Call{ProjectID: project, At: time.Now()}, &jobs.Error{Kind: jobs.KindUnavailable}); err != nil {
						t.Fatal(err)
					}
				}
				if took := w.endsIn(project, "b", 5*time.Minute); took > 25*time.Second {
					t.Errorf("ended %v after a hold of an API that is well, want 25 s at most", took)
				}
			})
		})
	}
}

// The probe of a credential is made although the answer that gave it was lost.
func TestTheAnswerThatGivesAProbeIsLost(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ctx := context.Background()
		h := &dropHook{when: func(c redis.Cmder) bool {
			a := c.Args()
			return strings.HasPrefix(c.Name(), "eval") && len(a) == 8 && a[3] == "vizstop:{-}:account:default"
		}}
		run := w.start(func(c *worker.Config) { c.Redis.AddHook(h) })
		defer run.stop()
		rel := release.New(w.rdb, "x", time.Now, release.Config{CredentialProbe: 10 * time.Second})
		for i := range 3 {
			if _, err := rel.Report(ctx, release.Call{ProjectID: project, Step: ledger.Member{StopID: fmt.Sprint("s", i), Hop: 1, JobID: fmt.Sprint(i)}, At: time.Now()}, &jobs.Error{Kind: jobs.KindCredentials}); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		w.await(10*time.Minute, "the end of the hold", func() bool { return len(w.holds()) == 0 })
		if d := time.Since(began); d > 25*time.Second {
			t.Errorf("the hold ended after %v", d)
		}
		if h.n.Load() == 0 {
			t.Error("no answer was lost")
		}
	})
}

// A list is not blamed for jobs that are looked at because it is read rarely.
func TestRareListsAreNotWrong(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		run := w.start(func(c *worker.Config) { c.Release.Rate = 0.4; c.Release.Burst = 1 })
		defer run.stop()
		w.askIn(project, "b", 15, 10*time.Minute)
		time.Sleep(8 * time.Minute)
		f := w.rdb.HGetAll(context.Background(), "vizstop:{"+project+"}:control").Val()
		if f["list_why"] != "" {
			t.Errorf("the list was right all the time, and is left alone: %s", f["list_why"])
		}
	})
}

// A list is not blamed for jobs that are looked at because it could not be read.
func TestAListThatFailedIsNotWrong(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		run := w.start(nil)
		defer run.stop()
		w.askIn(project, "b", 60, 90*time.Second)
		time.Sleep(20 * time.Second)
		w.sim.Inject(modelartstest.Fault{Operation: "list", Delay: 20 * time.Second, Times: 4})
		time.Sleep(60 * time.Second)
		var more []string
		for i := range 30 {
			more = append(more, w.sim.AddJob(project, modelartstest.Job{ID: fmt.Sprint(7001 + i), StopTime: 90 * time.Second}).ID)
		}
		w.ask("c", more...)
		time.Sleep(10 * time.Second)
		f := w.rdb.HGetAll(context.Background(), "vizstop:{"+project+"}:control").Val()
		if f["list_why"] != "" {
			t.Errorf("left alone: %s", f["list_why"])
		}
	})
}

// A worker that ends makes no call any more, no probe either.
func TestNoProbeDuringShutdown(t *testing.T) {
	inBubble(t, modelartstest.Config{Latency: func(op string) time.Duration {
		if op == "detail" {
			return 14 * time.Second
		}
		return 0
	}}, func(w *world) {
		ctx := context.Background()
		run := w.start(func(c *worker.Config) { c.Release.CredentialProbe = 5 * time.Second })
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		w.ask("b", "10")
		w.await(time.Minute, "a look", func() bool { return w.calls("10", jobs.OperationDetail) == 1 })
		rel := release.New(w.rdb, "x", time.Now, release.Config{CredentialProbe: 5 * time.Second})
		for i := range 3 {
			if _, err := rel.Report(ctx, release.Call{ProjectID: project, Step: ledger.Member{StopID: fmt.Sprint("s", i), Hop: 1, JobID: fmt.Sprint(i)}, At: time.Now()}, &jobs.Error{Kind: jobs.KindCredentials}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		began := time.Now()
		run.stop()
		for _, c := range w.sim.AllCalls() {
			if c.At.After(began) {
				t.Errorf("%s call %v after Shutdown began", c.Operation, c.At.Sub(began))
			}
		}
	})
}

// The round that gave a step as the probe of a hold is lost with its worker: the next
// probe does not wait for the time of a call.
func TestAProbeThatWasLostIsMadeAgain(t *testing.T) {
	for _, drop := range []bool{false, true} {
		t.Run(fmt.Sprint(drop), func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				ctx := context.Background()
				h := &dropHook{when: func(c redis.Cmder) bool {
					a := c.Args()
					return drop && strings.HasPrefix(c.Name(), "eval") && len(a) == 23 && a[10] == "vizstop:{"+project+"}:uncounted"
				}}
				rel := release.New(w.rdb, "x", time.Now, release.Config{})
				for range 5 {
					if _, err := rel.Report(ctx, release.Call{ProjectID: project, At: time.Now()}, &jobs.Error{Kind: jobs.KindUnavailable}); err != nil {
						t.Fatal(err)
					}
				}
				w.askIn(project, "b", 3, time.Second)
				began := time.Now()
				run := w.start(func(c *worker.Config) { c.Redis.AddHook(h) })
				defer run.stop()
				w.await(5*time.Minute, "a stop call", func() bool { return w.calls("5001", jobs.OperationStop) > 0 })
				var first time.Time
				for _, c := range w.sim.AllCalls() {
					if first.IsZero() {
						first = c.At
					}
				}
				if first.Sub(began) > 15*time.Second {
					t.Errorf("first call after %v", first.Sub(began))
				}
			})
		})
	}
}

// forgetHook has Redis forget the first script that ends a stop as stopped (a failover), although it was answered.
type forgetHook struct {
	n     atomic.Int32
	first atomic.Int64
}

func (h *forgetHook) forgets() bool {
	h.n.Add(1)
	h.first.CompareAndSwap(0, time.Now().UnixNano())
	return time.Now().UnixNano()-h.first.Load() < int64(2*time.Second)
}

func (h *forgetHook) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *forgetHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (h *forgetHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		items := int64(0)
		for _, a := range cmd.Args() {
			if s, _ := a.(string); s == "stopped" {
				items++
			}
		}
		if items > 0 && strings.HasPrefix(cmd.Name(), "eval") && h.forgets() {
			var v []any
			for range items {
				v = append(v, int64(1))
			}
			cmd.(*redis.Cmd).SetVal(v)
			return nil
		}
		return next(ctx, cmd)
	}
}

// A stop whose end Redis forgot is found while a look of the same round still hangs.
func TestAForgottenEndIsNotHiddenByASlowNeighbour(t *testing.T) {
	for _, hang := range []bool{false, true} {
		t.Run(fmt.Sprint(hang), func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				h := &forgetHook{}
				run := w.start(func(c *worker.Config) { c.Redis.AddHook(h) })
				defer run.stop()
				if hang {
					w.sim.Inject(modelartstest.Fault{Operation: "detail", JobID: "5005", Delay: time.Minute})
				}
				w.askIn(project, "b", 12, 20*time.Second)
				w.await(time.Minute, "the loss", func() bool { return h.n.Load() > 0 })
				began := time.Now()
				w.await(5*time.Minute, "the end of all others", func() bool {
					stops, _, err := w.ledger.BatchStops(context.Background(), project, "b", 0, 20)
					left := 0
					for _, s := range stops {
						if !s.State.Ended() && s.JobID != "5005" {
							left++
						}
					}
					return err == nil && left == 0
				})
				if d := time.Since(began); d > 15*time.Second {
					t.Errorf("stops whose end was forgotten stood still for %v", d)
				}
			})
		})
	}
}

// A malformed task is rejected in a pause, and uses up no probe of a hold.
func TestMalformedTasksNeedNoCall(t *testing.T) {
	put := func(w *world, n int) {
		for i := range n {
			body := fmt.Sprintf(`{"project_id":%q,"job_id":"../x"}`, project)
			if _, err := w.queue.Enqueue(asynq.NewTask(tasks.TypeStop, []byte(body)), asynq.Queue(tasks.Queue), asynq.TaskID(fmt.Sprint("theirs-", i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	rejected := func(w *world) int {
		b, err := w.ledger.Batch(context.Background(), project, "queue-"+time.Now().UTC().Format("20060102"))
		if err != nil {
			return 0
		}
		return b.Counts[ledger.Rejected]
	}
	t.Run("paused", func(t *testing.T) {
		inBubble(t, modelartstest.Config{}, func(w *world) {
			rel := release.New(w.rdb, "x", time.Now, release.Config{})
			if _, err := rel.Pause(context.Background(), project, "me", "why"); err != nil {
				t.Fatal(err)
			}
			run := w.start(nil)
			defer run.stop()
			put(w, 1)
			time.Sleep(time.Minute)
			if n := rejected(w); n != 1 {
				t.Errorf("%d rejected after a minute of a pause, want 1", n)
			}
		})
	})
	t.Run("held", func(t *testing.T) {
		inBubble(t, modelartstest.Config{}, func(w *world) {
			run := w.start(func(c *worker.Config) { c.CheckInterval = 100 * time.Millisecond })
			defer run.stop()
			w.sim.Inject(modelartstest.Fault{Until: time.Now().Add(60 * time.Second), Reply: modelartstest.ReplyHTML(503)})
			w.askIn(project, "b", 8, time.Second)
			time.Sleep(15 * time.Second)
			put(w, 4)
			time.Sleep(4 * time.Second)
			time.Sleep(41 * time.Second)
			began := time.Now()
			w.await(10*time.Minute, "the end", func() bool {
				b, err := w.ledger.Batch(context.Background(), project, "b")
				return err == nil && b.InFlight() == 0
			})
			if d := time.Since(began); d > 15*time.Second {
				t.Errorf("ended after the outage by %v", d)
			}
		})
	})
}

// "enqueue resume" dies right after it has ended the pause of a project: the stops that wait are called for all the
// same.
func TestAResumeDiesHalfWay(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		w.sim.AddJob(project, modelartstest.Job{ID: "11", StopTime: time.Second})
		r := w.start(rarely)
		defer r.stop()
		for job, paused := range map[string]string{"10": project, "11": ""} {
			client := w.connect()
			defer client.Close()
			client.AddHook(&dropHook{when: func(c redis.Cmder) bool { return c.Name() == "hdel" }})
			person := release.New(client, "", time.Now, release.Config{})
			if _, err := person.Pause(context.Background(), paused, "somebody", "why"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
			asks := []ledger.Ask{{JobID: job, Deadline: time.Now().Add(20 * time.Minute), Confirmed: true}}
			if _, err := w.producer.Ask(context.Background(), project, job, asks); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if n := w.calls(job, jobs.OperationStop); n != 0 {
				t.Fatalf("%d stop calls in a pause", n)
			}
			began := time.Now()
			if _, err := person.Resume(context.Background(), paused); err == nil {
				t.Fatal("it has not died")
			}
			s := w.awaitEnd(time.Hour, job)[job]
			wantOutcome(t, s, ledger.Stopped, "")
			if took := s.Ended.Sub(began); took > 15*time.Second {
				t.Errorf("ended %v after the pause, want a round within 5 s", took)
			}
		}
	})
}

// In a Redis Cluster the node that knows when projects are due for a round may lose its writes, or all its data. Stops
// in flight go on all the same, also if a late time is all that was left.
func TestRoundsAreLost(t *testing.T) {
	const due = "vizstop:{-}:rounds"
	for name, row := range map[string]struct {
		lose   func(*world) error
		within time.Duration
	}{
		"all are lost": {func(w *world) error { return w.rdb.Del(context.Background(), due).Err() }, 16 * time.Second},
		"the last write is lost": {func(w *world) error {
			return w.rdb.ZAdd(context.Background(), due, redis.Z{Score: float64(time.Now().Add(20 * time.Minute).UnixMilli()), Member: project}).Err()
		}, 10*time.Minute + 16*time.Second},
	} {
		for when, started := range map[string]bool{"before a worker starts": false, "later": true} {
			t.Run(name+" "+when, func(t *testing.T) {
				inBubble(t, modelartstest.Config{}, func(w *world) {
					w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
					if started {
						r := w.start(rarely)
						defer r.stop()
						time.Sleep(20 * time.Second)
					}
					asks := []ledger.Ask{{JobID: "10", Deadline: time.Now().Add(20 * time.Minute), Confirmed: true}}
					if _, err := w.ledger.Open(context.Background(), project, "b", asks); err != nil {
						t.Fatal(err)
					}
					if err := row.lose(w); err != nil {
						t.Fatal(err)
					}
					began := time.Now()
					if !started {
						r := w.start(rarely)
						defer r.stop()
					}
					s := w.awaitEnd(time.Hour, "b")["10"]
					wantOutcome(t, s, ledger.Stopped, "")
					if took := s.Ended.Sub(began); took > row.within+10*time.Second {
						t.Errorf("ended %v after the loss, want a round within %v", took, row.within)
					}
				})
			})
		}
	}
}
