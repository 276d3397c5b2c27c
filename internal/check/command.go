package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/accounts"
	"vizstop/internal/jobs"
	"vizstop/internal/redisconn"
	"vizstop/internal/release"
	"vizstop/internal/report"
	"vizstop/internal/settings"
)

// Usage and Description are the help of the check commands.
const (
	Usage       = "look whether everything is there that stops need: credentials, permissions, the API, Redis, workers"
	Description = `It asks for each project who we are, which generation of the API is offered, whether list
and get are permitted and how many jobs run; whether Redis is fit; how many workers live;
and what holds calls back. It only reads: it never makes a stop call, so it cannot tell
whether stop is permitted. A credential that was refused is not used again.

"enqueue check" fails if no worker lives, or if calls of a project that is checked are
held by a pause (of the fleet, the project, or the queue in asynq), an outage or a
refusal. What ends by itself in seconds, or holds only stops that nobody confirmed, is a
note; so are workers and holds for "worker check".

Credentials without a project are checked nowhere: that fails, and everything else is
checked all the same.

exit codes: 0 nothing failed, 1 something did (it is named)`
)

// Command is the settings of a check command.
type Command struct {
	settings.Set
	redis    settings.Redis
	api      settings.API
	producer bool
	projects []string
	timeout  time.Duration
	json     bool

	served func(projectID string) release.Serving // by the accounts file; nil without one
}

// Declare declares all of them. A producer may lack credentials: then only Redis, workers and holds are checked. It
// fails where no worker lives or calls are held; a worker can be started then, and has Redis as a part of it, too.
func (c *Command) Declare(producer bool) {
	c.producer = producer
	c.redis.Declare(&c.Set, !producer)
	c.api.Declare(&c.Set, producer)
	c.Strings(&c.projects, "project", "HW_PROJECT_ID", "check this project; repeatable, or several by comma (default: all of --accounts)",
		func(id string) error { return jobs.ValidateID("project", id) })
	c.Duration(&c.timeout, "timeout", "", 15*time.Second, "longest wait for each answer", 100*time.Millisecond, 2*time.Minute)
	c.Bool(&c.json, "json", "", "print one JSON object")
}

// Action is that of the command: it checks, prints what it has found, and fails if
// anything did.
func (c *Command) Action(getenv func(string) string, out io.Writer) cli.ActionFunc {
	return func(ctx context.Context, cmd *cli.Command) error {
		if err := errors.Join(settings.NoArguments(cmd), c.Load(cmd, getenv)); err != nil {
			return err
		}
		redisconn.RouteLogs(slog.New(slog.DiscardHandler))
		r, err := c.check(ctx)
		if err != nil {
			return err
		}
		if c.json {
			err = report.WriteJSON(out, r)
		} else {
			err = r.Write(out)
		}
		return errors.Join(err, r.Err())
	}
}

// check makes the report. The error is about settings.
func (c *Command) check(ctx context.Context) (*Report, error) {
	r := &Report{Kind: "check", Projects: []Project{}, Notes: c.Warnings(), Failures: []string{}}
	if c.producer && !c.api.HasCredentials() {
		r.Notes = append(r.Notes, "no credentials are set, so the API is not checked: jobs can be stopped by id without them")
	} else {
		s, err := c.api.Open(settings.Options{Client: Options})
		if err != nil {
			return nil, err
		}
		projects, err := c.chosen(s.File())
		if errors.Is(err, errNoProject) {
			r.Failures = append(r.Failures, err.Error())
		} else if err != nil {
			return nil, err
		}
		r.Notes = append(r.Notes, s.Warnings()...)
		if len(projects) > 0 {
			r.Notes = append(r.Notes, "no read can tell whether stop is permitted: see the policies in deploy/iam")
		}
		r.Projects = Projects(ctx, s, projects, c.timeout)
		if c.api.Accounts != "" {
			c.served = func(projectID string) release.Serving {
				account, _, _, _ := s.Serving(projectID)
				return release.Serving{Account: account}
			}
		}
	}
	c.lookAtRedis(ctx, r)
	if r.Notes == nil {
		r.Notes = []string{}
	}
	r.Finish()
	return r, ctx.Err()
}

// errNoProject says why the API was not checked. It fails the check: who has set credentials wants to know whether
// they are accepted.
var errNoProject = errors.New("the API was not checked: --project (HW_PROJECT_ID): a project to check is needed without --accounts (VIZSTOP_ACCOUNTS)")

// chosen are the projects to check.
func (c *Command) chosen(file *accounts.File) ([]accounts.Project, error) {
	switch {
	case len(c.projects) == 0 && file.Open():
		return nil, errNoProject
	case len(c.projects) == 0:
		return file.Projects(), nil
	}
	var chosen []accounts.Project
	seen := map[string]bool{}
	for _, id := range c.projects {
		p, ok := file.Project(id)
		if !ok {
			return nil, fmt.Errorf("project %s is in no account of %s: add it there, or check the id", id, c.api.Accounts)
		}
		if !seen[id] {
			chosen = append(chosen, p)
		}
		seen[id] = true
	}
	return chosen, nil
}
