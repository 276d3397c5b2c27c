package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/principals"
	"vizstop/internal/settings"
)

func checkCommand(getenv func(string) string, stdout io.Writer) *cli.Command {
	var c config
	c.declare()
	return &cli.Command{
		Name:  "check",
		Usage: "read the settings and files of \"console run\", and say what it would do",
		Description: `Nothing is listened on, and Redis and ModelArts are not asked. Exit code 1 means that
"console run" would refuse to start with these settings.

` + c.Variables(),
		Flags:        c.Flags(),
		OnUsageError: usageError,
		Action: func(_ context.Context, cmd *cli.Command) error {
			if err := errors.Join(settings.NoArguments(cmd), c.Load(cmd, getenv)); err != nil {
				return err
			}
			lines := c.summary(time.Now())
			_, err := io.WriteString(stdout, strings.Join(lines, "\n")+"\n")
			return err
		},
	}
}

// summary is what a console with these settings does, one thing a line.
func (c *config) summary(now time.Time) []string {
	lines := []string{"serves " + c.url(c.listen) + ", with the Redis " + c.redis.Describe()}
	if c.metricsListen != "" {
		lines = append(lines, "serves metrics at http://"+c.metricsListen+"/metrics to whoever reaches it")
	}
	if len(c.hosts)+len(c.trustedOrigins) > 0 {
		lines = append(lines, "answers to "+strings.Join(append(append([]string{}, c.hosts...), c.trustedOrigins...), ", ")+", besides loopback names and its address")
	}
	switch {
	case c.actions:
		lines = append(lines, "actions are switched on")
	default:
		lines = append(lines, "actions are switched off")
	}
	if c.api.HasCredentials() {
		lines = append(lines, "can ask by rule and undo: it has credentials")
	} else {
		lines = append(lines, "cannot ask by rule or undo: it has no credentials")
	}
	if !c.principals.HasFile() {
		lines = append(lines, "no principals: everybody on this machine may look")
	} else {
		for _, p := range c.principals.File().All() {
			lines = append(lines, describe(p, now))
		}
	}
	for _, note := range c.notes(now) {
		lines = append(lines, "warning: "+note)
	}
	return lines
}

func describe(p *principals.Principal, now time.Time) string {
	projects := "all projects"
	if !p.All() {
		projects = fmt.Sprintf("%d of the projects", len(p.Projects))
	}
	line := fmt.Sprintf("principal %s: %s, %s", p.Name, p.Role, projects)
	switch {
	case p.Expired(now):
		line += ", expired"
	case !p.Expires.IsZero():
		line += ", until " + p.Expires.UTC().Format(time.RFC3339)
	}
	return line
}
