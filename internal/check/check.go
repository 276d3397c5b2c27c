// Package check finds out, with reads alone, whether a worker or a producer could do
// its work: for each project who we are there, which generation of the API it has and
// what is permitted; and whether Redis is fit. It never makes a stop call.
package check

import (
	"context"
	"errors"
	"sync"
	"time"

	"vizstop/internal/accounts"
	"vizstop/internal/jobs"
	"vizstop/internal/settings"
)

// Service is what a check needs of the settings.Service, which must have been opened
// with Options as client options.
type Service interface {
	Offers(projectID string) []settings.Offer
	Identity(projectID string) string
}

// checker checks the projects of one report.
type checker struct {
	service Service
	timeout time.Duration // of one call
	gates   *gates
}

// Projects checks projects of a service, a few at a time. timeout is that of each call.
func Projects(ctx context.Context, s Service, projects []accounts.Project, timeout time.Duration) []Project {
	c := &checker{s, timeout, newGates()}
	found := make([]Project, len(projects))
	var all sync.WaitGroup
	for i, p := range projects {
		all.Go(func() { found[i] = c.project(ctx, p) })
	}
	all.Wait()
	return found
}

func (c *checker) project(ctx context.Context, p accounts.Project) Project {
	found := Project{
		Account: p.Account.Name, Region: p.Region.Name, Endpoint: p.Region.Endpoint, ID: p.ID, Name: p.Name,
		Identity: c.service.Identity(p.ID), Generations: []Generation{},
	}
	for _, o := range c.service.Offers(p.ID) {
		g := &Generation{Name: string(o.Generation), Offered: Unknown, List: Unknown, Get: Unknown, Stop: Unknown, Kinds: Unknown,
			Notes: []string{}, Failures: []string{}}
		c.generation(ctx, p, o, g)
		found.Generations = append(found.Generations, *g)
	}
	found.settle()
	return found
}

// generation asks one generation of the API.
func (c *checker) generation(ctx context.Context, p accounts.Project, o settings.Offer, g *Generation) {
	var clock clock
	ctx = context.WithValue(ctx, clockKey{}, &clock)
	defer func() { g.ClockDifference = clock.difference() }()
	page := c.list(ctx, p, o, g)
	if page == nil {
		return
	}
	if o.Generation == accounts.V2 {
		g.tellKinds(page, p.TensorboardTraining)
	} else {
		g.Kinds = Yes // there is no other kind
	}
	c.get(ctx, p, o, page, g)
	c.count(ctx, p, o, page, g)
}

// call makes one call as soon as it may.
func (c *checker) call(ctx context.Context, p accounts.Project, call func(context.Context) error) error {
	return c.gates.call(p, func() error {
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		return call(ctx)
	})
}

// mendKey says what a person does about a refused credential. When a held one is tried next, its hold says.
const mendKey = "renew or enable the key, set it here and for the workers, then restart these; they try it within 2 " +
	"minutes, and at once if it is held"

// list reads the first page of a project's jobs; nil if it could not.
func (c *checker) list(ctx context.Context, p accounts.Project, o settings.Offer, g *Generation) (page *jobs.Page) {
	err := c.call(ctx, p, func(ctx context.Context) (err error) {
		page, err = o.API.List(ctx, p.ID, jobs.Query{})
		return err
	})
	switch {
	case err == nil:
		g.Offered, g.List = Yes, Yes
		return page
	case jobs.KindOf(err) == jobs.KindNoAPI:
		g.Offered = No
	case jobs.KindOf(err) == jobs.KindPermission:
		g.List = No
	case jobs.KindOf(err) == jobs.KindCredentials && !jobs.KeyLocked(err.Error()): // else the error says what to do
		g.Notes = append(g.Notes, mendKey)
	}
	g.Failures = append(g.Failures, err.Error())
	return nil
}

// get asks for a job of the list, or for one that can't be there: who is told that there
// is none may ask.
func (c *checker) get(ctx context.Context, p accounts.Project, o settings.Offer, page *jobs.Page, g *Generation) {
	id := o.NoJob
	if len(page.Jobs) > 0 {
		id = page.Jobs[0].ID
	}
	err := c.call(ctx, p, func(ctx context.Context) error {
		_, err := o.API.Get(ctx, p.ID, id)
		return err
	})
	switch kind := jobs.KindOf(err); {
	case kind == jobs.KindOK, kind == jobs.KindNotFound:
		g.Get = Yes
		return
	case kind == jobs.KindInvalid && id == o.NoJob:
		g.Notes = append(g.Notes, "the project has no job to get, and the answer for a job that does not exist tells nothing: "+err.Error())
		return
	case kind == jobs.KindPermission:
		g.Get = No
	}
	g.Failures = append(g.Failures, err.Error())
}

// mostPages is how many pages are read to count running jobs.
const mostPages = 10

// errCounted ends the count of a list that is too long to be read for a check.
var errCounted = errors.New("the list is longer")

// count counts the running jobs of a project, whose first page was read.
func (c *checker) count(ctx context.Context, p accounts.Project, o settings.Offer, first *jobs.Page, g *Generation) {
	read := readAhead{first: first, next: func(ctx context.Context, q jobs.Query) (page *jobs.Page, err error) {
		if q.Page > mostPages {
			return nil, errCounted
		}
		err = c.call(ctx, p, func(ctx context.Context) (err error) {
			page, err = o.API.List(ctx, p.ID, q)
			return err
		})
		return page, err
	}}
	n, all := 0, true
	for job, err := range jobs.All(ctx, read, p.ID) {
		if err != nil {
			all = false
			g.Notes = append(g.Notes, "not all jobs were counted: "+err.Error())
		} else if job.Status.Running() {
			n++
		}
	}
	g.Running, g.CountedAll = &n, all
}

// readAhead is a list whose first page was read before.
type readAhead struct {
	first *jobs.Page
	next  func(context.Context, jobs.Query) (*jobs.Page, error)
}

// List is that of jobs.Lister.
func (r readAhead) List(ctx context.Context, _ string, q jobs.Query) (*jobs.Page, error) {
	if q.Page <= 1 {
		return r.first, nil
	}
	return r.next(ctx, q)
}

// tellKinds says whether answers tell what kind a job is.
func (g *Generation) tellKinds(page *jobs.Page, annotated bool) {
	switch {
	case len(page.Jobs)+len(page.Others) == 0:
		g.Notes = append(g.Notes, "no job shows whether answers tell the kind of a job: without it only jobs with an annotation can be stopped")
	case page.Kindless == 0:
		g.Kinds = Yes
	case annotated:
		g.Kinds = No
		g.Notes = append(g.Notes, "answers do not tell the kind of a job: only jobs with an annotation can be stopped")
	default:
		g.Kinds = No
		g.Failures = append(g.Failures, "answers do not tell the kind of a job: only jobs with an annotation can be stopped, and only with tensorboard_training: true (--tensorboard-training)")
	}
}
