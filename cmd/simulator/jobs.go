package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"vizstop/internal/modelarts/modelartstest"
)

// populate makes the jobs. The same settings make the same jobs.
func (c *config) populate(sim *modelartstest.Simulator, now time.Time) {
	for _, project := range c.projects {
		c.populateProject(sim, project, now)
	}
}

func (c *config) populateProject(sim *modelartstest.Simulator, project string, now time.Time) {
	c.addJobs(sim, project, now, c.jobs, func(i int) modelartstest.Job {
		j := modelartstest.Job{ID: fmt.Sprint(1000 + i), Name: fmt.Sprintf("board-%d", 1000+i)}
		if c.api == "v2" {
			j.ID = modelartstest.NumberedTraining(1000 + i)
		}
		return j
	})
	besides := func(kind, name string, count int) {
		c.addJobs(sim, project, now, count, func(i int) modelartstest.Job {
			return modelartstest.Job{Generation: modelartstest.V2, Kind: kind, Name: fmt.Sprintf("%s-%d", name, 1000+i)}
		})
	}
	besides(modelartstest.KindVisualization, "board-v2", c.v2Jobs)
	besides(modelartstest.KindJob, "training", c.trainings)
}

// addJobs adds what job makes of the numbers from 0 on, with ages and stop times spread as the settings say.
func (c *config) addJobs(sim *modelartstest.Simulator, project string, now time.Time, count int, job func(i int) modelartstest.Job) {
	random := rand.New(rand.NewPCG(1, 2))
	for i := range count {
		factor := math.Exp(c.spread * random.NormFloat64())
		j := job(i)
		j.CreateTime = now.Add(-c.age * time.Duration(count-i) / time.Duration(count))
		j.StopTime = time.Duration(float64(c.stopTime) * factor)
		sim.AddJob(project, j)
	}
}
