package main

import (
	"io"

	"github.com/urfave/cli/v3"

	"vizstop/internal/check"
)

func checkCommand(getenv func(string) string, stdout io.Writer) *cli.Command {
	var c check.Command
	c.Declare(false)
	return &cli.Command{
		Name: "check", Usage: check.Usage, Description: check.Description + "\n\n" + c.Variables(),
		Flags: c.Flags(), OnUsageError: usageError, Action: c.Action(getenv, stdout),
	}
}
