package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"vizstop/internal/control"
	"vizstop/internal/estimate"
	"vizstop/internal/joblist"
	"vizstop/internal/ledger"
	"vizstop/internal/notify"
	"vizstop/internal/plain"
	"vizstop/internal/report"
	"vizstop/internal/tracing/otlp"
	"vizstop/internal/when"
)

// stopCmd is the settings of "enqueue stop".
type stopCmd struct {
	store
	rules
	limits
	about
	api     access
	streams streams
	now     func() time.Time

	projects    []string
	from        string
	format      string
	skipInvalid bool
	dryRun      bool
	shadow      bool

	spec   when.Spec
	batch  string
	notify string

	json    bool
	quiet   bool
	wait    bool
	timeout time.Duration

	allowNotFound bool
}

func (c *stopCmd) declareAll() {
	c.store.declare()
	c.Strings(&c.projects, "project", "HW_PROJECT_ID", "id of the Huawei Cloud project that the jobs are in; with a rule repeatable, or several by comma", func(v string) error {
		return joblist.ValidateID("project", v)
	})
	c.String(&c.from, "from", "", "", "file of jobs: ids, CSV with a header, or JSON lines; - for standard input", nil)
	c.OneOf(&c.format, "format", "", "auto", "of --from: "+formats(), joblist.Formats()...)
	c.Bool(&c.skipInvalid, "skip-invalid", "", "leave out what can't be a job id, instead of refusing everything")
	c.rules.declare(c)
	c.Bool(&c.dryRun, "dry-run", "", "show what would be stopped, and stop nothing")
	c.Bool(&c.shadow, "shadow", "", "stop nothing: workers look at each job when it is due, and tell what a stop call would meet")
	c.declarePercent(&c.Set)
	c.String(&c.spec.At, "at", "", "", "when to stop them: 20:00, 2026-12-24 20:00 or RFC 3339", nil)
	c.String(&c.spec.Timezone, "timezone", "", "", "of --at, such as Europe/Berlin (default: this machine's)", nil)
	c.String(&c.spec.In, "in", "", "", "when to stop them: after this long, such as 2h", nil)
	c.String(&c.spec.Spread, "spread", "", "", "spread them evenly over this long", nil)
	c.declareAsk()
	c.api.declareProjects(&c.Set)
	c.api.Declare(&c.Set, true)
}

// declareAsk declares what every command that asks for stops has.
func (c *stopCmd) declareAsk() {
	c.limits.declare(&c.Set, "stop")
	c.String(&c.spec.Deadline, "deadline", "VIZSTOP_DEADLINE", "", "no stop call goes out later than this after it was due (default: "+
		estimate.Flag(when.DefaultDeadline)+", or twice what the workers' --api-rate needs for the batch)", nil)
	c.String(&c.batch, "batch", "", "", "id of the batch (default: made up); the same command with the same id completes it and doubles nothing", func(v string) error {
		if v == "" {
			return nil
		}
		if ledger.OwnBatch(v) {
			return fmt.Errorf("batches of foreign tasks, schedules and Idempotency-Keys have such an id as %q: choose another one", v)
		}
		return ledger.ValidateBatch(v)
	})
	c.about.declare(&c.Set)
	c.String(&c.notify, "notify", "", "", "URL to post the report to when the last stop has ended", func(v string) error {
		if v == "" {
			return nil
		}
		return notify.CheckURL(v)
	})
	c.Bool(&c.wait, "wait", "", "wait until every stop has an outcome, then print a table")
	c.Duration(&c.timeout, "timeout", "", 0, "give up waiting after this long; the batch goes on (0: never)", 0, 30*24*time.Hour)
	c.Bool(&c.allowNotFound, "allow-not-found", "", "with --wait: a job that the API does not know is as good as stopped")
	c.Bool(&c.json, "json", "", "print one JSON object")
	c.Bool(&c.quiet, "quiet", "", "print nothing but the batch id, warnings and errors")
	c.CheckVariables(otlp.Check)
	c.Check(func() error {
		if c.timeout > 0 && !c.wait {
			return errors.New("--timeout goes with --wait")
		}
		if c.allowNotFound && !c.wait {
			return errors.New("--allow-not-found goes with --wait")
		}
		if c.Given("format") && c.from == "" {
			return errors.New("--format goes with --from")
		}
		if c.forceProtected && (c.protect == "" || c.byRule()) {
			return errors.New("--force-protected goes with --protect (VIZSTOP_PROTECT) and jobs given by id: a rule passes over protected jobs")
		}
		return nil
	})
}

