package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"time"

	"vizstop/internal/joblist"
	"vizstop/internal/modelarts"
	"vizstop/internal/plain"
	"vizstop/internal/selection"
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
}

func (r *rules) declare(s *stopCmd) {
	s.Bool(&r.all, "all", "", "rule: every job that can be stopped")
	s.Strings(&r.statuses, "status", "", "rule: jobs of this status, such as running; several by comma", func(v string) error {
		_, err := selection.ParseStatuses(v)
		return err
	})
	s.Strings(&r.names, "name", "", "rule: jobs whose name matches this glob; repeatable", selection.CheckGlob)
	s.Duration(&r.olderThan, "older-than", "", 0, "rule: jobs created longer ago than this", 0, 100*365*24*time.Hour)
	s.Strings(&r.exclude, "exclude", "", "but not this id or name glob; repeatable", selection.CheckGlob)
	s.String(&r.protect, "protect", "VIZSTOP_PROTECT", "",
		"file of ids and name globs that no rule ever stops; a line may end in \"until 2026-12-31\"", nil)
	s.Int(&r.limit, "limit", "", 0, "stop at most so many of them (0: no limit)", 0, 1000000)
	s.OneOf(&r.order, "order", "", "oldest", "which come first with --limit: oldest or newest", "oldest", "newest")
}

// byRule reports whether jobs are to be chosen by rule.
func (r *rules) byRule() bool {
	return r.all || len(r.statuses) > 0 || len(r.names) > 0 || r.olderThan > 0
}

func (r *rules) rule(now time.Time) (selection.Rule, error) {
	rule := selection.Rule{
		All: r.all, Names: r.names, OlderThan: r.olderThan, Exclude: r.exclude, Limit: r.limit, Order: r.order,
	}
	for _, v := range r.statuses {
		statuses, err := selection.ParseStatuses(v)
		if err != nil {
			return rule, err
		}
		rule.Statuses = append(rule.Statuses, statuses...)
	}
	if r.protect == "" {
		return rule, nil
	}
	f, err := os.Open(r.protect)
	if err != nil {
		return rule, fmt.Errorf("--protect: %w", err)
	}
	defer f.Close()
	rule.Protect, err = selection.ParseProtected(f, r.protect, now)
	if err != nil {
		return rule, fmt.Errorf("--protect: %w", err)
	}
	return rule, nil
}

// chooseByRule lists the jobs of every project and picks those that the rule
// matches. A project that can't be listed keeps out no other one.
func (c *stopCmd) chooseByRule(ctx context.Context) (*chosen, error) {
	now := time.Now()
	rule, err := c.rule(now)
	if err != nil {
		return nil, err
	}
	if rule.Protect != nil {
		for _, line := range rule.Protect.Expired() {
			fmt.Fprintln(c.streams.err, plain.Line("no longer protected: "+line, maxErrorLine))
		}
	}
	if len(c.projects) == 0 {
		return nil, errors.New("--project (HW_PROJECT_ID): a project is needed to choose jobs by rule")
	}
	client, err := c.api.Client()
	if err != nil {
		return nil, err
	}
	var items []joblist.Item
	picked := &chosen{details: map[string]map[string]modelarts.VisualizationJob{}, running: map[string]int{}}
	for _, project := range c.projects {
		found, err := selection.Select(listJobs(ctx, client, project), rule, now)
		if err != nil {
			picked.unlisted = append(picked.unlisted, fmt.Errorf("list the jobs of project %s: %w", project, err))
			continue
		}
		picked.details[project] = map[string]modelarts.VisualizationJob{}
		picked.running[project] = found.Running
		picked.left = append(picked.left, leftOut{ProjectID: project, Unstoppable: found.Unstoppable, Protected: found.Protected,
			Excluded: found.Excluded, OverLimit: found.OverLimit, Ageless: found.Ageless})
		for _, job := range found.Jobs {
			items = append(items, joblist.Item{ProjectID: project, JobID: job.ID})
			picked.details[project][job.ID] = job
		}
	}
	if len(picked.unlisted) == len(c.projects) || ctx.Err() != nil {
		return nil, fmt.Errorf("nothing was enqueued: %w", errors.Join(picked.unlisted...))
	}
	all, err := survey(fixed(items))
	if err != nil {
		return nil, err
	}
	all.details, all.running, all.left, all.unlisted = picked.details, picked.running, picked.left, picked.unlisted
	return all, nil
}

// listJobs goes through all jobs of a project. A throttled page is asked for
// again a few times, after the time that the API wants.
func listJobs(ctx context.Context, client *modelarts.Client, project string) iter.Seq2[modelarts.VisualizationJob, error] {
	const tries = 5
	return func(yield func(modelarts.VisualizationJob, error) bool) {
		for try := 1; ; try++ {
			var jobs []modelarts.VisualizationJob
			var fault error
			for job, err := range client.AllVisualizationJobs(ctx, project, modelarts.ListQuery{}) {
				if fault = err; err != nil {
					break
				}
				jobs = append(jobs, job)
			}
			if apiErr, ok := errors.AsType[*modelarts.APIError](fault); ok && apiErr.Kind == modelarts.KindThrottled && try < tries {
				if err := rest(ctx, max(apiErr.RetryAfter, 3*time.Second)); err == nil {
					continue
				}
			}
			for _, job := range jobs {
				if !yield(job, nil) {
					return
				}
			}
			if fault != nil {
				yield(modelarts.VisualizationJob{}, fault)
			}
			return
		}
	}
}

func rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
