package worker

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vizstop/internal/jobs"
	"vizstop/internal/ledger"
	"vizstop/internal/logtest"
	"vizstop/internal/modelarts/modelartstest"
	"vizstop/internal/redistest"
	"vizstop/internal/release"
	"vizstop/internal/tasks"
)

// hanging lets detail calls of one job hang.
type hanging struct {
	Jobs
	job  string
	hung chan struct{}
}

func (h *hanging) Get(ctx context.Context, projectID, jobID string) (*jobs.Job, error) {
	if jobID == h.job {
		select {
		case h.hung <- struct{}{}:
		default:
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return h.Jobs.Get(ctx, projectID, jobID)
}

// A worker that ends while a look of its rounds hangs takes no more tasks: others have time for them.
func TestShutdownTakesNoMoreTasks(t *testing.T) {
	const project, other = "0123456789abcdef0123456789abcdef", "1123456789abcdef0123456789abcdef"
	server := redistest.Start(t)
	outside := server.Client(t)
	sim, err := modelartstest.Start(modelartstest.Config{Latency: func(string) time.Duration { return 200 * time.Millisecond }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	var asks []ledger.Ask
	for i := range 200 {
		id := fmt.Sprint(100 + i)
		sim.AddJob(project, modelartstest.Job{ID: id, StopTime: time.Hour})
		asks = append(asks, ledger.Ask{JobID: id, Deadline: time.Now().Add(time.Hour)})
	}
	sim.AddJob(other, modelartstest.Job{ID: "10"})
	start := func(hang *hanging, log *slog.Logger) *Worker {
		reg := prometheus.NewRegistry()
		events := NewMetrics(reg, "test")
		api, err := sim.API(ObserveAPI(events, release.DefaultAccount))
		if err != nil {
			t.Fatal(err)
		}
		var j Jobs = api
		if hang != nil {
			hang.Jobs = api
			j = hang
		}
		w := New(Config{Redis: server.Client(t), Jobs: j, Registry: reg, Metrics: events, Concurrency: 10, Logger: log,
			ShutdownTimeout: 3 * time.Second})
		if err := w.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w
	}
	var log logtest.Buffer
	hang := &hanging{job: "10", hung: make(chan struct{}, 1)}
	a := start(hang, slog.New(slog.NewJSONHandler(&log, nil)))
	producer := tasks.NewProducer(ledger.New(outside, time.Now), outside)
	shadow := []ledger.Ask{{JobID: "10", Deadline: time.Now().Add(time.Hour), Shadow: true}}
	if _, err := producer.Ask(t.Context(), other, "s", shadow); err != nil {
		t.Fatal(err)
	}
	<-hang.hung
	b := start(nil, slog.New(slog.DiscardHandler))
	defer b.Shutdown()
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.Shutdown()
	}()
	<-a.stopping.Done()
	time.Sleep(200 * time.Millisecond) // it has told its servers
	if _, err := producer.Ask(t.Context(), project, "b", asks); err != nil {
		t.Fatal(err)
	}
	<-done
	if n := strings.Count(log.String(), "task comes again"); n > 0 {
		t.Errorf("the ending worker took %d tasks and gave them back; %d stop calls meanwhile", n, sim.Counts()[jobs.OperationStop])
	}
}