const stopExamples = `By id:

  enqueue --project $PROJECT 10 11 12
  enqueue --project $PROJECT --from jobs.txt --wait

By rule, which needs credentials (see worker run --help):

  enqueue --project $PROJECT --older-than 8h --dry-run
  enqueue --project $PROJECT --all --exclude 'keep-*' --at 20:00 --yes

To try a rule first, with workers and all, but without a stop call:

  enqueue --project $PROJECT --all --exclude 'keep-*' --shadow --wait

`

// stopCommand is the default command; isCommand reports whether a word is the name
// of one.
func stopCommand(getenv func(string) string, streams streams, isCommand func(string) bool) *cli.Command {
	c := &stopCmd{streams: streams, now: time.Now}
	c.declareAll()
	return &cli.Command{
		Name:                      "stop",
		Usage:                     "stop jobs by id or by rule (the default command)",
		ArgsUsage:                 "[JOB ...]",
		Description:               stopExamples + exitCodeHelp + "\n\n" + c.Variables(),
		Flags:                     c.Flags(),
		OnUsageError:              usageError,
		DisableSliceFlagSeparator: true,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			for _, word := range cmd.Args().Slice() {
				if isCommand(word) {
					return fmt.Errorf("%q is a command, not a job: nothing was done; write it first: enqueue %s", word, word)
				}
			}
			if err := c.load(cmd, getenv); err != nil {
				return err
			}
			return c.run(ctx, cmd.Args().Slice(), getenv)
		},
	}
}

func (c *stopCmd) run(ctx context.Context, args []string, getenv func(string) string) error {
	if err := c.checkZone(getenv("TZ")); err != nil {
		return err
	}
	plan, err := when.Parse(c.spec, c.now())
	if err != nil {
		return err
	}
	if err := errors.Join(c.chooseProjects(), c.checkChoice(args)); err != nil {
		return err
	}
	if err := c.readProtected(c.now(), c.streams.err); err != nil {
		return err
	}
	c.api.tell = c.note
	desk, done, err := c.openOrNot(ctx)
	if err != nil {
		return fmt.Errorf("nothing was enqueued: %w", err)
	}
	defer done()
	if plan, err = c.byFleet(desk, plan); err != nil {
		return err
	}
	c.toShadow(desk)
	var mixed error
	if c.byRule() { // it asks what is in flight, of the one kind or the other
		mixed = c.followAccounts(desk, c.projects)
	}
	picked, err := c.choose(ctx, desk, args)
	if err != nil {
		return err
	}
	defer picked.close()
	if picked.Bad > 0 && !c.skipInvalid {
		return picked.refusal()
	}
	if !c.byRule() {
		c.tellOdd(picked)
		mixed = c.followAccounts(desk, picked.Projects)
	}
	refusal := errors.Join(mixed, c.checkMax(picked.Count), c.checkPercent(ctx, desk, picked), c.checkProtected(ctx, desk, picked))
	if picked.Count == 0 && !c.byRule() {
		refusal = errors.Join(refusal, picked.empty())
	}
	if c.dryRun { // shows what is refused, too
		ahead, tooMany := c.lookAhead(picked, &plan, desk.Rate())
		c.note(ahead.Tight)
		if err := c.lookAtWindow(ctx, desk, picked, &ahead); err != nil {
			return err
		}
		return errors.Join(c.preview(ctx, desk, picked, plan, ahead), refusal, tooMany, picked.missing())
	}
	switch {
	case refusal != nil:
		return refusal
	case picked.Count == 0:
		return errors.Join(c.nothing(picked, plan), picked.missing())
	}
	return c.ask(ctx, desk, picked, plan, c.meta(getenv), getenv)
}

// byFleet has the command go by the fleet's time: stops are due by that, whatever this machine's clock shows. It
// returns the plan made anew. The desk is nil in a dry run without a Redis.
func (c *stopCmd) byFleet(desk *control.Desk, plan when.Plan) (when.Plan, error) {
	if desk == nil {
		return plan, nil
	}
	c.now = func() time.Time { return desk.Fleet.Now().Local() }
	return when.Parse(c.spec, c.now())
}

// toShadow has the desk be those of shadow stops, if the ask is one of them. The desk
// is nil in a dry run without a Redis.
func (c *stopCmd) toShadow(desk *control.Desk) {
	if c.shadow && desk != nil {
		desk.Ledger = desk.Ledger.Shadow()
	}
}

