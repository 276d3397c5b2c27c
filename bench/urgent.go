package main

import (
	"context"
	"time"
)

// urgent measures how long a stop waits that comes when thousands of polls are
// due and the rate is used up.
func (b *bench) urgent(ctx context.Context) (*measurement, error) {
	const jobs, urgent = 5000, 5
	ours := side{name: "vizstop", jobs: jobs + urgent, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		return st.hurry(ctx, jobs, urgent)
	}}
	runs, err := b.inTurn(ctx, b.roundsOr(2), []side{ours}, 5*time.Minute, "--latency", "20ms", "--stop-time", "1h",
		"--stop-spread", "0")
	if err != nil {
		return nil, err
	}
	slowest := pickups(runs[ours.name], 1)
	return &measurement{
		Title: "An urgent stop",
		Work:  "one stop enqueued behind 5,000 waiting polls, limit 50 requests/s",
		How: "A worker without a limit has 5,000 stops accepted, which are polled from 20 s on. Then a worker with " +
			"`--api-rate 50` takes over, when every poll is due: work for 100 s. From 3 s after its start `enqueue` asks for " +
			"a stop every two seconds, five in all: from the start of that command to the arrival of its call, the slowest of " +
			"them.",
		Goals:   []goal{atMost("urgent stop behind 5,000 polls, asked to sent", "s", 1, slowest)},
		Columns: []col{{"median", "s"}, {"slowest", "s"}},
		Rows:    []row{{ours.name, [][]float64{pickups(runs[ours.name], 0.5), slowest}}},
		Runs:    runs,
	}, nil
}

func (st *stage) hurry(ctx context.Context, jobs, urgent int) (*sideRun, error) {
	const first = 20 * time.Second
	backlog, err := writeIDs(st.dir, firstJob, jobs)
	if err != nil {
		return nil, err
	}
	if err := st.startWorker(ctx, "--concurrency", "64", "--api-rate", "0", "--poll-first", first.String()); err != nil {
		return nil, err
	}
	batch, err := st.enqueue(ctx, project, backlog)
	if err != nil {
		return nil, err
	}
	err = await(ctx, "acceptance of the backlog", 50*time.Millisecond, func() (bool, error) {
		got, err := st.standing(ctx, project, batch)
		return err == nil && got.accepted == jobs, err
	})
	if err != nil {
		return nil, err
	}
	st.parts["worker"].stop()
	if err := pause(ctx, first); err != nil {
		return nil, err
	}
	if err := st.startWorker(ctx, "--concurrency", "64", "--api-rate", "50", "--poll-first", first.String()); err != nil {
		return nil, err
	}
	return st.askBehind(ctx, jobs, urgent)
}

// askBehind asks for one job after the other behind a backlog, from 3 s on and then every two, and sees when each call
// came. The first of the jobs is number from of the list.
func (st *stage) askBehind(ctx context.Context, from, jobs int) (*sideRun, error) {
	if err := st.letLoose(ctx); err != nil {
		return nil, err
	}
	keys := make([]jobKey, jobs)
	for i := range keys {
		keys[i] = jobKey{project, jobID(from + i)}
	}
	asked, err := st.askEvery(ctx, keys, 3*time.Second, 2*time.Second)
	if err != nil {
		return nil, err
	}
	return st.sent(ctx, asked)
}

// askEvery asks for one job after the other, the first after a while and the others at intervals, and returns when it
// asked for each.
func (st *stage) askEvery(ctx context.Context, keys []jobKey, first, interval time.Duration) (map[jobKey]time.Time, error) {
	asked := map[jobKey]time.Time{}
	wait := first
	for _, key := range keys {
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
		asked[key] = time.Now()
		if _, err := st.ask(ctx, key.project, key.job); err != nil {
			return nil, err
		}
		wait = interval
	}
	return asked, nil
}

// sent waits for the calls of the jobs and concludes the run.
func (st *stage) sent(ctx context.Context, asked map[jobKey]time.Time) (*sideRun, error) {
	r := &sideRun{}
	var err error
	if r.Pickup, err = st.pickups(ctx, asked); err != nil {
		return nil, err
	}
	r.Wall = time.Since(st.began).Seconds()
	return r, st.costs(ctx, r)
}
