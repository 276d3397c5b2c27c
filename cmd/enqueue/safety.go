package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"vizstop/internal/control"
	"vizstop/internal/jobs"
	"vizstop/internal/selection"
	"vizstop/internal/settings"
)

// limits is the settings that keep a surprise from becoming an outage.
type limits struct {
	max        int
	maxPercent float64
	yes        bool
}

func (l *limits) declare(s *settings.Set, what string) {
	s.Int(&l.max, "max", "VIZSTOP_MAX", 1000, "refuse to "+what+" anything if the selection is larger", 1, 10000000)
	s.Bool(&l.yes, "yes", "", "do not ask, whatever the number")
}

func (l *limits) declarePercent(s *settings.Set) {
	s.Float(&l.maxPercent, "max-percent", "", 100, fmt.Sprintf("refuse to stop anything if it is more of the project's running jobs than this; counts from %d running jobs on", shareFrom), 0, 100)
}

// shareFrom is from how many running jobs of a project on a share of them says
// something: one of one is 100 %.
const shareFrom = 20

// askAbove is how many jobs may be stopped without a question.
const askAbove = 20

// checkMax refuses a selection that is too large.
func (l *limits) checkMax(n int) error {
	if n <= l.max {
		return nil
	}
	return fmt.Errorf("%d jobs are chosen, more than --max %d (VIZSTOP_MAX): nothing was done. If a --dry-run shows that they are right, raise --max", n, l.max)
}

// checkPercent refuses a selection that is too large a part of a project. It
// asks the API how many jobs run where the selection doesn't know.
func (c *stopCmd) checkPercent(ctx context.Context, desk *control.Desk, picked *chosen) error {
	if c.maxPercent >= 100 {
		return nil
	}
	for _, project := range picked.Projects {
		running, known := picked.running[project]
		if !known {
			calls, err := c.api.calls(desk, picked.Projects)
			if err != nil {
				return fmt.Errorf("--max-percent needs to ask the API how many jobs run: %w", err)
			}
			found, err := selection.Select(listJobs(ctx, calls, project), selection.Rule{All: true}, c.now())
			if err != nil {
				return fmt.Errorf("--max-percent: list the jobs of project %s: %w", project, err)
			}
			running = found.Running
		}
		n := picked.Each[project]
		if running >= shareFrom && float64(n) > float64(running)*c.maxPercent/100 {
			return fmt.Errorf("%d jobs of project %s are chosen, more than --max-percent %g of the %d that run: nothing was done",
				n, project, c.maxPercent, running)
		}
	}
	return nil
}

// isConfirmed reports whether a person confirms the number, if all goes well.
func (l *limits) isConfirmed(n int, ownMax bool) bool {
	if l.yes {
		return ownMax
	}
	return n > askAbove
}

// confirm makes sure that somebody means it. what is such as "stop". It reports whether a person has confirmed the
// number: at the prompt, or by --yes with a --max of their own. --yes alone stands in scripts that choose whatever
// they find.
func (l *limits) confirm(s streams, n int, what string, ownMax bool) (bool, error) {
	if l.yes || n <= askAbove {
		return l.isConfirmed(n, ownMax), nil
	}
	if !s.terminal {
		return false, fmt.Errorf("%d jobs would be affected and there is no terminal to ask at: nothing was done. Pass --yes to %s more than %d without a question",
			n, what, askAbove)
	}
	fmt.Fprintf(s.err, "This would %s %d jobs. Type the number to go on: ", what, n)
	line, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil && line == "" {
		return false, errors.New("nothing was done: no answer")
	}
	if strings.TrimSpace(line) != strconv.Itoa(n) {
		return false, fmt.Errorf("nothing was done: %q is not %d", strings.TrimSpace(line), n)
	}
	return true, nil
}

// details of a job, if they are known.
func (c *chosen) job(project, id string) (jobs.Job, bool) {
	job, ok := c.details[project][id]
	return job, ok
}
