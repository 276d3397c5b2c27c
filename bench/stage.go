package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
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

	workerRedis string // address of Redis that workers are given
	workerURL   string // of the worker's pages
	proxy       *redisProxy

	onLoose func(ctx context.Context) error // what else happens when the side is let loose; nil: nothing

	began   time.Time // when the side was let loose
	before  map[*process]time.Duration
	retired map[string]time.Duration // processor time since then of parts that others have replaced
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
	st.parts["redis"], st.workerRedis = st.redis.process, st.redis.addr
	// A simulator shares the processors with what is measured: it may have memory
	// instead of collecting garbage.
	args := append([]string{"--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--jobs", strconv.Itoa(jobs)},
		simArgs...)
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
	if st.proxy != nil {
		st.proxy.close()
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

// writeIDs writes a list of n job ids, from first on.
func writeIDs(dir string, first, n int) (path string, err error) {
	path = filepath.Join(dir, fmt.Sprintf("ids-%d-%d.txt", first, n))
	ids := make([]string, n)
	for i := range ids {
		ids[i] = strconv.Itoa(first + i)
	}
	return path, writeLines(path, ids)
}

// writeTable writes a table of the first jobs of the simulator's numbered projects: so many projects, with so many jobs
// each. Jobs of one project do not stand together.
func writeTable(dir string, projects, jobs int) (path string, err error) {
	path = filepath.Join(dir, "jobs.csv")
	lines := []string{"project_id,job_id"}
	for i := range jobs {
		for n := range projects {
			lines = append(lines, modelartstest.NumberedProject(n+1)+","+jobID(i))
		}
	}
	return path, writeLines(path, lines)
}

func writeLines(path string, lines []string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	for _, line := range lines {
		fmt.Fprintln(w, line)
	}
	return errors.Join(w.Flush(), f.Close())
}

// letLoose begins the measured part.
func (st *stage) letLoose(ctx context.Context) error {
	st.before, st.retired = map[*process]time.Duration{}, map[string]time.Duration{}
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
	if st.onLoose != nil {
		return st.onLoose(ctx)
	}
	return nil
}

// retire keeps the cost of a part that has ended, before another takes its name.
func (st *stage) retire(name string) {
	p := st.parts[name]
	if p == nil || st.retired == nil || p.ended() == nil {
		return
	}
	if used, err := p.cpu(); err == nil { // it has ended, so there is nothing to read in vain
		st.retired[name] += used - st.before[p]
	}
}

// costs sums up what everything has used since letLoose.
func (st *stage) costs(ctx context.Context, r *sideRun) error {
	r.CPU = map[string]float64{}
	for name, p := range st.parts {
		used, err := p.cpu()
		if err != nil {
			return err
		}
		r.CPU[name] = (used - st.before[p] + st.retired[name]).Seconds()
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

// freeAddr is an address that was free a moment ago.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
