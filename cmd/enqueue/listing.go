package main

import (
	"fmt"
	"iter"
	"sync/atomic"
	"time"

	"vizstop/internal/estimate"
	"vizstop/internal/jobs"
	"vizstop/internal/selection"
)

// listedAtOnce is how many projects are listed at a time: each has a rate of its own.
const listedAtOnce = 16

// across applies a rule to the jobs of every project. A person at a terminal sees how
// far it is.
func (c *stopCmd) across(list func(project string) iter.Seq2[jobs.Job, error], rule selection.Rule, now time.Time) []selection.InProject {
	var done atomic.Int64
	over := c.tellProgress(&done, len(c.projects))
	defer over()
	return selection.Across(c.projects, list, rule, now, listedAtOnce, func() { done.Add(1) })
}

// progressEvery is how often a person hears how many projects are listed: the first
// time after so long, so that what is quick says nothing.
const progressEvery = time.Second

// tellProgress keeps a line at a terminal, until over is called, which removes it.
func (c *stopCmd) tellProgress(done *atomic.Int64, of int) (over func()) {
	if !c.streams.terminal || c.quiet || of < 2 {
		return func() {}
	}
	ended, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(c.streams.err, "\r%s of %s projects are listed", estimate.Count(int(done.Load())), estimate.Count(of))
			case <-ended:
				fmt.Fprint(c.streams.err, "\r\x1b[K")
				return
			}
		}
	}()
	return func() { close(ended); <-gone }
}
