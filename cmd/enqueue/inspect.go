package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"vizstop/internal/caller"
	"vizstop/internal/control"
	"vizstop/internal/jobs"
	"vizstop/internal/plain"
)

// askEach is up to how many jobs of a project are looked at one by one. More are looked for in the project's list
// first.
const askEach = 50

// lookUp fetches what a selection by id doesn't know of its jobs, if there are
// credentials to ask with.
func (c *stopCmd) lookUp(ctx context.Context, desk *control.Desk, picked *chosen) error {
	if picked.details != nil || !c.api.HasCredentials() {
		return nil
	}
	calls, err := c.api.calls(desk, picked.Projects)
	if err != nil {
		return err
	}
	details := map[string]map[string]jobs.Job{}
	for _, project := range picked.Projects {
		if details[project], err = findJobs(ctx, calls, project, picked, c.keep != nil); err != nil {
			return err
		}
	}
	picked.details = details
	return nil
}

// findJobs looks for the chosen jobs of a project. One that does not exist is not in the result. A list does not
// show those of other workspaces than the default one: if all must be known, what it has not shown is asked for.
func findJobs(ctx context.Context, api *caller.Caller, project string, picked *chosen, all bool) (map[string]jobs.Job, error) {
	found := map[string]jobs.Job{}
	if picked.Each[project] > askEach {
		for job, err := range listJobs(ctx, api, project) {
			if err != nil {
				return nil, fmt.Errorf("list the jobs of project %s: %w", project, err)
			}
			found[job.ID] = job
		}
		if !all {
			return found, nil
		}
	}
	for item, err := range picked.Items() {
		if err != nil {
			return nil, err
		}
		if _, listed := found[item.JobID]; listed || item.ProjectID != project {
			continue
		}
		switch job, err := api.Get(ctx, project, item.JobID); {
		case err == nil:
			found[item.JobID] = *job
		case jobs.KindOf(err) != jobs.KindNotFound:
			return nil, fmt.Errorf("look at job %s of project %s: %w", item.JobID, project, err)
		}
	}
	return found, nil
}

// shownProtected is how many protected jobs a refusal names.
const shownProtected = 5

// checkProtected refuses jobs given by id that --protect names. Names can be compared only with credentials to look the
// jobs up, which is told, to quiet users too: what they protect may be stopped.
func (c *stopCmd) checkProtected(ctx context.Context, desk *control.Desk, picked *chosen) error {
	if c.keep == nil || c.byRule() || c.forceProtected {
		return nil
	}
	if err := c.lookUp(ctx, desk, picked); err != nil {
		return fmt.Errorf("whether --protect (VIZSTOP_PROTECT) names a job is not known: nothing was done: %w", err)
	}
	if picked.details == nil {
		fmt.Fprintln(c.streams.err, "note: without credentials, --protect (VIZSTOP_PROTECT) is compared with ids only, not with names")
	}
	var named []string
	n := 0
	for item, err := range picked.Items() {
		if err != nil {
			return err
		}
		job, _ := picked.job(item.ProjectID, item.JobID)
		line, ok := c.keep.Protects(item.JobID, job.Name)
		if !ok {
			continue
		}
		if n++; n <= shownProtected {
			named = append(named, "\n  job "+item.JobID+": "+line)
		}
	}
	if n == 0 {
		return nil
	}
	text := fmt.Sprintf("%d of %d jobs are protected by --protect (VIZSTOP_PROTECT): nothing was done; leave them out, or stop them all the same with --force-protected",
		n, picked.Count) + strings.Join(named, "")
	if more := n - len(named); more > 0 {
		text += fmt.Sprintf("\n  and %d more", more)
	}
	return errors.New(text)
}

// tellUnmatched tells of the lines of --protect that no job of the projects has to do with: one that is misspelt
// protects nothing.
func (c *stopCmd) tellUnmatched() {
	if c.quiet {
		return
	}
	for _, line := range c.keep.Unmatched() {
		fmt.Fprintln(c.streams.err, plain.Line("note: no job is named by "+line, maxErrorLine))
	}
}
