package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

// projects measures how one worker gets through many small projects at once, and how long a stop waits that comes
// meanwhile, alone in its project.
func (b *bench) projects(ctx context.Context) (*measurement, error) {
	const count, each, late = 1000, 20, 3
	const latency = 80 * time.Millisecond
	const jobs = count * each
	floor := 2 * jobs * latency.Seconds() / parallel
	run := func(ctx context.Context, st *stage) (*sideRun, error) {
		return st.serveProjects(ctx, count, each, late)
	}
	ours := side{name: "vizstop", jobs: jobs + late, each: each, run: run}
	runs, err := b.inTurn(ctx, b.roundsOr(2), []side{ours}, 10*time.Minute,
		"--latency", latency.String(), "--stop-time", "1s", "--stop-spread", "0", "--more-projects", strconv.Itoa(count+late))
	if err != nil {
		return nil, err
	}
	got := runs[ours.name]
	waits := pickups(got, 1)
	floors := over(got, func(r *sideRun) float64 { return r.Wall / floor })
	return &measurement{
		Title: "Many projects",
		Work: "1,000 projects with 20 stops each at once, API 80 ms, one worker with 64 slots; three more projects come " +
			"meanwhile, with a stop each",
		How: fmt.Sprintf("All stops are registered, then a worker starts with `--concurrency 64 --api-rate 0`: from there "+
			"until a detail call has shown the last "+
			"job ended. A stop takes 1 s. The floor is two calls a job of 80 ms over 64 slots: %s s. From 5 s after the "+
			"worker's start `enqueue` asks for a stop in another project every ten seconds, three in all: from the start of "+
			"that command to the arrival of its call, the slowest of them.", number(floor)),
		Goals: []goal{atMost("1,000 projects at once, wall time against the floor", "×", 1.15, floors),
			atMost("a stop of another project meanwhile, asked to sent", "s", 10, waits)},
		Columns: []col{{"wall time", "s"}, {"against the floor", "×"}, {"calls a job", ""},
			{"another project's stop, asked to sent", "s"}},
		Rows: []row{{ours.name, [][]float64{walls(got), floors,
			over(got, func(r *sideRun) float64 { return r.perJob(jobs + late) }), waits}}},
		Runs: runs,
	}, nil
}

// serveProjects registers the stops of many projects and then starts a worker. So many projects more come later, with
// one stop each.
func (st *stage) serveProjects(ctx context.Context, count, each, late int) (*sideRun, error) {
	table, err := writeTable(st.dir, count, each)
	if err != nil {
		return nil, err
	}
	batch, err := st.enqueueTable(ctx, table)
	if err != nil {
		return nil, err
	}
	if err := st.letLoose(ctx); err != nil {
		return nil, err
	}
	if err := st.startWorker(ctx, "--concurrency", strconv.Itoa(parallel), "--api-rate", "0"); err != nil {
		return nil, err
	}
	keys := make([]jobKey, late)
	for i := range keys {
		keys[i] = jobKey{modelartstest.NumberedProject(count + 1 + i), jobID(0)}
	}
	asked, err := st.askEvery(ctx, keys, 5*time.Second, 10*time.Second)
	if err != nil {
		return nil, err
	}
	if err := st.awaitShown(ctx, count*each+late); err != nil {
		return nil, err
	}
	r := &sideRun{}
	if err := st.costs(ctx, r); err != nil {
		return nil, err
	}
	if err := st.awaitStopped(ctx, batch, count*each); err != nil {
		return nil, err
	}
	histories, err := st.histories(ctx)
	if err != nil {
		return nil, err
	}
	if r.Pickup, err = st.pickups(ctx, asked); err != nil {
		return nil, err
	}
	for _, h := range histories {
		if !h.ShownEnded.IsZero() {
			r.Confirmed = append(r.Confirmed, h.ShownEnded.Sub(st.began).Seconds())
		}
	}
	r.Wall = slices.Max(r.Confirmed)
	return r, nil
}

// awaitStopped waits until the ledger has so many stops of a batch as confirmed, over all of its projects.
func (st *stage) awaitStopped(ctx context.Context, batch string, n int) error {
	return await(ctx, "the end of batch "+batch, time.Second, func() (bool, error) {
		text, err := st.command(ctx, "status", "--json", batch)
		if err != nil {
			return false, err
		}
		var status struct {
			Projects []struct {
				Outcomes map[string]int `json:"outcomes"`
			}
		}
		if err := json.Unmarshal([]byte(text), &status); err != nil {
			return false, err
		}
		ended := 0
		for _, p := range status.Projects {
			for outcome, count := range p.Outcomes {
				if count > 0 && !confirmedState(outcome) {
					return false, fmt.Errorf("%d stops are %s", count, outcome)
				}
				ended += count
			}
		}
		return ended == n, st.parts["worker"].ended()
	})
}
