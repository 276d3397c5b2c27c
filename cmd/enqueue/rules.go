package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"vizstop/internal/caller"
	"vizstop/internal/control"
	"vizstop/internal/joblist"
	"vizstop/internal/jobs"
	"vizstop/internal/plain"
	"vizstop/internal/selection"
	"vizstop/internal/settings"
)

// rules is the settings that choose jobs by what they are.
type rules struct {
	all       bool
	statuses  []string
	names     []string
	olderThan time.Duration
	exclude   []string
	protect   string
	limit     int
	order     string

	forceProtected bool

	keep *selection.Protected // what protect names, once read; nil without it
}

func (r *rules) declare(s *stopCmd) {
	s.Bool(&r.all, "all", "", "rule: every job that can be stopped")
	s.Strings(&r.statuses, "status", "", "rule: jobs of this status, such as running; repeatable, or several by comma", func(v string) error {
		_, err := selection.ParseStatuses(v, settings.Statuses())
		return err
	})
	s.Strings(&r.names, "name", "", "rule: jobs whose name matches this glob; repeatable, or several by comma", selection.CheckGlob)
	s.Duration(&r.olderThan, "older-than", "", 0, "rule: jobs created longer ago than this", 0, 100*365*24*time.Hour)
	s.Strings(&r.exclude, "exclude", "", "but not this id or name glob; repeatable, or several by comma", selection.CheckGlob)
	s.String(&r.protect, "protect", "VIZSTOP_PROTECT", "",
		"file of ids and name globs of jobs that are never stopped; a line may end in \"until 2026-12-31\"", nil)
	s.Bool(&r.forceProtected, "force-protected", "", "stop jobs given by id even if --protect names them")
	s.Int(&r.limit, "limit", "", 0, "stop at most so many of them (0: no limit)", 0, 1000000)
	s.OneOf(&r.order, "order", "", orderOldest, "which come first with --limit: oldest or newest", orderOldest, "newest")
}

// orderOldest is the default of --order.
const orderOldest = "oldest"

// byRule reports whether jobs are to be chosen by rule.
func (r *rules) byRule() bool {
	return r.all || len(r.statuses) > 0 || len(r.names) > 0 || r.olderThan > 0
}

func (r *rules) rule() (selection.Rule, error) {
	rule := selection.Rule{
		All: r.all, Names: r.names, OlderThan: r.olderThan, Exclude: r.exclude, Limit: r.limit, Order: r.order,
	}
	for _, v := range r.statuses {
		statuses, err := selection.ParseStatuses(v, settings.Statuses())
		if err != nil {
			return rule, err
		}
		rule.Statuses = append(rule.Statuses, statuses...)
	}
	rule.Protect = r.keep
	return rule, nil
}

// readProtected reads the file of --protect, and tells of its lines that protect no more.
func (r *rules) readProtected(now time.Time, stderr io.Writer) error {
	if r.protect == "" {
		return nil
	}
	var err error
	if r.keep, err = selection.ReadProtected(r.protect, now); err != nil {
		return fmt.Errorf("--protect: %w", err)
	}
	for _, line := range r.keep.Expired() {
		fmt.Fprintln(stderr, plain.Line("no longer protected: "+line, maxErrorLine))
	}
	return nil
}

// chooseByRule lists the jobs of every project and picks those that the rule
// matches. A project that can't be listed, or whose stops in flight are at another
// endpoint, keeps out no other one.
func (c *stopCmd) chooseByRule(ctx context.Context, desk *control.Desk) (*chosen, error) {
	now := c.now()
	rule, err := c.rule()
	if err != nil {
		return nil, err
	}
	calls, err := c.api.calls(desk, c.projects)
	if err != nil {
		return nil, err
	}
	var items []joblist.Item
	picked := &chosen{details: map[string]map[string]jobs.Job{}, running: map[string]int{}}
	doors, err := c.api.doors(c.projects)
	if err != nil {
		return nil, err
	}
	list := func(project string) iter.Seq2[jobs.Job, error] {
		if err := c.checkEndpoint(ctx, desk, project); err != nil {
			return func(yield func(jobs.Job, error) bool) { yield(jobs.Job{}, err) }
		}
		return doors[project].through(listJobs(ctx, calls, project))
	}
	for _, found := range c.across(list, rule, now) {
		project := found.ProjectID
		if found.Err != nil {
			picked.unlisted = append(picked.unlisted, found.Err)
			continue
		}
		picked.details[project] = map[string]jobs.Job{}
		picked.running[project] = found.Running
		picked.left = append(picked.left, leftOut{ProjectID: project, Unstoppable: found.Unstoppable, Protected: found.Protected,
			Excluded: found.Excluded, OverLimit: found.OverLimit, Ageless: found.Ageless})
		for _, job := range found.Jobs {
			items = append(items, joblist.Item{ProjectID: project, JobID: job.ID})
			picked.details[project][job.ID] = job
		}
	}
	if len(picked.unlisted) == len(c.projects) || ctx.Err() != nil {
		err := errors.Join(picked.unlisted...)
		if !c.dryRun {
			err = fmt.Errorf("nothing was enqueued: %w", err)
		}
		return nil, err
	}
	c.tellUnmatched()
	all, err := survey(fixed(items))
	if err != nil {
		return nil, err
	}
	all.details, all.running, all.left, all.unlisted = picked.details, picked.running, picked.left, picked.unlisted
	return all, nil
}

// listJobs goes through all jobs of a project.
func listJobs(ctx context.Context, api *caller.Caller, project string) iter.Seq2[jobs.Job, error] {
	return jobs.All(ctx, api, project)
}
