package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"vizstop/internal/ledger"
	"vizstop/internal/tasks"
)

// asker asks for the stop of one job from within this process.
type asker func(ctx context.Context, project, job string) error

func (st *stage) asker() asker {
	producer := tasks.NewProducer(st.books(), asynq.NewClientFromRedisClient(st.redis.rdb))
	return func(ctx context.Context, project, job string) error {
		// A batch of its own: nothing is shared with the others.
		_, err := producer.Ask(ctx, project, ledger.NewBatchID(time.Now()), []ledger.Ask{{JobID: job, Deadline: time.Now().Add(time.Hour)}})
		return err
	}
}

// pickup measures how soon an idle worker takes up a stop.
func (b *bench) pickup(ctx context.Context) (*measurement, error) {
	const jobs = 50
	ours := side{name: "vizstop", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		if err := st.startWorker(ctx); err != nil {
			return nil, err
		}
		return st.askSlowly(ctx, jobs, st.asker())
	}}
	defaults := side{name: "asynq with its defaults", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		if err := st.startAsynq(ctx, time.Hour); err != nil {
			return nil, err
		}
		queue := asynq.NewClientFromRedisClient(st.redis.rdb)
		return st.askSlowly(ctx, jobs, func(ctx context.Context, _, job string) error {
			_, err := queue.EnqueueContext(ctx, asynq.NewTask("stop", []byte(job)))
			return err
		})
	}}
	sides := []side{defaults, ours}
	runs, err := b.atOnce(ctx, b.roundsOr(2), sides, 3*time.Minute, "--latency", "0s", "--stop-time", "1h")
	if err != nil {
		return nil, err
	}
	pick := func(s side, q float64) []float64 {
		return over(runs[s.name], func(r *sideRun) float64 { return 1000 * quantile(r.Pickup, q) })
	}
	m := &measurement{
		Title: "Pick-up",
		Work:  "50 jobs, about one a second, an idle worker with its defaults",
		How: "From just before a stop is asked for (for vizstop that includes recording it in the ledger) to the arrival of its stop call at the API. " +
			"Asked for by a Go program; the gaps are 0.8 s to 1.2 s at random. Both sides run at the same time.",
		Goals: []goal{
			{What: "pick-up, p50", Unit: "ms", Most: 20, Rounds: pick(ours, 0.5)},
			{What: "pick-up, p99", Unit: "ms", Most: 60, Rounds: pick(ours, 0.99)},
		},
		Columns: []col{{"p50", "ms"}, {"p99", "ms"}, {"max", "ms"}},
		Runs:    runs,
	}
	for _, s := range sides {
		m.Rows = append(m.Rows, row{s.name, [][]float64{pick(s, 0.5), pick(s, 0.99), pick(s, 1)}})
	}
	return m, nil
}

// askSlowly asks for one job after the other and sees when each call came.
func (st *stage) askSlowly(ctx context.Context, jobs int, ask asker) (*sideRun, error) {
	if err := st.letLoose(ctx); err != nil {
		return nil, err
	}
	asked := map[jobKey]time.Time{}
	for i := range jobs {
		if err := pause(ctx, 800*time.Millisecond+rand.N(400*time.Millisecond)); err != nil {
			return nil, err
		}
		asked[jobKey{project, jobID(i)}] = time.Now()
		if err := ask(ctx, project, jobID(i)); err != nil {
			return nil, err
		}
	}
	r := &sideRun{}
	var err error
	if r.Pickup, err = st.pickups(ctx, asked); err != nil {
		return nil, err
	}
	r.Wall = time.Since(st.began).Seconds()
	return r, st.costs(ctx, r)
}

// pickups waits until the stop calls of all these jobs have arrived, and
// returns how long each took, in seconds.
func (st *stage) pickups(ctx context.Context, asked map[jobKey]time.Time) (took []float64, err error) {
	err = await(ctx, "the stop calls", 500*time.Millisecond, func() (bool, error) {
		histories, err := st.histories(ctx)
		if err != nil {
			return false, err
		}
		took = nil
		for key, at := range asked {
			h, ok := histories[key]
			if !ok {
				return false, fmt.Errorf("the simulator has no job %s", key.job)
			}
			if first := firstStop(h); !first.IsZero() {
				took = append(took, first.Sub(at).Seconds())
			}
		}
		return len(took) == len(asked), st.parts["worker"].ended()
	})
	return took, err
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
