package simulation

import (
	"context"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/worker"
)

// Each test here loses the answer of a stop call, or what comes after it, of a stop that more than one batch has a say
// in.

// askTimes asks for a job, confirmed, within two times from now.
func (w *world) askTimes(batch, job string, due, deadline time.Duration) {
	w.t.Helper()
	now := time.Now()
	ask := ledger.Ask{JobID: job, Due: now.Add(due), Deadline: now.Add(deadline), Confirmed: true}
	if _, err := w.producer.Ask(context.Background(), project, batch, []ledger.Ask{ask}); err != nil {
		w.t.Fatal(err)
	}
}

// wantEndWithin checks that a batch's one stop ends that soon.
func (w *world) wantEndWithin(limit time.Duration, batch, job string) {
	w.t.Helper()
	began := time.Now()
	if took := w.awaitEnd(12*time.Hour, batch)[job].Ended.Sub(began); took > limit {
		w.t.Errorf("the stop of %s ended after %v, want %v at most", batch, took, limit)
	}
}

var firstOnly = modelartstest.Config{Only: modelartstest.V1}

// lose has the answer of the next stop call get lost, after it has worked or before.
func (w *world) lose(worked bool) {
	reset := modelartstest.ReplyReset()
	w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, Times: 1, AfterEffect: worked, Reply: reset})
}

// awaitStopCall waits until the stop call of job 10 has gone out, and a moment.
func (w *world) awaitStopCall() {
	w.t.Helper()
	for began := time.Now(); w.calls("10", jobs.OperationStop) == 0 && time.Since(began) < time.Minute; {
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
}

// A call that may have worked is not called off: nobody has seen the job since, until it is too late.
func TestCanceledAfterACallThatWorked(t *testing.T) {
	inBubble(t, firstOnly, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 10 * time.Millisecond})
		w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationStop, AfterEffect: true, Reply: modelartstest.ReplyReset()})
		for _, o := range []string{jobs.OperationDetail, jobs.OperationList} {
			w.sim.Inject(modelartstest.Fault{Operation: o, Reply: modelartstest.ReplyHTML(503)})
		}
		r := w.start(rarely)
		defer r.stop()
		w.askTimes("a", "10", 0, time.Minute)
		time.Sleep(10 * time.Second)
		w.withdrawAll("a")
		wantOutcome(t, w.awaitEnd(10*time.Minute, "a")["10"], ledger.Expired, "")
	})
}

// The batch whose call got lost is canceled, and the other one wants the job in ten hours: the job is looked at
// meanwhile.
func TestALostCallOfACanceledBatch(t *testing.T) {
	inBubble(t, firstOnly, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		w.lose(true)
		r := w.start(rarely)
		defer r.stop()
		w.askTimes("a", "10", 0, time.Hour)
		w.askTimes("b", "10", 10*time.Hour, 11*time.Hour)
		w.awaitStopCall()
		w.withdrawAll("a")
		w.wantEndWithin(10*time.Minute, "a", "10")
	})
}

// If that call did not work, the job is not looked at every minute for hours.
func TestALostCallThatDidNotWork(t *testing.T) {
	inBubble(t, firstOnly, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		w.lose(false)
		r := w.start(rarely)
		defer r.stop()
		w.askTimes("a", "10", 0, time.Hour)
		w.askTimes("b", "10", 2*time.Hour, 3*time.Hour)
		w.awaitStopCall()
		w.withdrawAll("a")
		time.Sleep(time.Hour)
		if n := w.calls("10", jobs.OperationDetail); n < 2 || n > 8 {
			t.Errorf("%d looks in an hour", n)
		}
		wantOutcome(t, w.awaitEnd(3*time.Hour, "b")["10"], ledger.Stopped, "")
		if n := w.calls("10", jobs.OperationStop); n != 2 {
			t.Errorf("%d stop calls, want another one when b is due", n)
		}
	})
}

// While the job of such a stop is looked at, a third batch asks for it now.
func TestAnAskDuringALookInsteadOfACall(t *testing.T) {
	inBubble(t, firstOnly, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		w.lose(false)
		slow := w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationDetail, Delay: time.Second})
		r := w.start(rarely)
		defer r.stop()
		w.askTimes("a", "10", 0, time.Hour)
		w.awaitStopCall()
		w.withdrawAll("a")
		w.askTimes("b", "10", 10*time.Hour, 11*time.Hour)
		for slow.Hits() == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		w.askTimes("c", "10", 0, time.Hour)
		w.wantEndWithin(10*time.Minute, "c", "10")
	})
}

// The probe of a hold makes no call, as its deadline has passed when the look before it is answered: the next one comes
// soon.
func TestAProbeWithoutACall(t *testing.T) {
	inBubble(t, secondOnly, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		ids := []string{"20", "21", "22", "23", "24", "25", "26", "27"}
		for _, id := range ids {
			w.sim.AddJob(project, modelartstest.Job{ID: id, StopTime: time.Second})
		}
		w.sim.Inject(modelartstest.Fault{Reply: modelartstest.ReplyHTML(503)})
		r := w.start(nil)
		defer r.stop()
		w.ask("b", ids...)
		w.await(time.Minute, "a hold", func() bool {
			holds, err := w.gate().HoldsOf(context.Background(), project)
			return err == nil && len(holds) > 0
		})
		time.Sleep(5 * time.Second)
		w.sim.ClearFaults()
		slow := modelartstest.Fault{JobID: "10", Operation: jobs.OperationDetail, Times: 1, Delay: 2900 * time.Millisecond}
		w.sim.Inject(slow)
		w.askTimes("a", "10", -time.Hour, 2800*time.Millisecond)
		for _, id := range ids {
			w.wantEndWithin(20*time.Second, "b", id)
		}
		wantOutcome(t, w.awaitEnd(time.Minute, "a")["10"], ledger.Expired, "")
	})
}

// The look before the first stop call is answered after the deadline: no call goes out.
func TestTheDeadlinePassesBeforeTheCall(t *testing.T) {
	inBubble(t, secondOnly, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: time.Second})
		w.sim.Inject(modelartstest.Fault{Operation: jobs.OperationDetail, Times: 1, Delay: 2900 * time.Millisecond})
		r := w.start(nil)
		defer r.stop()
		time.Sleep(time.Second)
		w.askTimes("a", "10", 0, 300*time.Millisecond)
		wantOutcome(t, w.awaitEnd(10*time.Minute, "a")["10"], ledger.Expired, "")
		if n := w.calls("10", jobs.OperationStop); n > 0 {
			t.Errorf("%d stop calls after the deadline", n)
		}
	})
}

// A bug ends a look at a job that is stopping: that is no reason for another stop call.
func TestALookThatPanics(t *testing.T) {
	inBubble(t, firstOnly, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 5 * time.Minute})
		looks := 0
		r := w.start(pausable(&pause{}, nil, func(api worker.Jobs) worker.Jobs {
			return &callSpy{Jobs: api, before: func() {}, after: func(operation string) {
				if operation != jobs.OperationDetail {
					return
				}
				if looks++; looks == 2 {
					panic("odd")
				}
			}}
		}))
		defer r.stop()
		w.askTimes("a", "10", 0, time.Hour)
		wantOutcome(t, w.awaitEnd(2*time.Hour, "a")["10"], ledger.Stopped, "")
		if n := w.calls("10", jobs.OperationStop); n != 1 {
			t.Errorf("%d stop calls, want 1", n)
		}
	})
}
