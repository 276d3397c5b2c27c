package simulation

import (
	"context"
	"testing"
	"time"

	"vizstop/internal/fleet"
	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
)

// setRedisClock makes Redis' clock, as the scripts see it, jump by that much. The
// fleet's time is Redis' clock and a shift.
func (w *world) setRedisClock(by time.Duration) {
	w.t.Helper()
	if err := w.rdb.HIncrBy(context.Background(), "vizstop:{-}:clock", "shift", by.Milliseconds()).Err(); err != nil {
		w.t.Fatal(err)
	}
}

// askDue asks for a job that is due after that long, by the fleet's time as l has
// it, and has so long from then on.
func (w *world) askDue(l *ledger.Ledger, job string, after, life time.Duration) {
	w.t.Helper()
	due := l.Now().Add(after)
	if _, err := w.producer.Ask(context.Background(), project, job, []ledger.Ask{{JobID: job, Due: due, Deadline: due.Add(life)}}); err != nil {
		w.t.Fatal(err)
	}
}

// wantCalledAfter checks that the stop call for a job went out once, that long after
// began, give or take slack.
func (w *world) wantCalledAfter(job string, began time.Time, after, slack time.Duration) {
	w.t.Helper()
	calls := w.callsOf(job, jobs.OperationStop)
	if len(calls) != 1 {
		w.t.Fatalf("job %s: stop calls at %v, want 1", job, calls)
	}
	if took := calls[0].Sub(began); took < after || took > after+slack {
		w.t.Errorf("job %s was called after %v, want %v and at most %v more", job, took, after, slack)
	}
}

// Redis' clock jumps by an hour (a failover) while one stop waits, one is being
// confirmed and one is due later: nothing is delayed by more than a minute,
// called early or expired.
func TestRedisClockJumps(t *testing.T) {
	for name, by := range map[string]time.Duration{"back": -time.Hour, "forward": time.Hour} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				for _, job := range []string{"10", "11", "12"} {
					w.sim.AddJob(project, modelartstest.Job{ID: job, StopTime: 40 * time.Second})
				}
				r, other := w.start(rarely), w.start(rarely)
				defer r.stop()
				defer other.stop()
				time.Sleep(20 * time.Second)
				began := time.Now()
				w.askDue(w.ledger, "10", 0, 20*time.Minute)
				w.askDue(w.ledger, "11", 2*time.Minute, 20*time.Minute)
				w.askDue(w.ledger, "12", 8*time.Minute, 3*time.Minute)
				time.Sleep(10 * time.Second)
				w.setRedisClock(by)
				for _, job := range []string{"10", "11", "12"} {
					wantOutcome(t, w.awaitEnd(2*time.Hour, job)[job], ledger.Stopped, "")
				}
				w.wantCalledAfter("10", began, 0, 5*time.Second)
				w.wantCalledAfter("11", began, 2*time.Minute, time.Minute)
				w.wantCalledAfter("12", began, 8*time.Minute, time.Minute)
				job, _ := w.sim.Job(project, "10")
				if s := w.awaitEnd(time.Second, "10")["10"]; s.Polls > 20 || job.EndedAt.Sub(began) > time.Minute {
					t.Errorf("job 10 ended %v after it was asked for, with %d polls", job.EndedAt.Sub(began), s.Polls)
				}
				if n := r.counted(t, ledger.Expired) + other.counted(t, ledger.Expired); n > 0 {
					t.Errorf("%d stops expired", n)
				}
			})
		})
	}
}

// A failover takes a while, and the clock of the new master is an hour ahead: nothing expires.
func TestAFailoverSetsTheClockForward(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "10", StopTime: 2 * time.Minute})
		r, other := w.start(rarely), w.start(rarely)
		defer r.stop()
		defer other.stop()
		time.Sleep(20 * time.Second)
		w.ask("b", "10")
		time.Sleep(10 * time.Second)
		w.redis.SetError("LOADING Redis is loading the dataset in memory")
		time.Sleep(time.Minute)
		w.redis.HIncrBy("vizstop:{-}:clock", "shift", int(time.Hour.Milliseconds()))
		w.redis.SetError("")
		wantOutcome(t, w.awaitEnd(10*time.Minute, "b")["10"], ledger.Stopped, "")
	})
}

// The same, and a new worker is there before the one that knows what time it is: it waits for that one, and nothing
// expires or is called early.
func TestANewWorkerIsFirstAfterAFailover(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		for _, job := range []string{"10", "11"} {
			w.sim.AddJob(project, modelartstest.Job{ID: job, StopTime: 10 * time.Second})
		}
		r := w.start(rarely)
		defer r.stop()
		time.Sleep(20 * time.Second)
		began := time.Now()
		w.askDue(w.ledger, "10", 8*time.Minute, 3*time.Minute)
		w.askDue(w.ledger, "11", 5*time.Minute, 2*time.Hour)
		time.Sleep(1500 * time.Millisecond)
		w.setRedisClock(time.Hour)
		late := w.start(rarely)
		defer late.stop()
		for _, job := range []string{"10", "11"} {
			wantOutcome(t, w.awaitEnd(2*time.Hour, job)[job], ledger.Stopped, "")
		}
		w.wantCalledAfter("10", began, 8*time.Minute, time.Minute)
		w.wantCalledAfter("11", began, 5*time.Minute, time.Minute)
	})
}

// The clocks of all programs are an hour behind or ahead of Redis', which is right:
// nothing expires, and nothing is called early or late.
func TestOwnClockIsAnHourOff(t *testing.T) {
	for name, by := range map[string]time.Duration{"behind": time.Hour, "ahead": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				w.setRedisClock(by)
				member := fleet.New(w.rdb, 0)
				if err := member.Sync(context.Background()); err != nil {
					t.Fatal(err)
				}
				if off := time.Until(member.Now()); (off - by).Abs() > time.Second {
					t.Fatalf("the fleet's time is off by %v, want %v", off, by)
				}
				for _, job := range []string{"10", "11"} {
					w.sim.AddJob(project, modelartstest.Job{ID: job, StopTime: 10 * time.Second})
				}
				l := ledger.New(w.rdb, member.Now)
				r := w.start(nil)
				defer r.stop()
				began := time.Now()
				w.askDue(l, "10", 0, 5*time.Minute)
				w.askDue(l, "11", 3*time.Minute, 5*time.Minute)
				for _, job := range []string{"10", "11"} {
					wantOutcome(t, w.awaitEnd(2*time.Hour, job)[job], ledger.Stopped, "")
				}
				w.wantCalledAfter("10", began, 0, 5*time.Second)
				w.wantCalledAfter("11", began, 3*time.Minute, 5*time.Second)
			})
		})
	}
}
