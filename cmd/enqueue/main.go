// Command enqueue asks for ModelArts visualization jobs to be stopped, and can
// wait until each of them has.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/plain"
	"vizstop/internal/redisconn"
	"vizstop/internal/settings"
	"vizstop/internal/version"
	"vizstop/internal/when"
)

// The exit codes. They are a contract with scripts.
const (
	exitGood     = 0 // every stop reached its goal, or nobody waited
	exitError    = 1 // nothing was enqueued, or the error says what was
	exitBad      = 2 // at least one stop was rejected, expired or canceled, or its job was not found
	exitTimeout  = 3 // --timeout passed with stops still in flight
	exitCodeHelp = "exit codes: 0 all stopped (or enqueued, without --wait), 1 error, 2 some were rejected, expired, canceled or not found, 3 --timeout passed"
)

// exitCode is an error that ends the program with a code and, if it has text,
// a line on standard error.
type exitCode struct {
	code int
	text string
}

func (e exitCode) Error() string { return e.text }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills at once
	if zone, err := when.Zone(os.Getenv("TZ")); err == nil {
		time.Local = zone // Go takes UTC for a rule such as CST-8
	}
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	os.Exit(conclude(err, ctx.Err() != nil, os.Stderr))
}

// maxErrorLine bounds one line of an error, in characters.
const maxErrorLine = 4096

// withoutRedis is said when Redis takes nothing: a pause is among it.
const withoutRedis = "to keep stop calls back without Redis, stop the workers (systemctl stop vizstop-worker): what was recorded goes on when they start again"

// conclude says err, if any, and returns the exit code. Of a program that was ended by a
// signal, it says that in words.
func conclude(err error, ended bool, stderr io.Writer) int {
	if err == nil {
		return exitGood
	}
	text := err.Error()
	if ended {
		text = strings.ReplaceAll(text, context.Canceled.Error(), "interrupted")
	}
	if text != "" {
		for _, line := range plain.Lines(text, maxErrorLine) { // may hold words of the API, of Redis or of a list
			fmt.Fprintln(stderr, "enqueue: "+line)
		}
	}
	if redisconn.WritesRefused(err) != "" {
		fmt.Fprintln(stderr, "enqueue: "+withoutRedis)
	}
	if exit, ok := errors.AsType[exitCode](err); ok {
		return exit.code
	}
	return exitError
}

// run is the whole program.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	out := &output{w: stdout}
	streams := streams{in: stdin, out: out, err: stderr, terminal: settings.IsTerminal(stdin) && settings.IsTerminal(stderr)}
	var app *cli.Command
	app = &cli.Command{
		Name:  "enqueue",
		Usage: "ask for ModelArts visualization jobs to be stopped",
		Description: `Without a command, enqueue runs "enqueue stop".

` + exitCodeHelp,
		Version:   version.String(),
		Writer:    out,
		ErrWriter: stderr,
		Commands: []*cli.Command{
			stopCommand(getenv, streams, func(word string) bool { return isCommand(app.Commands, word) }),
			statusCommand(getenv, streams),
			stopsCommand(getenv, streams),
			batchesCommand(getenv, streams),
			showCommand(getenv, streams),
			retryCommand(getenv, streams),
			cancelCommand(getenv, streams),
			undoCommand(getenv, streams),
			pauseCommand(getenv, streams),
			resumeCommand(getenv, streams),
			allowCommand(getenv, streams),
			actionsCommand(getenv, streams),
			schedulesCommand(getenv, streams),
			checkCommand(getenv, streams),
		},
		EnableShellCompletion: true,
		ExitErrHandler:        func(context.Context, *cli.Command, error) {}, // main decides
		OnUsageError:          usageError,
	}
	for _, c := range app.Commands { // "enqueue status BATCH --help": the library takes BATCH for a topic
		c.CommandNotFound = func(ctx context.Context, c *cli.Command, _ string) { _ = cli.ShowCommandHelp(ctx, app, c.Name) }
	}
	withoutTopics(app.Commands)
	args, err := withDefault(args, app.Commands)
	if err != nil {
		return err
	}
	err = app.Run(ctx, append([]string{"enqueue"}, args...))
	if out.err != nil && !errors.Is(err, out.err) {
		err = errors.Join(err, out.err)
	}
	return err
}

// withoutTopics keeps the library from taking a word of a command that has no commands of its own for a wish for help:
// "enqueue cancel help" cancels the batch of that name.
func withoutTopics(commands []*cli.Command) {
	for _, c := range commands {
		c.HideHelpCommand = len(c.Commands) == 0
		withoutTopics(c.Commands)
	}
}

// streams are where a command reads and writes.
type streams struct {
	in       io.Reader
	out, err io.Writer
	terminal bool // a person can be asked on err, and answers on in
}

// output is standard output. It keeps the first error: what a command has to tell must not get lost in silence.
type output struct {
	w   io.Writer
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil {
		err = fmt.Errorf("standard output: %w", err)
		o.err = cmp.Or(o.err, err)
	}
	return n, err
}

// mustTell is called before something is done. Until then a pipe that nobody reads any more ends the program without a
// word, as it does others: enqueue stops BATCH | head. From then on it is an error, which says what was done.
func mustTell() { signal.Ignore(syscall.SIGPIPE) }

// withDefault puts the default command before args that name none. A word
// without a digit is taken for a misspelt command rather than for a job.
func withDefault(args []string, commands []*cli.Command) ([]string, error) {
	if len(args) == 0 {
		return []string{"stop"}, nil
	}
	first := args[0]
	known := slices.Contains([]string{"-h", "--help", "-v", "--version", "help", "completion", "--generate-shell-completion"}, first) ||
		isCommand(commands, first)
	switch {
	case known:
		return args, nil
	case first != "" && !strings.HasPrefix(first, "-") && !strings.ContainsAny(first, "0123456789./%"):
		return nil, fmt.Errorf("unknown command %q (see enqueue --help; a job of that id: enqueue stop %s)", first, first)
	default:
		return append([]string{"stop"}, args...), nil
	}
}

func isCommand(commands []*cli.Command, word string) bool {
	return slices.ContainsFunc(commands, func(c *cli.Command) bool { return c.HasName(word) })
}

func usageError(_ context.Context, cmd *cli.Command, err error, _ bool) error {
	return fmt.Errorf("%w (see %s --help)", err, cmd.FullName())
}
