package simulation

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
	v1 "vizstop/internal/modelarts/v1"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
	"vizstop/internal/worker"
)

// strangeAPI is the API of another region: it knows none of the jobs.
type strangeAPI struct{ calls atomic.Int64 }

func (a *strangeAPI) refuse(operation string) error {
	a.calls.Add(1)
	return &jobs.Error{Operation: operation, HTTPStatus: 404, Code: "ModelArts.0102", Kind: jobs.KindNotFound}
}

func (a *strangeAPI) Stop(context.Context, string, string) (jobs.Accepted, error) {
	return jobs.Accepted{}, a.refuse(jobs.OperationStop)
}

func (a *strangeAPI) Get(context.Context, string, string) (*jobs.Job, error) {
	return nil, a.refuse(jobs.OperationDetail)
}

func (a *strangeAPI) List(context.Context, string, jobs.Query) (*jobs.Page, error) {
	return nil, a.refuse(jobs.OperationList)
}

// Two workers with different endpoints on one Redis: the project belongs to the
// endpoint of its first stop while any is in flight. The other worker makes no call
// for it, and says so.
func TestTwoEndpoints(t *testing.T) {
	const here, there = "https://here.example", "https://there.example"
	at := func(endpoint string) func(*worker.Config) {
		return func(c *worker.Config) {
			c.Release.Serving = func(string) release.Serving { return release.Serving{Endpoint: endpoint} }
		}
	}
	inBubble(t, modelartstest.Config{}, func(w *world) {
		ctx, strange := context.Background(), &strangeAPI{}
		other := func(c *worker.Config) { at(there)(c); c.Jobs = strange }
		var ids []string
		for i := range 20 {
			ids = append(ids, string(rune('a'+i)))
			w.sim.AddJob(project, modelartstest.Job{ID: ids[i], StopTime: 20 * time.Second})
		}
		w.sim.AddJob(project, modelartstest.Job{ID: "z", StopTime: 20 * time.Second})
		a := w.start(at(here))
		w.ask("first", "z")
		w.await(time.Minute, "an accepted stop", func() bool { return w.calls("z", jobs.OperationStop) > 0 })

		b := w.start(other)
		w.ask("b", ids...)
		w.await(time.Minute, "a word of the other worker", func() bool {
			_, notes := b.Ready(ctx)
			return strings.Contains(strings.Join(notes, "\n"), "project "+project+" is left alone: its stops are at "+here+", and this worker calls "+there)
		})
		_, err := w.ledger.OpenAt(ctx, project, "c", there, []ledger.Ask{{JobID: "y", Deadline: time.Now().Add(time.Hour)}})
		if elsewhere, ok := errors.AsType[*ledger.ElsewhereError](err); !ok || elsewhere.Recorded != here {
			t.Errorf("asked for jobs at another endpoint: %v", err)
		}
		for _, s := range w.awaitEnd(10*time.Minute, "b") {
			wantOutcome(t, s, ledger.Stopped, said(v1.StatusKilled))
		}
		w.awaitEnd(10*time.Minute, "first") // or the project is not free when its worker has gone
		if n := strange.calls.Load(); n > 0 {
			t.Errorf("%d calls at the wrong endpoint", n)
		}
		if !strings.Contains(w.log.String(), "a project is left alone") {
			t.Error("nobody was told in the log")
		}

		// Stops that only a worker with the right endpoint could make end in time.
		w.sim.AddJob(project, modelartstest.Job{ID: "x"})
		late := ledger.Ask{JobID: "x", Due: time.Now().Add(time.Minute), Deadline: time.Now().Add(2 * time.Minute)}
		if _, err := tasks.NewProducer(w.ledger, w.rdb).At(func(string) string { return here }).Ask(ctx, project, "late", []ledger.Ask{late}); err != nil {
			t.Fatal(err)
		}
		a.stop()
		wantOutcome(t, w.awaitEnd(5*time.Minute, "late")["x"], ledger.Expired, "")

		// When none is in flight, the project is free.
		w.ask("d", "x")
		wantOutcome(t, w.awaitEnd(5*time.Minute, "d")["x"], ledger.NotFound, "")
		if strange.calls.Load() == 0 {
			t.Error("no call was made at the other endpoint")
		}
		b.stop()
	})
}

func (a *strangeAPI) PageSize(string) int { return 100 }
