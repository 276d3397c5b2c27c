package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// parallel is how many calls or tasks each side may have at work at once.
const parallel = 64

// plainSide is a Go program with goroutines and no durability: the ask is its
// start. It says itself when it saw each job ended.
func plainSide(jobs int, poll time.Duration) side {
	return side{name: "plain Go program", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		if err := st.runToEnd(ctx, filepath.Join(st.bin, "plain"), "-endpoint", st.url, "-project", project,
			"-parallel", strconv.Itoa(parallel), "-poll", poll.String()); err != nil {
			return nil, err
		}
		seen, err := seenEnded(st.parts["worker"].stdout.String())
		if err != nil {
			return nil, err
		}
		return st.conclude(ctx, seen)
	}}
}

// seenEnded reads what the plain program prints: a line for each job, with its id and when it was seen ended.
func seenEnded(out string) (map[string]time.Time, error) {
	seen := map[string]time.Time{}
	for line := range strings.Lines(out) {
		id, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, fmt.Errorf("the plain program printed %q: %w", line, err)
		}
		seen[id] = at
	}
	return seen, nil
}

// curlSide is a shell loop.
func curlSide(jobs int, script, poll string) side {
	return side{name: "xargs and curl", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		if err := st.runToEnd(ctx, script, st.url, project, strconv.Itoa(parallel), poll); err != nil {
			return nil, err
		}
		return st.conclude(ctx, nil)
	}}
}

// runToEnd runs a program that reads ids and ends when all jobs have.
func (st *stage) runToEnd(ctx context.Context, path string, args ...string) error {
	if err := st.letLoose(ctx); err != nil {
		return err
	}
	p, err := st.feed(ctx, st.list, path, args...)
	if err != nil {
		return err
	}
	st.parts["worker"] = p
	return p.finish(ctx)
}

// feed starts a program with a list of ids as its standard input.
func (st *stage) feed(ctx context.Context, list, path string, args ...string) (*process, error) {
	f, err := os.Open(list)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return startWith(ctx, f, []string{"HW_AUTH_TOKEN=bench"}, path, args...)
}

// conclude reads what a run has cost and shown; confirmed is as measure wants it.
func (st *stage) conclude(ctx context.Context, confirmed map[string]time.Time) (*sideRun, error) {
	r := &sideRun{}
	if err := st.costs(ctx, r); err != nil {
		return nil, err
	}
	return r, st.measure(ctx, r, confirmed)
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
		if err := st.enqueueAsynq(ctx, st.list); err != nil {
			return nil, err
		}
		if err := st.awaitShown(ctx, jobs); err != nil {
			return nil, err
		}
		return st.conclude(ctx, nil)
	}}
}

// awaitShown waits until detail answers have shown so many jobs ended.
func (st *stage) awaitShown(ctx context.Context, jobs int) error {
	return await(ctx, "the end of all jobs", 100*time.Millisecond, func() (bool, error) {
		c, err := st.counts(ctx)
		if err != nil {
			return false, err
		}
		return c.ShownEnded >= jobs, st.parts["worker"].ended()
	})
}

// enqueueAsynq enqueues the ids of a list with a program of asynq's defaults.
func (st *stage) enqueueAsynq(ctx context.Context, list string) error {
	p, err := st.feed(ctx, list, filepath.Join(st.bin, "asynqdefaults"), "-redis", st.redis.addr, "-enqueue")
	if err != nil {
		return err
	}
	st.parts["enqueue"] = p
	return p.finish(ctx)
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
