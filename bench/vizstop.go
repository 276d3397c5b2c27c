package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// startWorker starts a worker and returns when it takes tasks.
func (st *stage) startWorker(ctx context.Context, args ...string) error {
	if err := st.launchWorker(ctx, args...); err != nil {
		return err
	}
	return st.awaitWorker(ctx)
}

// launchWorker starts a worker, in place of the one before. Its log keeps
// warnings only: no baseline logs each job.
func (st *stage) launchWorker(ctx context.Context, args ...string) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	st.retire("worker")
	st.workerURL = "http://" + addr
	all := append([]string{"run", "--redis", "redis://" + st.workerRedis + "/0", "--endpoint", st.url, "--listen", addr,
		"--log-level", "warn"}, args...)
	env := []string{"HW_ACCESS_KEY=BENCHACCESSKEY", "HW_SECRET_KEY=bench-secret-key"}
	p, err := start(ctx, env, filepath.Join(st.bin, "worker"), all...)
	if err != nil {
		return err
	}
	st.parts["worker"] = p
	return nil
}

// awaitWorker waits until the worker says that it can do its work.
func (st *stage) awaitWorker(ctx context.Context) error {
	wait, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return await(wait, "the worker", 20*time.Millisecond, func() (bool, error) {
		status, err := st.ready(wait)
		if err != nil {
			return false, st.parts["worker"].ended()
		}
		return status == http.StatusOK, st.parts["worker"].ended()
	})
}

// ready asks the worker for /readyz and returns the HTTP status.
func (st *stage) ready(ctx context.Context) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, st.workerURL+"/readyz", nil)
	if err != nil {
		return 0, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, res.Body.Close()
}

// enqueue asks for the stops of a list, as a user would.
func (st *stage) enqueue(ctx context.Context, project, list string, more ...string) (batch string, err error) {
	args := []string{"--project", project, "--from", list, "--yes", "--max", "1000000", "--quiet"}
	return st.runEnqueue(ctx, append(args, more...)...)
}

// enqueueTable asks for the stops of a table that names the project of each job.
func (st *stage) enqueueTable(ctx context.Context, table string) (batch string, err error) {
	return st.runEnqueue(ctx, "--from", table, "--yes", "--max", "1000000", "--quiet")
}

// ask asks for the stop of one job, as a user would, in a batch of its own.
func (st *stage) ask(ctx context.Context, project, job string) (batch string, err error) {
	return st.runEnqueue(ctx, "--project", project, "--yes", "--quiet", job)
}

// runEnqueue runs enqueue to its end and returns what it prints: with --quiet the id of the batch.
func (st *stage) runEnqueue(ctx context.Context, args ...string) (printed string, err error) {
	p, err := start(ctx, nil, filepath.Join(st.bin, "enqueue"), append([]string{"stop", "--redis", st.redis.url()},
		args...)...)
	if err != nil {
		return "", err
	}
	st.retire("enqueue")
	st.parts["enqueue"] = p
	if err := p.finish(ctx); err != nil {
		return "", err
	}
	return strings.TrimSpace(p.stdout.String()), nil
}

// command runs another command of enqueue, which is not part of what is measured, and returns what it prints.
func (st *stage) command(ctx context.Context, name string, args ...string) (printed string, err error) {
	p, err := start(ctx, nil, filepath.Join(st.bin, "enqueue"), append([]string{name, "--redis", st.redis.url()},
		args...)...)
	if err != nil {
		return "", err
	}
	if err := p.finish(ctx); err != nil {
		return "", err
	}
	return p.stdout.String(), nil
}

// awaitBatch waits until every stop of the batch is confirmed, and returns when
// the last one was.
func (st *stage) awaitBatch(ctx context.Context, project, batch string) (last time.Time, err error) {
	err = await(ctx, "the end of batch "+batch, 100*time.Millisecond, func() (bool, error) {
		s, err := st.standing(ctx, project, batch)
		if err != nil {
			return false, err
		}
		if s.inFlight > 0 {
			return false, st.parts["worker"].ended()
		}
		if s.ended != s.total {
			return false, fmt.Errorf("not every stop was confirmed: %v", s.outcomes)
		}
		last = s.last
		return true, nil
	})
	return last, err
}

// stopRow is what enqueue lists of one stop.
type stopRow struct {
	JobID    string     `json:"job_id"`
	State    string     `json:"state"`
	Accepted *time.Time `json:"accepted"`
	Ended    *time.Time `json:"ended"`
}

// stops lists a batch as the ledger has it.
func (st *stage) stops(ctx context.Context, batch string) ([]stopRow, error) {
	text, err := st.command(ctx, "stops", "--json", batch)
	if err != nil {
		return nil, err
	}
	var list struct{ Stops []stopRow }
	return list.Stops, json.Unmarshal([]byte(text), &list)
}

// confirmed is when the ledger says that each job's stop was confirmed.
func (st *stage) confirmed(ctx context.Context, batch string) (map[string]time.Time, error) {
	stops, err := st.stops(ctx, batch)
	if err != nil {
		return nil, err
	}
	times := make(map[string]time.Time, len(stops))
	for _, s := range stops {
		if !confirmedState(s.State) || s.Ended == nil {
			return nil, fmt.Errorf("the stop of job %s is %s", s.JobID, s.State)
		}
		times[s.JobID] = *s.Ended
	}
	return times, nil
}

// vizstopSide is the product: a worker that runs already, and enqueue.
func vizstopSide(jobs int, workerArgs ...string) side {
	return side{name: "vizstop", jobs: jobs, run: func(ctx context.Context, st *stage) (*sideRun, error) {
		if err := st.startWorker(ctx, workerArgs...); err != nil {
			return nil, err
		}
		if err := st.letLoose(ctx); err != nil {
			return nil, err
		}
		batch, err := st.enqueue(ctx, project, st.list)
		if err != nil {
			return nil, err
		}
		return st.concludeBatch(ctx, batch)
	}}
}

// concludeBatch waits until every stop of the batch is confirmed, and reads what the run has cost and shown.
func (st *stage) concludeBatch(ctx context.Context, batch string) (*sideRun, error) {
	if _, err := st.awaitBatch(ctx, project, batch); err != nil {
		return nil, err
	}
	r := &sideRun{}
	if err := st.costs(ctx, r); err != nil {
		return nil, err
	}
	confirmed, err := st.confirmed(ctx, batch)
	if err != nil {
		return nil, err
	}
	return r, st.measure(ctx, r, confirmed)
}

func jobID(i int) string { return strconv.Itoa(firstJob + i) }
