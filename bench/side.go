package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// side is one of those that are compared: vizstop or a baseline.
type side struct {
	name string
	jobs int
	each int // jobs of each project that the simulator has; 0: jobs
	run  func(ctx context.Context, st *stage) (*sideRun, error)
}

// sideRun is what one run of one side showed. Times are in seconds.
type sideRun struct {
	Wall          float64                `json:"wall"` // from asking to the last confirmation
	CPU           map[string]float64     `json:"cpu"`  // by program
	RedisCommands map[string]command     `json:"redis_commands"`
	APICalls      map[string]map[int]int `json:"api_calls"` // by operation and HTTP status
	WorkerMiB     float64                `json:"worker_mib,omitempty"`
	EnqueueMiB    float64                `json:"enqueue_mib,omitempty"`
	Pickup        []float64              `json:"pickup,omitempty"`  // asked to the arrival of the stop call
	Numbers       map[string]float64     `json:"numbers,omitempty"` // what only this measure has

	Lag       []float64 `json:"-"` // of each job: truly stopped to confirmed
	Confirmed []float64 `json:"-"` // of each job: asked to confirmed, in order
	Calls     []float64 `json:"-"` // of each job: API calls that named it
}

// runsBySide are the runs of each side, in the order of the rounds.
type runsBySide = map[string][]*sideRun

// calls counts the calls, all of them or those with one HTTP status.
func (r *sideRun) calls(status int) float64 {
	n := 0
	for _, byStatus := range r.APICalls {
		for s, m := range byStatus {
			if status == 0 || s == status {
				n += m
			}
		}
	}
	return float64(n)
}

// perJob is the number of API calls for each of so many jobs.
func (r *sideRun) perJob(jobs int) float64 { return r.calls(0) / float64(jobs) }

func (r *sideRun) redisCommands() float64 {
	sum := 0.0
	for _, c := range r.RedisCommands {
		sum += c.Calls
	}
	return sum
}

// measure fills in the times of r, of the jobs of project. confirmed is when each job's stop was known
// to be confirmed, by the side's own word; nil takes the moment at which a
// detail answer first showed it.
func (st *stage) measure(ctx context.Context, r *sideRun, confirmed map[string]time.Time) error {
	histories, err := st.histories(ctx)
	if err != nil {
		return err
	}
	for key, h := range histories {
		if key.project != project {
			continue
		}
		if h.Ended.IsZero() || h.ShownEnded.IsZero() {
			return fmt.Errorf("job %s was never shown to have ended", key.job)
		}
		at, ok := h.ShownEnded, true
		if confirmed != nil {
			at, ok = confirmed[key.job]
		}
		if !ok {
			return fmt.Errorf("the stop of job %s is not in the ledger's list", key.job)
		}
		r.Lag = append(r.Lag, max(0, at.Sub(h.Ended).Seconds()))
		r.Confirmed = append(r.Confirmed, at.Sub(st.began).Seconds())
		r.Calls = append(r.Calls, float64(len(h.Calls)))
	}
	slices.Sort(r.Confirmed)
	r.Wall = slices.Max(r.Confirmed)
	return nil
}

// runOn runs a side once, on a stage of its own.
func (b *bench) runOn(ctx context.Context, s side, patience time.Duration, simArgs ...string) (*sideRun, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("took longer than %v", patience))
	defer cancel()
	st, err := b.newStage(ctx, cmp.Or(s.each, s.jobs), simArgs...)
	if err != nil {
		return nil, err
	}
	defer st.close()
	r, err := s.run(ctx, st)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	b.logf("  %-24s %6.2f s, %.2f calls a job, %.0f Redis commands a job, CPU %s", s.name, r.Wall,
		r.calls(0)/float64(s.jobs), r.redisCommands()/float64(s.jobs), cpuText(r.CPU))
	return r, nil
}

func cpuText(cpu map[string]float64) string {
	names := make([]string, 0, len(cpu))
	for name := range cpu {
		names = append(names, name)
	}
	slices.Sort(names)
	text := ""
	for _, name := range names {
		text += fmt.Sprintf("%s %.2f s ", name, cpu[name])
	}
	return text
}

// inTurn runs all sides one after the other, round by round.
func (b *bench) inTurn(ctx context.Context, rounds int, sides []side, patience time.Duration,
	simArgs ...string) (runsBySide, error) {
	runs := runsBySide{}
	for round := range rounds {
		b.logf(" round %d", round+1)
		for _, s := range sides {
			r, err := b.runOn(ctx, s, patience, simArgs...)
			if err != nil {
				return nil, err
			}
			runs[s.name] = append(runs[s.name], r)
		}
	}
	return runs, nil
}

// atOnce runs all sides at the same time, each on a stage of its own, round by
// round. It is for measures in which nearly all of the time is waiting.
func (b *bench) atOnce(ctx context.Context, rounds int, sides []side, patience time.Duration,
	simArgs ...string) (runsBySide, error) {
	runs := runsBySide{}
	for round := range rounds {
		b.logf(" round %d", round+1)
		got := make([]*sideRun, len(sides))
		err := together(ctx, len(sides), func(ctx context.Context, i int) (err error) {
			got[i], err = b.runOn(ctx, sides[i], patience, simArgs...)
			return err
		})
		if err != nil {
			return nil, err
		}
		for i, s := range sides {
			runs[s.name] = append(runs[s.name], got[i])
		}
	}
	return runs, nil
}
