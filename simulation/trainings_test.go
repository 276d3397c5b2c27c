package simulation

import (
	"math/rand/v2"
	"slices"

	"vizstop/internal/ledger"
	"vizstop/internal/modelarts/modelartstest"
)

// secondGeneration makes the API of every other day one of the second generation, with
// any of the things that its documents leave open.
func secondGeneration(r *rand.Rand, cfg *modelartstest.Config) {
	if r.IntN(2) == 0 {
		return
	}
	pick := func(all ...string) string { return all[r.IntN(len(all))] }
	cfg.Only = modelartstest.V2
	cfg.V2 = modelartstest.V2Options{
		Offset:  pick(modelartstest.OffsetPage, modelartstest.OffsetStart),
		Filters: pick(modelartstest.FiltersHonored, modelartstest.FiltersHonored, modelartstest.FiltersIgnored, modelartstest.FiltersBadKey),
	}
}

// trainings are ordinary training jobs of a day, whose ids are among those that are
// asked for.
var trainings = []string{"7001", "7002"}

// addTrainings does nothing on a day of the first generation.
func (d *day) addTrainings() {
	if !d.v2 {
		return
	}
	for _, id := range trainings {
		d.jobs = append(d.jobs, id)
		d.sim.AddJob(project, modelartstest.Job{ID: id, Kind: modelartstest.KindJob})
	}
}

// checkTrainings: no training job gets a stop call, ever, and a stop of one never
// claims to have stopped it.
func (d *day) checkTrainings() {
	if strays := d.sim.StrayStops(); len(strays) > 0 {
		d.t.Errorf("stop calls for training jobs: %+v", strays)
	}
	if !d.v2 {
		return
	}
	for _, s := range d.all(project) {
		if slices.Contains(trainings, s.JobID) && s.State == ledger.Stopped {
			d.t.Errorf("training job %s is said to be stopped: %s", s.JobID, s.Reason)
		}
	}
}
