package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// parallel is how many calls or tasks each side may have at work at once.
const parallel = 64

// plainSide is a Go program with goroutines and no durability: the ask is its
// start.
func plainSide(jobs int, poll time.Duration) side {
	return side{name: "plain Go program", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		return st.runToEnd(ctx, filepath.Join(st.bin, "plain"), "-endpoint", st.url, "-project", project,
			"-parallel", strconv.Itoa(parallel), "-poll", poll.String())
	}}
}

// curlSide is a shell loop.
func curlSide(jobs int, script, poll string) side {
	return side{name: "xargs and curl", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		return st.runToEnd(ctx, script, st.url, project, strconv.Itoa(parallel), poll)
	}}
}

// runToEnd runs a program that reads ids and ends when all jobs have.
func (st *stage) runToEnd(ctx context.Context, path string, args ...string) (*sideRun, error) {
	if err := st.letLoose(ctx); err != nil {
		return nil, err
	}
	p, err := st.feed(ctx, path, args...)
	if err != nil {
		return nil, err
	}
	st.parts["worker"] = p
	if err := p.finish(ctx); err != nil {
		return nil, err
	}
	return st.conclude(ctx)
}

// feed starts a program with the list of ids as its standard input.
func (st *stage) feed(ctx context.Context, path string, args ...string) (*process, error) {
	f, err := os.Open(st.list)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return startWith(ctx, f, []string{"HW_AUTH_TOKEN=bench"}, path, args...)
}

// conclude reads what a baseline's run has cost and shown.
func (st *stage) conclude(ctx context.Context) (*sideRun, error) {
	r := &sideRun{}
	if err := st.costs(ctx, r); err != nil {
		return nil, err
	}
	return r, st.measure(ctx, r, nil)
}

// asynqSide is asynq with its defaults: a worker that runs already, and a
// program that enqueues.
func asynqSide(jobs int, poll time.Duration) side {
	return side{name: "asynq with its defaults", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		if err := st.startAsynq(ctx, poll); err != nil {
			return nil, err
		}
		if err := st.letLoose(ctx); err != nil {
			return nil, err
		}
		enqueue, err := st.feed(ctx, filepath.Join(st.bin, "asynqdefaults"), "-redis", st.redis.addr, "-enqueue")
		if err != nil {
			return nil, err
		}
		st.parts["enqueue"] = enqueue
		if err := enqueue.finish(ctx); err != nil {
			return nil, err
		}
		err = await(ctx, "the end of all jobs", 100*time.Millisecond, func() (bool, error) {
			c, err := st.counts(ctx)
			if err != nil {
				return false, err
			}
			return c.ShownEnded == jobs, st.parts["worker"].ended()
		})
		if err != nil {
			return nil, err
		}
		return st.conclude(ctx)
	}}
}

func (st *stage) startAsynq(ctx context.Context, poll time.Duration) error {
	p, err := start(ctx, []string{"HW_AUTH_TOKEN=bench"}, filepath.Join(st.bin, "asynqdefaults"), "-redis", st.redis.addr,
		"-endpoint", st.url, "-project", project, "-parallel", strconv.Itoa(parallel), "-poll", poll.String())
	if err != nil {
		return err
	}
	st.parts["worker"] = p
	wait, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return await(wait, "asynq's worker", 10*time.Millisecond, func() (bool, error) {
		n, err := st.redis.rdb.Exists(ctx, "asynq:servers").Result()
		if err != nil {
			return false, err
		}
		return n == 1, p.ended()
	})
}
