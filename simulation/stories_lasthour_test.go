package simulation

import (
	"context"
	"fmt"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/lasthour"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
)

// What two workers do is in the last hour, all of it once they have ended: each stop once,
// and each call that the API has answered. What an idle worker does is not there.
func TestTheLastHour(t *testing.T) {
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ids := w.addJobs(30, func(i int) time.Duration { return time.Duration(i) * time.Second })
		w.sim.AddJob(project, modelartstest.Job{ID: "10"})
		a, b := w.start(nil), w.start(nil)
		w.ask("b", append(ids, "404")...)
		w.askShadow("s", "10")
		w.awaitEnd(5*time.Minute, "b")
		w.awaitShadow(5*time.Minute, "s")
		a.stop()
		b.stop()

		read := lasthour.NewReader(w.rdb, time.Now)
		minutes, err := read.Read(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		sum := lasthour.Sum(minutes...)
		want := map[ledger.State]int{ledger.NotFound: 1, ledger.Stopped: 30}
		if got := sum.Outcomes; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("outcomes %v, want %v", got, want)
		}
		if got, want := fmt.Sprint(sum.Shadows), fmt.Sprint(map[ledger.State]int{ledger.WouldStop: 1}); got != want {
			t.Errorf("shadow outcomes %v, want %v", got, want)
		}
		if n := sum.Lag.Count(); n != 30 {
			t.Errorf("%d times until a stop was confirmed, want 30", n)
		}
		if half := sum.Lag.Quantile(0.5); half < 7*time.Second || half > 40*time.Second {
			t.Errorf("half are confirmed within about %v; the jobs take up to 30 s to stop", half)
		}
		for _, operation := range []string{jobs.OperationStop, jobs.OperationDetail, jobs.OperationList} {
			if got, want := sum.Calls[operation], w.count(operation); got.Good != want || got.Bad+got.Throttled > 0 {
				t.Errorf("%s calls %+v, want %d good ones", operation, got, want)
			}
		}

		// An idle worker writes nothing.
		keys := len(w.rdb.Keys(context.Background(), "vizstop:{-}:minute:*").Val())
		idle := w.start(nil)
		time.Sleep(10 * time.Minute)
		idle.stop()
		if n := len(w.rdb.Keys(context.Background(), "vizstop:{-}:minute:*").Val()); keys == 0 || n != keys {
			t.Errorf("%d minutes in Redis, %d before an idle worker", n, keys)
		}
		time.Sleep(2 * time.Hour)
		if left := w.rdb.Keys(context.Background(), "vizstop:{-}:minute:*").Val(); len(left) > 0 {
			t.Errorf("left after two hours: %q", left)
		}
	})
}
