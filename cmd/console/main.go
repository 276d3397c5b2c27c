// Command console serves vizstop's web page and HTTP API: what is in flight, why it stands still, and what is to be
// done about it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"vizstop/internal/plain"
	"vizstop/internal/settings"
	"vizstop/internal/version"
)

// maxErrorLine bounds one line of an error, in characters.
const maxErrorLine = 4096

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), settings.Endings()...)
	context.AfterFunc(ctx, stop) // a second signal kills at once
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	if err != nil {
		for _, line := range plain.Lines(err.Error(), maxErrorLine) { // may hold words of Redis
			fmt.Fprintln(os.Stderr, "console: "+line)
		}
		os.Exit(1)
	}
}

// run is the whole program. It returns when ctx ends or the command is done.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	app := &cli.Command{
		Name:        "console",
		Usage:       "a web page and an HTTP API for vizstop",
		Description: `Without a command, console runs "console run".`,
		Version:     version.String(),
		Writer:      stdout,
		ErrWriter:   stderr,
		Commands: []*cli.Command{
			runCommand(getenv, stderr),
			tokenCommand(getenv, stdout, stderr),
			checkCommand(getenv, stdout),
		},
		ExitErrHandler: func(context.Context, *cli.Command, error) {}, // main decides
		OnUsageError:   usageError,
		Action: func(_ context.Context, cmd *cli.Command) error { // only reached without a command that we know
			return fmt.Errorf("unknown command %q (see %s --help)", cmd.Args().First(), cmd.FullName())
		},
	}
	return app.Run(ctx, append([]string{"console"}, withDefault(args)...))
}

// withDefault puts the default command before args that name none.
func withDefault(args []string) []string {
	if len(args) > 0 && (!strings.HasPrefix(args[0], "-") || slices.Contains([]string{"-h", "--help", "-v", "--version"}, args[0])) {
		return args
	}
	return append([]string{"run"}, args...)
}

func usageError(_ context.Context, cmd *cli.Command, err error, _ bool) error {
	return fmt.Errorf("%w (see %s --help)", err, cmd.FullName())
}
