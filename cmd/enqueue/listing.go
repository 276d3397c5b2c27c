package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"vizstop/internal/estimate"
	"vizstop/internal/selection"
)

// listedAtOnce is how many projects are listed at a time: each has a rate of its own.
const listedAtOnce = 16

// listing is what a rule has found in one project, or why it could not be listed.
type listing struct {
	project string
	found   *selection.Selection // nil with err
	err     error
}

// list asks for the jobs of every project, several projects at once, and returns what
// the rule chose in their order. A person at a terminal sees how far it is.
func (c *stopCmd) list(ctx context.Context, calls *caller, rule selection.Rule, now time.Time) []listing {
	all := make([]listing, len(c.projects))
	var done atomic.Int64
	over := c.tellProgress(&done, len(all))
	defer over()
	var group errgroup.Group
	group.SetLimit(listedAtOnce)
	for i, project := range c.projects {
		group.Go(func() error {
			found, err := selection.Select(listJobs(ctx, calls, project), rule, now)
			all[i] = listing{project, found, err}
			done.Add(1)
			return nil
		})
	}
	_ = group.Wait() // each listing has its own error
	return all
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