// followAccounts makes the ask one of shadow stops if all projects are in shadow accounts,
// and refuses one of which only some are.
func (c *stopCmd) followAccounts(desk *control.Desk, projects []string) error {
	names, inShadow, err := c.api.inShadow(projects)
	switch {
	case err != nil || c.shadow || len(inShadow) == 0:
		return err
	case len(inShadow) < len(projects):
		return fmt.Errorf("nothing was enqueued: of the %d projects, some are in shadow accounts, for whose projects no stop call is made: %s; ask for those alone, or for all with --shadow",
			len(projects), plain.Line(strings.Join(inShadow, ", "), maxErrorLine/2))
	}
	c.shadow = true
	c.toShadow(desk)
	c.note("no stop call is made for projects of shadow accounts, and all projects are in such: " + strings.Join(names, ", "))
	return nil
}

// checkZone refuses a time zone that nobody understands where a time of day or a date is told by it.
func (c *stopCmd) checkZone(tz string) error {
	if c.protect == "" && (c.spec.At == "" || c.spec.Timezone != "") {
		return nil
	}
	_, err := when.Zone(tz)
	return err
}

// ask records the stops, unless the batch is too large for its deadline or nobody confirms it, and tells what became of
// them. Times that count from the ask count from when it is confirmed.
func (c *stopCmd) ask(ctx context.Context, desk *control.Desk, picked *chosen, plan when.Plan, meta ledger.Meta, getenv func(string) string) error {
	ahead, err := c.lookAhead(picked, &plan, desk.Rate())
	if err != nil {
		return err
	}
	for _, project := range picked.Projects {
		err := c.api.checkProject(project)
		if err == nil {
			err = c.checkEndpoint(ctx, desk, project)
		}
		if err != nil {
			return fmt.Errorf("nothing was enqueued: %w", err)
		}
	}
	c.note(ahead.Tight)
	confirmed := true // a shadow stop needs nobody's word
	if !c.shadow {
		if confirmed, err = c.confirm(c.streams, picked.Count, "stop", c.Given("max")); err != nil {
			return err
		}
	}
	plan = plan.From(c.now())
	if ahead, err = c.lookAhead(picked, &plan, desk.Rate()); err != nil {
		return err
	}
	if err := c.lookAtWindow(ctx, desk, picked, &ahead); err != nil {
		return err
	}
	answer, err := c.submit(ctx, desk, picked, plan, meta, confirmed, getenv)
	if err != nil {
		return err
	}
	answer.Outlook, answer.missing = ahead, picked.missing()
	return c.conclude(ctx, desk, answer)
}

// note tells people something on standard error; "" is nothing.
func (c *stopCmd) note(text string) {
	if text != "" && !c.quiet {
		fmt.Fprintln(c.streams.err, "note: "+text)
	}
}

// endpoint is where the jobs are: where a rule has listed them, or where somebody
// who gave ids has said; "" if that is not known.
func (c *stopCmd) endpoint(project string) string {
	if c.byRule() || c.api.Chosen() {
		return c.api.endpoint(project)
	}
	return ""
}

// checkEndpoint refuses jobs of a project whose stops in flight are at another endpoint.
// The desk is nil in a dry run without a Redis, which does not look.
func (c *stopCmd) checkEndpoint(ctx context.Context, desk *control.Desk, project string) error {
	if desk == nil {
		return nil
	}
	return desk.Ledger.CheckEndpoint(ctx, project, c.endpoint(project))
}

// chooseProjects takes the projects of the accounts that were named.
func (c *stopCmd) chooseProjects() error {
	chosen, err := c.api.projects()
	switch {
	case err != nil || chosen == nil:
		return err
	case len(c.projects) > 0:
		return errors.New("--project (HW_PROJECT_ID) and --account or --all-projects exclude each other")
	case !c.byRule():
		return errors.New("--account and --all-projects go with a rule (--all, --status, --name, --older-than): jobs given by id belong to one project")
	}
	c.projects = chosen
	return nil
}

// nothing tells of a rule that no job matches: there is no batch then.
func (c *stopCmd) nothing(picked *chosen, plan when.Plan) error {
	a := newAnswer(picked)
	a.Shadow, a.Projects, a.Due, a.Deadline = c.shadow, []string{}, c.now().UTC(), plan.Deadline.Seconds()
	switch {
	case c.json:
		return report.WriteJSON(c.streams.out, a)
	case !c.quiet:
		fmt.Fprintln(c.streams.out, "no job matches: nothing was asked for")
		c.printCounts(a)
	}
	return nil
}
