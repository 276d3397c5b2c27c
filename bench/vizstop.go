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

	"vizstop/internal/ledger"
)

// startWorker starts a worker and returns when it takes tasks. Its log keeps
// warnings only: no baseline logs each job.
func (st *stage) startWorker(ctx context.Context, args ...string) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	all := append([]string{"run", "--redis", st.redis.url(), "--endpoint", st.url, "--listen", addr, "--log-level", "warn"}, args...)
	p, err := start(ctx, []string{"HW_ACCESS_KEY=BENCHACCESSKEY", "HW_SECRET_KEY=bench-secret-key"}, filepath.Join(st.bin, "worker"), all...)
	if err != nil {
		return err
	}
	st.parts["worker"] = p
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	wait, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return await(wait, "the worker", 20*time.Millisecond, func() (bool, error) {
		res, err := client.Get("http://" + addr + "/readyz")
		if err != nil {
			return false, p.ended()
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK, p.ended()
	})
}

// enqueue asks for the stops of a list, as a user would.
func (st *stage) enqueue(ctx context.Context, project, list string) (batch string, err error) {
	p, err := start(ctx, nil, filepath.Join(st.bin, "enqueue"), "--redis", st.redis.url(), "--project", project,
		"--from", list, "--yes", "--max", "1000000", "--quiet")
	if err != nil {
		return "", err
	}
	st.parts["enqueue"] = p
	if err := p.finish(ctx); err != nil {
		return "", err
	}
	return strings.TrimSpace(p.stdout.String()), nil
}

func (st *stage) books() *ledger.Ledger { return ledger.New(st.redis.rdb, ledger.Config{}) }

// awaitBatch waits until every stop of the batch is confirmed, and returns when
// the last one was.
func (st *stage) awaitBatch(ctx context.Context, project, batch string) (last time.Time, err error) {
	books := st.books()
	err = await(ctx, "the end of batch "+batch, 100*time.Millisecond, func() (bool, error) {
		b, err := books.Batch(ctx, project, batch)
		if err != nil {
			return false, err
		}
		if b.InFlight() > 0 {
			return false, st.parts["worker"].ended()
		}
		if b.Counts[ledger.Stopped] != b.Total {
			return false, fmt.Errorf("not every stop was confirmed: %v", b.Counts)
		}
		last = b.Ended
		return true, nil
	})
	return last, err
}

// confirmed is when the ledger says that each job's stop was confirmed.
func (st *stage) confirmed(ctx context.Context, batch string) (map[string]time.Time, error) {
	p, err := start(ctx, nil, filepath.Join(st.bin, "enqueue"), "stops", "--redis", st.redis.url(), "--json", batch)
	if err != nil {
		return nil, err
	}
	if err := p.finish(ctx); err != nil {
		return nil, err
	}
	var list struct {
		Stops []struct {
			JobID string    `json:"job_id"`
			State string    `json:"state"`
			Ended time.Time `json:"ended"`
		}
	}
	if err := json.Unmarshal([]byte(p.stdout.String()), &list); err != nil {
		return nil, err
	}
	times := make(map[string]time.Time, len(list.Stops))
	for _, s := range list.Stops {
		if s.State != string(ledger.Stopped) {
			return nil, fmt.Errorf("the stop of job %s is %s", s.JobID, s.State)
		}
		times[s.JobID] = s.Ended
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
	}}
}

func jobID(i int) string { return strconv.Itoa(firstJob + i) }
