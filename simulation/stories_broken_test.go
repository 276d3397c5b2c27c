package simulation

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
)

// Somebody has written something else under the name of a stop. That one is lost, and said to be; all others of the
// project end as ever, by their stop calls and by their deadlines.
func TestAKeyThatHoldsNoStop(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "1", StopTime: time.Second})
		w.sim.AddJob(project, modelartstest.Job{ID: "2", StopTime: time.Second})
		w.sim.AddJob(project, modelartstest.Job{ID: "3", StopTime: time.Second})
		w.ask("due", "1", "2", "3")
		lost := ledger.Keys(project).Stop(ledger.StopID("due", project, "2"))
		if err := w.rdb.Set(context.Background(), lost, "somebody wrote this", 0).Err(); err != nil {
			t.Fatal(err)
		}
		r := w.start(rarely)
		defer r.stop()
		byJob := map[string]*ledger.Stop{}
		w.await(5*time.Minute, "the end of the others", func() bool {
			stops, _, err := w.ledger.BatchStops(context.Background(), project, "due", 0, 10)
			if ledger.Unreadable(err) == nil {
				t.Fatal(err)
			}
			for _, s := range stops {
				byJob[s.JobID] = s
			}
			return byJob["1"].State.Ended() && byJob["3"].State.Ended()
		})
		wantOutcome(t, byJob["1"], ledger.Stopped, "")
		wantOutcome(t, byJob["3"], ledger.Stopped, "")
		w.await(time.Minute, "the lost stop in the log", func() bool {
			return strings.Contains(w.log.String(), "a stop is lost") && strings.Contains(w.log.String(), lost)
		})
		told := strings.Count(w.log.String(), "a stop is lost")
		time.Sleep(30 * time.Minute)
		if n := strings.Count(w.log.String(), "a stop is lost"); n > told+1 { // its deadline
			t.Errorf("the lost stop was told of %d times", n)
		}
		if n := w.calls("2", "stop"); n > 0 {
			t.Errorf("%d stop calls for the stop that is lost", n)
		}
	})
}

// Records of stops are damaged, or of a version to come: such a stop ends, once, and says why, and no call is made for
// it.
func TestStopsThatCannotBeUnderstood(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		for _, job := range []string{"1", "2", "3", "4"} {
			w.sim.AddJob(project, modelartstest.Job{ID: job, StopTime: time.Second})
		}
		w.ask("b", "1", "2", "3", "4")
		record := func(job string) string { return ledger.Keys(project).Stop(ledger.StopID("b", project, job)) }
		ctx := context.Background()
		w.rdb.HDel(ctx, record("1"), "deadline")
		w.rdb.HSet(ctx, record("2"), "kind", "restart")
		w.rdb.HSet(ctx, record("3"), "deadline", "tomorrow", "unsure", "1")
		r := w.start(rarely)
		defer r.stop()
		time.Sleep(2 * time.Minute)
		for job, ended := range map[string]bool{"1": true, "2": false, "3": true, "4": true} {
			s, err := w.ledger.Get(ctx, project, ledger.StopID("b", project, job))
			if err != nil || s.State.Ended() != ended {
				t.Errorf("job %s is %s after 2 minutes, %v", job, s.State, err)
			}
		}
		byJob := w.awaitEnd(time.Hour, "b")
		if n := strings.Count(w.log.String(), "step is released again"); n > 0 {
			t.Errorf("%d steps were released again", n)
		}
		wantOutcome(t, byJob["1"], ledger.Rejected,
			"its record has no deadline: it is damaged, or of a newer version; no stop call went out: ask again")
		wantOutcome(t, byJob["2"], ledger.Rejected, `its record has the kind "restart": it is damaged`)
		wantOutcome(t, byJob["3"], ledger.Rejected, "a stop call may have gone out: look at the job")
		wantOutcome(t, byJob["4"], ledger.Stopped, "")
		time.Sleep(time.Minute)
		for _, job := range []string{"1", "2", "3"} {
			if n := len(w.sim.Calls(project, job)); n > 0 {
				t.Errorf("%d calls for job %s, want none", n, job)
			}
		}
		if n := r.counted(t, ledger.Rejected); n != 3 {
			t.Errorf("%d stops counted as rejected, want 3", n)
		}
		w.wantEmptyQueue()
	})
}

// A record has lost its job, or the number of its step: its stop ends all the same, and the job can be asked for again.
func TestRecordsWithoutJobOrHop(t *testing.T) {
	for _, fields := range [][]string{{"hop"}, {"job"}, {"hop", "deadline"}, {"job", "deadline"}} {
		t.Run(strings.Join(fields, " "), func(t *testing.T) {
			inBubble(t, modelartstest.Config{}, func(w *world) {
				w.sim.AddJob(project, modelartstest.Job{ID: "1", StopTime: time.Second})
				w.ask("b", "1")
				ctx := context.Background()
				k, id := ledger.Keys(project), ledger.StopID("b", project, "1")
				w.rdb.HDel(ctx, k.Stop(id), fields...)
				r := w.start(rarely)
				defer r.stop()
				for _, s := range w.awaitEnd(time.Hour, "b") {
					wantOutcome(t, s, ledger.Rejected, fields[0]) // named in the reason
				}
				w.ask("c", "1")
				wantOutcome(t, w.awaitEnd(time.Hour, "c")["1"], ledger.Stopped, "")
				time.Sleep(time.Minute)
				if n := w.rdb.ZCard(ctx, k.Released()).Val() + w.rdb.ZCard(ctx, k.Latest()).Val(); n > 0 {
					t.Errorf("%d stops are still looked after", n)
				}
			})
		})
	}
}

// A worker of a newer version has claimed the step of a stop, of a kind that only it knows, and has it looked after long
// before its deadline: a worker of this version leaves it alone.
func TestAKindOfANewerVersion(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		w.sim.AddJob(project, modelartstest.Job{ID: "1", StopTime: time.Second})
		w.ask("b", "1")
		ctx := context.Background()
		k, id := ledger.Keys(project), ledger.StopID("b", project, "1")
		w.rdb.HSet(ctx, k.Stop(id), "kind", "confirm", "claimed", "1 n", "worker", "newer", "state", "stopping")
		w.rdb.ZAdd(ctx, k.Latest(), redis.Z{Score: float64(time.Now().Add(time.Minute).UnixMilli()), Member: id})
		r := w.start(rarely)
		defer r.stop()
		time.Sleep(5 * time.Minute)
		if s, err := w.ledger.Get(ctx, project, id); err != nil || s.State.Ended() {
			t.Errorf("long before its deadline it is %s (%s), %v", s.State, s.Reason, err)
		}
		if n := strings.Count(w.log.String(), "step is released again"); n > 0 {
			t.Errorf("its step was released again %d times", n)
		}
	})
}
