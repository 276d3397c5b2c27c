package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

const (
	project      = "0123456789abcdef0123456789abcdef"
	smallProject = "fedcba9876543210fedcba9876543210"
	firstJob     = 1000 // the simulator's
)

// stage is what one run of one side plays on: a fresh Redis, a fresh simulator
// and the programs of the side. Everything ends with close.
type stage struct {
	bin     string
	dir     string // for files
	redis   *redisServer
	sim     *process
	url     string              // of the API
	control string              // of the simulator, for what it remembers
	parts   map[string]*process // measured besides the simulator: "worker", "enqueue", "redis", ...
	list    string              // file of the ids of all jobs

	began  time.Time // when the side was let loose
	before map[*process]time.Duration
}

// newStage starts Redis and a simulator with that many jobs in each project.
func (b *bench) newStage(ctx context.Context, jobs int, simArgs ...string) (st *stage, err error) {
	st = &stage{bin: b.bin, parts: map[string]*process{}}
	defer func() {
		if err != nil {
			st.close()
		}
	}()
	if st.dir, err = os.MkdirTemp("", "vizstop-bench"); err != nil {
		return st, err
	}
	if st.list, err = writeIDs(st.dir, firstJob, jobs); err != nil {
		return st, err
	}
	if st.redis, err = startRedis(ctx); err != nil {
		return st, err
	}
	st.parts["redis"] = st.redis.process
	// A simulator shares the processors with what is measured: it may have memory
	// instead of collecting garbage.
	args := append([]string{"--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--jobs", strconv.Itoa(jobs)}, simArgs...)
	if st.sim, err = start(ctx, []string{"GOGC=400"}, filepath.Join(b.bin, "simulator"), args...); err != nil {
		return st, err
	}
	st.parts["simulator"] = st.sim
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	err = await(wait, "the simulator", 10*time.Millisecond, func() (bool, error) {
		lines := strings.Fields(st.sim.stdout.String())
		if len(lines) == 2 {
			st.url, st.control = lines[0], lines[1]
		}
		return len(lines) == 2, st.sim.ended()
	})
	return st, err
}

// close ends everything that runs on the stage, programs first.
func (st *stage) close() {
	for name, p := range st.parts {
		if name != "redis" && name != "simulator" {
			p.kill()
		}
	}
	if st.sim != nil {
		st.sim.kill()
	}
	if st.redis != nil {
		st.redis.close()
	}
	if st.dir != "" {
		os.RemoveAll(st.dir)
	}
}

func writeIDs(dir string, first, n int) (path string, err error) {
	path = filepath.Join(dir, fmt.Sprintf("ids-%d-%d.txt", first, n))
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for i := range n {
		fmt.Fprintln(w, first+i)
	}
	return path, errors.Join(w.Flush(), f.Close())
}

// letLoose begins the measured part.
func (st *stage) letLoose(ctx context.Context) error {
	st.before = map[*process]time.Duration{}
	for _, p := range st.parts {
		used, err := p.cpu()
		if err != nil {
			return err
		}
		st.before[p] = used
	}
	if err := st.redis.rdb.ConfigResetStat(ctx).Err(); err != nil {
		return err
	}
	st.began = time.Now()
	return nil
}

// costs sums up what everything has used since letLoose.
func (st *stage) costs(ctx context.Context, r *sideRun) error {
	r.CPU = map[string]float64{}
	for name, p := range st.parts {
		used, err := p.cpu()
		if err != nil {
			return err
		}
		r.CPU[name] = (used - st.before[p]).Seconds()
	}
	var err error
	if r.RedisCommands, err = st.redis.commands(ctx); err != nil {
		return err
	}
	for _, own := range []string{"info", "config|resetstat"} {
		delete(r.RedisCommands, own)
	}
	counts, err := st.counts(ctx)
	if err != nil {
		return err
	}
	r.APICalls = counts.Calls
	if worker := st.parts["worker"]; worker != nil {
		peak, err := worker.peakMemory()
		if err != nil {
			return err
		}
		r.WorkerMiB = peak / (1 << 20)
	}
	return nil
}

// counts asks the simulator what calls it saw.
func (st *stage) counts(ctx context.Context) (page modelartstest.CountsPage, err error) {
	err = st.page(ctx, modelartstest.PathCounts, func(d *json.Decoder) error { return d.Decode(&page) })
	return page, err
}

// histories asks the simulator what happened to each job, by project and id.
func (st *stage) histories(ctx context.Context) (map[jobKey]modelartstest.JobHistory, error) {
	all := map[jobKey]modelartstest.JobHistory{}
	err := st.page(ctx, modelartstest.PathJobs, func(d *json.Decoder) error {
		for d.More() {
			var h modelartstest.JobHistory
			if err := d.Decode(&h); err != nil {
				return err
			}
			all[jobKey{h.ProjectID, h.JobID}] = h
		}
		return nil
	})
	return all, err
}

type jobKey struct{ project, job string }

func (st *stage) page(ctx context.Context, path string, read func(*json.Decoder) error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, st.control+path, nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, res.Status)
	}
	return read(json.NewDecoder(res.Body))
}

// freeAddr is an address that was free a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
