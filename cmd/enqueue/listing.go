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

// door is what the lists of an account's projects go through: one at a time until its
// credential was accepted, and none once it was refused. More than five
// refused calls in a row lock an access key, for the workers, too.
type door struct {
	key     chan struct{} // whoever has it may touch the rest
	open    bool
	refused error
}

func newDoor() *door { return &door{key: make(chan struct{}, 1)} }

func (d *door) lock()   { d.key <- struct{}{} }
func (d *door) unlock() { <-d.key }

func (d *door) through(list iter.Seq2[jobs.Job, error]) iter.Seq2[jobs.Job, error] {
	return func(yield func(jobs.Job, error) bool) {
		d.lock()
		waits := !d.open // the others do, until this list has an answer
		answered := func(err error) {
			if d.open = jobs.KindOf(err) != jobs.KindCredentials; !d.open {
				d.refused = fmt.Errorf("not asked: the credential of its account was refused before: %w", err)
			}
			d.unlock()
			waits = false
		}
		switch {
		case d.refused != nil:
			refused := d.refused
			d.unlock()
			yield(jobs.Job{}, refused)
			return
		case !waits:
			d.unlock()
		}
		for job, err := range list {
			if !waits && jobs.KindOf(err) == jobs.KindCredentials {
				d.lock()
				waits = true
			}
			if waits {
				answered(err)
			}
			if !yield(job, err) {
				return
			}
		}
		if waits { // it has no job
			answered(nil)
		}
	}
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
