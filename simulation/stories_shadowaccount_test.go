package simulation

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

const shadowAccount = "account sandbox is a shadow account: no stop call is made for its projects; ask with --shadow"

// startSandbox starts a worker to which project is in the shadow account sandbox while
// shadow says so.
func (w *world) startSandbox(shadow func() bool) *running {
	return w.start(func(c *worker.Config) {
		rarely(c)
		c.Accounts = func() []string { return []string{"sandbox", "default"} }
		c.Release.Serving = func(projectID string) release.Serving {
			if projectID != project {
				return release.Serving{}
			}
			return release.Serving{Account: "sandbox", Shadow: shadow()}
		}
	})
}

// No stop call is made in a shadow account, whatever its producer knows: a foreign task is
// a shadow stop, and a stop of a producer without the file is refused before a mark of its
// call.
func TestAShadowAccountGetsNoStopCall(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(12, func(int) time.Duration { return time.Second })
		r := w.startSandbox(func() bool { return true })
		defer r.stop()
		payload := fmt.Sprintf(`{"project_id":%q,"job_id":%q}`, project, ids[0])
		if _, err := w.queue.Enqueue(asynq.NewTask(tasks.TypeStop, []byte(payload)), asynq.Queue(tasks.Queue)); err != nil {
			t.Fatal(err)
		}
		w.ask("b", ids[1:]...)
		w.askIn(otherProject, "other", 1, time.Second)
		for id, s := range w.awaitEnd(time.Minute, "b") {
			wantOutcome(t, s, ledger.Rejected, shadowAccount)
			if !s.Marked.IsZero() || !s.Called.IsZero() || s.Polls > 0 {
				t.Errorf("job %s: a mark of a call, a call or a look: %+v", id, s)
			}
		}
		day := "queue-" + time.Now().UTC().Format("20060102")
		for _, s := range w.awaitShadow(time.Minute, day+"-shadow") {
			wantOutcome(t, s, ledger.WouldStop, "")
		}
		w.endsIn(otherProject, "other", time.Minute) // the other account is none
		for _, id := range ids {
			if n := w.calls(id, jobs.OperationStop); n > 0 {
				t.Errorf("job %s: %d stop calls", id, n)
			}
		}
	})
}

// The account becomes a shadow account when stops are to be tried again, or are not due
// yet: no further call goes out. One that may have been carried out is looked at first.
func TestAnAccountBecomesAShadowAccount(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(4, func(int) time.Duration { return time.Minute })
		refused := modelartstest.ReplyError(http.StatusBadRequest, "ModelArts.0105", "This job can't be stop. job status: 7")
		w.sim.Inject(modelartstest.Fault{JobID: ids[0], Operation: jobs.OperationStop, Reply: refused})
		w.sim.Inject(modelartstest.Fault{JobID: ids[1], Operation: jobs.OperationStop, Reply: modelartstest.ReplyHTML(500)})
		var shadow atomic.Bool
		r := w.startSandbox(shadow.Load)
		defer r.stop()
		w.ask("b", ids[:3]...)
		w.askDue(w.ledger, ids[3], time.Minute, 20*time.Minute)
		w.await(time.Minute, "calls", func() bool {
			return w.calls(ids[0], jobs.OperationStop) > 0 && w.calls(ids[1], jobs.OperationStop) > 0 && w.calls(ids[2], jobs.OperationStop) > 0
		})
		shadow.Store(true)
		time.Sleep(time.Second)
		before := w.count(jobs.OperationStop)
		stops := w.awaitEnd(10*time.Minute, "b")
		wantOutcome(t, stops[ids[0]], ledger.Rejected, shadowAccount)
		wantOutcome(t, stops[ids[1]], ledger.Rejected, shadowAccount)
		wantOutcome(t, stops[ids[2]], ledger.Stopped, "") // its call was accepted before
		if s := stops[ids[1]]; !s.Unsure || s.Polls == 0 {
			t.Errorf("a call that may have worked: no look, %+v", s)
		}
		wantOutcome(t, w.awaitEnd(2*time.Minute, ids[3])[ids[3]], ledger.Rejected, shadowAccount) // was not due yet
		if n := w.count(jobs.OperationStop); n != before {
			t.Errorf("%d stop calls in a shadow account", n-before)
		}
	})
}

// Whatever the moment at which the account changes, a stop that says that no call was made
// had none, and every call goes out with a mark.
func TestAnAccountThatChangesAllTheTime(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(60, func(int) time.Duration { return time.Second })
		var turn atomic.Uint64
		turn.Store(random.Uint64())
		r := w.startSandbox(func() bool { return turn.Add(0x9e3779b97f4a7c15)>>40%2 == 0 })
		defer r.stop()
		w.asked("b", true, ids...) // confirmed: no limit on what is refused holds the rest
		outcomes := map[ledger.State]int{}
		for id, s := range w.awaitEnd(5*time.Minute, "b") {
			outcomes[s.State]++
			n := w.calls(id, jobs.OperationStop)
			if s.State == ledger.Rejected && (n > 0 || !strings.Contains(s.Reason, shadowAccount)) || s.State == ledger.Stopped && n != 1 {
				t.Errorf("job %s: %d calls, %s: %s", id, n, s.State, s.Reason)
			}
		}
		if outcomes[ledger.Rejected] == 0 || outcomes[ledger.Stopped] == 0 || len(outcomes) != 2 {
			t.Errorf("outcomes %v", outcomes)
		}
	})
}
